/** What a running system tells to whoever watches it. */
import type { SystemEvent } from './actor.ts';
import type { Crash, DeadLetter, DeadReason, ThreadEvent } from './system/thread.ts';

export type RuntimeEvent =
  /** An actor said so: complete, ready, fact, notice. */
  | {
      readonly kind: 'signal';
      readonly path: string;
      readonly event: SystemEvent;
      readonly atMs: number;
    }
  | Extract<ThreadEvent, { kind: 'log' }>
  | { readonly kind: 'crash'; readonly crash: Crash; readonly atMs: number }
  | { readonly kind: 'started'; readonly path: string; readonly incarnation: number }
  | { readonly kind: 'restarted'; readonly path: string; readonly restarts: number }
  /** It ended for good. */
  | { readonly kind: 'ended'; readonly path: string; readonly reason: string }
  /** A supervisor gave up; the root's path is ''. */
  | { readonly kind: 'escalated'; readonly path: string }
  | { readonly kind: 'dead'; readonly letter: DeadLetter }
  /** Actors that waited for each other in a circle; the first one's output was given up. */
  | { readonly kind: 'deadlock'; readonly paths: readonly string[]; readonly discarded: number }
  /** A native call does not let go of a thread that must end: only ending the process helps. */
  | { readonly kind: 'stuck'; readonly thread: number; readonly paths: readonly string[] }
  /** Of the shutdown: the name of a phase in which actors drain, then stop, then stopped. */
  | { readonly kind: 'phase'; readonly phase: string };

export type Notice = {
  readonly atMs: number;
  readonly path: string;
  readonly topic: string;
  readonly text: string;
};

export type DeadLetters = {
  readonly total: number;
  readonly byReason: { readonly [reason in DeadReason]?: number };
  /** Oldest first, at most 200. */
  readonly newest: readonly DeadLetter[];
};
