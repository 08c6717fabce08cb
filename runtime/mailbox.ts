/**
 * One actor in its thread: the sink that its core writes to (effects go straight into lanes), its open questions,
 * timers and watches, and the handling of what comes in. One object an actor, reused for every step.
 */
import { monotonicMs } from '#native/clock.ts';
import type { Lane } from '#native/lanes/lane.ts';
import { compile, type Protocol } from '#native/lanes/layout.ts';
import type { Copies } from '#native/lanes/slab.ts';
import { Account } from './account.ts';
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
import { OutEnvelope, type Trace } from './envelope.ts';
import { HeldMessages } from './held.ts';
import type { Host } from './host.ts';
import type { Identity } from './identity.ts';
import { Inbox } from './inbox.ts';
import type { MetricsWriter } from './metrics.ts';
import { Queue } from './queue.ts';
import type { Route, Routes } from './routes.ts';
import { Timers } from './timers.ts';
import { Watches } from './watches.ts';

const ASK_DEADLINE_MS = 1000;
/** Messages from the actor's own io that may wait. */
const DELIVERED_MAX = 65_536;
/** Copies of slabs that it may keep in memory of its own while no slab is free. */
const EVACUATED_BYTES_MAX = 64 * 1024 * 1024;

/** A message of one's own: a timer, an outcome, something that io delivered. */
type Local = {
  readonly message: Message;
  readonly trace: Trace | undefined;
  /** Memory of its own that it takes up since it was evacuated from a lane. */
  readonly bytes?: number;
};
type Adapter = IoAdapter<Record<string, unknown>>;
type Commands = Record<string, (argument: unknown) => void | Promise<void>>;

export class Mailbox {
  /** Unix milliseconds of the current pass. */
  atMs = 0;
  readonly index: number;
  readonly path: string;
  readonly actor: Actor;
  readonly state: unknown;
  readonly routes: Routes;
  readonly inputs: readonly Lane[];
  readonly metrics: MetricsWriter;
  readonly account: Account;
  readonly hand: Identity['hand'];
  readonly out: OutEnvelope;
  readonly held: HeldMessages;
  readonly asks = new Asks();
  readonly local = new Queue<Local>();
  adapter: Adapter | undefined;
  /** Which input the next pass begins with. */
  nextInput = 0;
  closed = false;
  /** It stood in a circle of full mailboxes: until its own is empty, what finds no room is dropped. */
  relieved = false;
  /** Set by `stop`: the actor ends after this step. */
  ending: { readonly reason: 'normal' | 'halt'; readonly text: string } | undefined;
  /** Kind of the message in hand. */
  kind = '';
  private readonly host: Host;
  private readonly protocol: Protocol;
  private readonly inbox: Inbox;
  private readonly timers = new Timers(() => this.expire());
  private readonly watches = new Watches();
  /** Promises of io calls that this step has started. */
  private calls: Promise<void>[] = [];
  /** The step in hand came from a timer or io: its own timers begin new traces. */
  private rootless = true;
  private evacuatedBytes = 0;

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
    this.state = state;
    this.protocol = compile(actor.self.declaration);
    this.out = new OutEnvelope(who.incarnation, host.random);
    this.held = new HeldMessages(this, host);
    this.inbox = new Inbox(this, host, this.protocol);
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
    this.timers.after(delayMs, key, () => this.own(message, trace));
  }

  cancel(key: string): void {
    this.timers.cancel(key);
  }

  watch(to: Address, message: Message): void {
    const { target, gone } = this.routes.to(to);
    if (target < 0 || gone) this.own(message, undefined);
    else this.watches.add(target, this.host.incarnation(target), message);
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
    this.rootless = false;
    this.hand.take(lane.index, lane.head);
    const message = this.inbox.open(lane, at);
    if (message !== undefined) this.step(message);
    this.hand.done();
    if (this.host.pool.copied.length > 0) this.host.pool.releaseCopied();
  }

  /**
   * Called while no slab is free for what is held: what waits in slabs for this actor moves to its own memory, so that
   * slabs come free whoever waits for whom. Returns how many messages moved.
   */
  evacuate(): number {
    const { pool } = this.host;
    const copies: Copies = new Map();
    this.held.detach();
    let moved = 0;
    for (const lane of this.inputs) {
      while (this.canEvacuate()) {
        const at = lane.peek();
        if (at < 0) break;
        const known = copies.size;
        const message = this.inbox.open(lane, at);
        pool.releaseCopied();
        if (message === undefined) continue;
        const own = pool.detached(message, copies);
        const bytes = (copies.size - known) * pool.bytes;
        this.local.push({ message: own, trace: this.out.trace(), bytes });
        this.evacuatedBytes += bytes;
        for (const index of pool.takeViewed()) pool.drop(index);
        moved++;
      }
      lane.release();
    }
    return moved;
  }

  /** There is something to evacuate, and memory for it. */
  evacuable(): boolean {
    return this.canEvacuate() && this.inputs.some((lane) => !lane.empty());
  }

  private canEvacuate(): boolean {
    return this.local.length < DELIVERED_MAX && this.evacuatedBytes < EVACUATED_BYTES_MAX;
  }

  /** Handles the oldest message of its own. */
  stepLocal(): void {
    const { message, trace, bytes = 0 } = this.local.shift();
    this.evacuatedBytes -= bytes;
    this.rootless = trace === undefined;
    if (trace === undefined) this.out.newTrace();
    else this.out.setTrace(trace);
    this.step(message);
  }

  /** Runs a part of the core that is no step: start, drain. */
  run(kind: string, part: () => void): void {
    this.rootless = true;
    this.out.newTrace();
    this.out.nextSpan();
    this.kind = kind;
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
    for (const message of this.watches.take(changed)) this.own(message, undefined);
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

  private own(message: Message, trace: Trace | undefined): void {
    this.local.push({ message, trace });
    this.host.soon();
  }

  private step(message: Message): void {
    this.kind = message.kind;
    this.out.nextSpan();
    this.hand.step(this.out.span0, this.out.span1);
    this.actor.core.step(this.state, message, this, this.atMs);
    this.endStep();
  }

  /** Gives back what the step took part in. */
  endStep(): void {
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
    this.own({ ...resume, result: { ok: false, error } } as Message, trace);
  }

  private expire(): void {
    const nowMs = monotonicMs();
    for (const ask of this.asks.take((a) => a.dueMs <= nowMs)) this.failAsk(ask, 'timeout');
    const nextMs = this.asks.nextDueMs();
    if (nextMs < Number.POSITIVE_INFINITY) this.timers.wakeAt(nextMs);
  }
}
