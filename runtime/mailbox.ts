/**
 * One actor in its thread: the sink that its core writes to (effects go straight into lanes), its open questions, timers
 * and watches. One object an actor, reused for every step.
 */
import { monotonicMs } from '#native/clock.ts';
import {
  type Envelope,
  HEADER_WORDS,
  KIND_MASK,
  type Lane,
  QUESTION,
  REPLY,
} from '#native/lanes/lane.ts';
import { compile, type Protocol } from '#native/lanes/layout.ts';
import type { SlabPool } from '#native/lanes/slab.ts';
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
import { HeldMessages } from './held.ts';
import type { MetricsWriter } from './metrics.ts';
import { Queue } from './queue.ts';
import type { Route, Routes } from './routes.ts';
import type { DeadReason } from './thread.ts';
import { Timers } from './timers.ts';

const ASK_DEADLINE_MS = 1000;
/** Messages from the actor's own io that may wait. */
const DELIVERED_MAX = 65_536;

export type Trace = readonly [number, number, number, number];
/** A message of one's own: a timer, an outcome, something that io delivered. */
type Local = { readonly message: Message; readonly trace: Trace | undefined };
type Watch = { readonly target: number; readonly incarnation: number; readonly message: Message };
type Adapter = IoAdapter<Record<string, unknown>>;
type Commands = Record<string, (argument: unknown) => void | Promise<void>>;

/** What an actor needs of the thread that it lives on. */
export type Host = {
  readonly pool: SlabPool;
  /** The lane has something unpublished. */
  touch(lane: Lane): void;
  /** Run when the current work is done, at the latest in the next turn of the event loop. */
  soon(): void;
  random(): number;
  incarnation(actor: number): number;
  gone(actor: number): boolean;
  dead(mailbox: Mailbox, reason: DeadReason, peer: string, kind: string): void;
  signal(mailbox: Mailbox, event: SystemEvent): void;
  log(mailbox: Mailbox, level: LogLevel, text: string, fields?: LogFields): void;
  crash(mailbox: Mailbox, kind: string, error: unknown): void;
};

export class Mailbox implements Envelope {
  // the envelope of what is sent now
  room = 0;
  deadline = 0;
  trace0 = 0;
  trace1 = 0;
  trace2 = 0;
  trace3 = 0;
  span0 = 0;
  span1 = 0;
  readonly incarnation: number;

  atMs = 0;
  readonly index: number;
  readonly path: string;
  readonly actor: Actor;
  readonly state: unknown;
  readonly routes: Routes;
  readonly inputs: readonly Lane[];
  readonly metrics: MetricsWriter;
  readonly held: HeldMessages;
  readonly asks = new Asks();
  readonly local = new Queue<Local>();
  adapter: Adapter | undefined;
  /** Which input the next pass begins with. */
  nextInput = 0;
  messages = 0;
  depthMax = 0;
  closed = false;
  /** Set by `stop`: the actor ends after this step. */
  ending: { readonly reason: 'normal' | 'halt'; readonly text: string } | undefined;
  /** Kind of the message in hand. */
  kind = '';
  private readonly host: Host;
  private readonly protocol: Protocol;
  private readonly timers: Timers;
  private watches: Watch[] = [];
  /** Promises of io calls that this step has started. */
  private calls: Promise<void>[] = [];
  /** The step in hand came from a timer or io: its own timers start new traces. */
  private rootless = true;

  constructor(
    host: Host,
    place: { readonly index: number; readonly path: string; readonly incarnation: number },
    actor: Actor,
    state: unknown,
    ends: {
      readonly routes: Routes;
      readonly inputs: readonly Lane[];
      readonly metrics: MetricsWriter;
    },
  ) {
    this.host = host;
    this.index = place.index;
    this.path = place.path;
    this.incarnation = place.incarnation;
    this.actor = actor;
    this.state = state;
    this.protocol = compile(actor.self.declaration);
    this.routes = ends.routes;
    this.inputs = ends.inputs;
    this.metrics = ends.metrics;
    this.held = new HeldMessages(this, host);
    this.timers = new Timers(() => this.expire());
    this.span0 = host.random();
  }

  // ---- effects

  tell(to: Address, message: Message): void {
    const route = this.routes.to(to);
    const { lane } = route;
    if (lane === undefined || route.gone) {
      this.deadTo(to, route, message.kind);
      return;
    }
    this.deadline = 0;
    if (this.held.length === 0) {
      if (this.write(lane, route.protocol, message, 0)) return;
      if (route.onFull !== 'backpressure') {
        this.host.dead(
          this,
          route.onFull === 'fail' ? 'mailbox-full' : 'dropped-new',
          to.name,
          message.kind,
        );
        return;
      }
    }
    this.held.push({ lane, route, protocol: route.protocol, message, ask: 0 });
  }

  ask(to: Address, message: Message, resume: Message, deadlineMs = ASK_DEADLINE_MS): void {
    const route = this.routes.to(to);
    const { lane, protocol } = route;
    if (lane === undefined || route.gone) {
      this.deadTo(to, route, message.kind);
      this.fail(resume, 'no-such-actor', this.trace());
      return;
    }
    const dueMs = monotonicMs() + deadlineMs;
    const incarnation = this.host.incarnation(route.target);
    const trace = this.trace();
    const ask = this.asks.add({ resume, route, protocol, incarnation, dueMs, trace });
    if (ask < 0) {
      this.fail(resume, 'mailbox-full', trace);
      return;
    }
    this.timers.wakeAt(dueMs);
    this.deadline = dueMs;
    if (this.held.length === 0) {
      if (this.write(lane, protocol, message, ask)) return;
      if (route.onFull !== 'backpressure') {
        this.refused(ask);
        return;
      }
    }
    this.held.push({ lane, route, protocol, message, ask });
  }

  reply(to: ReplyTo<unknown>, answer: object): void {
    const kind = this.protocol.kinds[to.kind] ?? '';
    const lane = this.routes.lanes.get(to.from)?.lane;
    if (lane === undefined || this.host.gone(to.from)) {
      this.host.dead(
        this,
        lane === undefined ? 'no-such-actor' : 'actor-stopped',
        `#${to.from}`,
        kind,
      );
      return;
    }
    if (this.host.incarnation(to.from) !== to.incarnation) {
      this.host.dead(this, 'stale-reply', `#${to.from}`, kind);
      return;
    }
    this.deadline = 0;
    if (this.held.length === 0) {
      // A quarter of every lane is kept for answers, so an answer never waits behind tells.
      this.room = 0;
      if (this.protocol.sendReply(lane, answer, this, to)) {
        if (!lane.dirty) this.host.touch(lane);
        return;
      }
    }
    this.held.push({
      lane,
      route: undefined,
      protocol: this.protocol,
      message: answer,
      ask: 0,
      to,
    });
  }

  after(delayMs: number, message: Message, key?: string): void {
    const trace = this.rootless ? undefined : this.trace();
    this.timers.after(delayMs, key, () => this.own(message, trace));
  }

  cancel(key: string): void {
    this.timers.cancel(key);
  }

  watch(to: Address, message: Message): void {
    const { target, gone } = this.routes.to(to);
    if (target < 0 || gone) this.own(message, undefined);
    else this.watches.push({ target, incarnation: this.host.incarnation(target), message });
  }

  io(command: string, argument: unknown): void {
    const call = (this.adapter?.commands as Commands | undefined)?.[command];
    if (call === undefined) throw new TypeError(`${this.path} has no io command ${command}`);
    const promise = call(argument);
    if (promise === undefined) return;
    this.calls.push(promise);
    promise.catch((error: unknown) => this.host.crash(this, `io ${command}`, error));
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
  deliver(message: Message): boolean {
    if (this.closed) {
      this.host.dead(this, 'actor-stopped', 'io', message.kind);
      return false;
    }
    if (this.local.length >= DELIVERED_MAX) return false;
    this.own(message, undefined);
    return true;
  }

  /** Handles the record at `at` of an input. */
  handle(lane: Lane, at: number): void {
    const i = lane.i32;
    const tag = i[at + 1]!;
    const kind = tag & KIND_MASK;
    this.trace0 = i[at + 8]!;
    this.trace1 = i[at + 9]!;
    this.trace2 = i[at + 10]!;
    this.trace3 = i[at + 11]!;
    this.rootless = false;
    if (tag & REPLY) this.handleReply(lane, at, kind);
    else if (tag & QUESTION && lane.f64[(at + 6) >> 1]! < this.nowMs()) {
      lane.take(at);
      this.host.dead(this, 'expired', `#${lane.index}`, this.protocol.kinds[kind] ?? '');
    } else {
      const message = this.decode(lane, at, () =>
        this.protocol.receive(lane, at + HEADER_WORDS, kind),
      );
      if (message !== undefined) this.step(message as Message);
    }
  }

  stepLocal(): void {
    const { message, trace } = this.local.shift();
    this.rootless = trace === undefined;
    this.setTrace(trace ?? this.newTrace());
    this.step(message);
  }

  /** Runs a part of the core that is no step: start, drain. */
  run(kind: string, part: () => void): void {
    this.rootless = true;
    this.setTrace(this.newTrace());
    this.kind = kind;
    this.span1 = ++this.spans;
    part();
    this.endStep();
  }

  /** The register has moved: routes, open questions and watches follow. */
  lives(): void {
    this.routes.refresh();
    const changed = (target: number, incarnation: number): boolean =>
      this.host.incarnation(target) !== incarnation || this.host.gone(target);
    const lost = this.asks.take((a) => changed(a.route.target, a.incarnation));
    for (const a of lost) this.failAsk(a, a.route.gone ? 'no-such-actor' : 'target-restarted');
    const fired = this.watches.filter((w) => changed(w.target, w.incarnation));
    if (fired.length === 0) return;
    this.watches = this.watches.filter((w) => !fired.includes(w));
    for (const w of fired) this.own(w.message, undefined);
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
    this.watches = [];
  }

  /** The question found no room: it fails at once. */
  refused(ask: number): void {
    const entry = this.asks.settle(ask);
    if (entry !== undefined) this.failAsk(entry, 'mailbox-full');
  }

  /** Writes now, if there is room. */
  write(lane: Lane, protocol: Protocol, message: Message, ask: number): boolean {
    if (lane.full()) return false;
    this.room = lane.quarter;
    if (!protocol.send(lane, message, this, ask)) return false;
    if (!lane.dirty) this.host.touch(lane);
    return true;
  }

  trace(): Trace {
    return [this.trace0, this.trace1, this.trace2, this.trace3];
  }

  setTrace([a, b, c, d]: Trace): void {
    this.trace0 = a;
    this.trace1 = b;
    this.trace2 = c;
    this.trace3 = d;
  }

  private spans = 0;
  private clockMs = 0;
  private clockAtMs = -1;

  /** Monotonic time, read once a pass. */
  private nowMs(): number {
    if (this.clockAtMs !== this.atMs) {
      this.clockAtMs = this.atMs;
      this.clockMs = monotonicMs();
    }
    return this.clockMs;
  }

  private newTrace(): Trace {
    const { host } = this;
    return [host.random(), host.random(), host.random(), host.random()];
  }

  private own(message: Message, trace: Trace | undefined): void {
    this.local.push({ message, trace });
    this.host.soon();
  }

  private handleReply(lane: Lane, at: number, kind: number): void {
    const i = lane.i32;
    const entry = i[at + 5] === this.incarnation ? this.asks.settle(i[at + 4]!) : undefined;
    if (entry === undefined) {
      lane.take(at);
      this.host.dead(this, 'stale-reply', `#${lane.index}`, 'answer');
      return;
    }
    const value = this.decode(lane, at, () =>
      entry.protocol.receiveReply(lane, at + HEADER_WORDS, kind),
    );
    if (value === undefined) return;
    this.step({ ...entry.resume, result: { ok: true, value } } as Message);
  }

  /** The message, copied out and passed before the step: a crash in the step does not run it twice. */
  private decode(lane: Lane, at: number, read: () => object): object | undefined {
    try {
      return read();
    } catch (error) {
      this.host.dead(this, 'undecodable', `#${lane.index}`, String(error));
      return undefined;
    } finally {
      lane.take(at);
      if (this.host.pool.copied.length > 0) this.host.pool.releaseCopied();
    }
  }

  private step(message: Message): void {
    this.kind = message.kind;
    this.span1 = ++this.spans;
    this.messages++;
    this.actor.core.step(this.state, message, this, this.atMs);
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
    this.host.dead(
      this,
      route.lane !== undefined ? 'actor-stopped' : 'no-such-actor',
      to.name,
      kind,
    );
  }

  private failAsk(ask: OpenAsk, failure: AskFailure): void {
    this.fail(ask.resume, failure, ask.trace);
  }

  private fail(resume: Message, error: AskFailure, trace: Trace): void {
    this.own({ ...resume, result: { ok: false, error } } as Message, trace);
  }

  private expire(): void {
    const nowMs = monotonicMs();
    for (const ask of this.asks.take((a) => a.dueMs <= nowMs)) this.failAsk(ask, 'timeout');
    const nextMs = this.asks.nextDueMs();
    if (nextMs < Number.POSITIVE_INFINITY) this.timers.wakeAt(nextMs);
  }
}
