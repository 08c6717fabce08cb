/**
 * What a thread lets be seen of its steps. With nothing switched on a step costs one branch more. Switched on by the main
 * thread in shared memory: spans of a share of all traces go into a ring, and live traces are posted, each within its
 * rate.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { monotonicMs } from '#native/clock.ts';
import type { Message } from '../mailbox/asks.ts';
import type { Mailbox } from '../mailbox/mailbox.ts';
import { type Trace, traceparentOf } from './context.ts';
import { CAUSE, SpanWriter } from './ring.ts';
import { innerKind, type Tap, type TapLine, type TapSpec, tapsOf } from './tap.ts';

/** Words of the control memory. */
export const SWITCHES = 0;
export const THRESHOLD = 1;
/** Bits of the first word. */
export const RECORDING = 1;
export const TAPPED = 2;
export const controlBytes = (): number => 64;

/** An io command under way: what it delivers belongs to the trace of the step that gave it. */
type Command = { readonly trace: Trace; over: boolean };
const commands = new AsyncLocalStorage<Command>();

/** The context of the command in whose course this is called; undefined outside of one. */
export const commandTrace = (): Trace | undefined => {
  const command = commands.getStore();
  return command === undefined || command.over ? undefined : command.trace;
};

/** Shared memory of a thread's sight. */
export type SightMemory = {
  readonly control: SharedArrayBuffer;
  readonly ring: SharedArrayBuffer;
  /** False: no context travels with messages. */
  readonly carried: boolean;
};

export class Sight {
  readonly carried: boolean;
  /** What is switched on, at SWITCHES; 0: nothing. */
  readonly switches: Int32Array;
  private readonly ring: SpanWriter;
  private readonly post: (line: TapLine) => void;
  private taps: readonly Tap[] = [];

  constructor(memory: SightMemory, post: (line: TapLine) => void) {
    this.carried = memory.carried;
    this.switches = new Int32Array(memory.control);
    this.ring = new SpanWriter(memory.ring);
    this.post = post;
  }

  /** Replaces the live traces of this thread. */
  tap(specs: readonly TapSpec[]): void {
    this.taps = tapsOf(specs);
  }

  /** What `body` says belongs to that trace, to one of its own where there is none. */
  under(mailbox: Mailbox, trace: Trace | undefined, body: () => void): void {
    const { out } = mailbox;
    if (!out.traced) return body();
    const { span1, cause, from } = out;
    const outer = out.origin();
    if (trace === undefined) out.newTrace();
    else out.setTrace(trace);
    out.nextSpan();
    out.cause = CAUSE.record;
    out.from = -1;
    const startMs = this.switches[SWITCHES]! & RECORDING ? monotonicMs() : 0;
    try {
      body();
    } finally {
      if (startMs > 0) this.record(mailbox, mailbox.kind, startMs);
      out.setTrace(outer);
      out.span1 = span1;
      out.cause = cause;
      out.from = from;
    }
  }

  /** Runs a command of io; what it delivers until it is over belongs to the step in hand. */
  command<T>(mailbox: Mailbox, call: (argument: T) => void | Promise<void>, argument: T) {
    if (!this.carried) return call(argument);
    const command: Command = { trace: mailbox.out.trace(), over: false };
    const promise = commands.run(command, call, argument);
    const end = (): void => {
      command.over = true;
    };
    if (promise === undefined) end();
    else promise.then(end, end);
    return promise;
  }

  /** The W3C header for what leaves the process in the course of a command; '' outside of one. */
  traceparent(): string {
    const trace = commandTrace();
    return trace === undefined ? '' : traceparentOf(trace, this.isRecorded(trace[3]));
  }

  private isRecorded(lastWord: number): boolean {
    const { switches } = this;
    return (switches[SWITCHES]! & RECORDING) !== 0 && lastWord >>> 0 <= switches[THRESHOLD]! >>> 0;
  }

  /** A step of the core while something is switched on; else the mailbox takes it by itself. */
  step(mailbox: Mailbox, message: Message): void {
    const { core } = mailbox.actor;
    if (this.taps.length === 0 && !this.isRecorded(mailbox.out.trace3)) {
      core.step(mailbox.state, message, mailbox.fx, mailbox.atMs);
      return;
    }
    const kind = innerKind(message);
    const shown = this.taps.length === 0 ? undefined : this.shown(mailbox, message, kind);
    const startMs = monotonicMs();
    try {
      core.step(mailbox.state, message, mailbox.fx, mailbox.atMs);
    } finally {
      const endMs = this.record(mailbox, kind, startMs);
      if (shown !== undefined) {
        for (const line of shown) this.post({ ...line, handledMs: endMs - startMs });
      }
    }
  }

  private record(mailbox: Mailbox, kind: string, startMs: number): number {
    const { out, index } = mailbox;
    const endMs = monotonicMs();
    if (this.isRecorded(out.trace3)) {
      this.ring.write(out, index, out.from, kind, out.cause, startMs, endMs);
    }
    return endMs;
  }

  /** Lines for the live traces that want this message; made before the step, which may give memory back. */
  private shown(mailbox: Mailbox, message: Message, kind: string): TapLine[] {
    const lines: TapLine[] = [];
    for (const tap of this.taps) {
      const { index, out } = mailbox;
      if (!tap.wants(index, out.from, kind, out)) continue;
      if (tap.allows(mailbox.atMs)) lines.push(tap.line(mailbox, message, kind));
      else this.ring.unshown();
    }
    return lines;
  }
}
