/**
 * The inside of an actor thread: loads modules, connects lanes, opens and closes actors, and reports to the main
 * thread. `worker.ts` binds it to a real thread.
 */
import { mkdirSync } from 'node:fs';
import { openCustody } from '#native/custody.ts';
import { isQuestion } from '#native/lanes/fields.ts';
import { Hand } from '#native/lanes/hand.ts';
import { Lane } from '#native/lanes/lane.ts';
import { compile } from '#native/lanes/layout.ts';
import { openRegister } from '#native/lanes/register.ts';
import { SlabPool } from '#native/lanes/slab.ts';
import { openWakers } from '#native/lanes/wakers.ts';
import type { Actor, IoAdapter } from './actor.ts';
import { cutShort, poisonOf } from './fall.ts';
import { type Host, hostOf, thrown } from './host.ts';
import { Mailbox } from './mailbox.ts';
import { type MetricsWriter, writeMetrics } from './metrics.ts';
import { portOf, withDeadline } from './port.ts';
import { type OutLane, Routes } from './routes.ts';
import { type Machine, Shell } from './shell.ts';
import type {
  Beat,
  Crash,
  Link,
  MainControl,
  Resident,
  Sending,
  ThreadControl,
  ThreadEvent,
  ThreadSetup,
} from './thread.ts';

type Loaded = {
  readonly resident: Resident;
  readonly actor: Actor;
  readonly metrics: MetricsWriter;
};

/** The way out of the thread. */
export type Outside = {
  readonly main: MainControl;
  readonly post: (event: ThreadEvent) => void;
  readonly exit: () => void;
};

/**
 * Imports a module that a spare thread may come to need, and compiles what its actor reads and writes.
 */
export const preload = async (url: string): Promise<void> => {
  const { default: actor } = (await import(url)) as { readonly default: Actor };
  compile(actor.self.declaration);
  if (typeof actor.sends === 'function') return;
  for (const to of actor.sends) compile(to.declaration);
};

const load = async (resident: Resident): Promise<Loaded> => {
  const module = (await import(resident.module)) as { readonly default: Actor };
  return { resident, actor: module.default, metrics: writeMetrics(resident.metrics) };
};

const sendingsOf = ({ resident, actor }: Loaded): Sending[] => {
  const { sends } = actor;
  const addresses = typeof sends === 'function' ? sends(resident.config) : sends;
  return addresses.map((to) => ({
    from: resident.index,
    actor: to.name,
    ...(to.branch === undefined ? {} : { branch: to.branch }),
    answers: Object.values(to.declaration).some(isQuestion),
  }));
};

/** How long the io of an actor that restarts by itself may take to open. */
const BEGIN_MS = 60_000;

/** What an actor waits for, if it does. */
const suspension = (mailbox: Mailbox, links: readonly Link[]): Beat['suspended'] => {
  const lane = mailbox.held.first();
  if (lane === undefined) return [];
  const link = links.find((l) => l.memory === lane.control.buffer);
  const on = lane.starved ? -1 : (link?.to ?? -1);
  return [{ actor: mailbox.index, on, forMs: performance.now() - mailbox.held.sinceMs }];
};

export class Residence implements ThreadControl {
  private readonly setup: ThreadSetup;
  private readonly outside: Outside;
  private readonly machine: Machine;
  private readonly custody: ReturnType<typeof openCustody>;
  private readonly shell: Shell;
  private readonly host: Host;
  private readonly loaded = new Map<number, Loaded>();
  /** What is being done to an actor: openings and closings take their turns. */
  private readonly turns = new Map<number, Promise<unknown>>();
  private readonly mailboxes = new Map<number, Mailbox>();
  /** Events that the main thread is to be told soon. */
  private readonly untold: (() => ThreadEvent)[] = [];
  private links: readonly Link[] = [];
  /** A new thread is told to load, to connect and to open all at once. */
  private loading: Promise<unknown> | undefined;

  constructor(setup: ThreadSetup, outside: Outside) {
    this.setup = setup;
    this.outside = outside;
    const wakers = openWakers(setup.wakers);
    const register = openRegister(setup.register);
    const pool = new SlabPool(setup.arena, setup.thread, wakers);
    this.machine = { wakers, register, pool };
    this.custody = openCustody(setup.custody, setup.thread);
    this.host = hostOf(() => this.shell, this.machine, setup, {
      post: (event) => this.post(event),
      fallen: (mailbox, reason, report) => this.fallen(mailbox, reason, report),
    });
    this.shell = new Shell(setup, this.machine, {
      crash: (mailbox, error) => this.host.crash(mailbox, mailbox.kind, error),
      ending: (mailbox) => void this.end(mailbox),
    });
  }

  load(): Promise<readonly Sending[]> {
    const loading = this.loadAll();
    this.loading = loading;
    return loading;
  }

  connect(links: readonly Link[]): void {
    this.links = links;
  }

  open(actor: number): Promise<void> {
    return this.inTurn(actor, async () => {
      await this.loading;
      await this.begin(actor);
    });
  }

  drain(actor: number): boolean {
    const mailbox = this.mailboxes.get(actor);
    const drain = mailbox?.actor.core.drain;
    if (mailbox === undefined || drain === undefined) return false;
    // After the answer to this call, so that the caller knows what the end means.
    setImmediate(() => {
      try {
        this.shell.enter(mailbox, 'drain', () => drain(mailbox.state, mailbox, mailbox.atMs));
      } catch (error) {
        this.host.crash(mailbox, 'drain', error);
      }
    });
    return true;
  }

  close(actor: number, waits = true): Promise<void> {
    return this.inTurn(actor, async () => {
      const mailbox = this.mailboxes.get(actor);
      if (mailbox === undefined) return;
      this.shell.remove(mailbox);
      this.mailboxes.delete(actor);
      mailbox.close();
      const closing = mailbox.adapter?.close?.();
      if (waits) await closing;
      else
        closing?.catch((error: unknown) => {
          this.host.log(mailbox, 'error', 'closing failed', thrown(error));
        });
    });
  }

  relieve(actor: number): number {
    const mailbox = this.mailboxes.get(actor);
    if (mailbox === undefined) return 0;
    mailbox.relieved = true;
    const discarded = mailbox.held.discard();
    this.shell.soon();
    return discarded;
  }

  ping(): Promise<Beat> {
    const startMs = performance.now();
    return new Promise((resolve) => {
      setImmediate(() => resolve(this.beat(startMs)));
    });
  }

  private async loadAll(): Promise<readonly Sending[]> {
    const entries: Loaded[] = [];
    // One after the other: of two graphs that are imported at once and share a CommonJS module, Node 24 has
    // been seen to give the second one the module before its exports.
    for (const resident of this.setup.residents) entries.push(await load(resident));
    for (const entry of entries) this.loaded.set(entry.resident.index, entry);
    return entries.flatMap(sendingsOf);
  }

  private async begin(actor: number): Promise<void> {
    const entry = this.loaded.get(actor)!;
    const mailbox = this.mailboxOf(entry);
    this.mailboxes.set(actor, mailbox);
    const { io, core } = entry.actor;
    if (io !== undefined) {
      const { config, dataDir } = entry.resident;
      mkdirSync(dataDir, { recursive: true, mode: 0o700 });
      const { custody, setup, outside } = this;
      const port = portOf(mailbox, dataDir, { node: setup.node, custody, main: outside.main });
      mailbox.adapter = (await io(config, port)) as IoAdapter<Record<string, unknown>>;
    }
    this.shell.enter(mailbox, 'start', () => core.start?.(mailbox.state, mailbox, mailbox.atMs));
    if (!mailbox.closed) this.shell.add(mailbox);
  }

  /** Runs `work` after what is being done to this actor; at once when that is nothing. */
  private inTurn(actor: number, work: () => Promise<void>): Promise<void> {
    const before = this.turns.get(actor);
    const mine = before === undefined ? work() : before.then(work, work);
    this.turns.set(actor, mine);
    const over = (): void => {
      if (this.turns.get(actor) === mine) this.turns.delete(actor);
    };
    mine.then(over, over);
    return mine;
  }

  /** An actor has crashed. The thread and its other actors go on. */
  private fallen(mailbox: Mailbox, reason: Crash['reason'], report: () => Crash): void {
    const { index } = mailbox;
    this.shell.remove(mailbox);
    const inputs = this.links.filter((l) => l.to === index);
    cutShort(mailbox, inputs, this.machine.pool, reason);
    this.shell.flush();
    void this.inTurn(index, () => this.renew(mailbox, reason, report));
  }

  /** Closes what crashed and, where its supervisor has granted it, begins the next incarnation at once. */
  private async renew(
    mailbox: Mailbox,
    reason: Crash['reason'],
    report: () => Crash,
  ): Promise<void> {
    const { index, adapter } = mailbox;
    const { register } = this.machine;
    if (this.mailboxes.get(index) !== mailbox) return; // closed meanwhile, by its supervisor
    // Without room it would only fail again at once.
    const granted = reason !== 'no-room' && register.claim(index);
    if (granted) register.end(index, 'down');
    this.mailboxes.delete(index);
    const outcome = granted ? 'restarts' : 'waits';
    this.postLater(() => ({ kind: 'crash', crash: report(), outcome }));
    try {
      const { closeMs } = this.loaded.get(index)!.resident;
      const closing = adapter?.close?.();
      if (closing instanceof Promise) await withDeadline(closing, closeMs, 'closing its io');
      if (!granted) return;
      const beginning = this.begin(index);
      if (this.loaded.get(index)!.actor.io === undefined) await beginning;
      else await withDeadline(beginning, BEGIN_MS, 'opening its io');
    } catch (error) {
      this.giveUp(report(), error);
      return;
    }
    register.begin(index);
    this.postLater(() => ({ kind: 'restarted', actor: index }));
  }

  /** Tells the main thread, after what it is to be told first. */
  private post(event: ThreadEvent): void {
    this.tell();
    this.outside.post(event);
  }

  /** Tells it when the messages at hand have had their turn, or before the next event: in order all the same. */
  private postLater(event: () => ThreadEvent): void {
    this.untold.push(event);
    if (this.untold.length === 1) setImmediate(() => setImmediate(() => this.tell()));
  }

  private tell(): void {
    for (const event of this.untold.splice(0)) this.outside.post(event());
  }

  /** What cannot be closed or opened again needs a new thread. */
  private giveUp(before: Crash, error: unknown): void {
    if (this.shell.stopped) return;
    this.shell.stop();
    const crash = { ...before, kind: 'restart', ...thrown(error) };
    this.post({ kind: 'crash', crash, outcome: 'ends' });
    this.outside.exit();
  }

  private beat(startMs: number): Beat {
    const open = [...this.mailboxes.values()];
    const memory = process.memoryUsage();
    return {
      lagMs: performance.now() - startMs,
      heapBytes: memory.heapUsed,
      arrayBufferBytes: memory.arrayBuffers,
      suspended: open.flatMap((m) => suspension(m, this.links)),
      openAsks: open.reduce((n, m) => n + m.asks.open, 0),
    };
  }

  /** The actor has called `stop`. */
  private async end(mailbox: Mailbox): Promise<void> {
    const { reason, text } = mailbox.ending!;
    if (this.mailboxes.get(mailbox.index) !== mailbox) return;
    try {
      await this.close(mailbox.index);
    } catch (error) {
      this.host.log(mailbox, 'error', 'closing failed', thrown(error));
    }
    this.post({ kind: 'ended', actor: mailbox.index, reason, text });
  }

  private laneOf(link: Link): Lane {
    const threadOf = (actor: number): number => this.setup.places[actor]!.thread;
    const ends = { index: link.from, from: threadOf(link.from), to: threadOf(link.to) };
    const { wakers, pool } = this.machine;
    return new Lane(link.memory, ends, wakers, pool, link.depthMax);
  }

  private mailboxOf({ resident, actor, metrics }: Loaded): Mailbox {
    const { index, config } = resident;
    const { path } = this.setup.places[index]!;
    const { register } = this.machine;
    const received = this.links.filter((l) => l.to === index);
    const hand = new Hand(this.setup.hands, index);
    const broken = hand.suspect() === undefined ? undefined : hand.span();
    const poison = poisonOf(hand, received);
    const lanes = new Map<number, OutLane>();
    for (const link of this.links) {
      if (link.from !== index) continue;
      const lane = this.laneOf(link);
      lane.resume(broken);
      lanes.set(link.to, { lane, onFull: link.onFull, answersOnly: link.answersOnly });
    }
    const inputs = received.map((l) => this.laneOf(l));
    for (const lane of inputs) {
      lane.recover();
      if (lane.index === index) lane.twin = lanes.get(index)?.lane;
    }
    const routes = new Routes(this.setup.places, path, register, lanes);
    const incarnation = register.incarnation(index);
    const who = { index, path, incarnation, routes, inputs, metrics, hand };
    const mailbox = new Mailbox(this.host, who, actor, actor.core.init(config));
    if (poison !== undefined) {
      mailbox.out.readTrace(poison.header, 0);
      const kind = compile(actor.self.declaration).kinds[poison.kind] ?? '';
      this.host.dead(mailbox, 'poison', `#${poison.from}`, kind);
    }
    return mailbox;
  }
}
