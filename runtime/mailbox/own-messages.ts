/**
 * What an actor has to handle that came in no lane: terminations and listings first, then what it had put aside, then
 * timers, outcomes and what its io delivered.
 */
import type { Message } from './asks.ts';
import type { Allowance } from './deadlines.ts';
import type { Trace } from './envelope.ts';
import { Queue } from './queue.ts';

/** Whoever put a message in line may take it out again, and learns when its turn has come. */
export type Ticket = {
  withdrawn: boolean;
  /** Its turn: called before its step. */
  readonly begun?: () => void;
  /** Called after its step. */
  readonly handled?: () => void;
  /** The message as it is when its turn has come. */
  readonly message?: () => Message;
};

export type Own = {
  readonly message: Message;
  /** Undefined: it begins a trace of its own. */
  readonly trace: Trace | undefined;
  /** What it is, see CAUSE; and the index of the actor that sent it, where one did. */
  readonly cause: number;
  readonly from?: number;
  /** What is left for the question that it belongs to. */
  readonly allowance?: Allowance | undefined;
  readonly ticket?: Ticket;
  /** Memory of its own that it takes up since it was copied out of slabs. */
  readonly bytes?: number;
  /** It is a question: its deadline, and whether its asker has given it up. */
  readonly asked?: { readonly dueMs: number; readonly givenUp: () => boolean };
};

export class OwnMessages {
  private readonly control = new Queue<Own>();
  private readonly aside = new Queue<Own>();
  private readonly rest = new Queue<Own>();

  get length(): number {
    return this.control.length + this.aside.length + this.rest.length;
  }

  /** How many go before whatever waits in the lanes. */
  get ahead(): number {
    return this.control.length + this.aside.length;
  }

  push(item: Own): void {
    this.rest.push(item);
  }

  pushControl(item: Own): void {
    this.control.push(item);
  }

  /** Puts these before what was put back earlier and not handled yet: their messages are older. */
  putBack(items: readonly Own[]): void {
    for (let k = items.length - 1; k >= 0; k--) this.aside.unshift(items[k]!);
  }

  /** The next one; there must be one. */
  shift(): Own {
    if (this.control.length > 0) return this.control.shift();
    return this.aside.length > 0 ? this.aside.shift() : this.rest.shift();
  }
}
