/**
 * What a crash leaves behind, and what the next incarnation makes of it. A step that throws has no effect on others:
 * what it wrote into lanes is taken back before anybody sees it. So its message can be handled once more; if
 * it kills again it is poison, becomes a dead letter, and the actor goes on behind it.
 */
import type { Hand } from '#native/lanes/hand.ts';
import { HEADER_WORDS, KIND_MASK, laneView, REPLY } from '#native/lanes/lane.ts';
import type { SlabPool } from '#native/lanes/slab.ts';
import type { Mailbox } from './mailbox.ts';
import type { Crash, Link } from './thread.ts';

/** Ends a mailbox whose actor has crashed. The caller publishes what earlier steps wrote. */
export const cutShort = (mailbox: Mailbox, pool: SlabPool, reason: Crash['reason']): void => {
  const { span0, span1 } = mailbox.out;
  mailbox.hand.blame(reason === 'crash');
  pool.abort();
  for (const { lane } of mailbox.routes.lanes.values()) {
    if (lane.dirty) lane.retract(span0, span1);
  }
  mailbox.held.drop();
  mailbox.endStep();
  mailbox.close();
};

/** A message that nobody will handle again. */
export type Poison = {
  /** Index of the actor that sent it, and of its kind in the receiver's protocol. */
  readonly from: number;
  readonly kind: number;
  readonly header: Int32Array;
};

/**
 * What the last incarnation died of: put before its reader again, or returned as poison after the second death. To be called
 * before the lanes of the next incarnation are opened. An answer is neither: its question died with the asker.
 */
export const reconsider = (hand: Hand, inputs: readonly Link[]): Poison | undefined => {
  const suspect = hand.suspect();
  const link = inputs.find((l) => l.from === suspect?.from);
  if (suspect === undefined || link === undefined) return undefined;
  const lane = laneView(link.memory);
  const offset = suspect.position & (lane.words.length - 1);
  const header = lane.words.slice(offset, offset + HEADER_WORDS);
  const tag = header[1]!;
  const again = (tag & REPLY) === 0 && !suspect.poison;
  if (!again || !lane.rewind(suspect.position)) hand.clear();
  if (!suspect.poison) return undefined;
  return { from: suspect.from, kind: tag & KIND_MASK, header };
};
