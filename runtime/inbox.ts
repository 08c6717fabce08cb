/** From a record in a lane to the message of which the actor makes a step. */
import { monotonicMs } from '#native/clock.ts';
import { HEADER_WORDS, KIND_MASK, type Lane, QUESTION, REPLY } from '#native/lanes/lane.ts';
import type { Protocol } from '#native/lanes/layout.ts';
import type { Message } from './asks.ts';
import type { Host } from './host.ts';
import type { Mailbox } from './mailbox.ts';
import { CAUSE } from './trace/ring.ts';
import { SWITCHES } from './trace/sight.ts';

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
    const { out } = this.mailbox;
    out.readTrace(lane.i32, at);
    if (this.host.sight.switches[SWITCHES] !== 0) {
      out.readOrigin(lane.i32, at, lane.index, tag & REPLY ? CAUSE.answer : CAUSE.message);
    }
    if (tag & REPLY) return this.openReply(lane, at, kind);
    if (tag & QUESTION && lane.f64[(at + 6) >> 1]! < this.nowMs()) {
      lane.take(at);
      this.dead('expired', lane, this.protocol.kinds[kind] ?? '');
      return undefined;
    }
    return this.decode(lane, at, kind, this.protocol.receive) as Message | undefined;
  }

  private openReply(lane: Lane, at: number, kind: number): Message | undefined {
    const i = lane.i32;
    const mine = i[at + 5] === this.mailbox.out.incarnation;
    const entry = mine ? this.mailbox.asks.settle(i[at + 4]!) : undefined;
    if (entry === undefined) {
      lane.take(at);
      this.dead('stale-reply', lane, 'answer');
      return undefined;
    }
    const value = this.decode(lane, at, kind, entry.protocol.receiveReply);
    if (value === undefined) return undefined;
    return { ...entry.resume, result: { ok: true, value } } as Message;
  }

  /** The body, copied out and passed before its step: a crash in the step does not run it twice. */
  private decode(
    lane: Lane,
    at: number,
    kind: number,
    read: (lane: Lane, body: number, kind: number) => object,
  ): object | undefined {
    const { pool } = this.host;
    try {
      return read(lane, at + HEADER_WORDS, kind);
    } catch (error) {
      this.dead('undecodable', lane, String(error));
      return undefined;
    } finally {
      lane.take(at);
      if (pool.copied.length > 0) pool.releaseCopied();
    }
  }

  private dead(reason: 'expired' | 'stale-reply' | 'undecodable', lane: Lane, kind: string): void {
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
