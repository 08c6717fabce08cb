import { expect, test } from 'vitest';
import { drawFaults, type FaultKind } from '#test/kit/simulator/faults.ts';
import type { Violation } from '#test/kit/simulator/invariants.ts';
import { MUTANTS } from '#test/kit/simulator/mutants.ts';
import { random } from '#test/kit/simulator/random.ts';
import { shrink } from '#test/kit/simulator/shrink.ts';
import { type RunOptions, run } from '#test/kit/simulator/simulator.ts';

const SEEDS_MAX = 120;
/** What a wrong vote rule needs to do harm: QCs that few know, and a leader who uses it. */
const HARSH: readonly FaultKind[] = ['withhold', 'forge', 'drop'];
/** What a wrong way with the disk needs. */
const CRASHING: readonly FaultKind[] = ['crash', 'lost-fsync', 'delay'];

/** Views that end soon: more of them, and more that few know of. */
const HASTY = { viewTimeoutStartMs: 500, viewTimeoutMinMs: 300, viewTimeoutMaxMs: 1_000 };

const worldOf = (seed: number): RunOptions => {
  const faults = [HARSH, CRASHING, drawFaults(random(seed ^ 0x5eed))][seed % 3] ?? HARSH;
  const isCrash = faults === CRASHING;
  return {
    seed,
    n: 4,
    faults,
    twins: seed % 5 === 0 ? [0] : [],
    faultsMs: isCrash ? 15_000 : 60_000,
    limits: HASTY,
    transactions: isCrash ? 40 : 100,
  };
};

const firstViolation = (name: string): { seed: number; violation: Violation } | undefined => {
  const mutant = MUTANTS[name];
  if (mutant === undefined) return undefined;
  for (let seed = 1; seed <= SEEDS_MAX; seed += 1) {
    const { violation } = run({ ...worldOf(seed), mutant });
    if (violation !== undefined) return { seed, violation };
  }
  return undefined;
};

test.each(Object.keys(MUTANTS))('%s: caught', { timeout: 120_000 }, (name) => {
  const caught = firstViolation(name);
  expect(caught, `${SEEDS_MAX} seeds and no invariant broken`).toBeDefined();
});

test('a failing run shrinks to what it takes to fail', { timeout: 60_000 }, () => {
  const mutant = MUTANTS['show before it is durable'];
  const options = { ...worldOf(2), ...(mutant ? { mutant } : {}) };
  const least = shrink(options);
  expect(run(least).violation?.invariant).toBe(run(options).violation?.invariant);
  expect(least.faults).toEqual([]);
  expect(least.transactions).toBe(1);
});

test('there are at least a dozen', () => {
  expect(Object.keys(MUTANTS).length).toBeGreaterThanOrEqual(12);
});

test('the same worlds break nothing in the machine that is shipped', { timeout: 120_000 }, () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    expect(run(worldOf(seed)).violation, `seed ${seed}`).toBeUndefined();
  }
});
