/**
 * Deliveries of one sender: each is kept until its receiver has confirmed it, and goes again, with all behind it, to each
 * new incarnation of the receiver. A receiver takes them in their order: what stands before one travels with it (`gap`), so
 * after a death nothing overtakes what must be sent again.
 *
 * A confirmation is a number in shared memory, with all before it; it survives both ends.
 */
import type { DeliveryFailure } from '../actor.ts';
import type { Host } from '../thread/host.ts';
import { CAUSE } from '../trace/ring.ts';
import type { Message } from './asks.ts';
import type { Trace } from './envelope.ts';
import type { Mailbox } from './mailbox.ts';
import type { Route } from './routes.ts';

/** Deliveries to one receiver that may wait for their confirmation. */
export const UNCONFIRMED_MAX = 1024;
/** The gap to the number before travels in 31 bits. */
const GAP_MAX = 0x7fffffff;

type Item = {
  readonly n: number;
  readonly message: Message;
  readonly resume: Message;
  readonly trace: Trace;
};

type Channel = {
  readonly route: Route;
  readonly confirmed: BigInt64Array;
  /** In the order of their numbers. */
  readonly items: Item[];
  /** How many of them are in the lane. */
  sent: number;
  incarnation: number;
  /** The newest number that was given. */
  last: number;
};

export class Deliveries {
  private readonly mailbox: Mailbox;
  private readonly host: Host;
  private readonly channels = new Map<number, Channel>();
  /** Not confirmed, of all receivers. */
  pending = 0;

  constructor(mailbox: Mailbox, host: Host) {
    this.mailbox = mailbox;
    this.host = host;
  }

  /** `name` is what messages call the receiver. */
  deliver(route: Route, name: string, message: Message, n: number, resume: Message): void {
    const trace = this.mailbox.out.trace();
    if (route.lane === undefined || route.gone || route.confirmed === undefined) {
      const reason = route.lane === undefined ? 'no-such-actor' : 'actor-stopped';
      this.host.dead(this.mailbox, reason, name, message.kind);
      return this.settle(resume, trace, 'no-such-actor');
    }
    const channel = this.channelOf(route, route.confirmed);
    this.check(channel, name, n);
    channel.last = n;
    if (n <= Number(Atomics.load(channel.confirmed, 0))) return this.settle(resume, trace);
    if (channel.items.length === UNCONFIRMED_MAX) return this.settle(resume, trace, 'too-many');
    channel.items.push({ n, message: this.host.pool.detached(message), resume, trace });
    this.pending++;
    this.send(channel);
  }

  /** Looks for confirmations, and sends what there is room for. */
  pump(): void {
    for (const channel of this.channels.values()) {
      this.collect(channel);
      if (channel.sent < channel.items.length) this.send(channel);
    }
  }

  /** True when `pump` has something to do; else its end of the matter wakes this thread. */
  wants(): boolean {
    for (const { route, items, sent, confirmed } of this.channels.values()) {
      if (items.length === 0) continue;
      if (Number(Atomics.load(confirmed, 0)) >= items[0]!.n) return true;
      if (sent === items.length || this.mailbox.held.length > 0) continue;
      const lane = route.lane!;
      if (lane.starved ? this.host.pool.starve() : lane.stall()) return true;
    }
    return false;
  }

  /** The register has moved. */
  lives(): void {
    for (const channel of this.channels.values()) {
      this.collect(channel);
      const { target } = channel.route;
      const incarnation = this.host.incarnation(target);
      if (this.host.gone(target)) this.abandon(channel);
      else if (incarnation !== channel.incarnation) {
        channel.incarnation = incarnation;
        if (channel.sent > 0) this.mailbox.metrics.count('deliveries_repeated', channel.sent);
        channel.sent = 0;
      }
    }
  }

  private channelOf(route: Route, confirmed: BigInt64Array): Channel {
    const known = this.channels.get(route.target);
    if (known !== undefined) return known;
    const incarnation = this.host.incarnation(route.target);
    const fresh: Channel = { route, confirmed, items: [], sent: 0, incarnation, last: 0 };
    this.channels.set(route.target, fresh);
    return fresh;
  }

  private check({ last, items }: Channel, name: string, n: number): void {
    const before = items.at(-1)?.n ?? n;
    if (Number.isSafeInteger(n) && n > last && n - before <= GAP_MAX) return;
    throw new RangeError(
      `delivery ${n} to ${name}: numbers are whole and grow, by at most ${GAP_MAX}; the last was ${last}`,
    );
  }

  private collect(channel: Channel): void {
    const { items, confirmed } = channel;
    if (items.length === 0) return;
    const upTo = Number(Atomics.load(confirmed, 0));
    let done = 0;
    while (done < items.length && items[done]!.n <= upTo) done++;
    if (done === 0) return;
    for (const { resume, trace } of items.splice(0, done)) this.settle(resume, trace);
    channel.sent = Math.max(0, channel.sent - done);
    this.pending -= done;
  }

  private send(channel: Channel): void {
    const { route, items } = channel;
    const { out, held } = this.mailbox;
    if (held.length > 0 || route.gone) return;
    const own = { trace: out.origin(), deadline: out.deadline, span1: out.span1 };
    while (channel.sent < items.length) {
      const at = channel.sent;
      const { n, message, trace } = items[at]!;
      out.setTrace(trace);
      out.span1 = trace[5];
      out.deadline = n;
      const gap = at === 0 ? 0 : n - items[at - 1]!.n;
      if (!this.mailbox.write(route.lane!, route.protocol, message, gap)) break;
      channel.sent++;
    }
    out.setTrace(own.trace);
    out.deadline = own.deadline;
    out.span1 = own.span1;
  }

  /** Its receiver has ended for good. */
  private abandon(channel: Channel): void {
    const { route, items } = channel;
    this.pending -= items.length;
    for (const { message, resume, trace } of items.splice(0)) {
      this.host.dead(this.mailbox, 'actor-stopped', `#${route.target}`, message.kind);
      this.settle(resume, trace, 'no-such-actor');
    }
    channel.sent = 0;
  }

  private settle(resume: Message, trace: Trace, error?: DeliveryFailure): void {
    const result = error === undefined ? { ok: true, value: {} } : { ok: false, error };
    this.mailbox.own({ message: { ...resume, result } as Message, trace, cause: CAUSE.answer });
  }
}
