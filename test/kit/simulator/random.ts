/** Reproducible chance: mulberry32 (T. Ettinger, public domain). Same seed, same sequence, on every platform. */
export type Random = {
  /** [0, 1) */
  real(): number;
  /** Integer in [low, high]. */
  int(low: number, high: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
};

export const random = (seed: number): Random => {
  let state = seed >>> 0;
  const real = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  return {
    real,
    int: (low, high) => low + Math.floor(real() * (high - low + 1)),
    chance: (probability) => real() < probability,
    pick: (items) => items[Math.floor(real() * items.length)] as (typeof items)[number],
  };
};
