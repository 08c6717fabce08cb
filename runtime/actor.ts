/**
 * The public vocabulary of the runtime: what the author of an actor sees.
 *
 * An actor is a value. Its core is a function of (state, message, time); what it does to the world it
 * says to `fx`, which is write-only. So a core runs the same in production, in a test and in a replay.
 */

import type { z } from 'zod';
import type {
  AnswerTo,
  Declaration,
  Delivered,
  DeliveryOf,
  MessageOf,
  QuestionOf,
  ReplyTo,
  TellOf,
} from '#native/lanes/fields.ts';
import type { Result } from '#proto/result.ts';

export type {
  AnswerTo,
  Declaration,
  Delivered,
  MessageOf,
  ReplyTo,
} from '#native/lanes/fields.ts';
export {
  atom,
  blob,
  bool,
  bytes,
  delivery,
  f64,
  i64,
  list,
  oneOf,
  question,
  shared,
  str,
  u32,
} from '#native/lanes/fields.ts';

/** Why an ask has no answer. A value, never an exception. */
export type AskFailure = 'timeout' | 'mailbox-full' | 'target-restarted' | 'no-such-actor';

/**
 * Where messages go. `name` is the name of an actor (the `actor:` of its line in the topology);
 * it is looked up in the sender's own branch of the supervision tree first, then upwards.
 * `branch`, set by `at()`, names the branch (or child) explicitly.
 */
export type Address<D extends Declaration = Declaration> = {
  readonly name: string;
  readonly branch?: string;
  readonly declaration: D;
};

/** Declares an actor's messages and its address at once: the heart of every `protocol.ts`. */
export const address = <const D extends Declaration>(name: string, declaration: D): Address<D> => ({
  name,
  declaration,
});

/**
 * One instance of an actor of which there are several: `at(replica, 'v1')`. A branch that begins with a dot is a whole
 * path from the root: `at(replica, '.v1.replica')`.
 */
export const at = <D extends Declaration>(to: Address<D>, branch: string): Address<D> => ({
  ...to,
  branch,
});

/**
 * A service that actors offer and others look for, whichever they are: the key of the receptionist. Whoever offers it
 * has an address of this very declaration.
 */
export type ServiceKey<D extends Declaration = Declaration> = {
  readonly service: string;
  readonly declaration: D;
};

/** `service('scoring', scorer)`: what has the messages of `scorer` may register under it. */
export const service = <const D extends Declaration>(
  name: string,
  like: Address<D>,
): ServiceKey<D> => ({ service: name, declaration: like.declaration });

/** Who is registered under a key and alive, in start order. Each may be told, asked and watched. */
export type Listing<K extends ServiceKey> = readonly Address<K['declaration']>[];

/** How an actor ended that was watched. */
export type Terminated = {
  /** The incarnation that has ended. */
  readonly incarnation: number;
};

/** A delivery is confirmed; or its receiver has ended for good; or 1,024 wait for their confirmation already. */
export type DeliveryFailure = 'no-such-actor' | 'too-many';

/** Messages that an actor with this address receives from others. */
export type MessagesTo<A extends Address> = MessageOf<A['declaration']>;

/** The outcome of a question, as it comes back in the asker's own message. */
export type Answered<A extends Address, K extends keyof A['declaration']> = Result<
  AnswerTo<A['declaration'], K>,
  AskFailure
>;

type Message = { readonly kind: string };
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = { readonly [field: string]: unknown };

/** What an io adapter offers: a function for each command; a promise that rejects crashes the actor. */
export type IoCommands = { readonly [command: string]: unknown };

/** A message of one's own without the field that the runtime fills in. One of that kind must have room for this value. */
export type Filled<Self extends Message, R extends Message, Name extends string, Value> = R &
  (R & { readonly [K in Name]: Value } extends Extract<
    Self,
    { readonly kind: R['kind'] } & { readonly [K in Name]: unknown }
  >
    ? unknown
    : never);

/** A message of one's own that waits for an outcome: all of it but its `result`. */
export type Resume<Self extends Message, R extends Message, Outcome> = Filled<
  Self,
  R,
  'result',
  Outcome
>;

/** A message of one's own, without what a termination fills in where it has room for it. */
export type Obituary<Self extends Message> = Self extends { readonly terminated: Terminated }
  ? Omit<Self, 'terminated'>
  : Self;

/** Everything that a step may do to the world. Nothing of it comes back during the step. */
export type Effects<Self extends Message, Io extends IoCommands = Record<never, never>> = {
  /** At most once, in order for a pair. A full mailbox behaves as its topology says. */
  tell<D extends Declaration>(to: Address<D>, message: TellOf<D>): void;
  /**
   * Asks; the answer (or the failure) arrives as `resume` with a `result`. Default deadline 1,000 ms. While it handles a
   * question that is not answered yet, it has at most what is left of that question's deadline, by default all of it.
   * With a key, it replaces the open ask of that key.
   */
  ask<D extends Declaration, Q extends QuestionOf<D>, const R extends Message>(
    to: Address<D>,
    message: Q,
    resume: Resume<Self, R, Result<AnswerTo<D, Q['kind'] & keyof D>, AskFailure>>,
    deadlineMs?: number,
    key?: string,
  ): void;
  /** Gives the open ask of that key up: nothing comes back, and it is not handled any more if it has not begun. */
  giveUp(key: string): void;
  /** `message` arrives when nobody waits for that answer any more: given up, overdue, or its asker has ended. */
  whenCancelled(to: ReplyTo<unknown>, message: Self): void;
  reply<A extends object>(to: ReplyTo<A>, answer: NoInfer<A>): void;
  /** Sends `message` to oneself later. With a key, it replaces the pending timer of that key. */
  after(delayMs: number, message: Self, key?: string): void;
  /**
   * Sends `message` to oneself again and again. Each pause begins when the one before has been handled, so they never
   * pile up. Keys as in `after`.
   */
  every(periodMs: number, message: Self, key: string): void;
  /** No message of that timer arrives any more, not even one that is on its way. */
  cancel(key: string): void;
  /**
   * `message` arrives once when that actor terminates (its restart included), ahead of all data. Never lost, however full
   * the mailbox. It gets `terminated` filled in. A pool terminates when its last member has ended for good.
   */
  watch(to: Address, message: Obituary<Self>): void;
  /** Ends every watch on that actor; nothing of them arrives any more. */
  unwatch(to: Address): void;
  /**
   * Puts a message aside, with its sender and its deadline, until `unstash`. At the bound (`stash` of the mailbox in the
   * topology) it becomes a dead letter `stash-full`. A restart loses what was put aside.
   */
  stash(message: Self): void;
  /** What was put aside is handled next, in its order, ahead of everything else. */
  unstash(): void;
  /**
   * Delivers at least once: kept and sent again, in order, until the receiver has confirmed it or ended for good.
   * `n` is the sender's own count for this receiver: it grows, and stands for the same message in each of the sender's
   * lives. What was confirmed is never handled again. At most 1,024 wait for each receiver; more fail with `too-many`.
   * A full mailbox holds nobody back: deliveries wait in their own order, and what is told may overtake them.
   */
  deliver<D extends Declaration, const R extends Message>(
    to: Address<D>,
    message: DeliveryOf<D>,
    n: number,
    confirmed: Resume<Self, R, Result<object, DeliveryFailure>>,
  ): void;
  /** What that delivery was for is done. Until then each new incarnation receives it again. */
  confirm(delivery: Delivered): void;
  /** From now on, and until it ends, this actor is listed under the key (one of its `offers`). */
  register(key: ServiceKey): void;
  deregister(key: ServiceKey): void;
  /** `resume` arrives at once with the `listing`. The key is one of `sends`. */
  find<K extends ServiceKey, const R extends Message>(
    key: K,
    resume: Filled<Self, R, 'listing', Listing<K>>,
  ): void;
  /** `resume` arrives with the `listing` at once and after every change; of several changes the last counts. */
  subscribe<K extends ServiceKey, const R extends Message>(
    key: K,
    resume: Filled<Self, R, 'listing', Listing<K>>,
  ): void;
  unsubscribe(key: ServiceKey): void;
  /** Hands a command to the actor's own io adapter. */
  io<K extends keyof Io & string>(command: K, argument: Io[K]): void;
  /**
   * What `body` says belongs to the trace that a W3C `traceparent` names (that of a record of a bus), not to that of the
   * message in hand; to a new one where it names none: `under('', ...)` for a question that waits for whatever comes.
   */
  under(traceparent: string, body: () => void): void;
  /**
   * Says what happened, to whoever watches: a counter named `name` grows by `value`; names ending in `_seconds`
   * or `_ratio` or `_bytes` are observed as a distribution; see `gauge` for levels.
   */
  emit(name: string, value: number): void;
  gauge(name: string, value: number): void;
  /** An event for the system itself (the end of a source, a halt), see SystemEvent. */
  signal(event: SystemEvent): void;
  log(level: LogLevel, text: string, fields?: LogFields): void;
  /** Ends this actor: 'normal' is not restarted by transient children; 'halt' is never restarted. */
  stop(reason: 'normal' | 'halt', text?: string): void;
};

/** What an actor tells the system that runs it. */
export type SystemEvent =
  /** Everything that a finite source caused has been acknowledged: a run without `--for` ends. */
  | { readonly kind: 'complete' }
  /** Ready to serve (health and readiness). */
  | { readonly kind: 'ready' }
  /** The newest value of a named fact that is not a number (a state root), shown by status and report. */
  | { readonly kind: 'fact'; readonly name: string; readonly value: string }
  /** A line for the live view: the newest policies, blocks and alerts. */
  | { readonly kind: 'notice'; readonly topic: string; readonly text: string };

/**
 * The deciding half of an actor: no clock, no randomness, no await, no I/O.
 * `atMs` is Unix milliseconds, read once a pass.
 */
export type Core<
  Config,
  State,
  Self extends Message,
  Io extends IoCommands = Record<never, never>,
> = {
  readonly init: (config: Config) => State;
  /**
   * Functions that a state comes to hold later than in `init` and that are always the same (a table of rules): a crash
   * report names them, and its replay finds them here.
   */
  readonly constants?: { readonly [name: string]: unknown };
  /** Called once, after init and after the io adapter has opened; a restart calls it again. */
  readonly start?: (state: State, fx: Effects<Self, Io>, atMs: number) => void;
  readonly step: (state: State, message: Self, fx: Effects<Self, Io>, atMs: number) => void;
  /**
   * Coordinated shutdown: called once; finish what is in hand and call `fx.stop('normal')`. Without it the
   * actor is stopped at once. The child's `shutdownMs` bounds it.
   */
  readonly drain?: (state: State, fx: Effects<Self, Io>, atMs: number) => void;
};

/** What the shell gives to an io adapter. */
export type IoPort<Self extends Message> = {
  /**
   * Puts a message into the actor's own mailbox; false when it is full (65,536): stop reading and come back. It belongs to
   * the trace of the command under way, else of `traceparent`, else to a new one.
   */
  deliver(message: Self, traceparent?: string): boolean;
  /** W3C header of the step whose command is under way, for what leaves the process; '' outside of a command. */
  traceparent(): string;
  /** Path of the actor in the tree, e.g. `v1.replica`. */
  readonly path: string;
  /** How many lives of this actor have ended before. */
  readonly incarnation: number;
  /** Directory for the state of this actor: created, 0700, under dataDir. */
  readonly dataDir: string;
  /** Node-wide settings: name, dataDir, genesis file, bus and database sections of the topology. */
  readonly node: NodeSettings;
  /** Unix milliseconds. */
  now(): number;
  log(level: LogLevel, text: string, fields?: LogFields): void;
  emit(name: string, value: number): void;
  gauge(name: string, value: number): void;
  /** The supervisor does not terminate this thread while `call` is inside native code. */
  native<T>(call: () => Promise<T>): Promise<T>;
  /** The system that runs this actor, for those who show it (API, debug console). */
  readonly system: SystemView;
  /** Runs an exported function of a module on the pool of worker threads (CPU-bound batches). */
  pool<T>(module: URL, task: string, argument: unknown): Promise<T>;
};

/** What the running system says of itself. Every call has a deadline of 2,000 ms and rejects after it. */
export type SystemView = {
  tree(): Promise<TreeNode>;
  /** Prometheus text format 0.0.4 of every actor and of the runtime. */
  metrics(): Promise<string>;
  /** The newest notices, oldest first, at most 100. */
  notices(): Promise<
    readonly {
      readonly atMs: number;
      readonly path: string;
      readonly topic: string;
      readonly text: string;
    }[]
  >;
};

/** One line of the supervision tree. */
export type TreeNode = {
  readonly name: string;
  readonly path: string;
  readonly kind: 'supervisor' | 'actor';
  readonly strategy?: string;
  readonly actor?: string;
  readonly thread?: number;
  readonly state: 'starting' | 'running' | 'stopping' | 'stopped' | 'failed';
  readonly restarts: number;
  /** An operator has suspended it: it takes no step until resumed. Left out where nobody has. */
  readonly suspended?: true;
  readonly mailboxDepth?: number;
  readonly mailboxDepthMax?: number;
  readonly messages?: number;
  readonly facts?: { readonly [name: string]: string };
  readonly children?: readonly TreeNode[];
};

export type NodeSettings = {
  readonly name: string;
  readonly dataDir: string;
  /** Absolute path of the genesis file and its pinned SHA-256 (hex). */
  readonly genesis: { readonly file: string; readonly sha256: string };
  readonly database: { readonly url: string };
};

/** The doing half: one function a command; opened before `start`, closed at the stop. */
export type Io<Config, Self extends Message, Commands extends IoCommands> = (
  config: Config,
  port: IoPort<Self>,
) => IoAdapter<Commands> | Promise<IoAdapter<Commands>>;

export type IoAdapter<Commands extends IoCommands> = {
  readonly commands: {
    readonly [K in keyof Commands]: (argument: Commands[K]) => void | Promise<void>;
  };
  readonly close?: () => void | Promise<void>;
};

/** An actor as a value, after its types have done their work. */
export type Actor = {
  readonly self: Address;
  readonly config?: z.ZodType;
  // biome-ignore lint/suspicious/noExplicitAny: the loader holds actors of every type in one list
  readonly core: Core<any, any, any, any>;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly sends: Sends | ((config: any) => Sends);
  readonly offers?: readonly ServiceKey[];
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly io?: Io<any, any, any>;
};

/** Whom an actor writes to: addresses, and keys of services whose every provider it may write to. */
export type Sends = readonly (Address | ServiceKey)[];

/**
 * Binds address, configuration, core and io. `sends` names every address that it may write to (asks, tells and
 * deliveries; answers need no entry): the loader lays exactly those lanes. `offers` names the services that it may
 * register under. `config` is left out by an actor without settings, and by one whose folder has a `config.ts` for the loader
 * of topologies: settings are checked before its thread is there, which then need not load the schema.
 */
export const defineActor = <
  D extends Declaration,
  Config,
  State,
  Self extends Message,
  Commands extends IoCommands = Record<never, never>,
>(
  actor: {
    readonly self: Address<D>;
    readonly config?: z.ZodType<Config>;
    readonly core: Core<Config, State, Self, Commands>;
    readonly sends: Sends | ((config: Config) => Sends);
    readonly offers?: readonly ServiceKey<NoInfer<D>>[];
    readonly io?: Io<Config, Self, Commands>;
  } & (MessageOf<D> extends Self ? unknown : never),
): Actor => actor as unknown as Actor;
