/**
 * The actors and threads of a system, and the three things that are done to them: start an actor, stop an
 * actor, bury a dead thread. Decides nothing.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { custodyBytes } from '#native/custody.ts';
import { laneView } from '#native/lanes/lane.ts';
import { openRegister, type Register, registerBytes } from '#native/lanes/register.ts';
import { createArena } from '#native/lanes/slab.ts';
import { openSweep, type Sweep } from '#native/lanes/sweep.ts';
import { openWakers, type Wakers, wakersBytes } from '#native/lanes/wakers.ts';
import { actorsOf, type Place, placesOf } from './directory.ts';
import { layLanes } from './laying.ts';
import { metricsBytes } from './metrics.ts';
import {
  type ActorSpec,
  FLIGHT_MESSAGES,
  LANE_DEFAULTS,
  SLAB_DEFAULTS,
  type SystemSpec,
} from './spec.ts';
import type { Link, MainControl, ThreadSetup } from './thread.ts';
import { spawnThread, type Thread, type ThreadListener, whileAlive } from './threads.ts';
import { Sightings, TRACE_DEFAULTS } from './trace/sightings.ts';
import type { TapSpec } from './trace/tap.ts';

const SPIN_US = 50;
const START_DEADLINE_MS = 60_000;

/** One actor of the system. */
export type Member = {
  readonly place: Place;
  readonly spec: ActorSpec;
  readonly metrics: SharedArrayBuffer;
  state: 'starting' | 'running' | 'stopping' | 'stopped' | 'failed';
  restarts: number;
};

/** Shared memory of a system with so many threads and actors. */
const memoryOf = (spec: SystemSpec, threads: number, actors: number) => {
  const { count, bytes } = spec.slabs ?? SLAB_DEFAULTS;
  return {
    wakers: new SharedArrayBuffer(wakersBytes(threads)),
    register: new SharedArrayBuffer(registerBytes(actors)),
    custody: new SharedArrayBuffer(custodyBytes(threads)),
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
  private readonly on: ThreadListener;
  private readonly places: readonly Place[];
  private readonly threadCount: number;
  private readonly memory: ReturnType<typeof memoryOf>;
  private readonly wakers: Wakers;
  private readonly register: Register;
  private readonly byThread = new Map<number, Thread>();
  private links: readonly Link[] = [];
  private sweep: Sweep | undefined;

  constructor(spec: SystemSpec, main: MainControl, on: ThreadListener) {
    this.spec = spec;
    this.main = main;
    this.on = on;
    this.places = placesOf(spec.root);
    this.members = membersOf(spec, this.places);
    this.threadCount = 1 + Math.max(-1, ...this.places.map((p) => p.thread));
    this.memory = memoryOf(spec, this.threadCount, this.members.length);
    this.sightings = new Sightings(
      this.places,
      this.threadCount,
      spec.trace ?? TRACE_DEFAULTS,
      (taps) => this.tap(taps),
    );
    this.wakers = openWakers(this.memory.wakers);
    this.register = openRegister(this.memory.register);
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
    this.unresolved = laid.unresolved;
    const lanes = laid.links.map((l) => l.memory);
    this.sweep = openSweep(this.memory.arena, lanes, this.wakers);
    await Promise.all(threads.map((t) => whileAlive(t, t.control.connect(this.links), 'lanes')));
  }

  /**
   * Resolves when its io is open and its core has started; rejects when either fails. False when it has ended
   * already.
   */
  async start(member: Member): Promise<boolean> {
    member.state = 'starting';
    const thread = await this.home(member);
    const { index, path } = member.place;
    await whileAlive(thread, thread.control.open(index), `${path}: start`, START_DEADLINE_MS);
    if (member.state !== 'starting') return false;
    member.state = 'running';
    this.register.begin(index);
    this.rouse();
    return true;
  }

  /** Closes it within its shutdownMs; false when it took longer or failed, and its thread is to be terminated. */
  async stop(member: Member): Promise<boolean> {
    const thread = this.thread(member);
    member.state = 'stopping';
    if (!thread?.alive()) return true;
    const { index, path } = member.place;
    const closed = thread.control.close(index);
    if (member.spec.shutdownMs === 'brutal_kill') {
      closed.catch(() => {}); // nobody waits for it
      return true;
    }
    return whileAlive(thread, closed, `${path}: stop`, member.spec.shutdownMs).then(
      () => true,
      () => false,
    );
  }

  /** Its incarnation has ended: watchers and askers learn it. Returns messages that nobody will read. */
  end(member: Member, forGood: boolean): number {
    this.register.end(member.place.index, forGood ? 'gone' : 'down');
    this.rouse();
    return forGood ? this.depth(member) : 0;
  }

  /** The thread is dead: it counts no more, and what it held is to be found. */
  bury(thread: number): void {
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

  private rouse(): void {
    for (const thread of this.byThread.keys()) this.wakers.rouse(thread);
  }

  private spawn(index: number): Thread {
    this.wakers.join();
    const thread = spawnThread(this.setupOf(index), this.main, this.on);
    this.byThread.set(index, thread);
    return thread;
  }

  /** The thread of a member, alive and connected. */
  private async home(member: Member): Promise<Thread> {
    const known = this.thread(member);
    if (known?.alive()) return known;
    const { path, thread: index } = member.place;
    const thread = this.spawn(index);
    await whileAlive(thread, thread.control.load(), `${path}: loading`);
    await whileAlive(thread, thread.control.connect(this.links), `${path}: lanes`);
    const taps = this.sightings.specs();
    if (taps.length > 0) await whileAlive(thread, thread.control.tap(taps), `${path}: traces`);
    return thread;
  }

  private setupOf(thread: number): ThreadSetup {
    const { node, spinUs = SPIN_US, memoryMb } = this.spec;
    return {
      ...this.memory,
      sight: this.sightings.memoryOf(thread),
      flightMessages: this.spec.flightMessages ?? FLIGHT_MESSAGES,
      thread,
      cores: availableParallelism(),
      spinUs,
      memoryMb,
      places: this.places,
      node,
      residents: this.residents(thread).map((m) => ({
        index: m.place.index,
        module: m.spec.module,
        config: m.spec.config,
        metrics: m.metrics,
        dataDir: join(node.dataDir, ...m.place.path.split('.')),
      })),
    };
  }
}
