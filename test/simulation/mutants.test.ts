import { expect, test } from 'vitest';
import { drawFaults, type FaultKind } from '#test/kit/simulator/faults.ts';
import type { Violation } from '#test/kit/simulator/invariants.ts';
import { MUTANTS } from '#test/kit/simulator/mutants.ts';
import { random } from '#test/kit/simulator/random.ts';
import { run } from '#test/kit/simulator/simulator.ts';

const SEEDS_MAX = 120;
/** What a wrong vote rule needs to do harm: QCs that few know, and a leader who uses it. */
const HARSH: readonly FaultKind[] = ['withhold', 'forge', 'drop'];

const firstViolation = (name: string): { seed: number; violation: Violation } | undefined => {
  for (let seed = 1; seed <= SEEDS_MAX; seed += 1) {
    const faults = seed % 2 === 0 ? HARSH : drawFaults(random(seed ^ 0x5eed));
    const twins = seed % 3 === 0 ? [0] : [];
    const options = { seed, n: 4, faults, twins, faultsMs: 60_000, transactions: 100 };
    const mutant = MUTANTS[name];
    if (mutant === undefined) return undefined;
    const { violation } = run({ ...options, mutant });
    if (violation !== undefined) return { seed, violation };
  }
  return undefined;
};

test.each(Object.keys(MUTANTS))('%s: caught', { timeout: 120_000 }, (name) => {
  const caught = firstViolation(name);
  expect(caught, `${SEEDS_MAX} seeds and no invariant broken`).toBeDefined();
});

test('there are at least a dozen', () => {
  expect(Object.keys(MUTANTS).length).toBeGreaterThanOrEqual(12);
});

test('the same worlds break nothing in the machine that is shipped', { timeout: 120_000 }, () => {
  for (let seed = 2; seed <= 40; seed += 2) {
    const options = { seed, n: 4, faults: HARSH, faultsMs: 60_000, transactions: 100 };
    expect(run(options).violation, `seed ${seed}`).toBeUndefined();
  }
});
