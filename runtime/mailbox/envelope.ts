/** The envelope of what an actor sends, reused for every message: W3C trace context and deadline. */
import type { Envelope } from '#native/lanes/lane.ts';
import { type Trace, traceIdOf } from '../trace/context.ts';

export type { Trace } from '../trace/context.ts';

export class OutEnvelope implements Envelope {
  room = 0;
  deadline = 0;
  trace0 = 0;
  trace1 = 0;
  trace2 = 0;
  trace3 = 0;
  readonly span0: number;
  span1 = 0;
  /** The span that caused the step in hand; both 0 where it began its trace. */
  parent0 = 0;
  parent1 = 0;
  /** Index of the actor whose message is in hand, -1 for one of its own; and what it is, see CAUSE. */
  from = -1;
  cause = 0;
  readonly incarnation: number;
  /** False: no context travels at all. */
  readonly traced: boolean;
  private readonly random: () => number;
  private spans = 0;

  constructor(incarnation: number, random: () => number, traced = true) {
    this.incarnation = incarnation;
    this.random = random;
    this.traced = traced;
    this.span0 = random();
  }

  /** What the step in hand causes belongs to this. */
  trace(): Trace {
    return [this.trace0, this.trace1, this.trace2, this.trace3, this.span0, this.span1];
  }

  /** What the step in hand belongs to. */
  origin(): Trace {
    return [this.trace0, this.trace1, this.trace2, this.trace3, this.parent0, this.parent1];
  }

  /** The trace id as W3C writes it. */
  traceId(): string {
    return traceIdOf(this.trace());
  }

  setTrace([a, b, c, d, span0, span1]: Trace): void {
    this.trace0 = a;
    this.trace1 = b;
    this.trace2 = c;
    this.trace3 = d;
    this.parent0 = span0;
    this.parent1 = span1;
  }

  /** Takes over the context of the record at word `at`. */
  readTrace(i: Int32Array, at: number): void {
    if (!this.traced) return;
    this.trace0 = i[at + 8]!;
    this.trace1 = i[at + 9]!;
    this.trace2 = i[at + 10]!;
    this.trace3 = i[at + 11]!;
  }

  /** Whose message it is, and by which of its steps: read only while somebody wants to know. */
  readOrigin(i: Int32Array, at: number, from: number, cause: number): void {
    this.from = from;
    this.cause = cause;
    this.parent0 = this.traced ? i[at + 12]! : 0;
    this.parent1 = this.traced ? i[at + 13]! : 0;
  }

  /** Begins a trace of its own. */
  newTrace(): void {
    if (!this.traced) return;
    this.trace0 = this.random();
    this.trace1 = this.random();
    this.trace2 = this.random();
    this.trace3 = this.random();
    this.parent0 = 0;
    this.parent1 = 0;
  }

  /** A new span for each step. */
  nextSpan(): void {
    this.span1 = ++this.spans;
  }
}
