/** The questions of one actor on their way: deadlines and whose they are, keys, failures, and one question to several. */
import { monotonicMs } from '#native/clock.ts';
import type { AskFailure } from '../actor.ts';
import type { Host } from '../thread/host.ts';
import { CAUSE } from '../trace/ring.ts';
import { type AskGroup, Asks, type Message, type OpenAsk, slotOf } from './asks.ts';
import type { Trace } from './envelope.ts';
import type { Mailbox } from './mailbox.ts';
import type { Route } from './routes.ts';

const ASK_DEADLINE_MS = 1000;

/** What is asked, and how. */
export type Asked = {
  readonly message: Message;
  readonly resume: Message;
  readonly deadlineMs: number | undefined;
  readonly key: string | undefined;
};

export class Asking {
  private readonly mailbox: Mailbox;
  private readonly host: Host;
  private readonly asks: Asks;
  /** Numbers of the open asks of a key. */
  private readonly keyed = new Map<string, number[]>();

  constructor(mailbox: Mailbox, host: Host, shared: Int32Array) {
    this.mailbox = mailbox;
    this.host = host;
    this.asks = new Asks(shared);
  }

  get open(): number {
    return this.asks.open;
  }

  /** `name` is what messages call whom it asks. */
  ask(route: Route, name: string, asked: Asked): void {
    if (asked.key !== undefined) this.giveUp(asked.key);
    if (route.lane === undefined || route.gone) return this.unreached([route], name, asked);
    const dueMs = this.dueMs(asked.deadlineMs);
    if (dueMs < 0) return this.fail(asked.resume, 'timeout', this.mailbox.out.trace());
    this.put(route, asked, dueMs, undefined);
    this.mailbox.wakeAt(dueMs);
  }

  /** Asks all of these; the first answer counts. */
  askAll(routes: readonly Route[], name: string, asked: Asked): void {
    if (asked.key !== undefined) this.giveUp(asked.key);
    const reached = routes.filter((route) => route.lane !== undefined && !route.gone);
    if (reached.length === 0) return this.unreached(routes, name, asked);
    const dueMs = this.dueMs(asked.deadlineMs);
    if (dueMs < 0) return this.fail(asked.resume, 'timeout', this.mailbox.out.trace());
    const group = { open: reached.length, answered: false };
    for (const route of reached) this.put(route, asked, dueMs, group);
    this.mailbox.wakeAt(dueMs);
  }

  giveUp(key: string): void {
    const numbers = this.keyed.get(key);
    if (numbers === undefined) return;
    this.keyed.delete(key);
    for (const number of numbers) {
      const entry = this.asks.settle(number);
      if (entry !== undefined) this.host.stir(entry.route.lane!.to);
    }
  }

  /** Its answer has come: what it was asked for; undefined when it has ended before. */
  settle(ask: number): OpenAsk | undefined {
    const entry = this.asks.settle(ask);
    if (entry !== undefined) this.closed(entry);
    return entry;
  }

  /** False when another one of its group has answered before. */
  isFirst({ group }: OpenAsk): boolean {
    if (group === undefined) return true;
    const first = !group.answered;
    group.answered = true;
    return first;
  }

  /** The question found no room: it fails at once. */
  refused(ask: number): void {
    const entry = this.settle(ask);
    if (entry !== undefined) this.failed(entry, 'mailbox-full');
  }

  /** The register has moved: the askeds' lives have changed. */
  lives(changed: (target: number, incarnation: number) => boolean): void {
    this.takeAll((a) => changed(a.route.target, a.incarnation), 'target-restarted');
  }

  expire(nowMs: number): void {
    this.takeAll((a) => a.dueMs <= nowMs, 'timeout');
  }

  nextDueMs(): number {
    return this.asks.nextDueMs();
  }

  /** When an ask that begins now is over, monotonic milliseconds; -1 when nothing is left for it. */
  private dueMs(deadlineMs: number | undefined): number {
    const nowMs = monotonicMs();
    const allowance = this.mailbox.deadlines.current();
    if (allowance === undefined) return nowMs + (deadlineMs ?? ASK_DEADLINE_MS);
    const leftMs = allowance.dueMs - nowMs;
    return leftMs <= 0 ? -1 : nowMs + Math.min(leftMs, deadlineMs ?? leftMs);
  }

  private unreached(routes: readonly Route[], name: string, { message, resume }: Asked): void {
    this.host.dead(this.mailbox, missing(routes), name, message.kind);
    this.fail(resume, 'no-such-actor', this.mailbox.out.trace());
  }

  private put(
    route: Route,
    { message, resume, key }: Asked,
    dueMs: number,
    group: AskGroup | undefined,
  ): void {
    const { mailbox, host } = this;
    const trace = mailbox.out.trace();
    const { protocol } = route;
    const lane = route.lane!;
    const incarnation = host.incarnation(route.target);
    const allowance = mailbox.deadlines.current();
    const ask = this.asks.add({
      slot: -1,
      resume,
      route,
      protocol,
      incarnation,
      dueMs,
      trace,
      allowance,
      group,
      key,
    });
    if (ask < 0) {
      if (lastOf(group)) this.fail(resume, 'mailbox-full', trace);
      return;
    }
    if (key !== undefined) this.keyed.set(key, [...(this.keyed.get(key) ?? []), ask]);
    mailbox.out.deadline = dueMs;
    if (mailbox.held.length === 0) {
      if (mailbox.write(lane, protocol, message, ask)) return;
      if (mailbox.relieved || route.onFull !== 'backpressure') return this.refused(ask);
    }
    mailbox.held.push({ lane, route, protocol, message, ask });
  }

  private takeAll(which: (entry: OpenAsk) => boolean, failure: AskFailure): void {
    for (const entry of this.asks.take(which)) {
      this.closed(entry);
      this.failed(entry, failure);
    }
  }

  private closed({ key, slot }: OpenAsk): void {
    if (key === undefined) return;
    const left = (this.keyed.get(key) ?? []).filter((ask) => slotOf(ask) !== slot);
    if (left.length > 0) this.keyed.set(key, left);
    else this.keyed.delete(key);
  }

  private failed(entry: OpenAsk, failure: AskFailure): void {
    if (!lastOf(entry.group)) return;
    this.fail(entry.resume, failure, entry.trace, entry);
  }

  private fail(resume: Message, error: AskFailure, trace: Trace, entry?: OpenAsk): void {
    const message = { ...resume, result: { ok: false, error } } as Message;
    this.mailbox.own({ message, trace, cause: CAUSE.answer, allowance: entry?.allowance });
  }
}

/** Of a group only the last failure is told, when nobody has answered. */
const lastOf = (group: AskGroup | undefined): boolean =>
  group === undefined || (--group.open === 0 && !group.answered);

const missing = (routes: readonly Route[]): 'actor-stopped' | 'no-such-actor' =>
  routes.some((route) => route.lane !== undefined) ? 'actor-stopped' : 'no-such-actor';
