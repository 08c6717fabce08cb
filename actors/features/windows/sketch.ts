/**
 * Small deterministic sketches with capture time in them: memory is fixed, nothing is random, and what
 * they say of a span needs no rotation.
 */

/** Mixes 32 bits (finaliser of MurmurHash3, public domain). */
export const mix = (value: number): number => {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
};

/** Order matters: pair(a, b) differs from pair(b, a). */
export const pair = (a: number, b: number): number =>
  mix(Math.imul(a, 0x9e3779b1) ^ (mix(b) + 0x7f4a7c15));

/** Hash of the 16 bytes of an address, or of any 16 bytes at `offset`. */
export const hashAddress = (view: DataView, offset: number): number => {
  const low = pair(view.getUint32(offset + 8, true), view.getUint32(offset + 12, true));
  const a = view.getUint32(offset, true);
  const b = view.getUint32(offset + 4, true);
  return (a | b) === 0 ? low : pair(low, pair(a, b));
};

/**
 * Distinct items by linear counting over slots that remember the second in which they were last hit
 * (timestamp vector: Kim and O'Hallaron, "Counting network flows in real time", GLOBECOM 2003). One array answers
 * for every span; error about 5 % up to `slots` items; saturates at slots x ln(slots).
 */
export type Distinct = Uint32Array;

export const newDistinct = (slots: number): Distinct => new Uint32Array(slots);

/** `second` must be above 0: 0 means never. True when the slot was not hit since `sinceSecond`. */
export const mark = (slots: Distinct, hash: number, second: number): void => {
  slots[hash & (slots.length - 1)] = second;
};

/** Takes an item back (its attempt was answered). Whoever shares its slot goes with it. */
export const unmark = (slots: Distinct, hash: number): void => {
  slots[hash & (slots.length - 1)] = 0;
};

/** Distinct items hit in `fromSecond` or later. */
export const distinct = (slots: Distinct, fromSecond: number): number => {
  const size = slots.length;
  // Captures whose clock stood near 1970 exist.
  const from = Math.max(fromSecond, 1);
  let empty = 0;
  for (let i = 0; i < size; i += 1) if ((slots[i] ?? 0) < from) empty += 1;
  if (empty === size) return 0;
  return Math.round(size * Math.log(size / Math.max(empty, 1)));
};

/** Classes of a histogram. */
export const HISTOGRAM_BINS = 32;
/** What is left of a histogram's weight a second later: half of it after about 3 s. */
const KEPT_PER_SECOND = 0.8;

const FORGOTTEN = 1e-6;

/** Ages a histogram by whole seconds. */
export const age = (bins: Float32Array, seconds: number): void => {
  if (seconds <= 0) return;
  const kept = seconds > 60 ? 0 : KEPT_PER_SECOND ** seconds;
  for (let i = 0; i < bins.length; i += 1) {
    const left = (bins[i] ?? 0) * kept;
    // Denormal numbers are slow, and nothing hangs on them.
    bins[i] = left < FORGOTTEN ? 0 : left;
  }
};

/** Shannon entropy in bits of `HISTOGRAM_BINS` bins from `offset`: 0 (one class) to 5. */
export const entropyBits = (bins: Float32Array, offset: number): number => {
  let total = 0;
  for (let i = 0; i < HISTOGRAM_BINS; i += 1) total += bins[offset + i] ?? 0;
  if (total <= 0) return 0;
  let bits = 0;
  for (let i = 0; i < HISTOGRAM_BINS; i += 1) {
    const p = (bins[offset + i] ?? 0) / total;
    if (p > 0) bits -= p * Math.log2(p);
  }
  return Math.max(0, bits);
};

/**
 * The few heaviest keys of a stream with their weights (space-saving: Metwally, Agrawal, El Abbadi, ICDT 2005,
 * but a newcomer does not inherit, so a weight is a lower bound), aged like the histograms.
 */
export type Heavy = { readonly keys: Float64Array; readonly weights: Float32Array; total: number };

export const newHeavy = (places: number): Heavy => ({
  keys: new Float64Array(places).fill(-1),
  weights: new Float32Array(places),
  total: 0,
});

/** Adds one and returns the place of the key. */
export const add = (heavy: Heavy, key: number): number => {
  const { keys, weights } = heavy;
  heavy.total += 1;
  let least = 0;
  for (let i = 0; i < keys.length; i += 1) {
    if (keys[i] === key) {
      weights[i] = (weights[i] ?? 0) + 1;
      return i;
    }
    if ((weights[i] ?? 0) < (weights[least] ?? 0)) least = i;
  }
  // A heavy resident loses one for each stranger (Misra and Gries, 1982) and only then its place.
  if ((weights[least] ?? 0) >= 1) {
    weights[least] = (weights[least] ?? 0) - 1;
    return -1;
  }
  keys[least] = key;
  weights[least] = 1;
  return least;
};

export const ageHeavy = (heavy: Heavy, seconds: number): void => {
  if (seconds <= 0) return;
  age(heavy.weights, seconds);
  heavy.total *= seconds > 60 ? 0 : KEPT_PER_SECOND ** seconds;
};

/** The heaviest place, -1 when there is none. */
export const heaviest = (heavy: Heavy): number => {
  let best = -1;
  for (let i = 0; i < heavy.keys.length; i += 1) {
    if ((heavy.keys[i] ?? -1) < 0) continue;
    if (best < 0 || (heavy.weights[i] ?? 0) > (heavy.weights[best] ?? 0)) best = i;
  }
  return best;
};

export const clearHeavy = (heavy: Heavy): void => {
  heavy.keys.fill(-1);
  heavy.weights.fill(0);
  heavy.total = 0;
};
