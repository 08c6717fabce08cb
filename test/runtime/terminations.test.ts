import { expect, test } from 'vitest';
import { actor, type TestSystem, testSystem } from '#test/kit/system.ts';
import { fixture } from './driver.ts';
import { openTally, type Tally, tallyMemory } from './fixtures/tally.ts';

/** More kills by `KILLS=1000 SEED=7 vitest run test/runtime/terminations.test.ts`. */
const KILLS = Number(process.env.KILLS ?? 12);
const SEED = Number(process.env.SEED ?? Date.now() % 100_000);
const LONG_MS = 30_000;
const SLABS = 64;
const A_STEP = 32;
/** Steps whose output may wait to be published together (shell.ts), and what is held of one. */
const UNPUBLISHED_STEPS = 17;
const ACTORS = ['basin', 'first', 'second', 'mourner'] as const;

const numbersOf = (seed: number): ((most: number) => number) => {
  let state = seed;
  return (most) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % most;
  };
};

const flood = async (memory: SharedArrayBuffer): Promise<TestSystem> => {
  const torrent = (name: string, sender: number) =>
    actor(name, fixture('torrent'), {
      actor: `torrent-${name}`,
      config: { tally: memory, sender, aStep: A_STEP },
    });
  return testSystem(
    [
      actor('basin', fixture('basin'), {
        config: { tally: memory },
        mailbox: { depth: 2048, onFull: 'backpressure' },
      }),
      torrent('first', 0),
      torrent('second', 1),
      actor('mourner', fixture('mourner'), { config: { tally: memory } }),
    ],
    { slabs: { count: SLABS, bytes: 8192 }, spares: 1 },
  );
};

const received = (tally: Tally): number[] => [0, 1].map((k) => tally.read('received', k));

const run = async (system: TestSystem, tally: Tally, seed: number): Promise<number[]> => {
  const next = numbersOf(seed);
  const kills = [0, 0, 0, 0];
  for (let k = 0; k < KILLS; k++) {
    await new Promise((done) => setTimeout(done, next(20)));
    const target = next(ACTORS.length);
    const fires = tally.read('fires');
    await system.kill(ACTORS[target]!);
    kills[target]!++;
    const before = received(tally);
    await system.until(() => received(tally).every((n, lane) => n > before[lane]!), LONG_MS);
    if (target === 0) await system.until(() => tally.read('fires') > fires, LONG_MS);
  }
  return kills;
};

test.concurrent.each([SEED, SEED + 1])(
  `${KILLS} random terminations under a flood, and throws between them: no dead lane, no duplicate, nothing torn, no slab lost, every death told once (seed %i)`,
  async (seed) => {
    const memory = tallyMemory();
    const tally = openTally(memory);
    const system = await flood(memory);
    try {
      const kills = await run(system, tally, seed);
      tally.write('dry', 1);
      await system.until(() => system.metrics().actors.every((a) => a.depth === 0), LONG_MS);
      expect(tally.read('throws')).toBeGreaterThan(0);
      expect([tally.read('duplicates'), tally.read('torn'), tally.read('refires')]).toEqual([
        0, 0, 0,
      ]);
      // Of a receiver the message in hand; of a sender what it had not published yet.
      const lostMost = kills[0]! + (kills[1]! + kills[2]!) * A_STEP * UNPUBLISHED_STEPS;
      expect(tally.read('lost')).toBeLessThanOrEqual(lostMost);
      const { byReason } = system.deadLetters();
      expect(byReason.poison ?? 0).toBe(0);
      await system.until(() => system.metrics().slabsFree === SLABS, LONG_MS);
    } finally {
      await system.end();
    }
  },
  Math.max(120_000, KILLS * 5000),
);
