/** A whole node on a disk that is full at the start, or becomes so in the middle. */
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { TOPICS } from '#proto/wire/topics.ts';
import { type CalmRun, calmRun } from '#test/kit/calm-run.ts';
import { factsOfChain, factsOfSql } from '#test/kit/chain-facts.ts';
import { fatesOf, heightOf, publishedContents, topicLength } from '#test/kit/fates.ts';
import { giveDatabase } from '#test/kit/new-database.ts';
import type { Running } from '#test/kit/processes.ts';
import { canMount, NEEDS_ROOT, type SmallDisk, smallDisk } from '#test/kit/small-disk.ts';
import { until } from '#test/kit/system.ts';
import { AT_FULL_SPEED, nodeStarter, type Pace } from '#test/kit/whole-node.ts';

/** The load lasts beyond the moment at which the disk is filled. */
const PACE: Pace = { perSecondMax: 30 };
const BOOT_MS = 90_000;
const RUN_MS = 280_000;
const DISK_BYTES = 256 << 20;
/** Ends for want of room, of all actors: more than a supervisor takes of crashes. */
const WAITS = 12;

let calm: CalmRun;

const starter = (dataDir: string): Promise<(pace: Pace) => Running> =>
  nodeStarter({ dataDir, source: [`--source=pcap:${calm.capture}`], timeoutMs: RUN_MS });

/** So many ends for want of room, all actors together. */
const waited = (run: Running, times: number): Promise<true> =>
  until(
    () => {
      if (run.child.exitCode !== null) throw new Error(`it ended: ${run.output().slice(-4000)}`);
      return run.output().split('"msg":"waits for its disk: ').length > times;
    },
    RUN_MS,
    50,
  );

describe.skipIf(!canMount)(`a node on a full disk ${NEEDS_ROOT}`, () => {
  let disk: SmallDisk;
  beforeAll(async () => {
    calm = await calmRun();
    disk = smallDisk(DISK_BYTES);
  }, RUN_MS);
  afterEach(() => disk.free());
  afterAll(() => disk.remove());

  const dataDirOn = async (name: string): Promise<string> => {
    const dataDir = path.join(disk.path, name);
    await giveDatabase(dataDir);
    calm.giveIdentity(dataDir);
    return dataDir;
  };

  /** Fills the disk when everything runs, and while there is load. */
  const fillInTheMidst = async (run: Running, dataDir: string): Promise<void> => {
    await run.saw(/the API listens/, BOOT_MS);
    disk.fill();
    expect(topicLength(dataDir, TOPICS.anomalies)).toBeLessThan(calm.expected.length);
  };

  const agrees = async (dataDir: string): Promise<void> => {
    const { forks, twice, invented, open } = fatesOf(dataDir);
    expect({ forks, twice, invented, open }).toEqual({
      forks: [],
      twice: [],
      invented: [],
      open: [],
    });
    expect(publishedContents(dataDir)).toEqual(calm.expected);
    expect(await factsOfSql(dataDir)).toEqual(factsOfChain(dataDir));
  };

  test('filled in the middle it says which disk, waits for as long as it takes, and goes on by itself', {
    timeout: 2 * RUN_MS,
  }, async () => {
    const dataDir = await dataDirOn('middle');
    const run = (await starter(dataDir))(PACE);
    await fillInTheMidst(run, dataDir);
    await waited(run, WAITS);
    expect(run.child.exitCode).toBe(null);
    expect(run.output()).toMatch(
      new RegExp(`${dataDir}/v\\d/\\w+/\\w+\\.sqlite: the disk is full; make room on the disk`),
    );
    const before = heightOf(dataDir, 'v1');
    disk.free();
    const done = await run.done;
    expect(done.code, run.output().slice(-4000)).toBe(0);
    expect(heightOf(dataDir, 'v1')).toBeGreaterThan(before);
    expect(run.output()).not.toContain('proof of misbehaviour');
    await agrees(dataDir);
  });

  test('killed while its disk is full, it is refused by name at the next start, and goes on when there is room', {
    timeout: 2 * RUN_MS,
  }, async () => {
    const dataDir = await dataDirOn('killed');
    const start = await starter(dataDir);
    const first = start(PACE);
    await fillInTheMidst(first, dataDir);
    await waited(first, 1);
    first.signal('SIGKILL');
    await first.done;
    // Files that were deleted but open are gone with their process, and their room is free.
    disk.fill();
    const refused = await start(PACE).done;
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^error: .*disk is full.*make room/m);
    disk.free();
    const done = await start(AT_FULL_SPEED).done;
    expect(done.code, done.stdout.slice(-4000) + done.stderr.slice(-2000)).toBe(0);
    expect(first.output() + done.stdout).not.toContain('proof of misbehaviour');
    await agrees(dataDir);
  });

  test('a first start on a full disk leaves nothing that would stop the next one', async () => {
    const dataDir = path.join(disk.path, 'first');
    mkdirSync(dataDir);
    disk.fill();
    const start = await starter(dataDir);
    const refused = await start(AT_FULL_SPEED).done;
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/the data folder .* cannot be used: its disk is full: make room/),
    ]);
    expect(readdirSync(dataDir)).toEqual([]);
    disk.free();
    const done = await start(AT_FULL_SPEED).done;
    expect(done.code, done.stderr).toBe(0);
  });

  test('a data folder on a read-only disk is refused by name, with what to do', async () => {
    const dataDir = path.join(disk.path, 'first');
    const start = await starter(dataDir);
    disk.readOnly(true);
    const refused = await start(AT_FULL_SPEED).done;
    disk.readOnly(false);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/the data folder .* its disk is read-only: .*repair or remount it/),
    ]);
  });
});
