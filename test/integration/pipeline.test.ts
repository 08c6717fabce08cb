import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { reportOf } from '#runtime/metrics/report.ts';
import { capture, hasData } from '#test/kit/data.ts';
import { type Fates, fatesOf } from '#test/kit/fates.ts';
import { type LocalNode, sourceSet, startLocal } from '#test/kit/local-node.ts';
import { until } from '#test/kit/system.ts';

const RUN_MS = 60_000;
let dataDir = '';
let node: LocalNode | undefined;

beforeEach(() => {
  dataDir = mkdtempSync(path.join(tmpdir(), 'cybermesh-pipeline-'));
});
afterEach(async () => {
  await node?.system.stop();
  node = undefined;
  rmSync(dataDir, { recursive: true, force: true });
});

const withDeadline = (work: Promise<unknown>, ms = RUN_MS): Promise<unknown> =>
  Promise.race([
    work,
    new Promise((_, reject) =>
      setTimeout(() => reject(new Error(`not within ${ms} ms`)), ms).unref(),
    ),
  ]);

/** What must hold of the disks of every run, however it went. */
const isSound = (fates: Fates): void => {
  expect(fates.forks).toEqual([]);
  expect(fates.twice).toEqual([]);
  expect(fates.invented).toEqual([]);
};
const hasOneHead = (fates: Fates): void => {
  const heads = Object.values(fates.heads).map(({ height, root }) => `${height} ${root}`);
  expect(new Set(heads).size).toBe(1);
};

test('synthetic traffic goes from packets to acknowledged policies, through every stage', async () => {
  node = await startLocal(dataDir, []);
  const stages = () => reportOf(node!.system.snapshot()).stages;
  // Windows alarm while the flows of an attack still run: flows end later.
  await until(() => stages().acked > 0 && stages().flows > 0, RUN_MS);
  expect(Object.entries(stages()).filter(([, count]) => count === 0)).toEqual([['rejected', 0]]);
  const snapshot = node.system.snapshot();
  await node.system.stop();
  const fates = fatesOf(dataDir);
  isSound(fates);
  expect(fates.committed.length).toBeGreaterThan(0);
  expect(reportOf(snapshot).consensus.viewChanges).toBe(0);
});

test.skipIf(!hasData)(
  'a capture of a scan ends by itself, with every anomaly committed and every policy acknowledged (needs the data folder)',
  async () => {
    const file = capture('port_scan__pcaphunt__ps-tcp_syn.pcap.gz');
    node = await startLocal(dataDir, sourceSet('pcap', file));
    await withDeadline(node.complete);
    await node.system.stop();
    const fates = fatesOf(dataDir);
    isSound(fates);
    hasOneHead(fates);
    expect(fates.published.length).toBeGreaterThan(0);
    expect(fates.open).toEqual([]);
    expect(fates.rejected.size).toBe(0);
  },
);

test.skipIf(!hasData)(
  'a benign capture ends by itself and publishes nothing (needs the data folder)',
  async () => {
    node = await startLocal(dataDir, sourceSet('pcap', capture('benign__ndpi__netflix.pcap.gz')));
    await withDeadline(node.complete);
    await node.system.stop();
    expect(fatesOf(dataDir).published).toEqual([]);
  },
);
