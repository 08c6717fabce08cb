/** Counts events of many keys over a sliding window of capture time, bounded: the oldest key gives way. */
export type Tally = {
  readonly windowMs: number;
  readonly keysMax: number;
  /** Times of the newest events of a key, oldest first, at most EVENTS_MAX. */
  readonly events: Map<string, number[]>;
};

/** More than this within a window says nothing new. */
const EVENTS_MAX = 256;

export const newTally = (windowMs: number, keysMax: number): Tally => ({
  windowMs,
  keysMax,
  events: new Map(),
});

/** Adds an event and returns how many the key has within the window that ends with it. */
export const tally = (counts: Tally, key: string, timeMs: number): number => {
  const events = counts.events.get(key) ?? [];
  counts.events.delete(key);
  const recent = events.filter((at) => Math.abs(timeMs - at) <= counts.windowMs);
  recent.push(timeMs);
  if (recent.length > EVENTS_MAX) recent.shift();
  if (counts.events.size >= counts.keysMax) {
    const oldest = counts.events.keys().next();
    if (!oldest.done) counts.events.delete(oldest.value);
  }
  counts.events.set(key, recent);
  return recent.length;
};
