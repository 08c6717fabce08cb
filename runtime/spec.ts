/**
 * A resolved system: what the topology loader hands to `startSystem`. Templates are expanded, configurations
 * validated; everything here is plain data that structured clone can carry to a thread.
 */
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
  /** 'own', or the name of an earlier sibling whose thread it shares. */
  readonly thread: string;
  readonly restart: RestartType;
  /** How long its drain and the closing of its io may take; 'brutal_kill' waits for neither. */
  readonly shutdownMs: number | 'brutal_kill';
  /** Messages that may wait, over all senders together, 1..65,536. */
  readonly mailbox: { readonly depth: number; readonly onFull: OnFull };
  /** When it ends normally, its supervisor shuts down (OTP's any_significant). */
  readonly significant?: boolean;
};

export type Intensity = { readonly restarts: number; readonly periodS: number };

export type SupervisorSpec = {
  readonly kind: 'supervisor';
  /** Unique among its siblings; the root's name is not part of a path. */
  readonly name: string;
  readonly strategy: Strategy;
  readonly intensity: Intensity;
  readonly children: readonly ChildSpec[];
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

export const FLIGHT_MESSAGES = 32;
export const LANE_DEFAULTS: LaneSettings = { words: 1 << 17 };
export const SLAB_DEFAULTS: SlabSettings = { count: 256, bytes: 512 * 1024 };
