/** The envelope of what an actor sends, reused for every message: W3C trace context and deadline. */
import type { Envelope } from '#native/lanes/lane.ts';

/** A W3C trace id as four 32-bit words. */
export type Trace = readonly [number, number, number, number];

export class OutEnvelope implements Envelope {
  room = 0;
  deadline = 0;
  trace0 = 0;
  trace1 = 0;
  trace2 = 0;
  trace3 = 0;
  readonly span0: number;
  span1 = 0;
  readonly incarnation: number;
  private readonly random: () => number;
  private spans = 0;

  constructor(incarnation: number, random: () => number) {
    this.incarnation = incarnation;
    this.random = random;
    this.span0 = random();
  }

  trace(): Trace {
    return [this.trace0, this.trace1, this.trace2, this.trace3];
  }

  /** The trace id as W3C writes it. */
  traceId(): string {
    return this.trace()
      .map((word) => (word >>> 0).toString(16).padStart(8, '0'))
      .join('');
  }

  setTrace([a, b, c, d]: Trace): void {
    this.trace0 = a;
    this.trace1 = b;
    this.trace2 = c;
    this.trace3 = d;
  }

  /** Takes over the trace of the record at word `at`. */
  readTrace(i: Int32Array, at: number): void {
    this.trace0 = i[at + 8]!;
    this.trace1 = i[at + 9]!;
    this.trace2 = i[at + 10]!;
    this.trace3 = i[at + 11]!;
  }

  /** Begins a trace of its own. */
  newTrace(): void {
    this.trace0 = this.random();
    this.trace1 = this.random();
    this.trace2 = this.random();
    this.trace3 = this.random();
  }

  /** A new span for each step. */
  nextSpan(): void {
    this.span1 = ++this.spans;
  }
}
