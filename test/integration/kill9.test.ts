import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hex } from '#proto/bytes.ts';
import { decodeCommit } from '#proto/wire/commit.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import { type CalmRun, calmRun } from '#test/kit/calm-run.ts';
import { factsOfChain, factsOfSql } from '#test/kit/chain-facts.ts';
import {
  chainOfValidator,
  fatesOf,
  heightOf,
  publishedContents,
  topicLength,
  topicOf,
} from '#test/kit/fates.ts';
import { giveDatabase } from '#test/kit/new-database.ts';
import type { Running } from '#test/kit/processes.ts';
import { type Random, random } from '#test/kit/simulator/random.ts';
import { until } from '#test/kit/system.ts';
import { VALIDATORS } from '#test/kit/validators.ts';
import { AT_FULL_SPEED, nodeStarter, type Pace } from '#test/kit/whole-node.ts';

/** The load outlasts all lives but the last, which takes what is left of it at full speed. */
const PACE: Pace = { perSecondMax: 20 };
const BOOT_MS = 90_000;
const RUN_MS = 180_000;

/** KILL9_SEEDS=1,2,3 takes other moments, or more of them. */
const SEEDS = (process.env.KILL9_SEEDS ?? '1').split(',').map(Number);

const folder = mkdtempSync(path.join(tmpdir(), 'cybermesh-kill9-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let calm: CalmRun;
beforeAll(async () => {
  calm = await calmRun();
}, RUN_MS);

const finish = async (run: Running): Promise<void> => {
  const done = await run.done;
  expect(done.code, run.output().slice(-4000)).toBe(0);
};

type Seen = { readonly height: number; readonly hash: string };

/** Every block that anybody could see: on the disks of the validators, and told on the bus. */
const seenIn = (dataDir: string): readonly Seen[] => {
  const onDisk = VALIDATORS.filter((name) => heightOf(dataDir, name) > 0).flatMap((name) =>
    chainOfValidator(dataDir, name).map(({ height, hash }) => ({ height, hash })),
  );
  const told = topicOf(dataDir, TOPICS.commits).flatMap(({ value }) => {
    const event = decodeCommit(value);
    return event.ok ? [{ height: event.value.height, hash: hex(event.value.blockHash) }] : [];
  });
  return [...onDisk, ...told];
};

type Moment = (dataDir: string, run: Running) => Promise<unknown>;

/** In the middle of the load: so many anomalies are on the topic, and blocks are being committed. */
const published =
  (count: number, laterMs: number): Moment =>
  async (dataDir) => {
    const before = heightOf(dataDir, 'v1');
    const isThere = (): boolean =>
      topicLength(dataDir, TOPICS.anomalies) >= count && heightOf(dataDir, 'v1') > before;
    await until(isThere, BOOT_MS, 20);
    await pause(laterMs);
  };
/** While it starts and recovers. */
const started =
  (laterMs: number): Moment =>
  async (_dataDir, run) => {
    await run.saw(/"ready"/, BOOT_MS);
    await pause(laterMs);
  };

const momentsOf = (chance: Random): readonly Moment[] => [
  published(chance.int(10, 60), chance.int(0, 200)),
  started(chance.int(0, 1500)),
  published(chance.int(80, 150), chance.int(0, 200)),
];

const survives = async (seed: number): Promise<void> => {
  const dataDir = path.join(folder, `killed-${seed}`);
  calm.giveIdentity(dataDir);
  await giveDatabase(dataDir);
  const source = [`--source=pcap:${calm.capture}`];
  const start = await nodeStarter({ dataDir, source, timeoutMs: RUN_MS });
  const seen: Seen[] = [];
  let open = 0;
  for (const moment of momentsOf(random(seed))) {
    const run = start(PACE);
    await moment(dataDir, run);
    run.signal('SIGKILL');
    expect((await run.done).signal).toBe('SIGKILL');
    seen.push(...seenIn(dataDir));
    open += fatesOf(dataDir).open.length;
  }
  expect(seen.length).toBeGreaterThan(0);
  expect(open).toBeGreaterThan(0);
  await finish(start(AT_FULL_SPEED));

  const chain = chainOfValidator(dataDir, 'v1');
  const kept = seen.map(({ height }) => ({ height, hash: chain[height - 1]?.hash }));
  expect(kept).toEqual(seen);
  const { forks, twice, invented, open: left } = fatesOf(dataDir);
  expect({ forks, twice, invented, left }).toEqual({
    forks: [],
    twice: [],
    invented: [],
    left: [],
  });
  expect(publishedContents(dataDir)).toEqual(calm.expected);
  expect(await factsOfSql(dataDir)).toEqual(factsOfChain(dataDir));
};

for (const seed of SEEDS) {
  test(
    `a node killed with -9 at the moments of seed ${seed} loses no block, doubles none, skips no flow, and SQL agrees`,
    { timeout: 2 * RUN_MS },
    () => survives(seed),
  );
}
