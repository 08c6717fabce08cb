/**
 * What a crash leaves behind, and what the next incarnation makes of it. A step that throws has no effect on others:
 * what it wrote into lanes is taken back before anybody sees it. So its message can be handled once more; if
 * it kills again it is poison, becomes a dead letter, and the actor goes on behind it.
 */
import type { Hand } from '#native/lanes/hand.ts';
import { HEADER_WORDS, KIND_MASK, laneView, REPLY } from '#native/lanes/lane.ts';
import type { SlabPool } from '#native/lanes/slab.ts';
import type { Crash, Link } from '../system/thread.ts';
import type { Mailbox } from './mailbox.ts';

/**
 * Puts what the actor died of before its next reader, the first time. At once, not at the restart: until then a sweep of
 * the slabs must see that the record is unread. An answer is not handled again: its question died with the asker.
 * True when it stands in its lane again.
 */
export const putBack = (
  hand: Hand,
  inputs: readonly Link[],
  reason: Crash['reason'] = 'crash',
): boolean => {
  if (!hand.blame(reason === 'crash')) return false;
  const suspect = hand.suspect();
  const link = inputs.find((l) => l.from === suspect?.from);
  if (suspect === undefined || suspect.poison || link === undefined) return false;
  if (suspect.delivery !== 0) return false; // its sender sends it again
  const lane = laneView(link.memory);
  const tag = lane.words[(suspect.position & (lane.words.length - 1)) + 1]!;
  if ((tag & REPLY) === 0 && lane.rewind(suspect.position)) return true;
  hand.clear();
  return false;
};

/** Ends a mailbox whose actor has crashed. The caller publishes what earlier steps wrote. */
export const cutShort = (
  mailbox: Mailbox,
  inputs: readonly Link[],
  pool: SlabPool,
  reason: Crash['reason'],
): void => {
  const { span0, span1 } = mailbox.out;
  if (putBack(mailbox.hand, inputs, reason)) pool.restore();
  pool.releaseCopied();
  pool.abort();
  for (const { lane } of mailbox.routes.lanes.values()) {
    if (lane.dirty) lane.retract(span0, span1);
  }
  mailbox.held.drop();
  mailbox.release();
  mailbox.close();
};

/** A message that nobody will handle again. */
export type Poison = {
  /** Index of the actor that sent it, and of its kind in the receiver's protocol. */
  readonly from: number;
  readonly kind: number;
  readonly header: Int32Array;
};

/** What two incarnations have died of. To be asked before the lanes of the next one are opened. */
export const poisonOf = (hand: Hand, inputs: readonly Link[]): Poison | undefined => {
  const suspect = hand.suspect();
  const link = inputs.find((l) => l.from === suspect?.from);
  if (suspect === undefined || !suspect.poison || link === undefined) return undefined;
  if (suspect.delivery !== 0) return undefined; // it will be told from the others when it comes again
  hand.clear();
  const { words } = laneView(link.memory);
  const offset = suspect.position & (words.length - 1);
  const header = words.slice(offset, offset + HEADER_WORDS);
  return { from: suspect.from, kind: header[1]! & KIND_MASK, header };
};
