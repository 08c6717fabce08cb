/**
 * What feedback keeps in memory: anomalies without a final state, what validators said of blocks, and the
 * policies that wait for an acknowledgement. Pure; everything changed is handed out to be made durable.
 */
import { NOT_CANARY, type PolicyAckEvent } from '#proto/wire/ack.ts';
import { type Anomaly, believersNeeded, isTerminal, type Report, report } from './lifecycle.ts';

/** What validators say of one height; it counts when f+1 say the same. */
export type HeightWords = {
  readonly height: number;
  readonly words: { readonly validator: string; readonly said: string }[];
  /** Policies that the block brought into force, once f+1 agree; -1 before. */
  policies: number;
};

/** One policy on its way to the firewall. `acked` is '' until an enforcer has answered. */
export type PolicyTrack = {
  readonly id: string;
  /** 0 while only its acknowledgement is known. */
  height: number;
  readonly seenAtMs: number;
  acked: '' | 'applied' | 'failed';
};

export type Changes = {
  readonly anomalies: Map<string, Anomaly>;
  readonly heights: Map<number, HeightWords>;
  readonly policies: Map<string, PolicyTrack>;
};

export type Ledger = {
  readonly open: Map<string, Anomaly>;
  readonly heights: Map<number, HeightWords>;
  readonly policies: Map<string, PolicyTrack>;
  /** Words on anomalies that are not on our side of the bus yet, by id, oldest first. */
  readonly early: Map<string, Report[]>;
  /** Ids of anomalies with a final state, oldest first: what is said of them again changes nothing. */
  readonly finished: Set<string>;
  /** The newest final states, true = committed, oldest first. */
  readonly outcomes: boolean[];
  changes: Changes;
};

/** Of what came before what it speaks of, or after it was forgotten: so much is kept, the newest. */
export const EARLY_MAX = 10_000;
const HEIGHTS_MAX = 4096;
export const FINISHED_MAX = 100_000;

const noChanges = (): Changes => ({
  anomalies: new Map(),
  heights: new Map(),
  policies: new Map(),
});

export const newLedger = (): Ledger => ({
  open: new Map(),
  heights: new Map(),
  policies: new Map(),
  early: new Map(),
  finished: new Set(),
  outcomes: [],
  changes: noChanges(),
});

/** Hands out everything changed since the last call. */
export const takeChanges = (ledger: Ledger): Changes => {
  const { changes } = ledger;
  ledger.changes = noChanges();
  return changes;
};

export const touched = (ledger: Ledger, anomaly: Anomaly, windowMax: number): void => {
  ledger.changes.anomalies.set(anomaly.id, anomaly);
  if (!isTerminal(anomaly.state)) return;
  ledger.open.delete(anomaly.id);
  ledger.finished.add(anomaly.id);
  if (ledger.finished.size > FINISHED_MAX) {
    ledger.finished.delete(ledger.finished.keys().next().value!);
  }
  if (anomaly.state === 'EXPIRED') return;
  ledger.outcomes.push(anomaly.state === 'COMMITTED');
  if (ledger.outcomes.length > windowMax) ledger.outcomes.shift();
};

/** Drops the oldest entry of a map at its bound: insertion order is age. */
const bounded = <K, V>(map: Map<K, V>, max: number): void => {
  if (map.size > max) map.delete(map.keys().next().value as K);
};

/** A validator's word on an anomaly. Words that come before the anomaly itself wait for it. */
export const say = (
  ledger: Ledger,
  id: string,
  word: Report,
  context: { readonly validators: number; readonly windowMax: number; readonly atMs: number },
): ReturnType<typeof report> => {
  const anomaly = ledger.open.get(id);
  if (ledger.finished.has(id)) return [];
  if (anomaly === undefined) {
    const words = ledger.early.get(id) ?? [];
    words.push(word);
    ledger.early.set(id, words);
    bounded(ledger.early, EARLY_MAX);
    return [];
  }
  const moved = report(anomaly, word, context.validators, context.atMs);
  touched(ledger, anomaly, context.windowMax);
  return moved;
};

/** One validator's CommitEvent; returns true when it makes f+1 agree on the height for the first time. */
export const sayHeight = (
  ledger: Ledger,
  height: number,
  word: { readonly validator: string; readonly said: string; readonly policies: number },
  validators: number,
): boolean => {
  const entry = ledger.heights.get(height) ?? { height, words: [], policies: -1 };
  if (!ledger.heights.has(height)) {
    ledger.heights.set(height, entry);
    bounded(ledger.heights, HEIGHTS_MAX);
  }
  if (entry.words.some((known) => known.validator === word.validator)) return false;
  entry.words.push({ validator: word.validator, said: word.said });
  ledger.changes.heights.set(height, entry);
  const same = entry.words.filter((known) => known.said === word.said).length;
  if (entry.policies >= 0 || same < believersNeeded(validators)) return false;
  entry.policies = word.policies;
  return true;
};

export const sawPolicy = (ledger: Ledger, id: string, height: number, atMs: number): void => {
  const track: PolicyTrack = ledger.policies.get(id) ?? { id, height, seenAtMs: atMs, acked: '' };
  track.height = height;
  ledger.policies.set(id, track);
  ledger.changes.policies.set(id, track);
};

/**
 * An acknowledgement; one that comes before its policy is kept with it. The newest counts, but for an agent for which
 * the policy is not meant: it says nothing of what another one has done.
 */
export const sawAck = (
  ledger: Ledger,
  id: string,
  { result, errorCode }: Pick<PolicyAckEvent, 'result' | 'errorCode'>,
  atMs: number,
): void => {
  const track = ledger.policies.get(id) ?? { id, height: 0, seenAtMs: atMs, acked: '' };
  if (track.acked !== '' && errorCode === NOT_CANARY) return;
  track.acked = result;
  ledger.policies.set(id, track);
  ledger.changes.policies.set(id, track);
};

export const unacked = (ledger: Ledger): number =>
  [...ledger.policies.values()].filter((track) => track.acked === '').length;

/** Policies that committed blocks announced and nobody has published to us yet. */
export const unseenPolicies = (ledger: Ledger): number => {
  const seen = new Map<number, number>();
  for (const { height } of ledger.policies.values()) seen.set(height, (seen.get(height) ?? 0) + 1);
  let missing = 0;
  for (const { height, policies } of ledger.heights.values()) {
    missing += Math.max(0, policies - (seen.get(height) ?? 0));
  }
  return missing;
};

/** Forgets heights and policies that are settled; the durable store keeps them. */
export const settle = (ledger: Ledger, keepHeights: number): void => {
  const newest = Math.max(0, ...ledger.heights.keys());
  const byHeight = new Map<number, PolicyTrack[]>();
  for (const track of ledger.policies.values()) {
    byHeight.set(track.height, [...(byHeight.get(track.height) ?? []), track]);
  }
  const early = byHeight.get(0) ?? [];
  for (const { id } of early.slice(0, Math.max(0, early.length - EARLY_MAX))) {
    ledger.policies.delete(id);
  }
  for (const [height, entry] of ledger.heights) {
    const tracks = byHeight.get(height) ?? [];
    const settled =
      entry.policies >= 0 &&
      tracks.length >= entry.policies &&
      tracks.every((track) => track.acked !== '');
    if (height > newest - keepHeights || !settled) continue;
    ledger.heights.delete(height);
    for (const track of tracks) ledger.policies.delete(track.id);
  }
};
