/**
 * One actor in its thread: the sink that its core writes to (effects go straight into lanes), its open questions,
 * timers and watches, and the handling of what comes in. One object an actor, reused for every step.
 */
import { monotonicMs } from '#native/clock.ts';
import type { Lane } from '#native/lanes/lane.ts';
import { compile, type Protocol } from '#native/lanes/layout.ts';
import type {
  Actor,
  Address,
  AskFailure,
  IoAdapter,
  LogFields,
  LogLevel,
  ReplyTo,
  SystemEvent,
} from './actor.ts';
import { Asks, type Message, type OpenAsk } from './asks.ts';
import { OutEnvelope } from './envelope.ts';
import { Evacuation } from './evacuation.ts';
import { FlightRecorder } from './flight/recorder.ts';
import { HeldMessages } from './held.ts';
import type { Host } from './host.ts';
import { Inbox } from './inbox.ts';
import type { MetricsWriter } from './metrics.ts';
import { Queue } from './queue.ts';
import type { Route, Routes } from './routes.ts';
import { Timers } from './timers.ts';
import { parseTraceparent, type Trace } from './trace/context.ts';
import { CAUSE } from './trace/ring.ts';
import { commandTrace, SWITCHES } from './trace/sight.ts';
import { Watches } from './watches.ts';

const ASK_DEADLINE_MS = 1000;
/** Messages from the actor's own io that may wait. */
export const DELIVERED_MAX = 65_536;

/** A message of one's own: a timer, an outcome, something that io delivered, something evacuated. */
type Local = {
  readonly message: Message;
  readonly trace: Trace | undefined;
  readonly cause: number;
  readonly from?: number;
  /** Memory of its own that it takes up since it was evacuated from a lane. */
  readonly bytes?: number;
};
type Adapter = IoAdapter<Record<string, unknown>>;
type Commands = Record<string, (argument: unknown) => void | Promise<void>>;

/** Who it is, and what it is connected to. */
export type Identity = {
  readonly index: number;
  readonly path: string;
  readonly incarnation: number;
  readonly routes: Routes;
  readonly inputs: readonly Lane[];
  readonly metrics: MetricsWriter;
  /** URL of the module whose default export it is, and its settings. */
  readonly module: string;
  readonly config: unknown;
};

export class Mailbox {
  /** Unix milliseconds of the current pass. */
  atMs = 0;
  readonly index: number;
  readonly path: string;
  readonly actor: Actor;
  readonly module: string;
  readonly config: unknown;
  readonly state: unknown;
  readonly flight: FlightRecorder;
  readonly routes: Routes;
  readonly inputs: readonly Lane[];
  readonly metrics: MetricsWriter;
  readonly out: OutEnvelope;
  readonly held: HeldMessages;
  readonly inbox: Inbox;
  readonly evacuation: Evacuation;
  readonly asks = new Asks();
  readonly local = new Queue<Local>();
  adapter: Adapter | undefined;
  /** Which input the next pass begins with. */
  nextInput = 0;
  depthMax = 0;
  closed = false;
  /** By an operator: it takes no step until it is resumed; what comes waits. */
  suspended = false;
  /** It stood in a circle of full mailboxes: until its own is empty, what finds no room is dropped. */
  relieved = false;
  /** Set by `stop`: the actor ends after this step. */
  ending: { readonly reason: 'normal' | 'halt'; readonly text: string } | undefined;
  /** Kind of the message in hand. */
  kind = '';
  private readonly host: Host;
  private readonly core: Actor['core'];
  private readonly switches: Int32Array;
  private readonly protocol: Protocol;
  private readonly timers = new Timers(() => this.expire());
  private readonly watches = new Watches();
  /** Promises of io calls that this step has started. */
  private calls: Promise<void>[] = [];
  /** The step in hand is a start or came from a timer: its own timers begin new traces, or ticks would never end one. */
  private rootless = true;

  constructor(host: Host, who: Identity, actor: Actor, state: unknown) {
    this.host = host;
    this.index = who.index;
    this.path = who.path;
    this.routes = who.routes;
    this.inputs = who.inputs;
    this.metrics = who.metrics;
    this.actor = actor;
    this.module = who.module;
    this.config = who.config;
    this.state = state;
    this.core = actor.core;
    this.switches = host.sight.switches;
    this.flight = new FlightRecorder(actor, who.config, host.flightMessages);
    this.protocol = compile(actor.self.declaration);
    this.out = new OutEnvelope(who.incarnation, host.random, host.sight.carried);
    this.held = new HeldMessages(this, host);
    this.inbox = new Inbox(this, host, this.protocol);
    this.evacuation = new Evacuation(this, host.pool);
  }

  // ---- effects

  tell(to: Address, message: Message): void {
    const route = this.routes.to(to);
    const { lane } = route;
    if (lane === undefined || route.gone) {
      this.deadTo(to, route, message.kind);
      return;
    }
    this.out.deadline = 0;
    if (this.held.length === 0) {
      if (this.write(lane, route.protocol, message, 0)) return;
      if (this.relieved || route.onFull !== 'backpressure') {
        const reason = route.onFull === 'drop-new' ? 'dropped-new' : 'mailbox-full';
        this.host.dead(this, reason, to.name, message.kind);
        return;
      }
    }
    this.held.push({ lane, route, protocol: route.protocol, message, ask: 0 });
  }

  ask(to: Address, message: Message, resume: Message, deadlineMs = ASK_DEADLINE_MS): void {
    const route = this.routes.to(to);
    const { lane, protocol, target } = route;
    const trace = this.out.trace();
    if (lane === undefined || route.gone) {
      this.deadTo(to, route, message.kind);
      this.fail(resume, 'no-such-actor', trace);
      return;
    }
    const dueMs = monotonicMs() + deadlineMs;
    const incarnation = this.host.incarnation(target);
    const ask = this.asks.add({ resume, route, protocol, incarnation, dueMs, trace });
    if (ask < 0) {
      this.fail(resume, 'mailbox-full', trace);
      return;
    }
    this.timers.wakeAt(dueMs);
    this.out.deadline = dueMs;
    if (this.held.length === 0) {
      if (this.write(lane, protocol, message, ask)) return;
      if (this.relieved || route.onFull !== 'backpressure') {
        this.refused(ask);
        return;
      }
    }
    this.held.push({ lane, route, protocol, message, ask });
  }

  reply(to: ReplyTo<unknown>, answer: object): void {
    const lane = this.routes.lanes.get(to.from)?.lane;
    if (lane === undefined || this.unclaimed(to)) {
      if (lane === undefined) this.host.dead(this, 'no-such-actor', `#${to.from}`, 'answer');
      return;
    }
    this.out.deadline = 0;
    if (this.held.length === 0) {
      // A quarter of every lane is kept for answers, so an answer never waits behind tells.
      this.out.room = 0;
      if (this.protocol.sendReply(lane, answer, this.out, to)) {
        if (!lane.dirty) this.host.touch(lane);
        return;
      }
      if (this.relieved) {
        this.host.dead(this, 'mailbox-full', `#${to.from}`, 'answer');
        return;
      }
    }
    const { protocol } = this;
    this.held.push({ lane, route: undefined, protocol, message: answer, ask: 0, to });
  }

  after(delayMs: number, message: Message, key?: string): void {
    const trace = this.rootless ? undefined : this.out.trace();
    this.timers.after(delayMs, key, () => this.own(message, trace, CAUSE.timer));
  }

  cancel(key: string): void {
    this.timers.cancel(key);
  }

  watch(to: Address, message: Message): void {
    const { target, gone } = this.routes.to(to);
    if (target < 0 || gone) this.own(message, undefined, CAUSE.own);
    else this.watches.add(target, this.host.incarnation(target), message);
  }

  io(command: string, argument: unknown): void {
    const call = (this.adapter?.commands as Commands | undefined)?.[command];
    if (call === undefined) throw new TypeError(`${this.path} has no io command ${command}`);
    const promise = this.host.sight.command(this, call, argument);
    if (promise === undefined) return;
    this.calls.push(promise);
    promise.catch((error: unknown) => this.host.crash(this, `io ${command}`, error));
  }

  under(traceparent: string, body: () => void): void {
    this.host.sight.under(this, parseTraceparent(traceparent), body);
  }

  emit(name: string, value: number): void {
    this.metrics.emit(name, value);
  }

  gauge(name: string, value: number): void {
    this.metrics.gauge(name, value);
  }

  signal(event: SystemEvent): void {
    this.host.signal(this, event);
  }

  log(level: LogLevel, text: string, fields?: LogFields): void {
    this.host.log(this, level, text, fields);
  }

  stop(reason: 'normal' | 'halt', text = ''): void {
    this.ending ??= { reason, text };
  }

  // ---- the shell's side

  /** Puts a message from the actor's io into its own mailbox; false when 65,536 wait. */
  deliver(message: Message, traceparent?: string): boolean {
    if (this.closed) {
      this.host.dead(this, 'actor-stopped', 'io', message.kind);
      return false;
    }
    if (this.local.length >= DELIVERED_MAX) return false;
    const trace = traceparent === undefined ? commandTrace() : parseTraceparent(traceparent);
    this.own(message, trace, CAUSE.io);
    return true;
  }

  /** Handles the record at `at` of an input. */
  handle(lane: Lane, at: number): void {
    this.rootless = false;
    const message = this.inbox.open(lane, at);
    if (message !== undefined) this.step(message);
  }

  /** Handles the oldest message of its own. */
  stepLocal(): void {
    const { message, trace, cause, from = -1, bytes = 0 } = this.local.shift();
    this.evacuation.bytes -= bytes;
    this.rootless = cause === CAUSE.timer;
    if (trace === undefined) this.out.newTrace();
    else this.out.setTrace(trace);
    this.out.from = from;
    this.out.cause = cause;
    this.step(message);
  }

  /** Runs a part of the core that is no step: start, drain. */
  run(kind: string, part: () => void): void {
    this.rootless = true;
    this.out.newTrace();
    this.out.nextSpan();
    this.kind = kind;
    if (kind === 'start' || kind === 'drain') {
      this.flight.keepPhase(kind, this.state, this.atMs);
    }
    part();
    this.endStep();
  }

  /** The register has moved: routes, open questions and watches follow. */
  lives(): void {
    this.routes.refresh();
    const changed = (target: number, incarnation: number): boolean =>
      this.host.incarnation(target) !== incarnation || this.host.gone(target);
    const lost = this.asks.take((a) => changed(a.route.target, a.incarnation));
    for (const a of lost) this.failAsk(a, 'target-restarted');
    for (const m of this.watches.take(changed)) this.own(m, undefined, CAUSE.own);
  }

  /** After a turn: what the runtime itself measures. */
  account(messages: number, elapsedMs: number): void {
    this.metrics.count('messages', messages);
    this.metrics.observe('handling_seconds', elapsedMs / messages / 1000, messages);
    this.metrics.gauge('mailbox_depth_max', this.depthMax);
  }

  close(): void {
    this.closed = true;
    this.timers.clear();
    this.watches.clear();
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

  /** The question found no room: it fails at once. */
  refused(ask: number): void {
    const entry = this.asks.settle(ask);
    if (entry !== undefined) this.failAsk(entry, 'mailbox-full');
  }

  private own(message: Message, trace: Trace | undefined, cause: number): void {
    this.local.push({ message, trace, cause });
    this.host.soon();
  }

  private step(message: Message): void {
    this.kind = message.kind;
    this.out.nextSpan();
    this.flight.keep(message, this.state, this.atMs, this.host.pool.viewed.length > 0);
    if (this.switches[SWITCHES] === 0) this.core.step(this.state, message, this, this.atMs);
    else this.host.sight.step(this, message);
    this.endStep();
  }

  private endStep(): void {
    const { pool } = this.host;
    pool.endStep();
    if (pool.viewed.length > 0) this.releaseViews(pool.takeViewed());
    if (this.calls.length > 0) this.calls = [];
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

  private deadTo(to: Address, route: Route, kind: string): void {
    const reason = route.lane !== undefined ? 'actor-stopped' : 'no-such-actor';
    this.host.dead(this, reason, to.name, kind);
  }

  private failAsk(ask: OpenAsk, failure: AskFailure): void {
    this.fail(ask.resume, failure, ask.trace);
  }

  private fail(resume: Message, error: AskFailure, trace: Trace): void {
    this.own({ ...resume, result: { ok: false, error } } as Message, trace, CAUSE.answer);
  }

  private expire(): void {
    const nowMs = monotonicMs();
    for (const ask of this.asks.take((a) => a.dueMs <= nowMs)) this.failAsk(ask, 'timeout');
    const nextMs = this.asks.nextDueMs();
    if (nextMs < Number.POSITIVE_INFINITY) this.timers.wakeAt(nextMs);
  }
}
