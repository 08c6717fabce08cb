/**
 * Metrics of one actor in shared memory: the actor's thread writes, the system reads whenever it likes, and a killed
 * thread takes nothing along. Bounded: 256 names, 8,192 values.
 */
const ENTRIES_MAX = 256;
const VALUES_MAX = 8192;
const NAME_BYTES = 56;
const ENTRY_BYTES = NAME_BYTES + 8;
const HEADER_BYTES = 64;

export type MetricKind = 'counter' | 'gauge' | 'distribution';
const KINDS: readonly MetricKind[] = ['counter', 'gauge', 'distribution'];

/** Sum, count, then buckets: 4 an octave from 2^-20 (about 1 us, or 1 byte in millionths) to 2^32. */
const OCTAVE_PARTS = 4;
const OCTAVE_FIRST = -20;
const OCTAVES = 52;
const BUCKETS = OCTAVES * OCTAVE_PARTS + 1;
const DISTRIBUTION_VALUES = 2 + BUCKETS;

export const metricsBytes = (): number => HEADER_BYTES + ENTRIES_MAX * ENTRY_BYTES + VALUES_MAX * 8;

export type Distribution = {
  readonly count: number;
  readonly sum: number;
  readonly p50: number;
  readonly p99: number;
  /** Observations at or below an upper bound, cumulative. */
  readonly atMost: (bound: number) => number;
  readonly buckets: SparseBuckets;
};

/** Observations by bucket, empty ones left out: what two readings are compared by. */
export type SparseBuckets = { readonly [bucket: number]: number };

const bucketOf = (value: number): number => {
  if (!(value > 0)) return 0;
  const at = Math.ceil((Math.log2(value) - OCTAVE_FIRST) * OCTAVE_PARTS);
  return Math.max(0, Math.min(BUCKETS - 1, at));
};
const boundOf = (bucket: number): number => 2 ** (bucket / OCTAVE_PARTS + OCTAVE_FIRST);

/** Where names and values stand in the shared memory. */
const layout = (memory: SharedArrayBuffer) => ({
  used: new Int32Array(memory, 0, 2),
  names: new Uint8Array(memory, HEADER_BYTES, ENTRIES_MAX * ENTRY_BYTES),
  info: new Int32Array(memory, HEADER_BYTES, (ENTRIES_MAX * ENTRY_BYTES) / 4),
  values: new Float64Array(memory, HEADER_BYTES + ENTRIES_MAX * ENTRY_BYTES, VALUES_MAX),
});

type Entry = { readonly name: string; readonly kind: MetricKind; readonly at: number };

const readEntries = (m: ReturnType<typeof layout>): Entry[] => {
  const entries: Entry[] = [];
  const used = Atomics.load(m.used, 0);
  for (let k = 0; k < used; k++) {
    const bytes = m.names.slice(k * ENTRY_BYTES, k * ENTRY_BYTES + NAME_BYTES);
    const end = bytes.indexOf(0);
    const word = (k * ENTRY_BYTES + NAME_BYTES) / 4;
    entries.push({
      name: Buffer.from(bytes.subarray(0, end < 0 ? NAME_BYTES : end)).toString('latin1'),
      kind: KINDS[m.info[word]!]!,
      at: m.info[word + 1]!,
    });
  }
  return entries;
};

/** Names ending in these are observed as a distribution by `emit`. */
const DISTRIBUTED = /_(seconds|ratio|bytes)$/;
export const isDistributed = (name: string): boolean => DISTRIBUTED.test(name);

export type MetricsWriter = {
  count(name: string, by: number): void;
  gauge(name: string, value: number): void;
  /** Observes `value`, `times` times. */
  observe(name: string, value: number, times?: number): void;
  /** A counter, or a distribution if the name says so. */
  emit(name: string, value: number): void;
};

/** The writing side: one thread at a time. A new incarnation goes on with what its predecessor counted. */
export const writeMetrics = (memory: SharedArrayBuffer): MetricsWriter => {
  const m = layout(memory);
  const slots = new Map(readEntries(m).map((e) => [e.name, e.at]));
  const slot = (name: string, kind: MetricKind): number => {
    const known = slots.get(name);
    if (known !== undefined) return known;
    const entry = m.used[0]!;
    const at = m.used[1]!;
    const size = kind === 'distribution' ? DISTRIBUTION_VALUES : 1;
    if (name.length > NAME_BYTES || entry === ENTRIES_MAX || at + size > VALUES_MAX) {
      throw new RangeError(`metric ${name}: at most 256 names of 56 letters an actor`);
    }
    m.names.set(Buffer.from(name, 'latin1'), entry * ENTRY_BYTES);
    const word = (entry * ENTRY_BYTES + NAME_BYTES) / 4;
    m.info[word] = KINDS.indexOf(kind);
    m.info[word + 1] = at;
    m.used[1] = at + size;
    Atomics.store(m.used, 0, entry + 1);
    slots.set(name, at);
    return at;
  };
  const { values } = m;
  const count = (name: string, by: number): void => {
    values[slot(name, 'counter')]! += by;
  };
  const observe = (name: string, value: number, times = 1): void => {
    const at = slot(name, 'distribution');
    values[at]! += value * times;
    values[at + 1]! += times;
    values[at + 2 + bucketOf(value)]! += times;
  };
  return {
    count,
    observe,
    gauge: (name, value) => {
      values[slot(name, 'gauge')] = value;
    },
    emit: (name, value) => (isDistributed(name) ? observe(name, value) : count(name, value)),
  };
};

/** What was observed between two readings. */
export const bucketsSince = (now: SparseBuckets, before: SparseBuckets): SparseBuckets =>
  Object.fromEntries(
    Object.entries(now).map(([k, n]) => [k, Math.max(0, n - (before[Number(k)] ?? 0))]),
  );

/** The q-quantile, within a tenth; 0 of nothing. */
export const quantileOf = (buckets: SparseBuckets, q: number): number => {
  const filled = Object.entries(buckets);
  let left = q * filled.reduce((sum, [, n]) => sum + n, 0);
  for (const [k, n] of filled) {
    left -= n;
    if (left <= 0 && n > 0) return Number(k) === 0 ? 0 : boundOf(Number(k) - 0.5);
  }
  return 0;
};

const distribution = (values: Float64Array, at: number): Distribution => {
  const buckets = values.slice(at + 2, at + DISTRIBUTION_VALUES);
  const count = buckets.reduce((sum, n) => sum + n, 0);
  const atMost = (bound: number): number => {
    const last = bucketOf(bound);
    let n = 0;
    for (let k = 0; k <= last; k++) n += buckets[k]!;
    return n;
  };
  const filled: Record<number, number> = {};
  for (let k = 0; k < BUCKETS; k++) if (buckets[k]! > 0) filled[k] = buckets[k]!;
  const [p50, p99] = [quantileOf(filled, 0.5), quantileOf(filled, 0.99)];
  return { count, sum: values[at]!, p50, p99, atMost, buckets: filled };
};

export type MetricsReading = {
  readonly counters: { readonly [name: string]: number };
  readonly gauges: { readonly [name: string]: number };
  readonly distributions: { readonly [name: string]: Distribution };
};

/** What stands in an actor's metrics now. */
export const readMetrics = (memory: SharedArrayBuffer): MetricsReading => {
  const m = layout(memory);
  const counters: Record<string, number> = {};
  const gauges: Record<string, number> = {};
  const distributions: Record<string, Distribution> = {};
  for (const { name, kind, at } of readEntries(m)) {
    if (kind === 'counter') counters[name] = m.values[at]!;
    else if (kind === 'gauge') gauges[name] = m.values[at]!;
    else distributions[name] = distribution(m.values, at);
  }
  return { counters, gauges, distributions };
};
