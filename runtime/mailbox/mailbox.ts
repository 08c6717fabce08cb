/**
 * One actor in its thread: what it waits for (answers, timers, terminations, confirmations) and the handling of what comes
 * in. One object an actor, reused for every step.
 */
import { monotonicMs } from '#native/clock.ts';
import type { Lane } from '#native/lanes/lane.ts';
import { compile, type Protocol } from '#native/lanes/layout.ts';
import type { Actor, IoAdapter, ReplyTo } from '../actor.ts';
import { FlightRecorder } from '../flight/recorder.ts';
import { Account } from '../metrics/account.ts';
import type { MetricsWriter } from '../metrics/metrics.ts';
import { Evacuation } from '../thread/evacuation.ts';
import type { Host } from '../thread/host.ts';
import type { Identity } from '../thread/identity.ts';
import { parseTraceparent } from '../trace/context.ts';
import { CAUSE } from '../trace/ring.ts';
import { commandTrace, SWITCHES } from '../trace/sight.ts';
import { Asking } from './asking.ts';
import type { Message } from './asks.ts';
import { Cancellations } from './cancellations.ts';
import { Deadlines } from './deadlines.ts';
import { Deliveries } from './deliveries.ts';
import { OutEnvelope } from './envelope.ts';
import { HeldMessages } from './held.ts';
import { Inbox } from './inbox.ts';
import { type Own, OwnMessages, type Ticket } from './own-messages.ts';
import type { Receipts } from './receipts.ts';
import type { Routes } from './routes.ts';
import { Services } from './services.ts';
import { Sink } from './sink.ts';
import { Stash } from './stash.ts';
import { Timers } from './timers.ts';
import { Watches } from './watches.ts';

/** Messages from the actor's own io that may wait. */
const DELIVERED_MAX = 65_536;

type Adapter = IoAdapter<Record<string, unknown>>;

/** A message as it comes in: one of which an answer is due says where to. */
type Received = Message & { readonly replyTo?: ReplyTo<unknown> };

export class Mailbox {
  /** Unix milliseconds of the current pass. */
  atMs = 0;
  readonly index: number;
  readonly path: string;
  readonly actor: Actor;
  readonly module: string;
  readonly config: unknown;
  state: unknown;
  flight: FlightRecorder;
  readonly routes: Routes;
  readonly inputs: readonly Lane[];
  readonly metrics: MetricsWriter;
  readonly account: Account;
  readonly hand: Identity['hand'];
  readonly out: OutEnvelope;
  readonly held: HeldMessages;
  readonly asking: Asking;
  readonly deliveries: Deliveries;
  readonly receipts: Receipts;
  readonly deadlines = new Deadlines();
  readonly local = new OwnMessages();
  readonly evacuation: Evacuation;
  readonly stashed: Stash;
  readonly services: Services;
  readonly watches: Watches;
  readonly cancellations: Cancellations;
  readonly timers = new Timers(() => this.expire());
  adapter: Adapter | undefined;
  /** How the closing of its last adapter goes. */
  closing: Promise<void> | undefined;
  /** Which input the next pass begins with. */
  nextInput = 0;
  closed = false;
  /** The latest deadline of the questions that it has received, monotonic milliseconds. */
  owesUntilMs = 0;
  /** asleep: passivated. moving: its io opens or closes. Neither handles messages. */
  rest: 'awake' | 'asleep' | 'moving' = 'awake';
  /** By an operator: it takes no step until it is resumed; what comes waits. */
  suspended = false;
  /** It stood in a circle of full mailboxes: until its own is empty, what finds no room is dropped. */
  relieved = false;
  /** Set by `stop`: the actor ends after this step. */
  ending: { readonly reason: 'normal' | 'halt'; readonly text: string } | undefined;
  /** Kind of the message in hand. */
  kind = '';
  readonly protocol: Protocol;
  /** What its core writes to. */
  readonly fx: Sink;
  /** Promises of io calls that this step has started. */
  calls: Promise<void>[] = [];
  /** The step in hand is a start or came from a timer: its own timers begin new traces, or ticks would never end one. */
  rootless = true;
  private readonly host: Host;
  private readonly core: Actor['core'];
  private readonly switches: Int32Array;
  private readonly inbox: Inbox;

  constructor(host: Host, who: Identity, actor: Actor, state: unknown) {
    this.host = host;
    this.index = who.index;
    this.path = who.path;
    this.routes = who.routes;
    this.inputs = who.inputs;
    this.metrics = who.metrics;
    this.account = new Account(who.metrics);
    this.hand = who.hand;
    this.actor = actor;
    this.module = who.module;
    this.config = who.config;
    this.core = actor.core;
    this.switches = host.sight.switches;
    this.state = state;
    this.flight = new FlightRecorder(actor, who.config, host.flightMessages);
    this.protocol = compile(actor.self.declaration);
    this.out = new OutEnvelope(who.incarnation, host.random, host.sight.carried);
    this.held = new HeldMessages(this, host);
    this.inbox = new Inbox(this, host, this.protocol);
    this.asking = new Asking(this, host, who.openAsks);
    this.deliveries = new Deliveries(this, host);
    this.receipts = who.receipts;
    this.evacuation = new Evacuation(this, host, this.inbox);
    this.stashed = new Stash(this, host, who.stashMax);
    const control = (message: Message, ticket?: Ticket): void => {
      const cause = CAUSE.own;
      this.local.pushControl({ message, trace: undefined, cause, ...(ticket && { ticket }) });
      this.host.soon();
    };
    this.watches = new Watches(host, control);
    this.cancellations = new Cancellations((to) => host.waits(to), control);
    this.services = new Services(who, who.directory, control);
    this.fx = new Sink(this, host);
  }

  /** It begins anew in its place: nothing of its last state is left, and nothing of what led there. */
  refresh(state: unknown): void {
    this.state = state;
    this.kind = '';
    this.flight = new FlightRecorder(this.actor, this.config, this.host.flightMessages);
  }

  /** Puts a message from the actor's io into its own mailbox; false when 65,536 wait. */
  deliver(message: Message, traceparent?: string): boolean {
    if (this.closed) {
      this.host.dead(this, 'actor-stopped', 'io', message.kind);
      return false;
    }
    if (!this.deliverable) return false;
    const trace = traceparent === undefined ? commandTrace() : parseTraceparent(traceparent);
    this.own({ message, trace, cause: CAUSE.io });
    return true;
  }

  /** There is room for messages of its own. */
  get deliverable(): boolean {
    return this.local.length < DELIVERED_MAX;
  }

  /** Something goes before whatever waits in its lanes, or it takes no step now. */
  get interrupted(): boolean {
    return this.held.length > 0 || this.ending !== undefined || this.local.ahead > 0;
  }

  /** It has something to handle. */
  waiting(): boolean {
    return this.local.length > 0 || this.inputs.some((lane) => !lane.empty());
  }

  /** It sleeps, and something has come for it. */
  wakes(): boolean {
    return this.rest === 'asleep' && !this.suspended && this.waiting();
  }

  /** Nothing is under way that a passivation would lose. */
  get settled(): boolean {
    const { asking, timers, watches, cancellations, services, deliveries, receipts } = this;
    const pending = asking.open + timers.pending + watches.pending + cancellations.pending;
    const tied = services.pending + deliveries.pending + receipts.pending + this.stashed.pending;
    if (pending + tied + this.held.length > 0 || this.owesUntilMs > monotonicMs()) return false;
    return !this.suspended && !this.waiting();
  }

  /** Handles the record at `at` of an input. */
  handle(lane: Lane, at: number): void {
    this.rootless = false;
    this.deadlines.clear();
    this.hand.take(lane.index, lane.head);
    const message = this.inbox.open(lane, at);
    if (message !== undefined) this.step(message);
    else if (this.receipts.unpublished) this.publishReceipts();
    this.hand.done();
    if (this.host.pool.copied.length > 0) this.host.pool.releaseCopied();
  }

  /** Handles the oldest message of its own. */
  stepLocal(): void {
    const own = this.local.shift();
    const { message, trace, allowance, ticket, bytes = 0, asked } = own;
    if (bytes > 0) this.evacuation.handled(bytes);
    if (ticket?.withdrawn) return;
    this.rootless = own.cause === CAUSE.timer;
    if (trace === undefined) this.out.newTrace();
    else this.out.setTrace(trace);
    this.out.from = own.from ?? -1;
    this.out.cause = own.cause;
    this.deadlines.inherit(allowance);
    if (asked !== undefined) {
      const over = asked.dueMs < monotonicMs();
      if (over || asked.givenUp()) {
        this.host.dead(this, over ? 'expired' : 'cancelled', this.path, message.kind);
        return;
      }
      this.deadlines.begin(asked.dueMs);
    }
    ticket?.begun?.();
    this.step(ticket?.message?.() ?? message);
    ticket?.handled?.();
  }

  /** What has to be kept with a message that is handled later. */
  contextOf(message: Received): Partial<Own> {
    const { replyTo } = message;
    if (replyTo === undefined) return { allowance: this.deadlines.current() };
    const { from, incarnation, ask, dueMs = Number.POSITIVE_INFINITY } = replyTo;
    return { asked: { dueMs, givenUp: () => this.host.givenUp(from, incarnation, ask) } };
  }

  /** Runs a part of the core that is no step: start, drain. */
  run(kind: string, part: () => void): void {
    this.rootless = true;
    this.deadlines.clear();
    this.out.newTrace();
    this.out.nextSpan();
    this.kind = kind;
    if (kind === 'start' || kind === 'drain') this.flight.keepPhase(kind, this.state, this.atMs);
    part();
    this.endStep();
  }

  /** The register has moved: routes, open questions and watches follow. */
  lives(): void {
    this.routes.refresh();
    const changed = (target: number, incarnation: number): boolean =>
      this.host.incarnation(target) !== incarnation || this.host.gone(target);
    this.asking.lives(changed);
    this.watches.check();
    this.services.check();
    this.cancellations.check(monotonicMs());
    this.deliveries.lives();
  }

  close(): void {
    this.closed = true;
    this.timers.clear();
    this.watches.clear();
    this.cancellations.clear();
    this.services.clear();
    for (const { message } of this.stashed.take()) {
      this.host.dead(this, 'actor-stopped', this.path, message.kind);
    }
  }

  /** Writes now, if there is room. */
  write(lane: Lane, protocol: Protocol, message: Message, ask: number): boolean {
    if (lane.full()) return false;
    this.out.room = lane.quarter;
    if (!protocol.send(lane, message, this.out, ask)) return false;
    if (!lane.dirty) this.host.touch(lane);
    return true;
  }

  /**
   * True when nobody waits for the answer any more. From before a restart it is a dead letter; an asker that has ended
   * for good gave its questions up, which is only counted.
   */
  unclaimed(to: ReplyTo<unknown>): boolean {
    if (this.host.incarnation(to.from) === to.incarnation) return false;
    const kind = this.protocol.kinds[to.kind] ?? '';
    if (this.host.gone(to.from)) this.metrics.count('answers_unclaimed', 1);
    else this.host.dead(this, 'stale-reply', `#${to.from}`, kind);
    return true;
  }

  /** Puts a message in line. */
  own(item: Own): void {
    this.local.push(item);
    this.host.soon();
  }

  /** Deadlines are looked at then. */
  wakeAt(dueMs: number): void {
    this.timers.wakeAt(dueMs);
  }

  private step(message: Received): void {
    this.kind = message.kind;
    this.deadlines.handle(message);
    this.out.nextSpan();
    this.hand.step(this.out.span0, this.out.span1);
    this.flight.keep(message, this.state, this.atMs, this.host.pool.viewed.length > 0);
    if (this.switches[SWITCHES] === 0) this.core.step(this.state, message, this.fx, this.atMs);
    else this.host.sight.step(this, message);
    this.endStep();
  }

  /** It came to its end: what it confirmed counts. */
  private endStep(): void {
    this.release();
    if (this.receipts.unpublished) this.publishReceipts();
  }

  /** Gives back what the step took part in, also where it was cut short. */
  release(): void {
    const { pool } = this.host;
    pool.endStep();
    if (pool.viewed.length > 0) this.releaseViews(pool.takeViewed());
    if (this.calls.length > 0) this.calls = [];
  }

  /** What is confirmed is told after what the step wrote. */
  private publishReceipts(): void {
    const fresh = this.receipts.takeFresh();
    const publish = (): void => {
      if (this.closed) return; // what the step wrote has gone with its actor
      if (this.held.length > 0) return void this.held.flushed().then(publish);
      for (const { receipt, upTo } of fresh) {
        receipt.told = upTo;
        this.host.touch(receipt);
      }
      this.host.soon();
    };
    publish();
  }

  /** Views end with the step and its io calls, and not before what was held of the step has been written. */
  private releaseViews(views: readonly number[]): void {
    const { pool } = this.host;
    const drop = (): void => {
      for (const index of views) pool.drop(index);
    };
    const waits = this.held.length > 0 ? [...this.calls, this.held.flushed()] : this.calls;
    if (waits.length === 0) drop();
    else void Promise.allSettled(waits).then(drop);
  }

  private expire(): void {
    const nowMs = monotonicMs();
    this.asking.expire(nowMs);
    this.cancellations.check(nowMs);
    const nextMs = Math.min(this.asking.nextDueMs(), this.cancellations.nextDueMs());
    if (nextMs < Number.POSITIVE_INFINITY) this.wakeAt(nextMs);
  }
}
