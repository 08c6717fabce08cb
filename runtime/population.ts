/**
 * The actors and threads of a system, and the three things that are done to them: start an actor, stop an
 * actor, bury a dead thread. Decides nothing.
 */
import { join } from 'node:path';
import { custodyBytes } from '#native/custody.ts';
import { laneView } from '#native/lanes/lane.ts';
import { openRegister, registerBytes } from '#native/lanes/register.ts';
import { createArena } from '#native/lanes/slab.ts';
import { openSweep, type Sweep } from '#native/lanes/sweep.ts';
import { openWakers, wakersBytes } from '#native/lanes/wakers.ts';
import { actorsOf, type Place, placesOf } from './directory.ts';
import { layLanes } from './laying.ts';
import { metricsBytes } from './metrics.ts';
import { type ActorSpec, LANE_DEFAULTS, SLAB_DEFAULTS, type SystemSpec } from './spec.ts';
import type { Link, MainControl, ThreadEvent, ThreadSetup } from './thread.ts';
import { spawnThread, type Thread, type ThreadExit, whileAlive } from './threads.ts';

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

export type Population = {
  readonly members: readonly Member[];
  readonly links: () => readonly Link[];
  /** Addresses of `sends` that found nobody. */
  readonly unresolved: () => readonly string[];
  readonly thread: (member: Member) => Thread | undefined;
  readonly threads: () => readonly Thread[];
  readonly residents: (thread: number) => readonly Member[];
  /** Imports every module and lays the lanes. Before any start. */
  load(): Promise<void>;
  /** Resolves when its io is open and its core has started; rejects when either fails. */
  start(member: Member): Promise<void>;
  /** Closes it within its shutdownMs; says whether it did. */
  stop(member: Member): Promise<boolean>;
  /** The actor's incarnation has ended: watchers and askers learn it. Returns messages that nobody will read. */
  end(member: Member, forGood: boolean): number;
  /** The thread is dead. */
  bury(thread: number): void;
  incarnation(member: Member): number;
  /** Unread messages in its mailbox. */
  depth(member: Member): number;
  readonly sweep: () => Sweep | undefined;
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

export const populate = (
  spec: SystemSpec,
  cores: number,
  main: MainControl,
  on: {
    readonly event: (event: ThreadEvent) => void;
    readonly exit: (thread: Thread, exit: ThreadExit) => void;
  },
): Population => {
  const places = placesOf(spec.root);
  const members = actorsOf(spec.root).map(
    ({ spec: actor }, k): Member => ({
      place: places[k]!,
      spec: actor,
      metrics: new SharedArrayBuffer(metricsBytes()),
      state: 'starting',
      restarts: 0,
    }),
  );
  const threadCount = 1 + Math.max(-1, ...places.map((p) => p.thread));
  const memory = memoryOf(spec, threadCount, members.length);
  const wakers = openWakers(memory.wakers);
  const register = openRegister(memory.register);
  const threads = new Map<number, Thread>();
  let laid: ReturnType<typeof layLanes> = { links: [], unresolved: [] };
  let sweep: Sweep | undefined;

  const residents = (thread: number) => members.filter((m) => m.place.thread === thread);
  const rouse = (): void => {
    for (const thread of threads.keys()) wakers.rouse(thread);
  };
  const setupOf = (thread: number): ThreadSetup => ({
    ...memory,
    thread,
    cores,
    spinUs: spec.spinUs ?? SPIN_US,
    places,
    node: spec.node,
    residents: residents(thread).map((m) => ({
      index: m.place.index,
      module: m.spec.module,
      config: m.spec.config,
      metrics: m.metrics,
      dataDir: join(spec.node.dataDir, ...m.place.path.split('.')),
    })),
  });
  const spawn = (index: number): Thread => {
    wakers.join();
    const thread = spawnThread(setupOf(index), main, on);
    threads.set(index, thread);
    return thread;
  };
  /** The thread of a member, alive and connected. */
  const home = async (member: Member): Promise<Thread> => {
    const known = threads.get(member.place.thread);
    if (known?.alive()) return known;
    const thread = spawn(member.place.thread);
    await whileAlive(thread, thread.control.load(), `${member.place.path}: loading`);
    await whileAlive(thread, thread.control.connect(laid.links), `${member.place.path}: lanes`);
    return thread;
  };
  const linksTo = (member: Member) => laid.links.filter((l) => l.to === member.place.index);
  const depth = (member: Member): number =>
    linksTo(member).reduce((n, l) => n + laneView(l.memory).depth(), 0);

  return {
    members,
    links: () => laid.links,
    unresolved: () => laid.unresolved,
    thread: (member) => threads.get(member.place.thread),
    threads: () => [...threads.values()],
    residents,
    load: async () => {
      const all = Array.from({ length: threadCount }, (_, k) => spawn(k));
      const names = (t: Thread): string =>
        residents(t.index)
          .map((m) => m.place.path)
          .join(', ');
      const sendings = await Promise.all(
        all.map((t) => whileAlive(t, t.control.load(), `loading ${names(t)}`)),
      );
      const specs = members.map((m) => m.spec);
      laid = layLanes(places, specs, sendings.flat(), spec.lanes ?? LANE_DEFAULTS);
      sweep = openSweep(
        memory.arena,
        laid.links.map((l) => l.memory),
        wakers,
      );
      await Promise.all(all.map((t) => whileAlive(t, t.control.connect(laid.links), 'lanes')));
    },
    start: async (member) => {
      member.state = 'starting';
      const thread = await home(member);
      const { index, path } = member.place;
      await whileAlive(thread, thread.control.open(index), `${path}: start`, START_DEADLINE_MS);
      member.state = 'running';
      register.begin(index);
      rouse();
    },
    stop: async (member) => {
      const thread = threads.get(member.place.thread);
      member.state = 'stopping';
      if (!thread?.alive() || member.spec.shutdownMs === 'brutal_kill') return true;
      const { index, path } = member.place;
      try {
        const closed = thread.control.close(index);
        await whileAlive(thread, closed, `${path}: stop`, member.spec.shutdownMs);
        return true;
      } catch {
        return false; // reported by the caller; the thread is terminated next
      }
    },
    end: (member, forGood) => {
      register.end(member.place.index, forGood ? 'gone' : 'down');
      rouse();
      return forGood ? depth(member) : 0;
    },
    bury: (thread) => {
      wakers.bury(thread);
      sweep?.bury(thread);
      threads.delete(thread);
      // It may have died after publishing and before waking, or between clearing the word and notifying.
      rouse();
    },
    incarnation: (member) => register.incarnation(member.place.index),
    depth,
    sweep: () => sweep,
  };
};
