/**
 * The inside of an actor thread: loads modules, connects lanes, opens and closes actors, and reports to the main
 * thread. `worker.ts` binds it to a real thread.
 */
import { mkdirSync } from 'node:fs';
import { openCustody } from '#native/custody.ts';
import { isQuestion } from '#native/lanes/fields.ts';
import { Lane } from '#native/lanes/lane.ts';
import { openRegister } from '#native/lanes/register.ts';
import { SlabPool } from '#native/lanes/slab.ts';
import { openWakers } from '#native/lanes/wakers.ts';
import type { Actor, IoAdapter } from './actor.ts';
import { dumpOf } from './flight/report.ts';
import { type Host, hostOf, thrown } from './host.ts';
import { type Inspection, inspectionOf } from './inspection.ts';
import { Mailbox } from './mailbox.ts';
import { type MetricsWriter, writeMetrics } from './metrics.ts';
import { portOf } from './port.ts';
import { type OutLane, Routes } from './routes.ts';
import { type Machine, Shell } from './shell.ts';
import type {
  Beat,
  Link,
  MainControl,
  Resident,
  Sending,
  ThreadControl,
  ThreadEvent,
  ThreadSetup,
} from './thread.ts';
import { Sight } from './trace/sight.ts';
import type { TapSpec } from './trace/tap.ts';

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
  private readonly sight: Sight;
  private readonly custody: ReturnType<typeof openCustody>;
  private readonly shell: Shell;
  private readonly host: Host;
  private readonly loaded = new Map<number, Loaded>();
  private readonly mailboxes = new Map<number, Mailbox>();
  private links: readonly Link[] = [];

  constructor(setup: ThreadSetup, outside: Outside) {
    this.setup = setup;
    this.outside = outside;
    const wakers = openWakers(setup.wakers);
    const register = openRegister(setup.register);
    const pool = new SlabPool(setup.arena, setup.thread, wakers);
    this.machine = { wakers, register, pool };
    this.sight = new Sight(setup.sight, (line) => outside.post({ kind: 'tapped', line }));
    this.custody = openCustody(setup.custody, setup.thread);
    const { sight } = this;
    const inside = { register, pool, sight, flightMessages: setup.flightMessages };
    this.host = hostOf(() => this.shell, inside, setup.places, outside);
    this.shell = new Shell(setup, this.machine, {
      crash: (mailbox, error) => this.host.crash(mailbox, mailbox.kind, error),
      ending: (mailbox) => void this.end(mailbox),
    });
  }

  async load(): Promise<readonly Sending[]> {
    const entries: Loaded[] = [];
    // One after the other: of two graphs that are imported at once and share a CommonJS module, Node 24 has
    // been seen to give the second one the module before its exports.
    for (const resident of this.setup.residents) entries.push(await load(resident));
    for (const entry of entries) this.loaded.set(entry.resident.index, entry);
    return entries.flatMap(sendingsOf);
  }

  connect(links: readonly Link[]): void {
    this.links = links;
  }

  async open(actor: number): Promise<void> {
    const entry = this.loaded.get(actor)!;
    const mailbox = this.mailboxOf(entry);
    this.mailboxes.set(actor, mailbox);
    mailbox.metrics.gauge('suspended', 0);
    const { io, core } = entry.actor;
    if (io !== undefined) {
      const { config, dataDir } = entry.resident;
      mkdirSync(dataDir, { recursive: true, mode: 0o700 });
      const { custody, setup, outside } = this;
      const traceparent = (): string => this.sight.traceparent();
      const around = { node: setup.node, custody, main: outside.main, traceparent };
      const port = portOf(mailbox, dataDir, around);
      mailbox.adapter = (await io(config, port)) as IoAdapter<Record<string, unknown>>;
    }
    try {
      this.shell.enter(mailbox, 'start', () => core.start?.(mailbox.state, mailbox, mailbox.atMs));
    } catch (error) {
      this.dump(mailbox, error);
      throw error;
    }
    if (!mailbox.closed) this.shell.add(mailbox);
  }

  drain(actor: number): boolean {
    const mailbox = this.mailboxes.get(actor);
    const drain = mailbox?.actor.core.drain;
    if (mailbox === undefined || drain === undefined) return false;
    mailbox.suspended = false;
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

  async close(actor: number): Promise<void> {
    const mailbox = this.mailboxes.get(actor);
    if (mailbox === undefined) return;
    this.shell.remove(mailbox);
    this.mailboxes.delete(actor);
    mailbox.close();
    await mailbox.adapter?.close?.();
  }

  relieve(actor: number): number {
    const mailbox = this.mailboxes.get(actor);
    if (mailbox === undefined) return 0;
    mailbox.relieved = true;
    const discarded = mailbox.held.discard();
    this.shell.soon();
    return discarded;
  }

  tap(specs: readonly TapSpec[]): void {
    this.sight.tap(specs);
  }

  ping(): Promise<Beat> {
    const startMs = performance.now();
    return new Promise((resolve) => {
      setImmediate(() => resolve(this.beat(startMs)));
    });
  }

  inspect(actor: number): Inspection {
    return inspectionOf(this.at(actor), this.setup.places);
  }

  suspend(actor: number, suspended: boolean): void {
    const mailbox = this.at(actor);
    mailbox.suspended = suspended;
    mailbox.metrics.gauge('suspended', suspended ? 1 : 0);
    this.shell.soon();
  }

  private at(actor: number): Mailbox {
    const mailbox = this.mailboxes.get(actor);
    if (mailbox === undefined) throw new RangeError('it does not run');
    return mailbox;
  }

  /** Its start has failed: the report of it, before the failure itself is told. */
  private dump(mailbox: Mailbox, error: unknown): void {
    const { index: actor, path, out } = mailbox;
    const crash = { actor, path, kind: 'start', ...thrown(error), trace: out.traceId() };
    this.outside.post({ kind: 'dumped', crash, dump: dumpOf(mailbox, 'start', error) });
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
    this.outside.post({ kind: 'ended', actor: mailbox.index, reason, text });
  }

  private laneOf(link: Link): Lane {
    const threadOf = (actor: number): number => this.setup.places[actor]!.thread;
    const ends = { index: link.from, from: threadOf(link.from), to: threadOf(link.to) };
    const { wakers, pool } = this.machine;
    return new Lane(link.memory, ends, wakers, pool, link.depthMax);
  }

  private mailboxOf({ resident, actor, metrics }: Loaded): Mailbox {
    const { index, config, module } = resident;
    const { path } = this.setup.places[index]!;
    const { register } = this.machine;
    const lanes = new Map<number, OutLane>();
    for (const link of this.links) {
      if (link.from !== index) continue;
      const lane = this.laneOf(link);
      lane.resume();
      lanes.set(link.to, { lane, onFull: link.onFull, answersOnly: link.answersOnly });
    }
    const inputs = this.links.filter((l) => l.to === index).map((l) => this.laneOf(l));
    for (const lane of inputs) lane.recover();
    const routes = new Routes(this.setup.places, path, register, lanes);
    const incarnation = register.incarnation(index);
    const who = { index, path, incarnation, routes, inputs, metrics, config, module };
    return new Mailbox(this.host, who, actor, actor.core.init(config));
  }
}
