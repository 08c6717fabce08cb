/** From a failing run to a smaller one that fails in the same way: what a person wants to read. */
import type { FaultKind } from './faults.ts';
import { type RunOptions, run } from './simulator.ts';

const fails = (options: RunOptions, invariant: string): boolean =>
  run(options).violation?.invariant === invariant;

/** Every way to ask for less, the largest step first. */
const smaller = (options: RunOptions): RunOptions[] => {
  const { faults = [], transactions = 60, faultsMs = 20_000, twins = [] } = options;
  const without = (kind: FaultKind): RunOptions => ({
    ...options,
    faults: faults.filter((other) => other !== kind),
  });
  return [
    ...faults.map(without),
    ...(twins.length > 0 ? [{ ...options, twins: [] }] : []),
    ...(transactions > 1 ? [{ ...options, transactions: Math.floor(transactions / 2) }] : []),
    ...(faultsMs > 1_000 ? [{ ...options, faultsMs: Math.floor(faultsMs / 2) }] : []),
  ];
};

/** Greedy: at most `runsMax` runs. The result breaks the same invariant; throws where `options` breaks none. */
export const shrink = (options: RunOptions, runsMax = 60): RunOptions => {
  const violation = run(options).violation;
  if (violation === undefined) throw new Error('nothing to shrink: no invariant breaks');
  let least = options;
  let runs = 0;
  for (let progress = true; progress; ) {
    progress = false;
    for (const candidate of smaller(least)) {
      runs += 1;
      if (runs > runsMax) return least;
      if (!fails(candidate, violation.invariant)) continue;
      least = candidate;
      progress = true;
      break;
    }
  }
  return least;
};
