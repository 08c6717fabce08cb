/**
 * Twins (arXiv 2004.10617): a faulty validator is two honest instances of one key. A scenario gives each of the first
 * views a leader and splits the instances in two; after those views, or at last
 * when the split ends, everybody hears everybody.
 */
import type { Message } from '#proto/consensus/messages.ts';
import type { SimulatedNode } from './node.ts';
import { random } from './random.ts';
import type { RunOptions } from './simulator.ts';

const VIEWS = 4;
const SPLIT_MS = 10_000;

export type TwinsScenario = {
  /** By view from 1: place of the leader. */
  readonly leaders: readonly number[];
  /** By view from 1: bit i says on which side instance i is. */
  readonly sides: readonly number[];
  /** Whether timeouts cross the split: views then end although no side has a quorum. */
  readonly timeoutsCross: boolean;
};

export const drawScenario = (seed: number, n: number, twins: number): TwinsScenario => {
  const chance = random(seed);
  const views = Array.from({ length: VIEWS });
  return {
    leaders: views.map(() => chance.int(0, n - 1)),
    sides: views.map(() => chance.int(0, 2 ** (n + twins) - 1)),
    timeoutsCross: chance.chance(0.7),
  };
};

const viewOf = (from: SimulatedNode, message: Message): number => {
  switch (message.kind) {
    case 'vote':
      return message.vote.view;
    case 'timeout':
      return message.timeout.claim.view;
    case 'proposal':
      return message.block.header.view;
    case 'new-view':
      return message.tc.view + 1;
    default:
      return from.machine.view;
  }
};

export const twinsRun = (
  { leaders, sides, timeoutsCross }: TwinsScenario,
  n: number,
  twins: readonly number[],
  seed: number,
): RunOptions => ({
  seed,
  n,
  twins,
  leaders: (view) => leaders[view - 1] ?? view % n,
  script: (from, to, message, elapsedMs) => {
    if (message.kind === 'forward' || elapsedMs > SPLIT_MS) return 'deliver';
    if (timeoutsCross && message.kind === 'timeout') return 'deliver';
    const side = sides[viewOf(from, message) - 1];
    if (side === undefined) return 'deliver';
    return ((side >> from.index) & 1) === ((side >> to.index) & 1) ? 'deliver' : 'drop';
  },
  faultsMs: SPLIT_MS,
  calmMs: 30_000,
  transactions: 6,
});
