import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { Lane, laneBytes, laneView } from '#native/lanes/lane.ts';
import { arenaTable, createArena } from '#native/lanes/slab.ts';
import { openSweep } from '#native/lanes/sweep.ts';
import { openWakers, wakersBytes } from '#native/lanes/wakers.ts';

const SEED = Number(process.env.SEED ?? Date.now() % 100_000);
const KILLS = 30;

const spawn = async (role: string, data: object): Promise<Worker> => {
  const worker = new Worker(new URL('./fixtures/ends.ts', import.meta.url), {
    workerData: { role, ...data },
  });
  await new Promise((up, failed) => worker.once('message', up).once('error', failed));
  return worker;
};
test(`either end killed at random moments: at most the message in hand is lost, no duplicate, nothing torn, no slab lost (seed ${SEED})`, async () => {
  let random = SEED;
  const next = (most: number): number => {
    random = (Math.imul(random, 1103515245) + 12345) & 0x7fffffff;
    return random % most;
  };
  const wakers = new SharedArrayBuffer(wakersBytes(2));
  const arena = createArena(16, 4096 * 2, 2);
  const lane = new SharedArrayBuffer(laneBytes(1 << 12));
  const log = new SharedArrayBuffer(64);
  const counts = new Int32Array(log);
  counts[3] = -1;
  const sweep = openSweep(arena, [lane], openWakers(wakers));
  const data = { wakers, arena, lane, log };
  const roles = ['producer', 'consumer'];
  const ends = [await spawn('producer', data), await spawn('consumer', data)];
  let lost = 0;
  for (let k = 0; k < KILLS; k++) {
    await pause(1 + next(15));
    const side = next(2);
    await ends[side]!.terminate();
    sweep.bury(side);
    lost++; // the message in hand
    const before = Atomics.load(counts, 1);
    ends[side] = await spawn(roles[side]!, data);
    const open = sweep.pass();
    if (open > 0) {
      await pause(20);
      sweep.pass();
    }
    const endMs = performance.now() + 3000;
    while (Atomics.load(counts, 1) === before) {
      expect(performance.now()).toBeLessThan(endMs);
      await pause(1);
    }
  }
  await Promise.all(ends.map((e) => e.terminate()));
  sweep.bury(0);
  sweep.bury(1);
  expect(counts[2]).toBe(0);
  const unread = laneView(lane).depth();
  expect(counts[0]! - counts[1]! - unread).toBeLessThanOrEqual(lost);
  expect(counts[1]).toBeGreaterThan(1000);
  for (let k = 0; k < 3; k++) sweep.pass();
  // Only what stands unread in the lane still holds a slab.
  const { refs } = arenaTable(arena);
  const reader = new Lane(lane, { index: 0, from: 0, to: 1 }, openWakers(wakers));
  let waiting = 0;
  for (let at = reader.peek(); at >= 0; at = reader.peek()) {
    if ((reader.i32[at + 1]! & 0xffff) === 1) waiting++;
    reader.take(at);
  }
  expect(refs.reduce((n, r) => n + r, 0)).toBe(waiting);
}, 120_000);
