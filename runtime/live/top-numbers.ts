/** What a live table of actors counts with: totals at one moment; rates and windows come from two of them. */
import type { SparseBuckets } from '../metrics/metrics.ts';
import { type ActorNumbers, numbersOf } from '../metrics/numbers.ts';
import type { Population } from '../system/population.ts';
import type { Beat } from '../system/thread.ts';

export type ActorTotals = Pick<
  ActorNumbers,
  | ('path' | 'actor' | 'thread' | 'state' | 'suspended')
  | ('restarts' | 'messages' | 'depth' | 'depthMax')
> & {
  /** Handling times since the start. */
  readonly handling: SparseBuckets;
};

export type ThreadTotals = {
  readonly thread: number;
  readonly lagMs: number;
  readonly heapBytes: number;
  readonly arrayBufferBytes: number;
};

export type Numbers = {
  readonly atMs: number;
  /** On a clock that never jumps. */
  readonly clockMs: number;
  readonly actors: readonly ActorTotals[];
  readonly threads: readonly ThreadTotals[];
  /** Of the whole process. */
  readonly residentBytes: number;
};

export const readNumbers = (
  population: Population,
  beats: ReadonlyMap<number, Beat>,
  atMs: number,
  clockMs: number,
): Numbers => ({
  atMs,
  clockMs,
  actors: population.members.map((member) => {
    const n = numbersOf(population, member);
    const { path, actor, thread, state, restarts, messages, depth, depthMax } = n;
    return {
      path,
      actor,
      thread,
      state,
      suspended: n.suspended,
      restarts,
      messages,
      depth,
      depthMax,
      handling: n.handling === undefined ? {} : n.handling.buckets,
    };
  }),
  threads: [...beats].map(([thread, { lagMs, heapBytes, arrayBufferBytes }]) => ({
    thread,
    lagMs,
    heapBytes,
    arrayBufferBytes,
  })),
  residentBytes: process.memoryUsage.rss(),
});
