/** The open questions of one actor: bounded, each with a deadline. */
import type { Protocol } from '#native/lanes/layout.ts';
import type { Route } from './routes.ts';
import type { Trace } from './trace/context.ts';

/** Slots are 12 bits of an ask's number, generations the other 20. */
export const OPEN_ASKS_MAX = 4096;
const SLOT_BITS = 12;
const SLOT_MASK = OPEN_ASKS_MAX - 1;
const GENERATION_MASK = 0xfffff;

export type Message = { readonly kind: string };

export type OpenAsk = {
  readonly slot: number;
  readonly resume: Message;
  readonly route: Route;
  readonly protocol: Protocol;
  /** Of the target when it was asked. */
  readonly incarnation: number;
  /** Monotonic milliseconds. */
  readonly dueMs: number;
  /** Trace of the step that asked. */
  readonly trace: Trace;
};

export class Asks {
  private readonly slots: (OpenAsk | undefined)[] = [];
  private readonly generations: number[] = [];
  private readonly free: number[] = [];
  open = 0;

  /** The number that travels with the question, or -1 when 4,096 are open. */
  add(entry: Omit<OpenAsk, 'slot'>): number {
    let slot = this.free.pop();
    if (slot === undefined) {
      if (this.slots.length === OPEN_ASKS_MAX) return -1;
      slot = this.slots.length;
      this.slots.push(undefined);
      this.generations.push(1); // so that no number is 0
    }
    this.slots[slot] = { ...entry, slot };
    this.open++;
    return slot | (this.generations[slot]! << SLOT_BITS);
  }

  /** Ends the question with this number; undefined when it has ended before. */
  settle(ask: number): OpenAsk | undefined {
    const slot = ask & SLOT_MASK;
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
    this.slots[slot] = undefined;
    this.generations[slot] = (this.generations[slot]! + 1) & GENERATION_MASK;
    this.free.push(slot);
    this.open--;
  }
}
