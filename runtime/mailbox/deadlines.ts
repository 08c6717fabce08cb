/**
 * How long the step in hand may go on asking. A question brings its deadline along; what is asked while it is handled, in its
 * step and in the steps of the answers, has at most what is left of it. Ends with the answer.
 */
import type { ReplyTo } from '../actor.ts';

/** What a question leaves to those that are asked on its behalf. */
export type Allowance = {
  /** Monotonic milliseconds. */
  readonly dueMs: number;
  /** The question is answered: nothing is asked on its behalf any more. */
  over: boolean;
};

export class Deadlines {
  /** Of the question in hand, monotonic milliseconds; 0 = no question. */
  dueMs = 0;
  private question: ReplyTo<unknown> | undefined;
  private inherited: Allowance | undefined;
  private readonly allowances = new WeakMap<ReplyTo<unknown>, Allowance>();
  /** Something was ever asked on behalf of a question: most actors never do. */
  private passesOn = false;

  /** Before a step that handles no question. */
  clear(): void {
    this.dueMs = 0;
    this.question = undefined;
    this.inherited = undefined;
  }

  /** Before the step of something that belongs to an earlier question. */
  inherit(allowance: Allowance | undefined): void {
    this.dueMs = 0;
    this.question = undefined;
    this.inherited = allowance;
  }

  /** Before the step of a question. */
  begin(dueMs: number): void {
    this.dueMs = dueMs;
    this.inherited = undefined;
  }

  /** The message in hand, which may be a question. */
  handle(message: { readonly replyTo?: ReplyTo<unknown> }): void {
    if (this.dueMs !== 0) this.question = message.replyTo;
  }

  /** On whose behalf something is asked now; undefined when on nobody's. */
  current(): Allowance | undefined {
    if (this.inherited !== undefined) return this.inherited.over ? undefined : this.inherited;
    if (this.dueMs === 0 || this.question === undefined) return undefined;
    this.inherited = { dueMs: this.dueMs, over: false };
    this.allowances.set(this.question, this.inherited);
    this.passesOn = true;
    return this.inherited;
  }

  answered(to: ReplyTo<unknown>): void {
    if (to === this.question) {
      this.dueMs = 0;
      this.question = undefined;
    }
    if (!this.passesOn) return;
    const allowance = this.allowances.get(to);
    if (allowance !== undefined) allowance.over = true;
  }
}
