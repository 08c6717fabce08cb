/** What the main thread and an actor thread say to each other beside the lanes. Types only. */
import type { SlabArena } from '#native/lanes/slab.ts';
import type {
  AskFailure,
  LogFields,
  LogLevel,
  NodeSettings,
  SystemEvent,
  SystemView,
} from './actor.ts';
import type { Place } from './directory.ts';
import type { Dump } from './flight/report.ts';
import type { Inspection } from './inspection.ts';
import type { OnFull } from './spec.ts';
import type { SightMemory } from './trace/sight.ts';
import type { TapLine, TapSpec } from './trace/tap.ts';

/** A lane from one actor to another; `depthMax` and `onFull` are the receiver's. */
export type Link = {
  readonly from: number;
  readonly to: number;
  readonly memory: SharedArrayBuffer;
  /** Only answers travel here: nothing else may be sent. */
  readonly answersOnly: boolean;
  readonly depthMax: number;
  readonly onFull: OnFull;
};

/** An actor that lives on the thread. */
export type Resident = {
  readonly index: number;
  readonly module: string;
  readonly config: unknown;
  readonly metrics: SharedArrayBuffer;
  readonly dataDir: string;
};

/** All that a thread is given at its birth. */
export type ThreadSetup = {
  readonly thread: number;
  readonly cores: number;
  readonly spinUs: number;
  readonly memoryMb: number | undefined;
  readonly wakers: SharedArrayBuffer;
  readonly register: SharedArrayBuffer;
  readonly custody: SharedArrayBuffer;
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
  readonly actor: string;
  readonly branch?: string;
  /** It has questions: answers need a lane back. */
  readonly answers: boolean;
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
  connect(links: readonly Link[]): void;
  /** Opens the io and starts the core of one actor. */
  open(actor: number): Promise<void>;
  /** Calls the core's drain; false when it has none. Its end is told by an 'ended' event. */
  drain(actor: number): boolean;
  /** Stops handling messages and closes the io. */
  close(actor: number): Promise<void>;
  /** Breaks a circle of suspended actors: what this one holds becomes dead letters. */
  relieve(actor: number): number;
  ping(): Promise<Beat>;
  /** Replaces the live traces that this thread feeds. */
  tap(specs: readonly TapSpec[]): void;
  /** OTP's sys verbs, between two steps. Throw for an actor that does not run here. */
  inspect(actor: number): Inspection;
  suspend(actor: number, suspended: boolean): void;
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
  | 'undecodable';

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
  /** Kind of the message in hand, or the phase: init, open, start, io. */
  readonly kind: string;
  readonly error: string;
  readonly stack: string;
  /** W3C trace id of the message in hand, or ''. */
  readonly trace: string;
};

/** What a thread tells the main thread; in order, and delivered even when the thread ends right after. */
export type ThreadEvent =
  | { readonly kind: 'crash'; readonly crash: Crash; readonly dump: Dump | undefined }
  /** An actor did not start: what it had in hand. The failure itself is told to whoever started it. */
  | { readonly kind: 'dumped'; readonly crash: Crash; readonly dump: Dump | undefined }
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
