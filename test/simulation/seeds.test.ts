import { expect, test } from 'vitest';
import { drawFaults } from '#test/kit/simulator/faults.ts';
import { random } from '#test/kit/simulator/random.ts';
import { type RunOptions, type RunResult, run } from '#test/kit/simulator/simulator.ts';

/** SIMULATION_SEED and SIMULATION_SEEDS choose others: every failure prints its seed. */
const FIRST = Number(process.env.SIMULATION_SEED ?? 1);
const SEEDS = Number(process.env.SIMULATION_SEEDS ?? 160);

const optionsOf = (seed: number): RunOptions => {
  const chance = random(seed ^ 0x5eed);
  const faults = drawFaults(chance);
  const n = chance.pick([4, 4, 4, 5, 7]);
  const transactions = 100;
  const faultsMs = 30_000;
  return {
    seed,
    n,
    faults,
    transactions,
    faultsMs,
    twins: chance.chance(0.3) ? [chance.int(0, n - 1)] : [],
  };
};

/** Too calm or too disturbed to prove much. */
const counts = ({ stats }: RunResult): boolean => stats.events >= 5_000 && stats.heights >= 20;

test(`${SEEDS} seeds of at least three kinds of faults: no invariant breaks, and everything ends committed`, {
  timeout: 240_000,
}, () => {
  let counted = 0;
  for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
    const options = optionsOf(seed);
    const result = run(options);
    const told = `seed ${seed}, n ${options.n}, ${options.faults?.join(' ')}`;
    expect(result.violation, told).toBeUndefined();
    expect(result.stats.silent, `${told}: an idle network makes no views`).toBe(true);
    if (counts(result)) counted += 1;
  }
  expect(counted).toBeGreaterThanOrEqual(SEEDS * 0.8);
});

test('the same seed gives the same trace, event for event', () => {
  for (const seed of [3, 11, 42]) {
    const first = run(optionsOf(seed));
    const second = run(optionsOf(seed));
    expect(second.hash).toBe(first.hash);
    expect(run({ ...optionsOf(seed), seed: seed + 1 }).hash).not.toBe(first.hash);
  }
});

test('a healthy network changes no view and accuses nobody', () => {
  for (const n of [4, 5, 7, 10]) {
    const { violation, stats } = run({ seed: n, n });
    expect(violation).toBeUndefined();
    expect(stats.viewChanges).toBe(0);
    expect(stats.evidence).toEqual([]);
    expect(stats.heights).toBeGreaterThan(20);
  }
});
