/** The two histories of the consensus design that a wrong rule forks in, as scripts for the simulator. */
import type { Message } from '#proto/consensus/messages.ts';
import type { Passage, Script } from './network.ts';
import type { SimulatedNode } from './node.ts';
import type { RunOptions } from './simulator.ts';

const HEALED_A_MS = 6_000;
const SIDES_A: { readonly [name: string]: string } = {
  v1: 'left',
  v2: 'left',
  v5: 'left',
  v3: 'right',
  v4: 'right',
  "v5'": 'right',
};

/**
 * Trace A, quorum 3 of 5: leader(v) = v, partition {1,2,5} | {3,4,5}. 5 is in both, as two instances of one key; it never
 * votes twice in a view. {1,2,5} commit b1; {3,4,5} time out of views 1 and 2 knowing nothing, and commit c3.
 */
export const traceA = (seed: number): RunOptions => ({
  seed,
  n: 5,
  twins: [4],
  leaders: (view) => (view - 1) % 5,
  script: (from, to, message, elapsedMs) => {
    if (SIDES_A[from.name] === SIDES_A[to.name] || elapsedMs > HEALED_A_MS) return 'deliver';
    return message.kind === 'heartbeat' ? 'drop' : 'later';
  },
  faultsMs: HEALED_A_MS,
  transactions: 40,
});

const viewOf = (message: Message): number => {
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
      return 0;
  }
};

/** Who may hear the votes of a view, by name, and from which view of its own on. */
const CONFIDANTS: {
  readonly [view: number]: { readonly name: string; readonly fromView: number };
} = {
  1: { name: 'v2', fromView: 3 },
  2: { name: 'v3', fromView: 3 },
  4: { name: 'v1', fromView: 4 },
};

const isCutOff = (node: SimulatedNode, view: number): boolean =>
  (node.name === 'v3' && view === 3) ||
  (node.name === 'v1' && (view >= 5 || node.machine.view > 4));

/**
 * Trace B, nobody faulty, commit by height: QC(b1) reaches v2 alone and QC(c2) v3 alone, both late; v3 is cut off in
 * view 3; b4 on b1 is certified for v1 alone, which commits b1 by height and is cut off; v2, v3, v4 go on from c2.
 */
const scriptB: Script = (from, to, message): Passage => {
  if (to.machine.head.header.height > 1 || from.machine.head.header.height > 1) return 'deliver';
  if (message.kind === 'heartbeat') return from.machine.view > 7 ? 'deliver' : 'drop';
  const view = viewOf(message);
  if (view > 7) return 'deliver';
  if (isCutOff(from, view) || isCutOff(to, view)) return 'drop';
  const confidant = message.kind === 'vote' ? CONFIDANTS[view] : undefined;
  if (confidant === undefined) return 'deliver';
  if (confidant.name !== to.name) return 'drop';
  return to.machine.view >= confidant.fromView ? 'deliver' : 'later';
};

export const traceB = (seed: number): RunOptions => ({
  seed,
  n: 4,
  leaders: (view) => (view - 1) % 4,
  script: scriptB,
  faultsMs: 30_000,
  transactions: 1,
});
