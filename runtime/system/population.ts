/**
 * The actors and threads of a system, and the three things that are done to them: start an actor, stop an
 * actor, bury a dead thread. Decides nothing.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { custodyBytes } from '#native/custody.ts';
import { Hand, handsBytes } from '#native/lanes/hand.ts';
import { laneView } from '#native/lanes/lane.ts';
import { openRegister, type Register, registerBytes } from '#native/lanes/register.ts';
import { arenaTable, createArena } from '#native/lanes/slab.ts';
import { openSweep, type Sweep } from '#native/lanes/sweep.ts';
import { openWakers, type Wakers, wakersBytes } from '#native/lanes/wakers.ts';
import { openAskBytes } from '../mailbox/asks.ts';
import { putBack } from '../mailbox/fall.ts';
import { metricsBytes } from '../metrics/metrics.ts';
import {
  type ActorSpec,
  FLIGHT_MESSAGES,
  LANE_DEFAULTS,
  SLAB_DEFAULTS,
  STASH_DEFAULT,
  type SystemSpec,
} from '../spec.ts';
import { Sightings, TRACE_DEFAULTS } from '../trace/sightings.ts';
import type { TapSpec } from '../trace/tap.ts';
import { fillCodeCache } from './code-cache.ts';
import { actorsOf, type Place, placesOf } from './directory.ts';
import { layLanes } from './laying.ts';
import { openSpares, type Spares } from './spares.ts';
import type { Link, MainControl, Seed, ServiceTable, ThreadSetup } from './thread.ts';
import {
  bootThread,
  type End,
  spawnThread,
  type Thread,
  type ThreadListener,
  whileAlive,
} from './threads.ts';

const SPIN_US = 50;
const START_DEADLINE_MS = 60_000;
/** For the io of an actor that is not waited for at the stop. */
const CLOSE_MS = 1000;

/** One actor of the system. */
export type Member = {
  readonly place: Place;
  readonly spec: ActorSpec;
  readonly metrics: SharedArrayBuffer;
  state: 'starting' | 'running' | 'stopping' | 'stopped' | 'failed';
  restarts: number;
};

export type PopulationListener = ThreadListener & {
  /** There are no spare threads any more: they end by themselves. */
  readonly broken: (error: Error) => void;
};

/** Shared memory of a system with so many threads and actors. */
const memoryOf = (spec: SystemSpec, threads: number, actors: number) => {
  const { count, bytes } = spec.slabs ?? SLAB_DEFAULTS;
  return {
    wakers: new SharedArrayBuffer(wakersBytes(threads)),
    register: new SharedArrayBuffer(registerBytes(actors)),
    hands: new SharedArrayBuffer(handsBytes(actors)),
    custody: new SharedArrayBuffer(custodyBytes(threads)),
    openAsks: new SharedArrayBuffer(openAskBytes(actors)),
    arena: createArena(count, bytes, threads),
  };
};

const membersOf = (spec: SystemSpec, places: readonly Place[]): readonly Member[] =>
  actorsOf(spec.root).map(({ spec: actor }, k) => ({
    place: places[k]!,
    spec: actor,
    metrics: new SharedArrayBuffer(metricsBytes()),
    state: 'starting',
    restarts: 0,
  }));

export class Population {
  readonly members: readonly Member[];
  /** Addresses of `sends` that found nobody. */
  unresolved: readonly string[] = [];
  readonly sightings: Sightings;
  private readonly spec: SystemSpec;
  private readonly main: MainControl;
  private readonly on: PopulationListener;
  private readonly places: readonly Place[];
  private readonly threadCount: number;
  private readonly memory: ReturnType<typeof memoryOf>;
  private readonly wakers: Wakers;
  private readonly register: Register;
  private readonly byThread = new Map<number, Thread>();
  private readonly spares: Spares;
  private links: readonly Link[] = [];
  private services: ServiceTable = { memory: new SharedArrayBuffer(4), offers: [] };
  private sweep: Sweep | undefined;

  constructor(spec: SystemSpec, main: MainControl, on: PopulationListener) {
    this.spec = spec;
    this.main = main;
    this.on = on;
    this.places = placesOf(spec.root);
    this.members = membersOf(spec, this.places);
    this.threadCount = 1 + Math.max(-1, ...this.places.map((p) => p.thread));
    this.memory = memoryOf(spec, this.threadCount, this.members.length);
    const traced = spec.trace ?? TRACE_DEFAULTS;
    this.sightings = new Sightings(this.places, this.threadCount, traced, (taps) => this.tap(taps));
    this.wakers = openWakers(this.memory.wakers);
    this.register = openRegister(this.memory.register);
    const { spares = 0, memoryMb, codeCache } = spec;
    const like = { preload: this.modules(), memoryMb };
    this.spares = openSpares(spares, like, codeCache, on.broken);
  }

  thread(member: Member): Thread | undefined {
    return this.byThread.get(member.place.thread);
  }

  threads(): readonly Thread[] {
    return [...this.byThread.values()];
  }

  residents(thread: number): readonly Member[] {
    return this.members.filter((m) => m.place.thread === thread);
  }

  incarnation(member: Member): number {
    return this.register.incarnation(member.place.index);
  }

  /** Unread messages in its mailbox. Answers are not counted one by one: a lane that holds some adds one. */
  depth(member: Member): number {
    const own = this.links.filter((l) => l.to === member.place.index);
    return own.reduce((n, l) => {
      const lane = laneView(l.memory);
      return n + Math.max(lane.depth(), lane.tail() === lane.cursor() ? 0 : 1);
    }, 0);
  }

  /** Looks for slabs that the dead held; says how many are still in doubt. */
  sweepSlabs(): number {
    return this.sweep?.pass() ?? 0;
  }

  /** Imports every module and lays the lanes. Before any start. */
  async load(): Promise<void> {
    const { memoryMb, codeCache } = this.spec;
    if (codeCache !== undefined) await fillCodeCache(codeCache, this.modules(), memoryMb);
    const threads = Array.from({ length: this.threadCount }, (_, k) => this.spawn(k));
    const names = (t: Thread): string =>
      this.residents(t.index)
        .map((m) => m.place.path)
        .join(', ');
    const sendings = await Promise.all(
      threads.map((t) => whileAlive(t, t.control.load(), `loading ${names(t)}`)),
    );
    const specs = this.members.map((m) => m.spec);
    const laid = layLanes(this.places, specs, sendings.flat(), this.spec.lanes ?? LANE_DEFAULTS);
    this.links = laid.links;
    this.services = laid.services;
    this.unresolved = laid.unresolved;
    const lanes = laid.links.map((l) => l.memory);
    this.sweep = openSweep(this.memory.arena, lanes, this.wakers);
    await Promise.all(threads.map((t) => whileAlive(t, this.connect(t), 'lanes')));
  }

  /** Of all actors, each once. */
  private modules(): readonly string[] {
    return [...new Set(this.members.map((m) => m.spec.module))];
  }

  private connect(thread: Thread): Promise<void> {
    return thread.control.connect(this.links, this.services);
  }

  /**
   * Resolves when its io is open and its core has started; rejects when either fails. False when it has ended
   * already.
   */
  async start(member: Member): Promise<boolean> {
    member.state = 'starting';
    const { index, path } = member.place;
    const known = this.thread(member);
    const home = known?.alive() ? known : undefined;
    const thread = home ?? this.spawn(member.place.thread);
    this.register.open(index);
    // On a new thread all at once: it wakes up for one message instead of three.
    const laid = home ? [] : this.brief(thread);
    const work = Promise.all([...laid, thread.control.open(index)]);
    await whileAlive(thread, work, `${path}: start`, START_DEADLINE_MS);
    if (member.state !== 'starting') return false;
    member.state = 'running';
    this.register.begin(index);
    this.rouse();
    return true;
  }

  /** What a new thread is told first. */
  private brief(thread: Thread): Promise<unknown>[] {
    const taps = this.sightings.specs();
    const told = taps.length > 0 ? [thread.control.tap(taps)] : [];
    return [thread.control.load(), this.connect(thread), ...told];
  }

  /** Its thread may restart it once by itself when it crashes, or may not. */
  grant(member: Member, may: boolean): void {
    this.register.grant(member.place.index, may);
  }

  /** Starts the spare threads that are missing. */
  fillSpares(): void {
    this.spares.fill();
  }

  slabsFree(): number {
    const { refs } = arenaTable(this.memory.arena);
    return refs.reduce((free, count) => free + (count === 0 ? 1 : 0), 0);
  }

  sparesReady(): number {
    return this.spares.readyCount();
  }

  closeSpares(): Promise<void> {
    return this.spares.close();
  }

  /**
   * Closes it within its shutdownMs; false when it took longer or failed, and its thread is to be terminated. With
   * brutal_kill its thread ends at once, unless others live there.
   */
  async stop(member: Member): Promise<boolean> {
    const thread = this.thread(member);
    member.state = 'stopping';
    if (!thread?.alive()) return true;
    const { index, path } = member.place;
    if (member.spec.shutdownMs !== 'brutal_kill') {
      const closed = thread.control.close(index);
      return whileAlive(thread, closed, `${path}: stop`, member.spec.shutdownMs).then(
        () => true,
        () => false,
      );
    }
    const others = this.residents(thread.index).filter((m) => m !== member);
    if (!others.some((m) => m.state === 'running')) return thread.terminate('asked');
    thread.control.close(index, false).catch(() => {}); // the thread ended meanwhile: so be it
    return true;
  }

  /** Its incarnation has ended: watchers and askers learn it. Returns messages that nobody will read. */
  end(member: Member, forGood: boolean): number {
    this.register.end(member.place.index, forGood ? 'gone' : 'down');
    this.rouse();
    return forGood ? this.depth(member) : 0;
  }

  /**
   * The thread is dead: it counts no more, and what it held is to be found. What its actors had in hand is under
   * suspicion, unless it was killed from outside.
   */
  bury(thread: number, why: End | 'own'): void {
    for (const { place } of this.residents(thread)) {
      const hand = new Hand(this.memory.hands, place.index);
      const inputs = this.links.filter((l) => l.to === place.index);
      if (why === 'own' || why === 'faulty') putBack(hand, inputs);
      else hand.acquit();
    }
    this.wakers.bury(thread);
    this.sweep?.bury(thread);
    this.byThread.delete(thread);
    // It may have died after publishing and before waking, or between clearing the word and notifying.
    this.rouse();
  }

  /** Gives every thread the live traces in force; one that dies meanwhile is told at its next birth. */
  private tap(taps: readonly TapSpec[]): void {
    for (const thread of this.byThread.values()) void thread.control.tap(taps).catch(() => {});
  }

  /** Wakes every thread, so that each sees what has changed in the register. */
  rouse(): void {
    for (const thread of this.byThread.keys()) this.wakers.rouse(thread);
  }

  /** On a spare thread where one is ready. */
  private spawn(index: number): Thread {
    this.wakers.join();
    const setup = this.setupOf(index);
    const name = this.residents(index)[0]?.place.path ?? 'actors';
    const { memoryMb, codeCache } = this.spec;
    const blank = this.spares.take() ?? bootThread({ name, preload: [], memoryMb, codeCache });
    const thread = spawnThread(blank, setup, this.main, this.on);
    this.byThread.set(index, thread);
    return thread;
  }

  private setupOf(thread: number): ThreadSetup {
    const { node, spinUs = SPIN_US } = this.spec;
    return {
      ...this.memory,
      thread,
      sight: this.sightings.memoryOf(thread),
      flightMessages: this.spec.flightMessages ?? FLIGHT_MESSAGES,
      seed: [...crypto.getRandomValues(new Int32Array(4))] as unknown as Seed,
      cores: availableParallelism(),
      spinUs,
      places: this.places,
      node,
      residents: this.residents(thread).map((m) => ({
        index: m.place.index,
        module: m.spec.module,
        config: m.spec.config,
        rawConfig: m.spec.rawConfig === true,
        metrics: m.metrics,
        dataDir: join(node.dataDir, ...m.place.path.split('.')),
        closeMs: m.spec.shutdownMs === 'brutal_kill' ? CLOSE_MS : m.spec.shutdownMs,
        stashMax: m.spec.mailbox.stash ?? STASH_DEFAULT,
        passivateMs: m.spec.passivateMs,
      })),
    };
  }
}
