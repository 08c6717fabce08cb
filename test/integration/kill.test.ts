import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TreeNode } from '#runtime/actor.ts';
import { campaign } from '#test/kit/campaign.ts';
import { fatesOf } from '#test/kit/fates.ts';
import { type LocalNode, sourceSet, startLocal } from '#test/kit/local-node.ts';
import { until } from '#test/kit/system.ts';
import { sendVisitors } from '#test/kit/visitors.ts';

const RUN_MS = 240_000;
const SCANNERS = 1000;
/** Anomalies a second. */
const RATE = 15;
let dataDir = '';
let node: LocalNode | undefined;

beforeEach(() => {
  dataDir = mkdtempSync(path.join(tmpdir(), 'cybermesh-kill-'));
});
afterEach(async () => {
  await node?.system.stop();
  node = undefined;
  rmSync(dataDir, { recursive: true, force: true });
});

/** Numbers that a seed repeats (mulberry32). */
const random = (seed: number) => {
  let state = seed;
  return (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
};
const shuffled = <T>(items: readonly T[], seed: number): T[] => {
  const next = random(seed);
  const list = [...items];
  for (let k = list.length - 1; k > 0; k--) {
    const other = Math.floor(next() * (k + 1));
    [list[k], list[other]] = [list[other]!, list[k]!];
  }
  return list;
};

const leaves = (tree: TreeNode): TreeNode[] =>
  tree.kind === 'actor' ? [tree] : (tree.children ?? []).flatMap(leaves);
/** One path for each thread: killing it kills all that live there. */
const threadsOf = (tree: TreeNode): string[] => {
  const byThread = new Map<number, string>();
  for (const leaf of leaves(tree)) {
    if (!byThread.has(leaf.thread!)) byThread.set(leaf.thread!, leaf.path);
  }
  return [...byThread.values()];
};
const leafOf = (running: LocalNode, at: string): TreeNode =>
  leaves(running.system.tree()).find((leaf) => leaf.path === at)!;

/** Sums a counter over all incarnations: what an actor counted before it died is not forgotten by the system. */
const counted = (running: LocalNode, actor: string, name: string): number =>
  Math.max(
    ...running.system
      .metrics()
      .actors.filter((one) => one.actor === actor)
      .map((one) => one.counters[name] ?? 0),
  );

/** Looks without a pause for a moment: a message often waits for less than a millisecond. */
const hasMail = (running: LocalNode, target: string): boolean => {
  const end = performance.now() + 20;
  while (performance.now() < end) {
    if ((leafOf(running, target).mailboxDepth ?? 0) > 0) return true;
  }
  return false;
};

const killEach = async (seed: number): Promise<void> => {
  const file = path.join(dataDir, 'campaign.pcap');
  writeFileSync(file, campaign(SCANNERS, 40));
  node = await startLocal(path.join(dataDir, 'data'), [
    ...sourceSet('pcap', file),
    // The load outlasts the kills: so many anomalies at so many a second.
    `detection.signer.config.perSecondMax=${RATE}`,
    // What is tested is each restart, not the point at which supervisors give up.
    'supervise.intensity.restarts=100',
  ]);
  const running = node;
  const stop = sendVisitors(running.apiPort);
  const targets = shuffled(threadsOf(running.system.tree()), seed);
  const kills: string[] = [];
  try {
    for (const target of targets) {
      await until(
        () => {
          const published = counted(running, 'signer', 'stage_published');
          const committed = counted(running, 'executor', 'stage_committed');
          return published > committed && hasMail(running, target);
        },
        30_000,
        0,
      ).catch((error: unknown) => {
        throw new Error(`${target} (seed ${seed}, after ${kills.join(', ')})`, { cause: error });
      });
      const before = leafOf(running, target).restarts;
      await running.system.kill(target);
      await until(() => {
        const leaf = leafOf(running, target);
        return leaf.restarts > before && leaf.state === 'running';
      }, 30_000);
      kills.push(target);
    }
    expect(kills).toHaveLength(16);
    await Promise.race([
      running.complete,
      running.failed.then((reason) => Promise.reject(new Error(reason))),
      new Promise((_, reject) =>
        setTimeout(() => reject(new Error('not complete')), 120_000).unref(),
      ),
    ]);
  } finally {
    await stop();
  }
  await running.system.stop();
  const fates = fatesOf(running.dataDir);
  expect(fates.forks).toEqual([]);
  expect(fates.twice).toEqual([]);
  expect(fates.invented).toEqual([]);
  expect(fates.open).toEqual([]);
  // A second copy of what is committed (a signer that died between publishing and noting it) goes to the dead letters.
  const refused = [...fates.rejected].filter(([id]) => !fates.committed.includes(id));
  const copies = [...fates.rejected].filter(([id]) => fates.committed.includes(id));
  expect(copies.filter(([, code]) => code !== 'duplicate' && code !== 'replayed')).toEqual([]);
  expect(fates.committed.length + refused.length).toBe(fates.published.length);
  expect(fates.published.length).toBeGreaterThanOrEqual(SCANNERS);
};

for (const seed of [1, 2]) {
  test(
    `every thread is terminated once under load, in the order of seed ${seed}, and nothing is lost`,
    {
      timeout: RUN_MS,
    },
    () => killEach(seed),
  );
}
