/** What a core writes to: effects go straight into lanes. One object an actor, reused for every step. */
import type {
  Address,
  Delivered,
  LogFields,
  LogLevel,
  ReplyTo,
  ServiceKey,
  SystemEvent,
} from '../actor.ts';
import type { Host } from '../thread/host.ts';
import { parseTraceparent } from '../trace/context.ts';
import { CAUSE } from '../trace/ring.ts';
import type { Message } from './asks.ts';
import type { OutEnvelope } from './envelope.ts';
import type { HeldMessages } from './held.ts';
import type { Mailbox } from './mailbox.ts';
import type { Route, Routes } from './routes.ts';

type Commands = Record<string, (argument: unknown) => void | Promise<void>>;

export class Sink {
  private readonly mailbox: Mailbox;
  private readonly host: Host;
  private readonly routes: Routes;
  private readonly out: OutEnvelope;
  private readonly held: HeldMessages;

  constructor(mailbox: Mailbox, host: Host) {
    this.mailbox = mailbox;
    this.host = host;
    this.routes = mailbox.routes;
    this.out = mailbox.out;
    this.held = mailbox.held;
  }

  tell(to: Address, message: Message): void {
    const route = this.routes.to(to);
    if (route.pool === undefined) this.tellOne(route, to, message);
    else {
      const receivers = route.pool.receivers(message);
      for (const member of receivers) this.tellOne(member, to, message);
      if (receivers.length === 0)
        this.host.dead(this.mailbox, 'actor-stopped', to.name, message.kind);
    }
  }

  ask(to: Address, message: Message, resume: Message, deadlineMs?: number, key?: string): void {
    const route = this.routes.to(to);
    const { pool } = route;
    const asked = { message, resume, deadlineMs, key };
    if (pool === undefined) return this.mailbox.asking.ask(route, to.name, asked);
    const receivers = pool.receivers(message);
    const members = receivers.length > 0 ? receivers : pool.members;
    this.mailbox.asking.askAll(members, to.name, asked);
  }

  giveUp(key: string): void {
    this.mailbox.asking.giveUp(key);
  }

  whenCancelled(to: ReplyTo<unknown>, message: Message): void {
    this.mailbox.cancellations.add(to, message);
    this.mailbox.wakeAt(to.dueMs ?? Number.POSITIVE_INFINITY);
  }

  deliver(to: Address, message: Message, n: number, resume: Message): void {
    const route = this.routes.to(to);
    if (route.pool !== undefined && route.pool.place.route !== 'consistent-hash') {
      throw new TypeError(
        `${to.name}: a delivery needs one receiver: a member, or consistent-hash`,
      );
    }
    const one = route.pool === undefined ? route : route.pool.receivers(message)[0];
    this.mailbox.deliveries.deliver(one ?? route, to.name, message, n, resume);
  }

  confirm(delivery: Delivered): void {
    this.mailbox.receipts.confirm(delivery);
  }

  reply(to: ReplyTo<unknown>, answer: object): void {
    this.mailbox.deadlines.answered(to);
    this.mailbox.cancellations.answered(to);
    const lane = this.routes.lanes.get(to.from)?.lane;
    if (lane === undefined || this.mailbox.unclaimed(to)) {
      if (lane === undefined)
        this.host.dead(this.mailbox, 'no-such-actor', `#${to.from}`, 'answer');
      return;
    }
    this.out.deadline = 0;
    if (this.held.length === 0) {
      // A quarter of every lane is kept for answers, so an answer never waits behind tells.
      this.out.room = 0;
      if (this.mailbox.protocol.sendReply(lane, answer, this.out, to)) {
        if (!lane.dirty) this.host.touch(lane);
        return;
      }
      if (this.mailbox.relieved) {
        this.host.dead(this.mailbox, 'mailbox-full', `#${to.from}`, 'answer');
        return;
      }
    }
    const { protocol } = this.mailbox;
    this.held.push({ lane, route: undefined, protocol, message: answer, ask: 0, to });
  }

  after(delayMs: number, message: Message, key?: string): void {
    const trace = this.mailbox.rootless ? undefined : this.out.trace();
    this.mailbox.timers.after(delayMs, key, (ticket) =>
      this.mailbox.own({ message, trace, cause: CAUSE.timer, ticket }),
    );
  }

  every(periodMs: number, message: Message, key: string): void {
    this.mailbox.timers.every(periodMs, key, (ticket) =>
      this.mailbox.own({ message, trace: undefined, cause: CAUSE.timer, ticket }),
    );
  }

  cancel(key: string): void {
    this.mailbox.timers.cancel(key);
  }

  watch(to: Address, message: Message): void {
    this.mailbox.watches.add(targetsOf(this.routes.to(to)), message);
  }

  unwatch(to: Address): void {
    this.mailbox.watches.remove(targetsOf(this.routes.to(to)));
  }

  stash(message: Message): void {
    this.mailbox.stashed.add(message);
  }

  unstash(): void {
    this.mailbox.local.putBack(this.mailbox.stashed.take());
    this.host.soon();
  }

  register(key: ServiceKey): void {
    this.mailbox.services.register(key);
  }

  deregister(key: ServiceKey): void {
    this.mailbox.services.deregister(key);
  }

  find(key: ServiceKey, resume: Message): void {
    this.mailbox.services.find(key, resume);
  }

  subscribe(key: ServiceKey, resume: Message): void {
    this.mailbox.services.subscribe(key, resume);
  }

  unsubscribe(key: ServiceKey): void {
    this.mailbox.services.unsubscribe(key);
  }

  io(command: string, argument: unknown): void {
    const call = (this.mailbox.adapter?.commands as Commands | undefined)?.[command];
    if (call === undefined)
      throw new TypeError(`${this.mailbox.path} has no io command ${command}`);
    const promise = this.host.sight.command(this.mailbox, call, argument);
    if (promise === undefined) return;
    this.mailbox.calls.push(promise);
    promise.catch((error: unknown) => this.host.crash(this.mailbox, `io ${command}`, error));
  }

  under(traceparent: string, body: () => void): void {
    this.host.sight.under(this.mailbox, parseTraceparent(traceparent), body);
  }

  emit(name: string, value: number): void {
    this.mailbox.metrics.emit(name, value);
  }

  gauge(name: string, value: number): void {
    this.mailbox.metrics.gauge(name, value);
  }

  signal(event: SystemEvent): void {
    this.host.signal(this.mailbox, event);
  }

  log(level: LogLevel, text: string, fields?: LogFields): void {
    this.host.log(this.mailbox, level, text, fields);
  }

  stop(reason: 'normal' | 'halt', text = ''): void {
    this.mailbox.ending ??= { reason, text };
  }

  private tellOne(route: Route, to: Address, message: Message): void {
    const { lane } = route;
    if (lane === undefined || route.gone) {
      const reason = lane !== undefined ? 'actor-stopped' : 'no-such-actor';
      this.host.dead(this.mailbox, reason, to.name, message.kind);
      return;
    }
    this.out.deadline = 0;
    if (this.held.length === 0) {
      if (this.mailbox.write(lane, route.protocol, message, 0)) return;
      if (this.mailbox.relieved || route.onFull !== 'backpressure') {
        const reason = route.onFull === 'drop-new' ? 'dropped-new' : 'mailbox-full';
        this.host.dead(this.mailbox, reason, to.name, message.kind);
        return;
      }
    }
    this.held.push({ lane, route, protocol: route.protocol, message, ask: 0 });
  }
}

/** The actors that an address stands for. */
const targetsOf = ({ target, pool }: Route): readonly number[] =>
  pool === undefined ? (target < 0 ? [] : [target]) : pool.members.map((member) => member.target);
