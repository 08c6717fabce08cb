/** What `import ... from 'cybermesh/runtime'` gives: the vocabulary of actors, a system to run them, and a test's sink. */
export { z } from 'zod';
export { err, ok, type Result, unreachable } from '#proto/result.ts';
export * from './actor.ts';
export type { DeadLetters, Notice, RuntimeEvent } from './events.ts';
export type { ActorNumbers, MetricsSnapshot } from './metrics/numbers.ts';
export { type Recorded, type Recorder, recorder } from './recorder.ts';
export type { Intensity, OnFull, RestartType, ShutdownPhase, Strategy } from './spec.ts';
export {
  type ActorOptions,
  type ChildOptions,
  type GroupOptions,
  type SystemOptions,
  startSystem,
} from './standalone.ts';
export type { ShutdownReport } from './system/shutdown.ts';
export type { Crash, DeadLetter, DeadReason } from './system/thread.ts';
export type { Stopped, System } from './system.ts';
