/** Runs a core with the state and the message of a crash report: does it end in the same exception? */
import type { Actor } from '../actor.ts';
import type { Message } from '../mailbox/asks.ts';
import type { Recorded } from '../recorder.ts';
import { decodeValue, type Supply } from './encode.ts';
import { functionAt } from './functions.ts';
import { replayEffects } from './replay-effects.ts';
import { type CrashReport, type Dump, REPORT_VERSION } from './report.ts';

export type Replayed = {
  /** The same exception: name and message. */
  readonly reproduced: boolean;
  /** What was thrown; undefined: nothing. */
  readonly thrown:
    | { readonly name: string; readonly message: string; readonly stack: string }
    | undefined;
  readonly message: Message | undefined;
  /** As it was shown before the step, which may change it. */
  readonly stateBefore: unknown;
  /** What the step said before it threw. */
  readonly effects: readonly Recorded[];
};

const MISSING = 'is not part of a crash report';

/** Functions come from a fresh state of the same actor; one that only came at run time (a private key) refuses to run. */
const supplyFrom =
  (actor: Actor, fresh: unknown): Supply =>
  (place) => {
    const found = functionAt(actor, fresh, place);
    if (found !== undefined) return found;
    return () => {
      throw new Error(`the function ${place.slice(1)} ${MISSING}`);
    };
  };

/** Reads a report; throws a sentence for what is none. */
export const parseReport = (text: string): CrashReport => {
  let report: Partial<CrashReport> | null;
  try {
    report = JSON.parse(text) as Partial<CrashReport> | null;
  } catch {
    throw new Error('this is no crash report: not JSON');
  }
  if (report?.version !== REPORT_VERSION || typeof report.path !== 'string') {
    throw new Error(`this is no crash report of version ${REPORT_VERSION}`);
  }
  return report as CrashReport;
};

/** The state that the report holds; at a start without one, the core's own. */
const stateOf = (dump: Dump, actor: Actor, config: unknown): unknown => {
  const fresh: unknown = actor.core.init(config);
  if (dump.stateIs === 'none') return fresh;
  return decodeValue(dump.state, supplyFrom(actor, fresh));
};

/** `dump.phase` must not be 'io'. `show` makes of the state what is kept of it for people. */
export const replayDump = (
  dump: Dump,
  actor: Actor,
  show: (state: unknown) => unknown = (state) => state,
): Replayed => {
  const config = decodeValue(dump.config, supplyFrom(actor, undefined));
  const state = stateOf(dump, actor, config);
  const message = decodeValue(dump.message, supplyFrom(actor, undefined)) as Message | null;
  const stateBefore = show(state);
  const { fx, take } = replayEffects(actor);
  const { core } = actor;
  let thrown: Replayed['thrown'];
  try {
    if (dump.phase === 'step') core.step(state, message, fx, dump.atMs);
    else if (dump.phase !== 'io') core[dump.phase]?.(state, fx, dump.atMs);
  } catch (error) {
    const known = error instanceof Error;
    const [name, text] = known ? [error.name, error.message] : ['', String(error)];
    thrown = { name, message: text, stack: known ? (error.stack ?? '') : '' };
  }
  const { error } = dump;
  const reproduced = thrown?.name === error.name && thrown.message === error.message;
  return { reproduced, thrown, message: message ?? undefined, stateBefore, effects: take() };
};
