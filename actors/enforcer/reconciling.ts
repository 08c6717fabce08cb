/** Makes what enforces equal to what is committed, and says how far it was off. */
import {
  type Applied,
  type Backend,
  type Census,
  type Fault,
  failed,
  NO_PACKETS,
} from './backend.ts';
import type { Entry } from './registry.ts';

export type Reconciled = {
  /** Of the desired ones, those that were not in force. */
  readonly missing: readonly Entry[];
  /** What was in force, of ours, without being desired. */
  readonly foreign: number;
  /** Of every desired one, after what was repaired; empty where nothing was written. */
  readonly outcomes: readonly Applied[];
  readonly packets: Census['packets'];
  /** What enforces was read, and it is what is desired: nothing more and nothing less. */
  readonly isEqual: boolean;
  /** Why what enforces could not be read. */
  readonly fault: Fault | undefined;
};

const NOTHING = {
  ...{ missing: [], foreign: 0, outcomes: [], packets: NO_PACKETS },
  ...{ isEqual: false, fault: undefined },
};

export const reconcile = async (
  backend: Backend,
  desired: readonly Entry[],
  now: () => number,
): Promise<Reconciled> => {
  const census = await backend.census(now());
  if (!census.ok) return { ...NOTHING, fault: census.error };
  const { ids, packets } = census.value;
  const missing = desired.filter((entry) => !ids.has(entry.id));
  const wanted = new Set(desired.map((entry) => entry.id));
  const foreign = census.value.foreign + [...ids].filter((id) => !wanted.has(id)).length;
  if (missing.length + foreign === 0) return { ...NOTHING, packets, isEqual: true };
  const outcomes = await backend.restore(desired, now());
  return { missing, foreign, outcomes, packets, isEqual: false, fault: undefined };
};

/** At the start nothing that stands there is trusted. */
export const restore = async (
  backend: Backend,
  desired: readonly Entry[],
  now: () => number,
): Promise<Reconciled> => ({ ...NOTHING, outcomes: await backend.restore(desired, now()) });

/** While the brake is pulled: everything of ours away, every policy failed for that reason. */
export const suspend = async (
  backend: Backend,
  desired: readonly Entry[],
  why: Fault,
): Promise<Reconciled> => {
  const cleared = await backend.clear();
  return {
    ...NOTHING,
    outcomes: desired.map((entry) => failed(entry, why)),
    fault: cleared.ok ? undefined : cleared.error,
  };
};
