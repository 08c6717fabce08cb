/**
 * Looks after the threads once a second: a thread that has been silent for ten seconds outside native code, or holds more
 * memory outside its heap than it may, is treated as crashed (of the silent one it is told where it was), actors that wait
 * for each other in a circle are relieved, and after a death the slabs are swept.
 */

import { withDeadline } from '../thread/port.ts';
import type { Member, Population } from './population.ts';
import type { Beat } from './thread.ts';
import type { Thread } from './threads.ts';

const BEAT_MS = 1000;
export const SILENT_MS = 10_000;
/** Waiting for each other for so long is no passing back-pressure. */
const CIRCLE_MS = 2000;

export type Watchdog = {
  /** A thread has died: slabs that it held are to be found. */
  sweep(): void;
  beats(): ReadonlyMap<number, Beat>;
  stop(): void;
};

/** The members of a circle of actors each of which waits for the next, or nothing. */
export const circleIn = (waits: ReadonlyMap<number, number>): readonly number[] => {
  for (const start of waits.keys()) {
    const seen: number[] = [];
    let at: number | undefined = start;
    while (at !== undefined && !seen.includes(at)) {
      seen.push(at);
      at = waits.get(at);
    }
    if (at !== undefined) return seen.slice(seen.indexOf(at));
  }
  return [];
};

/** Breaks a circle of actors that have waited for each other for too long. */
const relieve = async (
  population: Population,
  beats: Map<number, Beat>,
  told: (members: readonly Member[], discarded: number) => void,
): Promise<void> => {
  const waits = new Map<number, number>();
  for (const beat of beats.values()) {
    for (const s of beat.suspended) if (s.on >= 0 && s.forMs > CIRCLE_MS) waits.set(s.actor, s.on);
  }
  const circle = circleIn(waits).map((index) => population.members[index]!);
  const first = circle[0];
  const thread = first === undefined ? undefined : population.thread(first);
  if (first === undefined || !thread?.alive()) return;
  beats.delete(thread.index);
  const discarded = thread.control.relieve(first.place.index);
  told(circle, await withDeadline(discarded, BEAT_MS, 'relieve'));
};

export type Limits = {
  readonly silentMs: number;
  /** Undefined: no limit. */
  readonly offHeapMb: number | undefined;
};
const MIB = 2 ** 20;

type Faulty = (thread: Thread, text: string, stack?: string) => void;

/** Ends a thread that is silent, and says where it was. */
const endSilent = async (thread: Thread, silentMs: number, faulty: Faulty): Promise<void> => {
  // One that cannot be looked at ends without a place.
  const stack = await thread.whereabouts().catch((): readonly string[] => []);
  if (!thread.alive()) return;
  const place = stack.length === 0 ? '' : ` in ${stack[0]}`;
  const text = `silent for ${Math.round(silentMs / 1000)} s: an endless loop${place}`;
  faulty(thread, text, [text, ...stack.map((frame) => `    at ${frame}`)].join('\n'));
};

export const watchOver = (
  population: Population,
  { silentMs, offHeapMb }: Limits,
  on: {
    /** It is to be terminated as crashed. */
    readonly faulty: Faulty;
    readonly circle: (members: readonly Member[], discarded: number) => void;
  },
): Watchdog => {
  const beats = new Map<number, Beat>();
  /** Ticks since the last beat. Ticks, not time: a busy machine that runs us late runs the threads late, too. */
  const unheard = new Map<Thread, number>();
  const asking = new Set<Thread>();
  let sweeping = false;

  const weigh = (thread: Thread, { arrayBufferBytes }: Beat): void => {
    if (offHeapMb === undefined || arrayBufferBytes <= offHeapMb * MIB || !thread.alive()) return;
    const holds = Math.round(arrayBufferBytes / MIB);
    on.faulty(thread, `holds ${holds} MiB outside its heap, above its limit of ${offHeapMb}`);
  };
  const ask = async (thread: Thread): Promise<void> => {
    if (!unheard.has(thread)) unheard.set(thread, 0);
    asking.add(thread);
    try {
      const beat = await withDeadline(thread.control.ping(), silentMs, 'ping');
      beats.set(thread.index, beat);
      unheard.set(thread, 0);
      weigh(thread, beat);
    } catch {
      // Silence is judged below, by the time since the last beat.
    }
    asking.delete(thread);
  };
  const judge = (thread: Thread): void => {
    const ticks = (unheard.get(thread) ?? 0) + 1;
    // A thread that still loads its modules has a deadline of its own (threads.ts).
    const up = population.residents(thread.index).some((member) => member.state === 'running');
    if (thread.native() || !up) unheard.set(thread, 0);
    else if (ticks * BEAT_MS <= silentMs) unheard.set(thread, ticks);
    else {
      unheard.delete(thread);
      void endSilent(thread, silentMs, on.faulty);
    }
  };
  const tick = (): void => {
    const threads = population.threads().filter((t) => t.alive());
    for (const known of unheard.keys()) if (!known.alive()) unheard.delete(known);
    for (const thread of threads) {
      judge(thread);
      if (thread.alive() && !asking.has(thread)) void ask(thread);
    }
    void relieve(population, beats, on.circle).catch(() => {}); // the thread ended meanwhile; the next beat tells
    if (sweeping) sweeping = population.sweepSlabs() > 0;
  };
  const timer = setInterval(tick, BEAT_MS);
  return {
    sweep: () => {
      sweeping = true;
    },
    beats: () => beats,
    stop: () => clearInterval(timer),
  };
};
