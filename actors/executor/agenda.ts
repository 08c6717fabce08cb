/**
 * What in the committed state falls due when: nonces to forget, policies to sweep, anomalies to let go. It is
 * derived from the state alone and never hashed, so a restart rebuilds it from the stored keys.
 */

import type { GenesisParameters } from '#proto/genesis.ts';
import {
  type AnomalyState,
  decodeState,
  MINUTE_MS,
  minuteOf,
  type OffenceState,
  type PolicyState,
} from '#proto/state.ts';

/** Each has its own pace: policies matter most, the rest is housekeeping. */
export const SUBJECTS = ['nonces', 'policies', 'retention'] as const;
export type Subject = (typeof SUBJECTS)[number];

export type Due = { readonly key: string; readonly dueMs: number };

export type Agenda = {
  readonly parameters: GenesisParameters;
  /** Minute of being due -> keys, by subject. */
  readonly buckets: Readonly<Record<Subject, Map<number, Set<string>>>>;
  readonly dueMs: Map<string, number>;
  /** `producer/nonce` -> the newest key under which it stands. */
  readonly nonceKeys: Map<string, string>;
};

export const agenda = (parameters: GenesisParameters): Agenda => ({
  parameters,
  buckets: { nonces: new Map(), policies: new Map(), retention: new Map() },
  dueMs: new Map(),
  nonceKeys: new Map(),
});

const namespaceOf = (key: string): string => key.slice(0, key.indexOf('/'));

const subjects: ReadonlyMap<string, Subject> = new Map<string, Subject>([
  ['nonces', 'nonces'],
  ['policies', 'policies'],
  ['anomalies', 'retention'],
  ['evidence', 'retention'],
  ['offences', 'retention'],
]);

export const subjectOf = (key: string): Subject | undefined => subjects.get(namespaceOf(key));

/** The minute in the key of a nonce. */
const minuteIn = (key: string): number => Number(key.split('/', 2)[1]);

/** When the nonces of a minute are forgotten. */
export const nonceDueMs = (minute: number, parameters: GenesisParameters): number =>
  (minute + 1) * MINUTE_MS + parameters.nonceTtlMs;

/** When a key leaves the state; undefined for what stays. `value` is the decoded one, unused for nonces. */
export const dueOf = (
  key: string,
  value: unknown,
  parameters: GenesisParameters,
): number | undefined => {
  switch (namespaceOf(key)) {
    case 'nonces':
      return nonceDueMs(minuteIn(key), parameters);
    case 'policies':
      return (value as PolicyState).expiresMs;
    case 'anomalies':
    case 'evidence':
      return (value as AnomalyState).committedMs + parameters.anomalyTtlMs;
    case 'offences':
      return (value as OffenceState).lastMs + parameters.ladderMemoryMs;
    default:
      return undefined;
  }
};

/** The same of an encoded value. */
export const dueOfBytes = (
  key: string,
  value: Uint8Array,
  parameters: GenesisParameters,
): number | undefined => {
  const subject = subjectOf(key);
  if (subject === undefined) return undefined;
  return dueOf(key, subject === 'nonces' ? '' : decodeState(key, value), parameters);
};

const forget = (book: Agenda, subject: Subject, key: string): void => {
  const dueMs = book.dueMs.get(key);
  if (dueMs === undefined) return;
  book.dueMs.delete(key);
  const bucket = book.buckets[subject].get(minuteOf(dueMs));
  bucket?.delete(key);
  if (bucket?.size === 0) book.buckets[subject].delete(minuteOf(dueMs));
};

const nonceName = (key: string): string => key.slice(key.indexOf('/', 'nonces/'.length) + 1);

const noteNonce = (book: Agenda, key: string, stands: boolean): void => {
  const name = nonceName(key);
  const known = book.nonceKeys.get(name);
  if (!stands) {
    if (known === key) book.nonceKeys.delete(name);
  } else if (known === undefined || minuteIn(known) < minuteIn(key)) {
    book.nonceKeys.set(name, key);
  }
};

/** A committed write or removal. */
export const note = (book: Agenda, key: string, value: Uint8Array | null): void => {
  const subject = subjectOf(key);
  if (subject === undefined) return;
  if (subject === 'nonces') noteNonce(book, key, value !== null);
  forget(book, subject, key);
  const dueMs = value === null ? undefined : dueOfBytes(key, value, book.parameters);
  if (dueMs === undefined) return;
  book.dueMs.set(key, dueMs);
  const bucket = book.buckets[subject].get(minuteOf(dueMs)) ?? new Set<string>();
  bucket.add(key);
  book.buckets[subject].set(minuteOf(dueMs), bucket);
};

/** The order in which what is due is done: the same on every replica. */
export const dueOrder = (a: Due, b: Due): number =>
  a.dueMs - b.dueMs || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

/** What of a subject is due at `timeMs`, in `dueOrder`; sorts no further than it is read. */
export function* dueBy(book: Agenda, subject: Subject, timeMs: number): Generator<Due> {
  const buckets = book.buckets[subject];
  const minutes = [...buckets.keys()].filter((minute) => minute * MINUTE_MS <= timeMs);
  for (const minute of minutes.sort((a, b) => a - b)) {
    const dues = [...(buckets.get(minute) ?? [])].map(
      (key): Due => ({
        key,
        dueMs: book.dueMs.get(key) ?? 0,
      }),
    );
    for (const due of dues.sort(dueOrder)) if (due.dueMs <= timeMs) yield due;
  }
}
