/**
 * The inside of an actor thread: loads modules, connects lanes, opens and closes actors, and reports to the main
 * thread. `worker.ts` binds it to a real thread.
 */
import { mkdirSync } from 'node:fs';
import { z } from 'zod';
import { openCustody } from '#native/custody.ts';
import { Lane } from '#native/lanes/lane.ts';
import { openRegister } from '#native/lanes/register.ts';
import { SlabPool } from '#native/lanes/slab.ts';
import { openWakers } from '#native/lanes/wakers.ts';
import type { Actor, IoAdapter } from './actor.ts';
import { openAsksOf } from './asks.ts';
import { type Host, hostOf, thrown } from './host.ts';
import { type Identity, Mailbox } from './mailbox.ts';
import { type MetricsWriter, writeMetrics } from './metrics.ts';
import { type Passivation, passivate } from './passivation.ts';
import { portOf } from './port.ts';
import { Receipts } from './receipts.ts';
import { type OutLane, Routes } from './routes.ts';
import { sendingsOf, servicesOf } from './sendings.ts';
import type { Directory } from './services.ts';
import { type Machine, Shell } from './shell.ts';
import type {
  Beat,
  Link,
  MainControl,
  Resident,
  Sending,
  ServiceTable,
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

const load = async (given: Resident, path: string): Promise<Loaded> => {
  const { default: actor } = (await import(given.module)) as { readonly default?: Actor };
  if (actor?.core === undefined) {
    throw new TypeError(`${path}: ${given.module} exports no actor by default (defineActor)`);
  }
  const config = given.rawConfig ? configOf(actor, given.config, path) : given.config;
  return { resident: { ...given, config }, actor, metrics: writeMetrics(given.metrics) };
};

const configOf = (actor: Actor, given: unknown, path: string): unknown => {
  const result = actor.config.safeParse(given);
  if (result.success) return result.data;
  throw new TypeError(`${path}.config: ${z.prettifyError(result.error)}`);
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
  private readonly custody: ReturnType<typeof openCustody>;
  private readonly shell: Shell;
  private readonly host: Host;
  private readonly loaded = new Map<number, Loaded>();
  private readonly mailboxes = new Map<number, Mailbox>();
  private readonly passivations = new Map<Mailbox, Passivation>();
  private links: readonly Link[] = [];
  private directory: Directory | undefined;

  constructor(setup: ThreadSetup, outside: Outside) {
    this.setup = setup;
    this.outside = outside;
    const wakers = openWakers(setup.wakers);
    const register = openRegister(setup.register);
    const pool = new SlabPool(setup.arena, setup.thread, wakers);
    this.machine = { wakers, register, pool };
    this.custody = openCustody(setup.custody, setup.thread);
    const { places, openAsks } = setup;
    this.host = hostOf(() => this.shell, { ...this.machine, openAsks }, places, outside);
    this.shell = new Shell(setup, this.machine, {
      crash: (mailbox, error) => this.host.crash(mailbox, mailbox.kind, error),
      ending: (mailbox) => void this.end(mailbox),
      waking: (mailbox) => void this.passivations.get(mailbox)?.wake(),
    });
  }

  async load(): Promise<readonly Sending[]> {
    const entries: Loaded[] = [];
    // One after the other: of two graphs that are imported at once and share a CommonJS module, Node 24 has
    // been seen to give the second one the module before its exports.
    for (const resident of this.setup.residents) {
      entries.push(await load(resident, this.setup.places[resident.index]!.path));
    }
    for (const entry of entries) this.loaded.set(entry.resident.index, entry);
    return entries.flatMap(({ resident, actor }) =>
      sendingsOf(this.setup.places[resident.index]!, actor, resident.config),
    );
  }

  connect(links: readonly Link[], table: ServiceTable): void {
    this.links = links;
    const { register, wakers } = this.machine;
    const { places } = this.setup;
    const threads = [...new Set(places.map((p) => p.thread))];
    this.directory = {
      places,
      table,
      words: new Int32Array(table.memory),
      serving: (actor) => (register.life(actor) === 'up' ? register.incarnation(actor) : -1),
      stir: () => {
        register.stir();
        for (const thread of threads) wakers.wake(thread);
      },
    };
  }

  async open(actor: number): Promise<void> {
    const entry = this.loaded.get(actor)!;
    const mailbox = this.mailboxOf(entry);
    this.mailboxes.set(actor, mailbox);
    await this.enliven(mailbox, entry);
    if (mailbox.closed) return;
    this.shell.add(mailbox);
    const { passivateMs } = entry.resident;
    if (passivateMs === undefined) return;
    const passivation = passivate(mailbox, passivateMs, {
      open: async () => {
        mailbox.state = entry.actor.core.init(entry.resident.config);
        await this.enliven(mailbox, entry);
      },
      close: () => closeIo(mailbox),
      crash: (phase, error) => this.host.crash(mailbox, phase, error),
      soon: () => this.shell.soon(),
    });
    this.passivations.set(mailbox, passivation);
  }

  /** Opens its io and starts its core. */
  private async enliven(
    mailbox: Mailbox,
    { resident, actor: { io, core } }: Loaded,
  ): Promise<void> {
    if (io !== undefined) {
      const { config, dataDir } = resident;
      mkdirSync(dataDir, { recursive: true, mode: 0o700 });
      const { custody, setup, outside } = this;
      const port = portOf(mailbox, dataDir, { node: setup.node, custody, main: outside.main });
      mailbox.adapter = (await io(config, port)) as IoAdapter<Record<string, unknown>>;
    }
    this.shell.enter(mailbox, 'start', () => core.start?.(mailbox.state, mailbox.fx, mailbox.atMs));
  }

  drain(actor: number): boolean {
    const mailbox = this.mailboxes.get(actor);
    const drain = mailbox?.actor.core.drain;
    if (mailbox === undefined || drain === undefined || mailbox.rest !== 'awake') return false;
    // After the answer to this call, so that the caller knows what the end means.
    setImmediate(() => {
      try {
        this.shell.enter(mailbox, 'drain', () => drain(mailbox.state, mailbox.fx, mailbox.atMs));
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
    this.passivations.get(mailbox)?.stop();
    this.passivations.delete(mailbox);
    mailbox.close();
    await closeIo(mailbox);
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

  private beat(startMs: number): Beat {
    const open = [...this.mailboxes.values()];
    const memory = process.memoryUsage();
    return {
      lagMs: performance.now() - startMs,
      heapBytes: memory.heapUsed,
      arrayBufferBytes: memory.arrayBuffers,
      suspended: open.flatMap((m) => suspension(m, this.links)),
      openAsks: open.reduce((n, m) => n + m.asking.open, 0),
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
    const { index, config, stashMax } = resident;
    const { places, openAsks } = this.setup;
    const { path } = places[index]!;
    const { register } = this.machine;
    const lanes = new Map<number, OutLane>();
    const inputs: Lane[] = [];
    const receipts = new Receipts();
    for (const link of this.links) {
      const word = link.confirmed === undefined ? undefined : new BigInt64Array(link.confirmed);
      if (link.from === index) {
        const lane = this.laneOf(link);
        lane.resume();
        const { onFull, answersOnly } = link;
        lanes.set(link.to, { lane, onFull, answersOnly, ...(word && { confirmed: word }) });
      }
      if (link.to === index) {
        const lane = this.laneOf(link);
        lane.recover();
        inputs.push(lane);
        if (word !== undefined) receipts.addSender(link.from, lane.from, word);
      }
    }
    const who: Identity = {
      index,
      path,
      incarnation: register.incarnation(index),
      routes: new Routes(places, path, register, lanes),
      inputs,
      metrics,
      receipts,
      directory: this.directory!,
      openAsks: openAsksOf(openAsks, index),
      stashMax,
      ...servicesOf(actor, config),
    };
    return new Mailbox(this.host, who, actor, actor.core.init(config));
  }
}

/** Closes the io once. */
const closeIo = async (mailbox: Mailbox): Promise<void> => {
  const { adapter } = mailbox;
  mailbox.adapter = undefined;
  await adapter?.close?.();
};
