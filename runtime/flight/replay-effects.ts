/**
 * Effects of a replay: they are recorded, and what would have gone into a lane goes through the same layout, so that a
 * value that has no place in it throws here as it did there.
 */
import { Lane, laneBytes } from '#native/lanes/lane.ts';
import { compile } from '#native/lanes/layout.ts';
import { createArena, SlabPool } from '#native/lanes/slab.ts';
import { openWakers, wakersBytes } from '#native/lanes/wakers.ts';
import type { Actor, Address, ReplyTo } from '../actor.ts';
import type { Message } from '../mailbox/asks.ts';
import { OutEnvelope } from '../mailbox/envelope.ts';
import { type Recorded, type Recorder, recorder } from '../recorder.ts';
import { LANE_DEFAULTS, SLAB_DEFAULTS } from '../spec.ts';

const SLABS = 16;

export const replayEffects = (
  actor: Actor,
): { readonly fx: Recorder<Message>; readonly take: () => Recorded[] } => {
  const fx = recorder<Message>();
  const wakers = openWakers(new SharedArrayBuffer(wakersBytes(1)));
  const pool = new SlabPool(createArena(SLABS, SLAB_DEFAULTS.bytes, 1), 0, wakers);
  const out = new OutEnvelope(0, () => 1);
  /** A lane for each message: what it holds is thrown away with it. */
  const lane = (): Lane => {
    const memory = new SharedArrayBuffer(laneBytes(LANE_DEFAULTS.words));
    return new Lane(memory, { index: 0, from: 0, to: 0 }, wakers, pool);
  };
  const tell = (to: Address, message: Message): void => {
    compile(to.declaration).send(lane(), message, out, 1);
  };
  const own = compile(actor.self.declaration);
  const loose = fx as unknown as { [effect: string]: (...given: never[]) => void };
  const recorded = { ...loose };
  loose.tell = (to: Address, message: Message) => {
    tell(to, message);
    recorded.tell!(to as never, message as never);
  };
  loose.ask = (to: Address, message: Message, ...rest: unknown[]) => {
    tell(to, message);
    recorded.ask!(to as never, message as never, ...(rest as never[]));
  };
  loose.deliver = (to: Address, message: Message, ...rest: unknown[]) => {
    tell(to, message);
    recorded.deliver!(to as never, message as never, ...(rest as never[]));
  };
  loose.reply = (to: ReplyTo<unknown>, answer: object) => {
    own.sendReply(lane(), answer, out, to);
    recorded.reply!(to as never, answer as never);
  };
  return { fx, take: () => fx.take() };
};
