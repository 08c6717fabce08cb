/** From a record in a lane to the message of which the actor makes a step. */
import { monotonicMs } from '#native/clock.ts';
import {
  DELIVERY,
  HEADER_WORDS,
  KIND_MASK,
  type Lane,
  QUESTION,
  REPLY,
} from '#native/lanes/lane.ts';
import type { Protocol } from '#native/lanes/layout.ts';
import type { DeadReason } from '../system/thread.ts';
import type { Host } from '../thread/host.ts';
import { CAUSE } from '../trace/ring.ts';
import { SWITCHES } from '../trace/sight.ts';
import type { Message } from './asks.ts';
import type { Mailbox } from './mailbox.ts';

export class Inbox {
  private readonly mailbox: Mailbox;
  private readonly host: Host;
  private readonly protocol: Protocol;
  private clockMs = 0;
  private clockAtMs = -1;

  constructor(mailbox: Mailbox, host: Host, protocol: Protocol) {
    this.mailbox = mailbox;
    this.host = host;
    this.protocol = protocol;
  }

  /** Takes the record at `at`, and its trace; undefined when it was a dead letter. */
  open(lane: Lane, at: number): Message | undefined {
    const tag = lane.i32[at + 1]!;
    const kind = tag & KIND_MASK;
    this.mailbox.out.readTrace(lane.i32, at);
    if (this.host.sight.switches[SWITCHES] !== 0) this.readOrigin(lane, at);
    if (tag & REPLY) return this.openReply(lane, at, kind);
    if (tag & QUESTION && !this.isAwaited(lane, at, kind)) return undefined;
    if (tag & DELIVERY && !this.isNew(lane, at, kind)) return undefined;
    return this.decode(lane, at, kind, this.protocol.receive) as Message | undefined;
  }

  /** Whose message it is, for whoever follows it. */
  readOrigin(lane: Lane, at: number): void {
    const cause = lane.i32[at + 1]! & REPLY ? CAUSE.answer : CAUSE.message;
    this.mailbox.out.readOrigin(lane.i32, at, lane.index, cause);
  }

  /** A question that is overdue or given up is not handled. */
  private isAwaited(lane: Lane, at: number, kind: number): boolean {
    const dueMs = lane.f64[(at + 6) >> 1]!;
    const overdue = dueMs < this.nowMs();
    const { index, i32 } = lane;
    if (!overdue && !this.host.givenUp(index, i32[at + 3]!, i32[at + 4]!)) {
      this.mailbox.deadlines.begin(dueMs);
      if (dueMs > this.mailbox.owesUntilMs) this.mailbox.owesUntilMs = dueMs;
      return true;
    }
    lane.take(at);
    this.dead(overdue ? 'expired' : 'cancelled', lane, this.protocol.kinds[kind] ?? '');
    return false;
  }

  /** A delivery is handled once in each life; one that is poison is confirmed without, so that it comes no more. */
  private isNew(lane: Lane, at: number, kind: number): boolean {
    const { receipts, hand, metrics } = this.mailbox;
    const { index: from } = lane;
    const [n, gap] = [lane.f64[(at + 6) >> 1]!, lane.i32[at + 4]!];
    const isFresh = receipts.take(from, n, gap);
    if (isFresh && !hand.isPoison(from, n)) {
      hand.delivers(n);
      return true;
    }
    lane.take(at);
    if (isFresh) {
      receipts.confirm({ from, n, gap });
      this.dead('poison', lane, this.protocol.kinds[kind] ?? '');
    } else metrics.count('deliveries_known', 1);
    return false;
  }

  private openReply(lane: Lane, at: number, kind: number): Message | undefined {
    const i = lane.i32;
    const mine = i[at + 5] === this.mailbox.out.incarnation;
    const entry = mine ? this.mailbox.asking.settle(i[at + 4]!) : undefined;
    if (entry === undefined) {
      lane.take(at);
      this.dead('stale-reply', lane, 'answer');
      return undefined;
    }
    const value = this.decode(lane, at, kind, entry.protocol.receiveReply);
    if (value === undefined || !this.mailbox.asking.isFirst(entry)) return undefined;
    this.mailbox.deadlines.inherit(entry.allowance);
    return { ...entry.resume, result: { ok: true, value } } as Message;
  }

  /** The body, copied out and passed before its step: whoever dies in the step has passed it. */
  private decode(
    lane: Lane,
    at: number,
    kind: number,
    read: (lane: Lane, body: number, kind: number) => object,
  ): object | undefined {
    try {
      return read(lane, at + HEADER_WORDS, kind);
    } catch (error) {
      this.dead('undecodable', lane, String(error));
      return undefined;
    } finally {
      lane.take(at);
    }
  }

  private dead(reason: DeadReason, lane: Lane, kind: string): void {
    this.host.dead(this.mailbox, reason, `#${lane.index}`, kind);
  }

  /** Monotonic time, read once a pass. */
  private nowMs(): number {
    const { atMs } = this.mailbox;
    if (this.clockAtMs !== atMs) {
      this.clockAtMs = atMs;
      this.clockMs = monotonicMs();
    }
    return this.clockMs;
  }
}
