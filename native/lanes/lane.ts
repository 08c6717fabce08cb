/**
 * A lane: one producer, one consumer, shared memory. It belongs to the supervisor and survives both ends.
 *
 * Control words, each group on its own pair of cache lines:
 *   HEAD, TAKEN     consumer -> producer, moved in batches: words and messages that are room again
 *   CURSOR          consumer only, moved before every step: where a new incarnation goes on (no duplicate after a crash)
 *   TAIL, SENT      producer -> consumer: published words and messages
 *   STALLED         the producer waits for room
 *   WRITTEN         producer only, moved after every record: what a death leaves unpublished is not lost with it
 *
 * A record is an even number of words: header (14 words), body. Positions grow without end and wrap as int32.
 */
import type { SlabPool } from './slab.ts';
import type { Wakers } from './wakers.ts';

const HEAD = 0;
const TAKEN = 1;
const CURSOR = 32;
const TAIL = 64;
const SENT = 65;
const STALLED = 96;
const WRITTEN = 128;
const CONTROL_WORDS = 160;

/**
 * Header: words | tag | sequence | sender's incarnation | ask, or gap of a delivery | asker's incarnation (answers) |
 * deadline, or number of a delivery (2) | trace id (4) | span id (2).
 */
export const HEADER_WORDS = 14;
export const KIND_MASK = 0xffff;
export const QUESTION = 0x20000;
export const REPLY = 0x40000;
export const DELIVERY = 0x80000;
const WRAP = -1;

/** Methods of Node's Buffer that its types leave out. */
export type TextBuffer = Buffer & {
  utf8Write(text: string, at: number): number;
  utf8Slice(from: number, to: number): string;
  latin1Slice(from: number, to: number): string;
};

/** What travels with every message besides its body; one object an actor, reused. The sender is the lane. */
export type Envelope = {
  /** Words of the lane that this message leaves untouched (they are kept for answers). */
  room: number;
  incarnation: number;
  /** Monotonic milliseconds (native/clock.ts), 0 = none. */
  deadline: number;
  /** False: no trace id is written. */
  readonly traced: boolean;
  trace0: number;
  trace1: number;
  trace2: number;
  trace3: number;
  span0: number;
  span1: number;
};

export const laneBytes = (words: number): number => (CONTROL_WORDS + words) * 4;

/** The control words and the raw words of a lane, for those who look at it from outside. */
export const laneView = (memory: SharedArrayBuffer) => {
  const control = new Int32Array(memory, 0, CONTROL_WORDS);
  return {
    words: new Int32Array(memory, CONTROL_WORDS * 4),
    head: () => Atomics.load(control, HEAD),
    cursor: () => Atomics.load(control, CURSOR),
    tail: () => Atomics.load(control, TAIL),
    /** Where the last whole record ends, published or not. */
    written: () => Atomics.load(control, WRITTEN),
    /** Messages published and not yet passed (answers not counted). */
    depth: () => Math.max(0, (Atomics.load(control, SENT) - Atomics.load(control, TAKEN)) | 0),
    /**
     * The next reader begins with this record again. Between two readers only; false when its room has been given back,
     * so that it may be gone.
     */
    rewind: (position: number): boolean => {
      if (((position - Atomics.load(control, HEAD)) | 0) < 0) return false;
      Atomics.store(control, CURSOR, position);
      return true;
    },
  };
};

/** What the records of one step have in common. */
export type StepSpan = { readonly span0: number; readonly span1: number };

export class Lane {
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly i64: BigInt64Array;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly text: TextBuffer;
  readonly control: Int32Array;
  readonly capacity: number;
  readonly quarter: number;
  /** Index of the sending actor, and of the threads at both ends. */
  readonly index: number;
  readonly from: number;
  readonly to: number;
  readonly wakers: Wakers;
  readonly slabs: SlabPool | undefined;
  /** Most messages that may wait here, answers not counted. */
  depthMax: number;

  // producer
  tail: number;
  sequence: number;
  dirty = false;
  /** The last refusal was for want of a slab, not of room. */
  starved = false;
  // consumer
  head: number;
  released: number;
  taken: number;
  /** A quarter of the lane waits to be released. */
  late = false;
  /** The sending end, where an actor tells itself: what it has written is there at once. */
  twin: Lane | undefined;
  private readonly mask: number;
  private seenHead: number;
  private seenTaken: number;
  private seenTail: number;
  /** Where the reader was when `stall` looked last; whatever was refused since has been refused with that room. */
  private stalledHead: number;
  private stalledTaken: number;

  constructor(
    memory: SharedArrayBuffer,
    ends: { readonly index: number; readonly from: number; readonly to: number },
    wakers: Wakers,
    slabs?: SlabPool,
    depthMax = 0x7fffffff,
  ) {
    const start = CONTROL_WORDS * 4;
    this.control = new Int32Array(memory, 0, CONTROL_WORDS);
    this.i32 = new Int32Array(memory, start);
    this.f64 = new Float64Array(memory, start);
    this.i64 = new BigInt64Array(memory, start);
    this.u8 = new Uint8Array(memory, start);
    this.u16 = new Uint16Array(memory, start);
    this.text = Buffer.from(memory, start) as TextBuffer;
    this.capacity = this.i32.length;
    this.mask = this.capacity - 1;
    if ((this.capacity & this.mask) !== 0) throw new RangeError('lane words: a power of two');
    this.quarter = this.capacity >> 2;
    this.index = ends.index;
    this.from = ends.from;
    this.to = ends.to;
    this.wakers = wakers;
    this.slabs = slabs;
    this.depthMax = depthMax;
    this.tail = Atomics.load(this.control, TAIL);
    this.seenTail = this.tail;
    this.seenHead = Atomics.load(this.control, HEAD);
    this.seenTaken = Atomics.load(this.control, TAKEN);
    this.stalledHead = this.seenHead;
    this.stalledTaken = this.seenTaken;
    this.sequence = this.seenTaken;
    this.head = Atomics.load(this.control, CURSOR);
    this.released = this.seenHead;
    this.taken = this.seenTaken;
  }

  // ---- producer

  /**
   * A new producer publishes what its predecessor had written whole, and goes on counting where that stopped. The
   * predecessor's count may run ahead of it, so the records are asked, which nobody else can overwrite.
   * `broken`: the span of a step that will be made once more; what it wrote is taken back.
   */
  resume(broken?: StepSpan): void {
    const written = Atomics.load(this.control, WRITTEN);
    if (((written - this.tail) | 0) > 0) this.tail = written;
    if (broken !== undefined) this.retract(broken.span0, broken.span1);
    const taken = Atomics.load(this.control, TAKEN);
    this.sequence = this.lastSequence(Atomics.load(this.control, HEAD), this.tail, taken);
    this.publish();
  }

  /** The newest message count in the records from one position to another. */
  private lastSequence(from: number, to: number, known: number): number {
    let sequence = known;
    for (let at = from; at !== to; ) {
      const offset = at & this.mask;
      const words = this.i32[offset]!;
      if (words === WRAP) {
        at = (at + this.capacity - offset) | 0;
        continue;
      }
      const counted = this.i32[offset + 2]!;
      if (((counted - sequence) | 0) > 0) sequence = counted;
      at = (at + words) | 0;
    }
    return sequence;
  }

  /** Offset for a record of at most `words` words, or -1 when there is no room beyond `room` words. */
  reserve(words: number, room: number): number {
    this.starved = false;
    const offset = this.tail & this.mask;
    const end = this.capacity - offset;
    const need = end < words ? end + words : words;
    if (((this.tail + need - this.seenHead) | 0) > this.capacity - room) {
      this.seenHead = Atomics.load(this.control, HEAD);
      if (((this.tail + need - this.seenHead) | 0) > this.capacity - room) return -1;
    }
    if (end >= words) return offset;
    this.i32[offset] = WRAP;
    this.tail = (this.tail + end) | 0;
    return 0;
  }

  /** True when `depthMax` messages wait. */
  full(): boolean {
    this.starved = false;
    if (((this.sequence - this.seenTaken) | 0) < this.depthMax) return false;
    this.seenTaken = Atomics.load(this.control, TAKEN);
    return ((this.sequence - this.seenTaken) | 0) >= this.depthMax;
  }

  /** Writes the header; the record is visible after `publish`. */
  commit(at: number, words: number, tag: number, ask: number, echo: number, e: Envelope): void {
    const i = this.i32;
    if ((tag & REPLY) === 0) this.sequence = (this.sequence + 1) | 0;
    i[at] = words;
    i[at + 1] = tag;
    i[at + 2] = this.sequence;
    i[at + 3] = e.incarnation;
    i[at + 4] = ask;
    i[at + 5] = echo;
    this.f64[(at + 6) >> 1] = e.deadline;
    if (e.traced) {
      i[at + 8] = e.trace0;
      i[at + 9] = e.trace1;
      i[at + 10] = e.trace2;
      i[at + 11] = e.trace3;
    }
    // Always: `retract` knows the records of a step by it.
    i[at + 12] = e.span0;
    i[at + 13] = e.span1;
    this.tail = (this.tail + words) | 0;
    // Plain, as the cursor is: read after this thread's death, and by the sweep, which sees the holds beside it.
    this.control[WRITTEN] = this.tail;
  }

  /** Makes what was committed visible. The receiver is woken by the shell, at latest when its drain ends. */
  publish(): void {
    this.control[SENT] = this.sequence; // plain: visible with the tail, at latest
    Atomics.store(this.control, TAIL, this.tail);
  }

  /**
   * Takes back what the step of this span has committed, the last one before a crash, and under later spans: nobody has seen it.
   * Slabs named by those records stay counted until a sweep.
   */
  retract(span0: number, span1: number): void {
    let sequence = Atomics.load(this.control, SENT);
    for (let at = Atomics.load(this.control, TAIL); at !== this.tail; ) {
      const offset = at & this.mask;
      const words = this.i32[offset]!;
      if (words === WRAP) {
        at = (at + this.capacity - offset) | 0;
        continue;
      }
      if (this.i32[offset + 12] === span0 && ((this.i32[offset + 13]! - span1) | 0) >= 0) {
        this.tail = at;
        this.sequence = sequence;
        this.control[WRITTEN] = at;
        return;
      }
      sequence = this.i32[offset + 2]!;
      at = (at + words) | 0;
    }
  }

  /**
   * Asks to be woken when half is free. True where the reader has moved since the last time: what was refused may fit
   * now. How much is free says less: a large record that has to begin anew needs more than half a lane.
   */
  stall(): boolean {
    Atomics.store(this.control, STALLED, 1);
    const head = Atomics.load(this.control, HEAD);
    const taken = Atomics.load(this.control, TAKEN);
    if (head === this.stalledHead && taken === this.stalledTaken) return false;
    this.stalledHead = head;
    this.stalledTaken = taken;
    Atomics.store(this.control, STALLED, 0);
    return true;
  }

  // ---- consumer

  /** A new consumer gives back what its predecessor had passed and not yet released. */
  recover(): void {
    this.taken = this.lastSequence(this.released, this.head, this.taken);
    this.release();
  }

  /** Offset of the next record or -1. */
  peek(): number {
    for (;;) {
      if (this.head === this.seenTail) {
        if (this.twin?.dirty) this.twin.publish();
        this.seenTail = Atomics.load(this.control, TAIL);
        if (this.head === this.seenTail) return -1;
      }
      const offset = this.head & this.mask;
      if (this.i32[offset] !== WRAP) return offset;
      // The producer may have wrapped and then failed to write: look again before reading. The cursor goes along, or
      // a release would leave it behind the room that was given back.
      this.head = (this.head + this.capacity - offset) | 0;
      Atomics.store(this.control, CURSOR, this.head);
    }
  }

  /** Passes the record at `at`; its bytes stay in place until `release`. */
  take(at: number): void {
    const i = this.i32;
    this.head = (this.head + i[at]!) | 0;
    this.taken = i[at + 2]!;
    // A plain store: it is read after this thread's death, and by the sweep, to which an older place only shows more.
    this.control[CURSOR] = this.head;
    if (((this.head - this.released) | 0) >= this.quarter) this.late = true;
  }

  /** Gives back the room of all that was taken; wakes a producer that waits for it. */
  release(): void {
    this.late = false;
    if (this.released === this.head) return;
    this.released = this.head;
    this.control[TAKEN] = this.taken; // plain: visible with the head, at latest
    Atomics.store(this.control, HEAD, this.head);
    if (Atomics.load(this.control, STALLED) !== 1) return;
    const used = (Atomics.load(this.control, TAIL) - this.head) | 0;
    const waiting = (Atomics.load(this.control, SENT) - this.taken) | 0;
    if (used > this.capacity >> 1 || waiting > this.depthMax >> 1) return;
    if (Atomics.compareExchange(this.control, STALLED, 1, 0) === 1) this.wakers.wake(this.from);
  }

  empty(): boolean {
    return Atomics.load(this.control, TAIL) === this.head;
  }

  /** Messages published and not yet passed. */
  depth(): number {
    return Math.max(0, (Atomics.load(this.control, SENT) - this.taken) | 0);
  }
}
