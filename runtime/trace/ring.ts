/**
 * Spans of one thread in shared memory: the thread writes, the system reads whenever it likes. A ring: the newest
 * SPANS_MAX spans; names of message kinds beside it, 512 at most (later ones are shown as '?').
 *
 * A slot is 16 words: trace (4), span (2), parent (2), actors, kind and cause, start (f64, monotonic ms), end (f64),
 * two spare.
 */
export const SPANS_MAX = 4096;
const SLOT_WORDS = 16;
const NAMES_MAX = 512;
const NAME_BYTES = 40;
const HEADER_WORDS = 16;
const WRITTEN = 0;
const NAMED = 1;
const UNSHOWN = 2;
const NAMES_AT = HEADER_WORDS * 4;
const SLOTS_AT = NAMES_AT + NAMES_MAX * NAME_BYTES;

export const ringBytes = (): number => SLOTS_AT + SPANS_MAX * SLOT_WORDS * 4;

/** What made an actor take a step. */
export const CAUSES = ['message', 'answer', 'timer', 'io', 'own', 'start', 'record'] as const;
export type Cause = (typeof CAUSES)[number];
export const CAUSE: { readonly [C in Cause]: number } = {
  message: 0,
  answer: 1,
  timer: 2,
  io: 3,
  own: 4,
  start: 5,
  record: 6,
};

/** The words of a context, as the envelope holds them. */
export type SpanContext = {
  readonly trace0: number;
  readonly trace1: number;
  readonly trace2: number;
  readonly trace3: number;
  readonly span0: number;
  readonly span1: number;
  readonly parent0: number;
  readonly parent1: number;
};

/** The writing side: one thread. */
export class SpanWriter {
  private readonly words: Int32Array;
  private readonly times: Float64Array;
  private readonly names: Uint8Array;
  private readonly ids = new Map<string, number>();
  private written: number;
  private lastName = '';
  private lastId = NAMES_MAX;

  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory);
    this.times = new Float64Array(memory);
    this.names = new Uint8Array(memory, NAMES_AT, NAMES_MAX * NAME_BYTES);
    this.written = Atomics.load(this.words, WRITTEN);
    const known = namesIn(memory);
    for (const [id, name] of known.entries()) this.ids.set(name, id);
  }

  /** `from` is the index of the sending actor, -1 for none. Times are monotonic milliseconds. */
  write(
    c: SpanContext,
    actor: number,
    from: number,
    kind: string,
    cause: number,
    startMs: number,
    endMs: number,
  ): void {
    const id = kind === this.lastName ? this.lastId : this.idOf(kind);
    const slot = this.written & (SPANS_MAX - 1);
    const at = SLOTS_AT / 4 + slot * SLOT_WORDS;
    const w = this.words;
    w[at] = c.trace0;
    w[at + 1] = c.trace1;
    w[at + 2] = c.trace2;
    w[at + 3] = c.trace3;
    w[at + 4] = c.span0;
    w[at + 5] = c.span1;
    w[at + 6] = c.parent0;
    w[at + 7] = c.parent1;
    w[at + 8] = (actor << 16) | (from & 0xffff);
    w[at + 9] = (id << 8) | cause;
    this.times[(at + 10) >> 1] = startMs;
    this.times[(at + 12) >> 1] = endMs;
    this.written = (this.written + 1) | 0;
    Atomics.store(w, WRITTEN, this.written);
  }

  /** A live trace matched one more message than its rate shows. */
  unshown(): void {
    Atomics.add(this.words, UNSHOWN, 1);
  }

  private idOf(kind: string): number {
    let id = this.ids.get(kind);
    if (id === undefined) {
      id = this.ids.size;
      if (id >= NAMES_MAX) return NAMES_MAX;
      this.ids.set(kind, id);
      const bytes = Buffer.from(kind.slice(0, NAME_BYTES), 'latin1');
      this.names.set(bytes, id * NAME_BYTES);
      Atomics.store(this.words, NAMED, id + 1);
    }
    this.lastName = kind;
    this.lastId = id;
    return id;
  }
}

const namesIn = (memory: SharedArrayBuffer): string[] => {
  const named = Atomics.load(new Int32Array(memory), NAMED);
  const names = new Uint8Array(memory, NAMES_AT, NAMES_MAX * NAME_BYTES);
  return Array.from({ length: named }, (_, id) => {
    const bytes = names.slice(id * NAME_BYTES, (id + 1) * NAME_BYTES);
    const end = bytes.indexOf(0);
    return Buffer.from(bytes.subarray(0, end < 0 ? NAME_BYTES : end)).toString('latin1');
  });
};

/** A span as it stands in the ring; times are monotonic milliseconds. */
export type RawSpan = {
  readonly trace: readonly [number, number, number, number];
  readonly span: readonly [number, number];
  readonly parent: readonly [number, number];
  readonly actor: number;
  /** -1: nobody. */
  readonly from: number;
  readonly kind: string;
  readonly cause: Cause;
  readonly startMs: number;
  readonly endMs: number;
};

/** Messages that a live trace matched and did not show, for its rate. */
export const unshownIn = (memory: SharedArrayBuffer): number =>
  Atomics.load(new Int32Array(memory), UNSHOWN) >>> 0;

/** Spans that were ever written, modulo 2^32. */
export const writtenIn = (memory: SharedArrayBuffer): number =>
  Atomics.load(new Int32Array(memory), WRITTEN) >>> 0;

export type Reading = {
  readonly spans: readonly RawSpan[];
  /** Read on from here next time. */
  readonly written: number;
  /** Spans since `after` that had been overwritten before they were read. */
  readonly lost: number;
};

const spanAt = (
  words: Int32Array,
  times: Float64Array,
  at: number,
  names: readonly string[],
): RawSpan => {
  const word = (k: number): number => words[at + k]!;
  const from = word(8) & 0xffff;
  return {
    trace: [word(0), word(1), word(2), word(3)],
    span: [word(4), word(5)],
    parent: [word(6), word(7)],
    actor: word(8) >>> 16,
    from: from === 0xffff ? -1 : from,
    kind: names[word(9) >>> 8] ?? '?',
    cause: CAUSES[word(9) & 0xff] ?? 'own',
    startMs: times[(at + 10) >> 1]!,
    endMs: times[(at + 12) >> 1]!,
  };
};

/** Traces whose first eight digits lie between these two, both included: looked at before a span is made of the words. */
export type FirstWords = { readonly least: number; readonly most: number };
const EVERY: FirstWords = { least: 0, most: 0xffffffff };

/**
 * The spans written after the first `after` (without it: all that are there), oldest first. What the writer overwrites
 * meanwhile is left out, and counted.
 */
export const readSpans = (
  memory: SharedArrayBuffer,
  after?: number,
  { least, most }: FirstWords = EVERY,
): Reading => {
  const written = writtenIn(memory);
  const fresh = (written - (after ?? Math.max(0, written - SPANS_MAX))) >>> 0;
  const count = Math.min(fresh, SPANS_MAX);
  const slots = new Int32Array(memory, SLOTS_AT, SPANS_MAX * SLOT_WORDS);
  const copy = new Int32Array(count * SLOT_WORDS);
  for (let k = 0; k < count; k++) {
    const slot = (written - count + k) & (SPANS_MAX - 1);
    copy.set(slots.subarray(slot * SLOT_WORDS, (slot + 1) * SLOT_WORDS), k * SLOT_WORDS);
  }
  // The slot that is being written counts as overwritten, too.
  const since = (writtenIn(memory) - written) >>> 0;
  const torn = Math.max(0, Math.min(count, count + since + 1 - SPANS_MAX));
  const names = namesIn(memory);
  const times = new Float64Array(copy.buffer);
  const spans: RawSpan[] = [];
  for (let k = torn; k < count; k++) {
    const first = copy[k * SLOT_WORDS]! >>> 0;
    if (first < least || first > most) continue;
    spans.push(spanAt(copy, times, k * SLOT_WORDS, names));
  }
  return { spans, written, lost: fresh - count + torn };
};
