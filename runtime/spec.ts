/**
 * A resolved system: what the topology loader hands to `startSystem`. Templates are expanded, configurations
 * validated; everything here is plain data that structured clone can carry to a thread.
 */
import type { Backoff } from '#supervisors/backoff.ts';
import type { AutoShutdown } from '#supervisors/tree.ts';
import type { NodeSettings } from './actor.ts';
import type { OtlpSettings } from './otlp/exporter.ts';
import type { TraceSettings } from './trace/sightings.ts';

/** OTP's restart types: always, only after an abnormal end, never. */
export type RestartType = 'permanent' | 'transient' | 'temporary';
/** OTP's strategies. */
export type Strategy = 'one_for_one' | 'one_for_all' | 'rest_for_one';
/** What a sender meets when a mailbox is full: it waits, its message is dropped, its message fails. */
export type OnFull = 'backpressure' | 'drop-new' | 'fail';

export type ActorSpec = {
  readonly kind: 'actor';
  /** Unique among its siblings; the last part of its path. */
  readonly name: string;
  /** Name of the actor module, and the name under which addresses find it. */
  readonly actor: string;
  /** URL (file:) of the module whose default export is the actor. */
  readonly module: string;
  /** Already validated by the actor's own schema; plain data. */
  readonly config: unknown;
  /** It has not been validated: the thread that loads the module does it. */
  readonly rawConfig?: true;
  /** 'own', or the name of an earlier sibling whose thread it shares. */
  readonly thread: string;
  readonly restart: RestartType;
  /** How long its drain and the closing of its io may take; 'brutal_kill' waits for neither. */
  readonly shutdownMs: number | 'brutal_kill';
  /**
   * Messages that may wait, over all senders together, 1..65,536; and that it may put aside (`stash`, default 1,024).
   */
  readonly mailbox: { readonly depth: number; readonly onFull: OnFull; readonly stash?: number };
  /** Its end counts for the auto-shutdown of its supervisor. A permanent one always comes back and never counts. */
  readonly significant?: boolean;
  /** Idle for so long, it gives up its state and its io; its next message starts it again. Absent: never. */
  readonly passivateMs?: number;
  /** The phase of the shutdown in which it drains (default `flows`). */
  readonly phase?: string;
};

/** How a pool's address finds a member: in turn, by a field of the message, or all of them. */
export type PoolRouting = {
  readonly route: 'round-robin' | 'consistent-hash' | 'broadcast';
  /** The field that holds the key, for consistent-hash. */
  readonly by?: string;
};

/** One phase of a coordinated shutdown: its actors drain in start order. */
export type ShutdownPhase = { readonly name: string; readonly deadlineMs: number };

export type Intensity = { readonly restarts: number; readonly periodS: number };

export type SupervisorSpec = {
  readonly kind: 'supervisor';
  /** Unique among its siblings; the root's name is not part of a path. */
  readonly name: string;
  readonly strategy: Strategy;
  readonly intensity: Intensity;
  /** transient (default): started again when it gave up, not when it shut down. */
  readonly restart?: RestartType;
  readonly significant?: boolean;
  /** When it shuts down because its significant children have ended (default any_significant). */
  readonly autoShutdown?: AutoShutdown;
  /** How long restarts wait (default: supervisors/backoff.ts). */
  readonly backoff?: Backoff;
  readonly children: readonly ChildSpec[];
  /** Its children are the members of a pool: one address stands for all of them. */
  readonly pool?: PoolRouting;
};

export type ChildSpec = ActorSpec | SupervisorSpec;

/** Sizes of what is shared between the threads; see the defaults. */
export type LaneSettings = {
  /** 32-bit words of one lane, a power of two. */
  readonly words: number;
};
export type SlabSettings = {
  readonly count: number;
  /** Bytes of one slab, a multiple of 4,096. */
  readonly bytes: number;
};

/** A setting in force as it may be shown. */
export type Setting = { readonly path: string; readonly value: unknown; readonly source: string };

export type SystemSpec = {
  readonly root: SupervisorSpec;
  readonly node: NodeSettings;
  readonly lanes?: LaneSettings;
  readonly slabs?: SlabSettings;
  /** Longest busy wait of a thread for its next message; 0 parks at once. */
  readonly spinUs?: number;
  /** A thread that is silent for so long, outside native code, is treated as crashed (default 10,000). */
  readonly silentMs?: number;
  /** Old-generation heap of one thread; above it the thread is ended (ERR_WORKER_OUT_OF_MEMORY) and restarted. */
  readonly memoryMb?: number;
  /** Memory of ArrayBuffers of one thread, outside its heap; above it the thread is ended and restarted. */
  readonly offHeapMb?: number;
  /** Threads kept ready, with every module loaded, to take the place of a dead one (default 0). */
  readonly spares?: number;
  /** Folder for compiled code of the threads, 0700: later threads start in a third of the time. */
  readonly codeCache?: string;
  /** The phases of the shutdown in their order; see SHUTDOWN_PHASES. */
  readonly shutdown?: readonly ShutdownPhase[];
  /** Seed of the restart back-off's jitter. */
  readonly seed?: number;
  /** What is carried and recorded of traces (default: carried, nothing recorded). */
  readonly trace?: TraceSettings;
  /** Messages that the flight recorder of each actor keeps (default 32; 0: none). */
  readonly flightMessages?: number;
  /** An OpenTelemetry collector that gets spans and metrics. */
  readonly otlp?: OtlpSettings | undefined;
  /** What the console shows as configuration. */
  readonly settings?: readonly Setting[];
  /** Serve the control socket in dataDir (default true). */
  readonly controlSocket?: boolean;
};

export const STASH_DEFAULT = 1024;

/**
 * First what begins work, then what passes it on, then what keeps it. A phase has its own time and what those before it
 * have left over.
 */
export const SHUTDOWN_PHASES: readonly ShutdownPhase[] = [
  { name: 'sources', deadlineMs: 1000 },
  { name: 'flows', deadlineMs: 4000 },
  { name: 'sinks', deadlineMs: 1000 },
];
export const PHASE_DEFAULT = 'flows';

export const FLIGHT_MESSAGES = 32;
export const LANE_DEFAULTS: LaneSettings = { words: 1 << 17 };
export const SLAB_DEFAULTS: SlabSettings = { count: 256, bytes: 512 * 1024 };
