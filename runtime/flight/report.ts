/** A crash report: what an actor had in hand, the state that it met, what came before, and how it ended. */
import { bounded } from '../control/bounded.ts';
import type { Mailbox } from '../mailbox/mailbox.ts';
import { redact } from '../topology/secrets.ts';
import { textOf } from '../trace/tap.ts';
import { type Encoded, encodeValue } from './encode.ts';
import { functionNames } from './functions.ts';

export const REPORT_VERSION = 1;
/** A report that is longer leaves its state out. */
export const REPORT_BYTES_MAX = 8 << 20;
const STATE_SHOWN = { depthMax: 6, entriesMax: 50, textMax: 500, valuesMax: 5000 } as const;

/** One log line of the actor. */
export type LogEntry = { readonly atMs: number; readonly level: string; readonly text: string };

/** What the thread of the actor knows. */
export type Dump = {
  readonly actor: string;
  /** URL of the module whose default export is the actor. */
  readonly module: string;
  readonly config: Encoded;
  readonly incarnation: number;
  /** `step`, `start` or `drain`: what threw; 'io' where it was not the core. */
  readonly phase: 'start' | 'step' | 'drain' | 'io';
  /** What it had in hand; null where that was no message. */
  readonly message: Encoded;
  readonly atMs: number;
  readonly error: { readonly name: string; readonly message: string; readonly stack: string };
  /** `before`: as the message met it. `after`: as the crash left it, which `why` explains. `none`: left out. */
  readonly stateIs: 'before' | 'after' | 'none';
  readonly why: string;
  readonly state: Encoded;
  /** The messages before, oldest first, each in one line. */
  readonly messages: readonly {
    readonly atMs: number;
    readonly kind: string;
    readonly text: string;
  }[];
};

/** What stands in the file. */
export type CrashReport = {
  readonly version: typeof REPORT_VERSION;
  readonly cybermesh: string;
  readonly node: string;
  readonly path: string;
  readonly atMs: number;
  readonly kind: string;
  readonly trace: string;
  /** Of the restart back-off; the cores themselves are not random. */
  readonly seed: number;
  readonly log: readonly LogEntry[];
  /** Null for a thread that ended without an exception: nobody was left to say what it had in hand. */
  readonly dump: Dump | null;
  readonly error: string;
  readonly stack: string;
};

const errorOf = (error: unknown): Dump['error'] =>
  error instanceof Error
    ? { name: error.name, message: error.message, stack: error.stack ?? '' }
    : { name: '', message: String(error), stack: '' };

type States = Pick<Dump, 'stateIs' | 'why' | 'state'>;

const statesOf = (mailbox: Mailbox): States => {
  const before = mailbox.flight.before();
  try {
    const names = functionNames(mailbox.actor, mailbox.config);
    return before.known
      ? { stateIs: 'before', why: '', state: encodeValue(before.state, names) }
      : { stateIs: 'after', why: before.why, state: encodeValue(mailbox.state, names) };
  } catch (error) {
    return { stateIs: 'none', why: `it cannot be written: ${String(error)}`, state: null };
  }
};

/**
 * Called on the thread of the actor, in its last moments: whatever is wrong with what it holds, its end must not be
 * kept up. Undefined where not even a report without a state can be made.
 */
export const dumpOf = (mailbox: Mailbox, kind: string, error: unknown): Dump | undefined => {
  try {
    return dumped(mailbox, kind, error);
  } catch {
    return undefined; // the crash itself is told in any case
  }
};

const dumped = (mailbox: Mailbox, kind: string, error: unknown): Dump => {
  const kept = mailbox.flight.kept();
  const last = kept.at(-1);
  const isCore = kind === mailbox.kind && last !== undefined;
  const phase = isCore ? last.phase : 'io';
  const shown = kept.slice(0, isCore ? -1 : undefined);
  const states = isCore
    ? statesOf(mailbox)
    : ({ stateIs: 'none', why: 'io failed, not the core', state: null } as const);
  return {
    actor: mailbox.actor.self.name,
    module: mailbox.module,
    config: encodeValue(mailbox.config),
    incarnation: mailbox.out.incarnation,
    phase,
    message: phase === 'step' ? encodeValue(last!.message) : null,
    atMs: last?.atMs ?? mailbox.atMs,
    error: errorOf(error),
    ...states,
    messages: shown.map(({ message, atMs }) => ({
      atMs,
      kind: message.kind,
      text: textOf(message),
    })),
  };
};

const lengthOf = (report: CrashReport): number => Buffer.byteLength(JSON.stringify(report));

/** The text of the file: without the state, then without the message, where it would be too long. */
export const reportText = (report: CrashReport): string => {
  const { dump } = report;
  if (dump === null || lengthOf(report) <= REPORT_BYTES_MAX) return JSON.stringify(report, null, 1);
  const why = `the report would be longer than ${REPORT_BYTES_MAX >> 20} MiB`;
  const stateless: CrashReport = {
    ...report,
    dump: { ...dump, stateIs: 'none', why, state: null },
  };
  if (lengthOf(stateless) <= REPORT_BYTES_MAX) return JSON.stringify(stateless, null, 1);
  return JSON.stringify({ ...stateless, dump: null }, null, 1);
};

/** The error as it may be shown: exceptions repeat what they stumbled over. */
export const shownError = (text: string): string => String(redact(text));

/** State as people read it. */
export const stateShown = (state: unknown): unknown => bounded(state, STATE_SHOWN);
