/**
 * The open questions of one actor: bounded, each with a deadline. Which of them are open stands in shared memory, too,
 * so that whoever is asked sees whether anybody still waits.
 */
import type { Protocol } from '#native/lanes/layout.ts';
import type { Trace } from '../trace/context.ts';
import type { Allowance } from './deadlines.ts';
import type { Route } from './routes.ts';

/** Slots are 12 bits of an ask's number, generations the other 20. */
export const OPEN_ASKS_MAX = 4096;
const SLOT_BITS = 12;
const SLOT_MASK = OPEN_ASKS_MAX - 1;
const GENERATION_MASK = 0xfffff;

/** Where the question of this number stands. */
export const slotOf = (ask: number): number => ask & SLOT_MASK;

export type Message = { readonly kind: string };

/** One question put to several: the first answer counts. */
export type AskGroup = { open: number; answered: boolean };

export type OpenAsk = {
  /** Given by `add`. */
  slot: number;
  readonly resume: Message;
  readonly route: Route;
  readonly protocol: Protocol;
  /** Of the target when it was asked. */
  readonly incarnation: number;
  /** Monotonic milliseconds. */
  readonly dueMs: number;
  /** Trace of the step that asked. */
  readonly trace: Trace;
  /** On whose behalf it was asked. */
  readonly allowance: Allowance | undefined;
  readonly group: AskGroup | undefined;
  /** It can be given up by this key. */
  readonly key: string | undefined;
};

/**
 * The shared table of so many actors: a word for each slot of each, the number of the ask that is open in it. Plain stores
 * are enough: where the order matters, the publishing of a lane or a move of the register follows.
 */
export const openAskBytes = (actors: number): number => actors * OPEN_ASKS_MAX * 4;

/** An actor's part of the table. */
export const openAsksOf = (table: SharedArrayBuffer, actor: number): Int32Array =>
  new Int32Array(table, actor * OPEN_ASKS_MAX * 4, OPEN_ASKS_MAX);

export class Asks {
  private readonly slots: (OpenAsk | undefined)[] = [];
  private readonly generations: number[] = [];
  private readonly free: number[] = [];
  private readonly shared: Int32Array;
  open = 0;

  /** `shared` is this actor's part of the table; what an earlier incarnation had open is open no more. */
  constructor(shared: Int32Array) {
    this.shared = shared;
    shared.fill(0);
  }

  /**
   * The number that travels with the question, or -1 when 4,096 are open, or when the answers to those that are open
   * to this target may fill what is kept for answers.
   */
  add(entry: OpenAsk): number {
    const { answerWords } = entry.protocol;
    const { answers } = entry.route;
    if (answers.bespoken + answerWords > answers.words) return -1;
    let slot = this.free.pop();
    if (slot === undefined) {
      if (this.slots.length === OPEN_ASKS_MAX) return -1;
      slot = this.slots.length;
      this.slots.push(undefined);
      this.generations.push(1);
    }
    entry.slot = slot;
    this.slots[slot] = entry;
    answers.bespoken += answerWords;
    this.open++;
    const ask = slot | (this.generations[slot]! << SLOT_BITS);
    this.shared[slot] = ask;
    return ask;
  }

  /** Ends the question with this number; undefined when it has ended before. */
  settle(ask: number): OpenAsk | undefined {
    const slot = slotOf(ask);
    const entry = this.slots[slot];
    if (entry === undefined || this.generations[slot] !== ((ask >>> SLOT_BITS) & GENERATION_MASK)) {
      return undefined;
    }
    this.close(slot);
    return entry;
  }

  /** Ends and returns all for which `which` holds. */
  take(which: (entry: OpenAsk) => boolean): OpenAsk[] {
    const taken: OpenAsk[] = [];
    for (const entry of this.slots) {
      if (entry === undefined || !which(entry)) continue;
      this.close(entry.slot);
      taken.push(entry);
    }
    return taken;
  }

  /** The earliest deadline, or Infinity. */
  nextDueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const entry of this.slots) if (entry && entry.dueMs < dueMs) dueMs = entry.dueMs;
    return dueMs;
  }

  private close(slot: number): void {
    const { route, protocol } = this.slots[slot]!;
    route.answers.bespoken -= protocol.answerWords;
    this.shared[slot] = 0;
    this.slots[slot] = undefined;
    // Never 0, so that no number is 0.
    this.generations[slot] = (this.generations[slot]! + 1) & GENERATION_MASK || 1;
    this.free.push(slot);
    this.open--;
  }
}

/** True while the question is open in its asker's table. */
export const isOpen = (shared: Int32Array, ask: number): boolean =>
  Atomics.load(shared, slotOf(ask)) === ask;
