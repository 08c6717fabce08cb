/**
 * The inside of a running system for whoever may look into it and intervene: traces, live tables, OTP's sys verbs. Calls
 * of the control plane; what reaches an actor goes over the control port of its thread, between two of its steps, and
 * has a deadline: a thread that does not come to it is named.
 */
import { monotonicMs, unixMs } from '#native/clock.ts';
import { type Numbers, readNumbers } from '../live/top-numbers.ts';
import type { Setting } from '../spec.ts';
import type { Member, Population } from '../system/population.ts';
import type { Beat } from '../system/thread.ts';
import type { Thread } from '../system/threads.ts';
import { withDeadline } from '../thread/port.ts';
import type { Span, TapReading, TapWish, TraceSummary } from '../trace/sightings.ts';
import { noActor } from './actor-names.ts';
import type { Inspection } from './inspection.ts';

const SYS_DEADLINE_MS = 1500;

export type Inside = {
  /** Spans of the traces whose ids begin with these digits, oldest first. */
  spansOf(prefix: string): Promise<readonly Span[]>;
  /** Recorded traces, those with the most actors first. */
  traces(most: number): Promise<readonly TraceSummary[]>;
  /** Share of traces that is recorded now. */
  recording(): Promise<number>;
  record(ratio: number, forMs: number): Promise<void>;
  openTap(wish: TapWish): Promise<number>;
  readTap(id: number): Promise<TapReading>;
  closeTap(id: number): Promise<void>;
  numbers(): Promise<Numbers>;
  /** Settings in force, secrets masked. */
  settings(): Promise<readonly Setting[]>;
  inspect(path: string): Promise<Inspection>;
  suspend(path: string): Promise<void>;
  resume(path: string): Promise<void>;
  /** Closes it in order and starts it anew in its thread; whoever else lives there goes on. */
  restart(path: string): Promise<void>;
  /** Ends its thread as a crash would; its supervisor restarts it. */
  kill(path: string): Promise<void>;
};

/** What the inside needs of the system that it belongs to. */
export type Outer = {
  readonly population: Population;
  readonly settings: readonly Setting[];
  readonly beats: () => ReadonlyMap<number, Beat>;
  readonly restart: (member: Member) => Promise<void>;
  readonly terminate: (thread: Thread) => Promise<void>;
  /** An operator has intervened: for the log, and for whoever asks how the node is. */
  readonly told: (member: Member, text: string) => void;
};

/** By its path, or by the end of one that means no other. */
const memberOf = ({ members }: Population, name: string): Member => {
  const exact = members.find(({ place: { path } }) => path === name);
  const found = members.filter(({ place: { path } }) => path.endsWith(`.${name}`));
  const member = exact ?? found[0];
  if (exact === undefined && found.length > 1) {
    throw new RangeError(`${name} could mean ${found.map((m) => m.place.path).join(', ')}`);
  }
  if (member === undefined) {
    const paths = members.map((m) => m.place.path);
    throw noActor(name, paths, 'actors alone');
  }
  return member;
};

const threadOf = (population: Population, member: Member): Thread => {
  const thread = population.thread(member);
  const { path } = member.place;
  if (!thread?.alive() || member.state !== 'running') {
    throw new RangeError(`${path} is ${member.state}: it does not run`);
  }
  return thread;
};

const sys = <T>(work: Promise<T>, member: Member): Promise<T> => {
  const what = `${member.place.path}: thread ${member.place.thread} is in a long step or in native code`;
  return withDeadline(work, SYS_DEADLINE_MS, what);
};

export const insideOf = (outer: Outer): Inside => {
  const { population } = outer;
  const { sightings } = population;
  const suspend = async (path: string, suspended: boolean): Promise<void> => {
    const member = memberOf(population, path);
    const thread = threadOf(population, member);
    await sys(thread.control.suspend(member.place.index, suspended), member);
    outer.told(member, suspended ? 'suspended by an operator' : 'resumed by an operator');
  };
  return {
    spansOf: async (prefix) => sightings.spansOf(prefix),
    traces: async (most) => sightings.traces(most),
    recording: async () => sightings.recording(),
    record: async (ratio, forMs) => sightings.record(ratio, forMs),
    openTap: async (wish) => sightings.openTap(wish),
    readTap: async (id) => sightings.readTap(id),
    closeTap: async (id) => sightings.closeTap(id),
    numbers: async () => readNumbers(population, outer.beats(), unixMs(), monotonicMs()),
    settings: async () => outer.settings,
    inspect: async (path) => {
      const member = memberOf(population, path);
      return sys(threadOf(population, member).control.inspect(member.place.index), member);
    },
    suspend: (path) => suspend(path, true),
    resume: (path) => suspend(path, false),
    restart: async (path) => {
      const member = memberOf(population, path);
      threadOf(population, member);
      outer.told(member, 'restarted by an operator');
      await outer.restart(member);
    },
    kill: async (path) => {
      const member = memberOf(population, path);
      const thread = threadOf(population, member);
      outer.told(member, 'killed by an operator');
      await outer.terminate(thread);
    },
  };
};

/** Names of all calls, for both ends of the socket. */
export const INSIDE_CALLS = [
  'spansOf',
  'traces',
  'recording',
  'record',
  'openTap',
  'readTap',
  'closeTap',
  'numbers',
  'settings',
  'inspect',
  'suspend',
  'resume',
  'restart',
  'kill',
] as const satisfies readonly (keyof Inside)[];
