/** Messages between instances: late, lost, doubled, out of order, cut off, or as a script says. */
import type { Message } from '#proto/consensus/messages.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import type { SimulatedNode } from './node.ts';
import type { Random } from './random.ts';

export type Conditions = {
  /** Probabilities for one message. */
  drop: number;
  duplicate: number;
  delay: number;
  reorder: number;
  /** For one view: its votes reach one instance alone, which then cannot speak for a while. */
  withhold: number;
  /** From instance to instance: nothing passes. */
  readonly cut: Set<string>;
};

/** What a scripted scenario does to one message; 'later' asks again in a while. */
export type Passage = 'deliver' | 'drop' | 'later';
export type Script = (
  from: SimulatedNode,
  to: SimulatedNode,
  message: Message,
  elapsedMs: number,
) => Passage;

export const calm = (): Conditions => ({
  drop: 0,
  duplicate: 0,
  delay: 0,
  reorder: 0,
  withhold: 0,
  cut: new Set(),
});

export const link = (from: number, to: number): string => `${from}>${to}`;

/** In both directions between the two groups. */
export const separate = (
  conditions: Conditions,
  group: readonly number[],
  others: readonly number[],
): void => {
  for (const a of group) {
    for (const b of others) {
      conditions.cut.add(link(a, b));
      conditions.cut.add(link(b, a));
    }
  }
};

const ASK_AGAIN_MS = 10;
const LATE_MS = 400;
const JITTER_MS = 40;
const CAPTURED_MAX = 128;
const MUTE_MS = 3_000;
const NOBODY = -1;

export type Captured = { readonly from: HashHex; readonly message: Message };

export type Network = {
  readonly conditions: Conditions;
  /** Past messages, for replays. */
  readonly captured: Captured[];
  transmit(from: SimulatedNode, to: HashHex | null, message: Message): void;
};

export const network = (
  nodes: () => readonly SimulatedNode[],
  chance: Random,
  later: (delayMs: number, run: () => void) => void,
  deliver: (to: SimulatedNode, from: HashHex, message: Message) => void,
  script: Script | undefined,
  elapsedMs: () => number,
): Network => {
  const conditions = calm();
  const captured: Captured[] = [];
  const confidants = new Map<number, number>();
  /** Who alone hears the votes of a view; NOBODY where they are not withheld. */
  const confidantOf = (view: number): number => {
    const known = confidants.get(view);
    if (known !== undefined) return known;
    const chosen = chance.chance(conditions.withhold) ? chance.int(0, nodes().length - 1) : NOBODY;
    confidants.set(view, chosen);
    if (chosen === NOBODY) return chosen;
    const links = nodes().map((node) => link(chosen, node.index));
    for (const one of links) conditions.cut.add(one);
    later(chance.real() * MUTE_MS, () => {
      for (const one of links) conditions.cut.delete(one);
    });
    return chosen;
  };
  const isWithheld = (to: SimulatedNode, message: Message): boolean => {
    if (message.kind !== 'vote') return false;
    const confidant = confidantOf(message.vote.view);
    return confidant !== NOBODY && confidant !== to.index;
  };
  const pass = (from: SimulatedNode, to: SimulatedNode, message: Message): void => {
    const passage = script?.(from, to, message, elapsedMs()) ?? 'deliver';
    if (passage === 'later') return later(ASK_AGAIN_MS, () => pass(from, to, message));
    if (passage === 'drop' || conditions.cut.has(link(from.index, to.index))) return;
    if (isWithheld(to, message) || chance.chance(conditions.drop)) return;
    const copies = chance.chance(conditions.duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      let delayMs = 1 + chance.real() * 3;
      if (chance.chance(conditions.delay)) delayMs += chance.real() * LATE_MS;
      if (chance.chance(conditions.reorder)) delayMs += chance.real() * JITTER_MS;
      later(delayMs, () => deliver(to, from.id, message));
    }
  };
  const transmit = (from: SimulatedNode, to: HashHex | null, message: Message): void => {
    if (captured.length < CAPTURED_MAX) captured.push({ from: from.id, message });
    else captured[chance.int(0, CAPTURED_MAX - 1)] = { from: from.id, message };
    for (const node of nodes()) {
      if (node.id !== from.id && (to === null || node.id === to)) pass(from, node, message);
    }
  };
  return { conditions, captured, transmit };
};
