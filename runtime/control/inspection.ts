/** An actor looked at between two of its steps: what it holds, what it waits for, its state as bounded plain data. */

import type { Mailbox } from '../mailbox/mailbox.ts';
import type { Place } from '../system/directory.ts';
import { textOf } from '../trace/tap.ts';
import { type Bounds, bounded } from './bounded.ts';

const STATE: Bounds = { depthMax: 6, entriesMax: 50, textMax: 300, valuesMax: 2000 };
const MESSAGES_SHOWN = 16;

export type Inspection = {
  readonly path: string;
  readonly actor: string;
  readonly thread: number;
  readonly incarnation: number;
  /** By an operator: it takes no step. */
  readonly suspended: boolean;
  /** Passivated: it has no state until its next message. */
  readonly asleep: boolean;
  /** Messages that wait: its own (timers, answers that failed, io), and from each sender. */
  readonly own: number;
  readonly from: readonly { readonly path: string; readonly waiting: number }[];
  /** Written and not yet out, for want of room at the receiver. */
  readonly held: number;
  /** Put aside. */
  readonly stashed: number;
  readonly openAsks: number;
  /** Deliveries whose receivers have not confirmed them yet. */
  readonly unconfirmed: number;
  /** The newest messages, oldest first. */
  readonly messages: readonly {
    readonly atMs: number;
    readonly kind: string;
    readonly text: string;
  }[];
  /** Plain data without secrets: at most 2,000 values, six levels deep. */
  readonly state: unknown;
};

export const inspectionOf = (mailbox: Mailbox, places: readonly Place[]): Inspection => {
  const { index, path, out, local, held, asking, inputs, flight, suspended, state } = mailbox;
  const kept = flight.kept().slice(-MESSAGES_SHOWN);
  return {
    path,
    actor: places[index]!.actor,
    thread: places[index]!.thread,
    incarnation: out.incarnation,
    suspended,
    asleep: mailbox.rest === 'asleep',
    own: local.length,
    from: inputs
      .map((lane) => ({ path: places[lane.index]!.path, waiting: lane.depth() }))
      .filter(({ waiting }) => waiting > 0),
    held: held.length,
    stashed: mailbox.stashed.pending,
    openAsks: asking.open,
    unconfirmed: mailbox.deliveries.pending,
    messages: kept.map(({ atMs, message }) => ({
      atMs,
      kind: message.kind,
      text: textOf(message),
    })),
    state: bounded(state, STATE),
  };
};
