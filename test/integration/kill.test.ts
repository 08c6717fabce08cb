import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TreeNode } from '#runtime/actor.ts';
import { campaign } from '#test/kit/campaign.ts';
import { fatesOf } from '#test/kit/fates.ts';
import { type LocalNode, ownPorts, sourceSet, startLocal } from '#test/kit/local-node.ts';
import { random } from '#test/kit/simulator/random.ts';
import { until } from '#test/kit/system.ts';
import { sendVisitors } from '#test/kit/visitors.ts';

const RUN_MS = 400_000;
const KILL_MS = 60_000;
const COMPLETE_MS = 120_000;
/** KILL_SEEDS=1,2,3 takes other orders, or more of them. */
const SEEDS = (process.env.KILL_SEEDS ?? '1,2').split(',').map(Number);
/** The load outlasts the kills by far: what is left of it when they are over goes through at full speed. */
const SCANNERS = 700 * SEEDS.length;
/** Anomalies a second. */
const RATE = 12;
const THREADS = 16;
const LOOK_MS = 10;
/** For so long a thread is watched for mail; some have it for moments that nobody sees. */
const MAIL_MS = 3000;
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

const shuffled = <T>(items: readonly T[], seed: number): T[] => {
  const chance = random(seed);
  const list = [...items];
  for (let k = list.length - 1; k > 0; k--) {
    const other = chance.int(0, k);
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
  const end = performance.now() + LOOK_MS;
  while (performance.now() < end) {
    if ((leafOf(running, target).mailboxDepth ?? 0) > 0) return true;
  }
  return false;
};

/** Kills it while something is on its way, if it can be with mail: whether it had. Resolves when it runs again. */
const killLoaded = async (running: LocalNode, target: string): Promise<boolean> => {
  const isOnItsWay = (): boolean =>
    counted(running, 'signer', 'stage_published') > counted(running, 'executor', 'stage_committed');
  const untilMs = performance.now() + MAIL_MS;
  const withMail = await until(() => {
    if (!isOnItsWay()) return undefined;
    if (hasMail(running, target)) return { had: true };
    return performance.now() > untilMs && { had: false };
  }, KILL_MS);
  const before = leafOf(running, target).restarts;
  await running.system.kill(target);
  await until(() => {
    const leaf = leafOf(running, target);
    return leaf.restarts > before && leaf.state === 'running';
  }, KILL_MS);
  return withMail.had;
};

const start = (set: readonly string[], perSecondMax: number): Promise<LocalNode> =>
  startLocal(path.join(dataDir, 'data'), [
    ...set,
    `detection.signer.config.perSecondMax=${perSecondMax}`,
    // What is tested is each restart, not the point at which supervisors give up.
    'supervise.intensity.restarts=100',
  ]);

/** Terminates every thread in the order of each seed; how many times that was, and how often with mail. */
const killEach = async (running: LocalNode) => {
  const kills: string[] = [];
  let withMail = 0;
  for (const seed of SEEDS) {
    for (const target of shuffled(threadsOf(running.system.tree()), seed)) {
      const had = await killLoaded(running, target).catch((error: unknown) => {
        throw new Error(`${target} (seed ${seed}, after ${kills.join(', ')})`, { cause: error });
      });
      kills.push(target);
      if (had) withMail++;
    }
  }
  return { kills: kills.length, withMail };
};

const completed = (running: LocalNode): Promise<unknown> =>
  Promise.race([
    running.complete,
    running.failed.then((reason) => Promise.reject(new Error(reason))),
    new Promise((_, reject) =>
      setTimeout(() => reject(new Error('not complete')), COMPLETE_MS).unref(),
    ),
  ]);

test(`every thread is terminated once in the order of each of seeds ${SEEDS.join(' and ')}, under load; after a stop in the midst of it the rest goes through, and nothing is lost`, {
  timeout: RUN_MS * SEEDS.length,
}, async () => {
  const file = path.join(dataDir, 'campaign.pcap');
  writeFileSync(file, campaign(SCANNERS, 40));
  const ports = await ownPorts();
  const set = [...ports.set, ...sourceSet('pcap', file)];
  node = await start(set, RATE);
  const stopVisitors = sendVisitors(ports.apiPort);
  try {
    const { kills, withMail } = await killEach(node);
    expect(kills).toBe(THREADS * SEEDS.length);
    expect(withMail).toBeGreaterThan(kills / 2);
  } finally {
    await stopVisitors();
  }
  await node.system.stop();
  node = await start(set, SCANNERS);
  await completed(node);
  await node.system.stop();
  const fates = fatesOf(node.dataDir);
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
});
