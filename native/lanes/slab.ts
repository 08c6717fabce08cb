/**
 * Slabs: large bodies in one shared arena, passed by handle. Allocation is lock-free.
 *
 * A slab has a reference count: one for every record that carries it and every thread that holds it. Each thread also keeps
 * a ledger of what it holds, written by nobody else. Every change is ordered so that a death in the middle leaves
 * a count too high, never too low; the sweep (sweep.ts) finds such slabs afterwards.
 *
 * A handle is two words, a mark with the index and the generation, so a sweep recognises it in a lane without
 * knowing the layout of the record.
 */
import type { Wakers } from './wakers.ts';

export const HANDLE_MARK = 0x51ab0000 | 0;
export const HANDLE_INDEX = 0xffff;

/** Offsets of the words of an arena's table. */
const ANY_STARVED = 0;
const TABLE = 32;

export type SlabArena = {
  readonly count: number;
  readonly bytes: number;
  readonly threads: number;
  readonly table: SharedArrayBuffer;
  readonly memory: SharedArrayBuffer;
};

/** Reserves the arena; its pages cost nothing until they are written. */
export const createArena = (count: number, bytes: number, threads: number): SlabArena => {
  if (count > HANDLE_INDEX || bytes % 8 !== 0) throw new RangeError('slabs: count or size');
  const words = TABLE + 2 * count + threads + threads * count;
  return {
    count,
    bytes,
    threads,
    table: new SharedArrayBuffer(words * 4),
    memory: new SharedArrayBuffer(count * bytes),
  };
};

/** The table's columns. */
export const arenaTable = (arena: SlabArena) => {
  const { table, count, threads } = arena;
  const column = (at: number, length: number): Int32Array => new Int32Array(table, at * 4, length);
  return {
    flags: column(0, TABLE),
    /** References to each slab; 0 = free. */
    refs: column(TABLE, count),
    generations: column(TABLE + count, count),
    /** 1 = the thread waits for a slab. */
    starved: column(TABLE + 2 * count, threads),
    /** How many references thread t holds of slab i, at t * count + i. */
    ledger: column(TABLE + 2 * count + threads, threads * count),
  };
};

/** Copies of slabs, by index and generation. */
export type Copies = Map<number, Uint8Array>;

/** The outcome of a question that has an answer. */
const isResult = (value: unknown): value is { readonly value: object } =>
  typeof value === 'object' && value !== null && 'ok' in value && 'value' in value;

/** One thread's way to the arena. */
export class SlabPool {
  readonly bytes: number;
  readonly count: number;
  readonly memory: Uint8Array<SharedArrayBuffer>;
  /** Something is to be settled after the next publishing of lanes. */
  unsettled = false;
  /** Slabs that the last message which found none would have needed, at least. */
  private wanted = 1;
  private readonly thread: number;
  private readonly wakers: Wakers;
  private readonly table: ReturnType<typeof arenaTable>;
  private readonly ledgerAt: number;
  private next: number;
  /** Taken for the message that is being written. */
  private readonly writing: number[] = [];
  /** Own holds of slabs whose records are committed but perhaps not yet published. */
  private readonly committed: number[] = [];
  /** Arrays written during this step: told to several actors, they are written once. */
  private readonly cachedArrays: Uint8Array[] = [];
  private readonly cachedSlabs: number[] = [];
  /** References that end when the lanes are published. */
  private readonly ending: number[] = [];
  /** Slabs of the record that is being received, in order: to be copied from, to be viewed. */
  readonly copied: number[] = [];
  readonly viewed: number[] = [];

  constructor(arena: SlabArena, thread: number, wakers: Wakers) {
    this.bytes = arena.bytes;
    this.count = arena.count;
    this.memory = new Uint8Array(arena.memory);
    this.table = arenaTable(arena);
    this.thread = thread;
    this.wakers = wakers;
    this.ledgerAt = thread * arena.count;
    this.next = Math.floor((thread * arena.count) / arena.threads);
  }

  generation(index: number): number {
    return Atomics.load(this.table.generations, index);
  }

  free(): number {
    let n = 0;
    for (let k = 0; k < this.count; k++) if (Atomics.load(this.table.refs, k) === 0) n++;
    return n;
  }

  // ---- sending

  /** A slab for the message that is being written, or -1. */
  take(): number {
    const { refs, generations } = this.table;
    for (let k = 0; k < this.count; k++) {
      const index = (this.next + k) % this.count;
      if (Atomics.load(refs, index) !== 0) continue;
      if (Atomics.compareExchange(refs, index, 0, 1) !== 0) continue;
      Atomics.add(generations, index, 1);
      this.hold(index, 1);
      this.next = (index + 1) % this.count;
      this.writing.push(index);
      return index;
    }
    return -1;
  }

  /** The slab that holds `bytes` in this step: written now, or known from an earlier tell; -1 when none is free. */
  share(bytes: Uint8Array): number {
    const known = this.cachedArrays.indexOf(bytes);
    if (known >= 0) {
      const index = this.cachedSlabs[known]!;
      Atomics.add(this.table.refs, index, 1);
      this.hold(index, 1);
      this.writing.push(index);
      return index;
    }
    const index = this.take();
    if (index < 0) return -1;
    this.memory.set(bytes, index * this.bytes);
    Atomics.add(this.table.refs, index, 1); // the cache's own, until the step ends
    this.hold(index, 1);
    this.cachedArrays.push(bytes);
    this.cachedSlabs.push(index);
    return index;
  }

  /** The message could not be written: what was taken for it goes back. */
  abort(): void {
    this.wanted = this.writing.length + 1;
    for (const index of this.writing) this.drop(index);
    this.writing.length = 0;
  }

  /** The message stands in the lane: what was taken belongs to the record, and is held until it is published. */
  commit(): void {
    for (const index of this.writing) this.committed.push(index);
    this.writing.length = 0;
    this.unsettled = true;
  }

  /** After a step: its shared arrays may change from here on. */
  endStep(): void {
    if (this.cachedSlabs.length === 0) return;
    for (const index of this.cachedSlabs) this.ending.push(index);
    this.cachedSlabs.length = 0;
    this.cachedArrays.length = 0;
    this.unsettled = true;
  }

  /** After publishing: the records now hold what this thread held for them. */
  settle(): void {
    this.unsettled = false;
    for (const index of this.committed) this.hold(index, -1);
    this.committed.length = 0;
    for (const index of this.ending) this.drop(index);
    this.ending.length = 0;
  }

  // ---- receiving

  /** Takes part in a slab named by a record, before the record is passed. */
  adopt(index: number, view: boolean): void {
    this.hold(index, 1);
    if (view) this.viewed.push(index);
    else this.copied.push(index);
  }

  /**
   * The record in hand stands in its lane again: what was received from it belongs to it once more, beside whoever here
   * still looks at it.
   */
  restore(): void {
    for (const index of [...this.copied, ...this.viewed]) {
      Atomics.add(this.table.refs, index, 1);
    }
  }

  /** After the step: the copied ones go back. Not before: until then the record may have to be handled again. */
  releaseCopied(): void {
    for (const index of this.copied) this.drop(index);
    this.copied.length = 0;
  }

  /** The views that the record gave; the caller drops each when the step and its io calls have ended. */
  takeViewed(): number[] {
    return this.viewed.splice(0);
  }

  /**
   * The same message with copies in place of views; itself when it has none. With `copies`, received messages (whose
   * views are whole slabs) share the copy of a slab that they share.
   */
  detached<M extends object>(message: M, copies?: Copies): M {
    const own = (value: unknown): unknown => {
      if (isResult(value)) return { ...value, value: this.detached(value.value, copies) };
      if (!(value instanceof Uint8Array) || value.buffer !== this.memory.buffer) return value;
      const index = Math.floor(value.byteOffset / this.bytes);
      const key = this.generation(index) * this.count + index;
      const copy = copies?.get(key) ?? new Uint8Array(value);
      copies?.set(key, copy);
      return copy;
    };
    const entries = Object.entries(message).map(([name, value]) => [name, own(value)] as const);
    const same = entries.every(([name, value]) => message[name as keyof M] === value);
    return same ? message : (Object.fromEntries(entries) as M);
  }

  /** Ends one hold of this thread and the reference that it stood for. */
  drop(index: number): void {
    const { refs, flags } = this.table;
    if (Atomics.sub(refs, index, 1) === 1 && Atomics.load(flags, ANY_STARVED) === 1) this.feed();
    this.hold(index, -1);
  }

  /** Asks to be woken when a slab is free; true if enough are free already. */
  starve(): boolean {
    Atomics.store(this.table.starved, this.thread, 1);
    Atomics.store(this.table.flags, ANY_STARVED, 1);
    return this.free() >= this.wanted;
  }

  private hold(index: number, by: number): void {
    const { ledger } = this.table;
    Atomics.store(ledger, this.ledgerAt + index, ledger[this.ledgerAt + index]! + by);
  }

  private feed(): void {
    feedStarved(this.table, this.wakers);
  }
}

/** Wakes every thread that waits for a slab. */
export const feedStarved = (table: ReturnType<typeof arenaTable>, wakers: Wakers): void => {
  Atomics.store(table.flags, ANY_STARVED, 0);
  for (let t = 0; t < table.starved.length; t++) {
    if (Atomics.exchange(table.starved, t, 0) === 1) wakers.wake(t);
  }
};
