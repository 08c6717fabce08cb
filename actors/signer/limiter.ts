/**
 * At most `perSecondMax` releases in any 1,000 ms, wherever that second begins: it remembers the
 * times of the last `perSecondMax` releases. A token bucket would let twice as many through around
 * an idle second.
 */
export type Limiter = {
  /** Times of the latest releases, Unix ms, as a ring; `next` is the oldest. */
  readonly times: Float64Array;
  next: number;
  latestMs: number;
};

const SECOND_MS = 1_000;

export const limiter = (perSecondMax: number): Limiter => ({
  times: new Float64Array(perSecondMax).fill(Number.NEGATIVE_INFINITY),
  next: 0,
  latestMs: Number.NEGATIVE_INFINITY,
});

/** As if a full second's worth had just been released: for a restart, which forgets what was. */
export const exhaust = (state: Limiter, atMs: number): void => {
  state.times.fill(atMs);
  state.latestMs = atMs;
};

/** Takes one release: 0, or how many ms to wait (and nothing is taken). */
export const take = (state: Limiter, atMs: number): number => {
  // A clock that was set back would otherwise hold everything until it has caught up.
  if (atMs < state.latestMs) exhaust(state, atMs);
  const oldestMs = state.times[state.next] ?? Number.NEGATIVE_INFINITY;
  const waitMs = oldestMs + SECOND_MS - atMs;
  if (waitMs > 0) return waitMs;
  state.times[state.next] = atMs;
  state.latestMs = atMs;
  state.next = (state.next + 1) % state.times.length;
  return 0;
};
