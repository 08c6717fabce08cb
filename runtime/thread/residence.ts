/**
 * The inside of an actor thread: loads modules, connects lanes, opens and closes actors, and reports to the main
 * thread. `worker.ts` binds it to a real thread.
 */
import { mkdirSync } from 'node:fs';
import { openCustody } from '#native/custody.ts';
import { openRegister } from '#native/lanes/register.ts';
import { SlabPool } from '#native/lanes/slab.ts';
import { openWakers } from '#native/lanes/wakers.ts';
import type { IoAdapter } from '../actor.ts';
import { type Inspection, inspectionOf } from '../control/inspection.ts';
import { dumpOf } from '../flight/report.ts';
import { cutShort } from '../mailbox/fall.ts';
import type { Mailbox } from '../mailbox/mailbox.ts';
import type { Directory } from '../mailbox/services.ts';
import { sendingsOf } from '../system/sendings.ts';
import type {
  Beat,
  Crash,
  Link,
  MainControl,
  Sending,
  ServiceTable,
  ThreadControl,
  ThreadEvent,
  ThreadSetup,
} from '../system/thread.ts';
import { Sight } from '../trace/sight.ts';
import type { TapSpec } from '../trace/tap.ts';
import { mailboxOf } from './birth.ts';
import { crashReason, type Fall, type Host, hostOf, thrown } from './host.ts';
import { type Loaded, load } from './loading.ts';
import { type Passivation, passivate } from './passivation.ts';
import { portOf, withDeadline } from './port.ts';
import { type Machine, Shell } from './shell.ts';

/** The way out of the thread. */
export type Outside = {
  readonly main: MainControl;
  readonly post: (event: ThreadEvent) => void;
  readonly exit: () => void;
};

/** How long the io of an actor that restarts by itself, or wakes up, may take to open. */
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
  private readonly sight: Sight;
  private readonly custody: ReturnType<typeof openCustody>;
  private readonly shell: Shell;
  private readonly host: Host;
  private readonly loaded = new Map<number, Loaded>();
  /** What is being done to an actor: openings and closings take their turns. */
  private readonly turns = new Map<number, Promise<unknown>>();
  private readonly mailboxes = new Map<number, Mailbox>();
  /** Events that the main thread is to be told soon. */
  private readonly untold: (() => ThreadEvent)[] = [];
  private readonly passivations = new Map<Mailbox, Passivation>();
  private links: readonly Link[] = [];
  private directory: Directory | undefined;
  /** A new thread is told to load, to connect and to open all at once. */
  private loading: Promise<unknown> | undefined;

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
    const inside = { ...this.machine, sight, flightMessages: setup.flightMessages };
    this.host = hostOf(() => this.shell, inside, setup, {
      post: (event) => this.post(event),
      fallen: (mailbox, fall) => this.fallen(mailbox, fall),
    });
    this.shell = new Shell(setup, this.machine, {
      crash: (mailbox, error) => this.host.crash(mailbox, mailbox.kind, error),
      ending: (mailbox) => void this.end(mailbox),
      waking: (mailbox) => void this.passivations.get(mailbox)?.wake(),
    });
  }

  load(): Promise<readonly Sending[]> {
    const loading = this.loadAll();
    this.loading = loading;
    return loading;
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

  open(actor: number): Promise<void> {
    return this.inTurn(actor, async () => {
      await this.loading;
      await this.begin(actor);
    });
  }

  drain(actor: number): boolean {
    const mailbox = this.mailboxes.get(actor);
    const drain = mailbox?.actor.core.drain;
    if (mailbox === undefined || drain === undefined || mailbox.rest !== 'awake') return false;
    mailbox.suspended = false;
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

  close(actor: number, waits = true): Promise<void> {
    return this.inTurn(actor, async () => {
      const mailbox = this.mailboxes.get(actor);
      if (mailbox === undefined) return;
      this.shell.remove(mailbox);
      this.mailboxes.delete(actor);
      this.stayAwake(mailbox);
      mailbox.close();
      const closing = closeIo(mailbox);
      if (waits) await closing;
      else
        closing.catch((error: unknown) => {
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

  tap(specs: readonly TapSpec[]): void {
    this.sight.tap(specs);
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

  private async loadAll(): Promise<readonly Sending[]> {
    const entries: Loaded[] = [];
    // One after the other: of two graphs that are imported at once and share a CommonJS module, Node 24 has
    // been seen to give the second one the module before its exports.
    const { places, residents } = this.setup;
    for (const resident of residents) {
      entries.push(await load(resident, places[resident.index]!.path));
    }
    for (const entry of entries) this.loaded.set(entry.resident.index, entry);
    return entries.flatMap(({ resident, actor }) =>
      sendingsOf(places[resident.index]!, actor, resident.config),
    );
  }

  private async begin(actor: number): Promise<void> {
    const entry = this.loaded.get(actor)!;
    const { host, machine, setup, links } = this;
    const directory = this.directory!;
    const mailbox = mailboxOf({ host, machine, setup, links, directory }, entry);
    this.mailboxes.set(actor, mailbox);
    mailbox.metrics.gauge('suspended', 0);
    try {
      await this.enliven(mailbox, entry);
    } catch (error) {
      if (mailbox.kind === 'start') this.dump(mailbox, error);
      throw error;
    }
    if (mailbox.closed) return;
    this.shell.add(mailbox);
    this.maySleep(mailbox, entry);
  }

  /** Opens its io and starts its core. */
  private async enliven(mailbox: Mailbox, entry: Loaded): Promise<void> {
    const { io, core } = entry.actor;
    if (io !== undefined) {
      const { config, dataDir } = entry.resident;
      mkdirSync(dataDir, { recursive: true, mode: 0o700 });
      const { custody, setup, outside } = this;
      const traceparent = (): string => this.sight.traceparent();
      const around = { node: setup.node, custody, main: outside.main, traceparent };
      const port = portOf(mailbox, dataDir, around);
      mailbox.adapter = (await io(config, port)) as IoAdapter<Record<string, unknown>>;
      if (mailbox.closed) return closeIo(mailbox); // it has crashed meanwhile
    }
    this.shell.enter(mailbox, 'start', () => core.start?.(mailbox.state, mailbox.fx, mailbox.atMs));
  }

  private maySleep(mailbox: Mailbox, entry: Loaded): void {
    const { index, passivateMs, closeMs, config } = entry.resident;
    if (passivateMs === undefined) return;
    const passivation = passivate(mailbox, passivateMs, {
      open: () =>
        this.inTurn(index, async () => {
          if (mailbox.closed) return;
          mailbox.refresh(entry.actor.core.init(config));
          await withDeadline(this.enliven(mailbox, entry), BEGIN_MS, 'opening its io');
        }),
      close: async () => withDeadline(closeIo(mailbox), closeMs, 'closing its io'),
      crash: (phase, error) => {
        const isStart = phase === 'open' && mailbox.kind === 'start';
        this.host.crash(mailbox, isStart ? 'start' : phase, error);
      },
      soon: () => this.shell.soon(),
    });
    this.passivations.set(mailbox, passivation);
  }

  private stayAwake(mailbox: Mailbox): void {
    this.passivations.get(mailbox)?.stop();
    this.passivations.delete(mailbox);
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
  private fallen(mailbox: Mailbox, fall: Fall): void {
    const { index } = mailbox;
    this.shell.remove(mailbox);
    this.stayAwake(mailbox);
    const inputs = this.links.filter((l) => l.to === index);
    cutShort(mailbox, inputs, this.machine.pool, fall.reason);
    this.shell.flush();
    void this.inTurn(index, () => this.renew(mailbox, fall));
  }

  /** Closes what crashed and, where its supervisor has granted it, begins the next incarnation at once. */
  private async renew(mailbox: Mailbox, { reason, crash, dump }: Fall): Promise<void> {
    const { index } = mailbox;
    const { register } = this.machine;
    if (this.mailboxes.get(index) !== mailbox) return; // closed meanwhile, by its supervisor
    // Without room it would only fail again at once.
    const granted = reason !== 'no-room' && register.claim(index);
    if (granted) {
      register.end(index, 'down');
      register.open(index);
    }
    this.mailboxes.delete(index);
    const outcome = granted ? 'restarts' : 'waits';
    this.postLater(() => ({ kind: 'crash', crash: crash(), outcome, dump: dump() }));
    try {
      const { closeMs } = this.loaded.get(index)!.resident;
      const isOpen = mailbox.adapter !== undefined || mailbox.closing !== undefined;
      if (isOpen) await withDeadline(closeIo(mailbox), closeMs, 'closing its io');
      if (!granted) return;
      const beginning = this.begin(index);
      if (this.loaded.get(index)!.actor.io === undefined) await beginning;
      else await withDeadline(beginning, BEGIN_MS, 'opening its io');
    } catch (error) {
      this.giveUp(crash(), error);
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
    this.post({ kind: 'crash', crash, outcome: 'ends', dump: undefined });
    this.outside.exit();
  }

  /** Its start has failed: the report of it, before the failure itself is told. */
  private dump(mailbox: Mailbox, error: unknown): void {
    const { index: actor, path, out } = mailbox;
    const reason = crashReason(error);
    const trace = out.traceId();
    const crash = { actor, path, reason, kind: 'start', trace, ...thrown(error) };
    this.post({ kind: 'dumped', crash, dump: dumpOf(mailbox, 'start', error) });
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
    this.post({ kind: 'ended', actor: mailbox.index, reason, text });
  }
}

/** Closes its io once; whoever asks again learns how that goes. */
const closeIo = (mailbox: Mailbox): Promise<void> => {
  const { adapter } = mailbox;
  if (adapter !== undefined) {
    mailbox.adapter = undefined;
    mailbox.closing = (async () => adapter.close?.())();
  }
  return mailbox.closing ?? Promise.resolve();
};
