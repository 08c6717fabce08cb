/** What the main thread and an actor thread say to each other beside the lanes. Types only. */
import type { SlabArena } from '#native/lanes/slab.ts';
import type {
  AskFailure,
  LogFields,
  LogLevel,
  NodeSettings,
  SystemEvent,
  SystemView,
} from '../actor.ts';
import type { Inspection } from '../control/inspection.ts';
import type { Dump } from '../flight/report.ts';
import type { OnFull } from '../spec.ts';
import type { SightMemory } from '../trace/sight.ts';
import type { TapLine, TapSpec } from '../trace/tap.ts';
import type { Place } from './directory.ts';

/** A lane from one actor to another; `depthMax` and `onFull` are the receiver's. */
export type Link = {
  readonly from: number;
  readonly to: number;
  readonly memory: SharedArrayBuffer;
  /** Only answers travel here: nothing else may be sent. */
  readonly answersOnly: boolean;
  readonly depthMax: number;
  readonly onFull: OnFull;
  /** Where deliveries travel: the number of the last one that is confirmed, with all before it (i64). */
  readonly confirmed?: SharedArrayBuffer;
};

/** Who may register under which service; a word in `memory` for each, by its place in the list. */
export type ServiceTable = {
  readonly memory: SharedArrayBuffer;
  readonly offers: readonly { readonly service: string; readonly actor: number }[];
};

/** An actor that lives on the thread. */
export type Resident = {
  readonly index: number;
  readonly module: string;
  readonly config: unknown;
  readonly rawConfig: boolean;
  readonly metrics: SharedArrayBuffer;
  readonly dataDir: string;
  /** How long its io may take to close after a crash, before the whole thread is given up. */
  readonly closeMs: number;
  readonly stashMax: number;
  /** Undefined: it never passivates. */
  readonly passivateMs: number | undefined;
};

/** Four random 32-bit words. */
export type Seed = readonly [number, number, number, number];

/** All that a thread is given at its birth. */
export type ThreadSetup = {
  readonly thread: number;
  /** Of its random numbers (ids of traces). */
  readonly seed: Seed;
  readonly cores: number;
  readonly spinUs: number;
  readonly wakers: SharedArrayBuffer;
  readonly register: SharedArrayBuffer;
  readonly hands: SharedArrayBuffer;
  readonly custody: SharedArrayBuffer;
  /** Which questions of whom are open (asks.ts). */
  readonly openAsks: SharedArrayBuffer;
  readonly arena: SlabArena;
  readonly sight: SightMemory;
  readonly flightMessages: number;
  readonly places: readonly Place[];
  readonly residents: readonly Resident[];
  readonly node: NodeSettings;
};

/** Where an actor sends, as its module says: for the main thread to lay the lanes. */
export type Sending = {
  readonly from: number;
  /** Name of an actor, or of a service. */
  readonly actor: string;
  readonly branch?: string;
  /** It has questions: answers need a lane back. */
  readonly answers: boolean;
  /** It has deliveries. */
  readonly delivers?: boolean;
  /** `actor` is a service: it sends to whoever offers it, or offers it itself. */
  readonly service?: 'used' | 'offered';
};

/** One heartbeat. */
export type Beat = {
  /** How late a timer of the event loop came since the last beat. */
  readonly lagMs: number;
  readonly heapBytes: number;
  readonly arrayBufferBytes: number;
  /** Actors that wait for room: on another actor, or on a slab (-1). */
  readonly suspended: readonly {
    readonly actor: number;
    readonly on: number;
    readonly forMs: number;
  }[];
  readonly openAsks: number;
};

/** What the main thread calls on a thread, each call with a deadline. */
export type ThreadControl = {
  /** Imports the modules; returns what the actors say they send. */
  load(): Promise<readonly Sending[]>;
  connect(links: readonly Link[], services: ServiceTable): void;
  /** Opens the io and starts the core of one actor. */
  open(actor: number): Promise<void>;
  /** Calls the core's drain; false when it has none. Its end is told by an 'ended' event. */
  drain(actor: number): boolean;
  /** Stops handling messages and closes the io; waits for that unless it is told not to. */
  close(actor: number, waits?: boolean): Promise<void>;
  /** Breaks a circle of suspended actors: what this one holds becomes dead letters. */
  relieve(actor: number): number;
  ping(): Promise<Beat>;
  /** Replaces the live traces that this thread feeds. */
  tap(specs: readonly TapSpec[]): void;
  /** OTP's sys verbs, between two steps. Throw for an actor that does not run here. */
  inspect(actor: number): Inspection;
  suspend(actor: number, suspended: boolean): void;
};

/** The calls of `T` from the other side. Our own type: comlink's needs the browser's. */
export type Remote<T> = {
  readonly [K in keyof T]: T[K] extends (...given: infer Given) => infer Answer
    ? (...given: Given) => Promise<Awaited<Answer>>
    : never;
};

/** What a thread calls on the main thread. */
export type MainControl = SystemView & {
  pool(module: string, task: string, argument: unknown): Promise<unknown>;
};

export type DeadReason =
  | 'no-such-actor'
  | 'actor-stopped'
  | 'mailbox-full'
  | 'dropped-new'
  | 'stale-reply'
  | 'expired'
  | 'cancelled'
  | 'stash-full'
  | 'undecodable'
  /** Two incarnations in a row died of it. */
  | 'poison';

export type DeadLetter = {
  readonly atMs: number;
  readonly reason: DeadReason;
  /** Path of the actor that noticed. */
  readonly path: string;
  /** The other end: an address or a path. */
  readonly peer: string;
  readonly kind: string;
  /** W3C trace id, 32 hex digits. */
  readonly trace: string;
};

export type Crash = {
  readonly actor: number;
  readonly path: string;
  /** no-room: a disk is full or read-only; it is started again until the disk takes something. */
  readonly reason: 'crash' | 'no-room';
  /** Kind of the message in hand, or the phase: init, open, start, io. */
  readonly kind: string;
  readonly error: string;
  readonly stack: string;
  /** W3C trace id of the message in hand, or ''. */
  readonly trace: string;
};

/**
 * What follows from a crash on its thread. restarts: the next incarnation begins at once, as its supervisor has granted;
 * waits: the actor is closed and the supervisor decides; ends: the whole thread ends.
 */
export type CrashOutcome = 'restarts' | 'waits' | 'ends';

/** What a thread tells the main thread; in order, and delivered even when the thread ends right after. */
export type ThreadEvent =
  | {
      readonly kind: 'crash';
      readonly crash: Crash;
      readonly outcome: CrashOutcome;
      readonly dump: Dump | undefined;
    }
  /** An actor did not start: what it had in hand. The failure itself is told otherwise. */
  | { readonly kind: 'dumped'; readonly crash: Crash; readonly dump: Dump | undefined }
  /** The incarnation that the thread began by itself serves. */
  | { readonly kind: 'restarted'; readonly actor: number }
  | {
      readonly kind: 'ended';
      readonly actor: number;
      readonly reason: 'normal' | 'halt';
      readonly text: string;
    }
  | {
      readonly kind: 'signal';
      readonly actor: number;
      readonly event: SystemEvent;
      readonly atMs: number;
    }
  | {
      readonly kind: 'log';
      readonly path: string;
      readonly level: LogLevel;
      readonly text: string;
      readonly fields: LogFields;
      readonly atMs: number;
    }
  | { readonly kind: 'dead'; readonly letter: DeadLetter }
  /** A message that a live trace shows. */
  | { readonly kind: 'tapped'; readonly line: TapLine };

export type { AskFailure };
