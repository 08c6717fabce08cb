/** Seeded numbers: the same seed gives the same traffic (xoshiro128**, Blackman and Vigna 2018). */
export type Random = {
  /** Uniform in [0, 1). */
  unit(): number;
  /** Uniform integer in [low, high]. */
  between(low: number, high: number): number;
  /**
   * Time to the next event of a Poisson process with this many events a second, in microseconds.
   */
  gapUs(perSecond: number): number;
  /** Log-normal around `median`, with `sigma` of the logarithm. */
  around(median: number, sigma: number): number;
  pick<T>(items: readonly [T, ...T[]]): T;
};

const seeded = (seed: number): Uint32Array => {
  const words = new Uint32Array(4);
  let x = seed >>> 0;
  for (let i = 0; i < 4; i++) {
    // splitmix32: spreads a small seed over the whole state
    x = (x + 0x9e3779b9) >>> 0;
    let z = x;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    words[i] = z ^ (z >>> 16);
  }
  return words;
};

const rotate = (x: number, k: number): number => (x << k) | (x >>> (32 - k));

export const random = (seed: number): Random => {
  const s = seeded(seed);
  const next = (): number => {
    const result = Math.imul(rotate(Math.imul(s[1]!, 5), 7), 9) >>> 0;
    const t = s[1]! << 9;
    s[2] = s[2]! ^ s[0]!;
    s[3] = s[3]! ^ s[1]!;
    s[1] = s[1]! ^ s[2]!;
    s[0] = s[0]! ^ s[3]!;
    s[2] = s[2]! ^ t;
    s[3] = rotate(s[3]!, 11);
    return result;
  };
  const unit = (): number => next() / 4_294_967_296;
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - unit())) * Math.cos(2 * Math.PI * unit());
  return {
    unit,
    between: (low, high) => low + Math.floor(unit() * (high - low + 1)),
    gapUs: (perSecond) => Math.round((-Math.log(1 - unit()) / perSecond) * 1e6),
    around: (median, sigma) => median * Math.exp(sigma * normal()),
    pick: (items) => items[Math.floor(unit() * items.length)] ?? items[0],
  };
};
