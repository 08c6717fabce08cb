import { expect, test } from 'vitest';
import { RULES } from '#actors/replica/machine/rules.ts';
import { MUTANTS } from '#test/kit/simulator/mutants.ts';
import { run } from '#test/kit/simulator/simulator.ts';
import { traceA, traceB } from '#test/kit/simulator/traces.ts';

const SEEDS = [1, 2, 3, 4, 5];
const threeOfFive = { certificates: { ...RULES.certificates, quorum: () => 3 } };

test('trace A: with a quorum of 3 of 5, one faulty validator forks the chain at height 1', () => {
  for (const seed of SEEDS) {
    const { violation } = run({ ...traceA(seed), mutant: threeOfFive, only: 'agreement' });
    expect(violation).toEqual({ invariant: 'agreement', detail: 'height 1' });
  }
});

test('trace A: its lie, that it knows no QC, is collected as evidence of amnesia', () => {
  const { stats } = run({ ...traceA(1), mutant: threeOfFive, only: 'agreement' });
  const offenders = stats.evidence.filter(({ kind }) => kind === 'amnesia');
  expect(offenders.length).toBeGreaterThan(0);
  expect(new Set(stats.evidence.map(({ offender }) => offender)).size).toBe(1);
});

test('trace A: with our quorum of 4 of 5, neither side commits, and both go on when they meet', () => {
  for (const seed of SEEDS) {
    const { violation, stats } = run(traceA(seed));
    expect(violation).toBeUndefined();
    expect(stats.heights).toBeGreaterThan(0);
  }
});

test('trace B: committing by consecutive heights forks the chain with nobody faulty', () => {
  const mutant = MUTANTS['commit by height'];
  for (const seed of SEEDS) {
    const { violation } = run({
      ...traceB(seed),
      ...(mutant ? { mutant } : {}),
      only: 'agreement',
    });
    expect(violation).toEqual({ invariant: 'agreement', detail: 'height 1' });
  }
});

test('trace B: committing by consecutive views does not', () => {
  for (const seed of SEEDS) {
    const { violation, stats } = run(traceB(seed));
    expect(violation).toBeUndefined();
    expect(stats.viewChanges).toBeGreaterThanOrEqual(5);
    expect(stats.heights).toBeGreaterThan(0);
  }
});
