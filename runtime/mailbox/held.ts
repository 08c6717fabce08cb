/**
 * What a step wrote and no lane had room for. The rest of the step waits here, and its actor takes no further step until it
 * is out: memory is bounded by the output of one step.
 */
import type { Lane } from '#native/lanes/lane.ts';
import type { Protocol } from '#native/lanes/layout.ts';
import type { ReplyTo } from '../actor.ts';
import type { Host } from '../thread/host.ts';
import type { Message } from './asks.ts';
import type { Trace } from './envelope.ts';
import type { Mailbox } from './mailbox.ts';
import type { Route } from './routes.ts';

type Entry = {
  readonly lane: Lane;
  /** Undefined for an answer. */
  readonly route: Route | undefined;
  readonly protocol: Protocol;
  readonly message: object;
  readonly ask: number;
  readonly to?: ReplyTo<unknown>;
};
type Held = Entry & { readonly deadline: number; readonly trace: Trace; readonly span1: number };

const kindOf = (held: Entry): string =>
  held.to === undefined
    ? (held.message as Message).kind
    : `answer to ${held.protocol.kinds[held.to.kind] ?? ''}`;

export class HeldMessages {
  length = 0;
  /** When the actor was suspended, on the performance clock. */
  sinceMs = 0;
  private items: Held[] = [];
  private waiters: (() => void)[] = [];
  private readonly mailbox: Mailbox;
  private readonly host: Host;

  constructor(mailbox: Mailbox, host: Host) {
    this.mailbox = mailbox;
    this.host = host;
  }

  push(entry: Entry): void {
    if (this.length === 0) this.sinceMs = performance.now();
    const { out } = this.mailbox;
    const { deadline, span1 } = out;
    this.items.push({ ...entry, deadline, trace: out.trace(), span1 });
    this.length++;
    this.host.touch(entry.lane);
  }

  /** The lane that the first of them waits for. */
  first(): Lane | undefined {
    return this.items[0]?.lane;
  }

  /** Settles when nothing is held any more. */
  flushed(): Promise<void> {
    return new Promise((done) => {
      this.waiters.push(done);
    });
  }

  /** Sends what did not fit; true when nothing is left. */
  flush(): boolean {
    const { out } = this.mailbox;
    const own = { trace: out.origin(), deadline: out.deadline, span1: out.span1 };
    let sent = 0;
    for (const held of this.items) {
      out.setTrace(held.trace);
      out.deadline = held.deadline;
      out.span1 = held.span1;
      if (!this.send(held)) break;
      sent++;
    }
    if (sent > 0) this.items.splice(0, sent);
    this.length = this.items.length;
    out.setTrace(own.trace);
    out.deadline = own.deadline;
    out.span1 = own.span1;
    this.host.pool.endStep();
    if (this.length === 0) this.settle();
    return this.length === 0;
  }

  /** Holds copies instead of views of slabs, so that these can go back. */
  detach(): void {
    const { pool } = this.host;
    this.items = this.items.map((held) => ({ ...held, message: pool.detached(held.message) }));
    this.settle();
  }

  /** Gives up: all of it becomes dead letters. Returns how many. */
  discard(): number {
    const given = this.items;
    this.items = [];
    this.length = 0;
    for (const held of given) this.refuse(held);
    this.settle();
    return given.length;
  }

  /** Its actor has crashed: what of the step found no room goes with it. */
  drop(): void {
    this.items = [];
    this.length = 0;
    this.settle();
  }

  private refuse(held: Held): void {
    if (held.ask !== 0) this.mailbox.asking.refused(held.ask);
    const reason = held.route?.onFull === 'drop-new' ? 'dropped-new' : 'mailbox-full';
    this.host.dead(this.mailbox, reason, `#${held.route?.target ?? held.to?.from}`, kindOf(held));
  }

  private settle(): void {
    for (const done of this.waiters.splice(0)) done();
  }

  /** True when it is out, or has nowhere to go any more. */
  private send(held: Held): boolean {
    const { mailbox, host } = this;
    if (held.to !== undefined) {
      if (mailbox.unclaimed(held.to)) return true;
      mailbox.out.room = 0;
      if (!held.protocol.sendReply(held.lane, held.message, mailbox.out, held.to)) return false;
      host.touch(held.lane);
      return true;
    }
    if (held.route?.gone) {
      host.dead(mailbox, 'actor-stopped', `#${held.route.target}`, kindOf(held));
      return true;
    }
    if (mailbox.write(held.lane, held.protocol, held.message as Message, held.ask)) return true;
    if (held.route === undefined || held.route.onFull === 'backpressure') return false;
    this.refuse(held);
    return true;
  }
}
