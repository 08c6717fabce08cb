/**
 * Follows every anomaly from detection to its final state, from signed messages of the bus alone. A record
 * is finished only when what it changed is durable, so a crash reads it again; repeats change nothing.
 */
import type { Crypto } from '#proto/crypto.ts';
import type { Genesis } from '#proto/genesis.ts';
import { unreachable } from '#proto/result.ts';
import { type RoleBook, roleBook } from '#proto/roles.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import type { Answered, Core, Effects, MessagesTo } from '#runtime/actor.ts';
import { bus } from '#runtime/bus/protocol.ts';
import {
  commitMark,
  done,
  follow,
  onFetched,
  poll,
  type Subscription,
  subscription,
} from '#runtime/bus/subscription.ts';
import type { persistence } from '../persistence/protocol.ts';
import { completeIfSettled, onProjector } from './completion.ts';
import type { FeedbackConfig } from './config.ts';
import {
  type Changes,
  type HeightWords,
  type Ledger,
  newLedger,
  type PolicyTrack,
  settle,
  takeChanges,
  touched,
  unacked,
} from './ledger.ts';
import { type Anomaly, elapse } from './lifecycle.ts';
import type { feedback } from './protocol.ts';
import { hear } from './records.ts';

type Incoming = MessagesTo<typeof feedback>;
type ListQuestion = Extract<Incoming, { kind: 'list' }>;
type OneQuestion = Extract<Incoming, { kind: 'one' }>;
type SummaryQuestion = Extract<Incoming, { kind: 'summary' }>;

/** Which topics are heard, by the key of the subscription. */
export const HEARD = [
  'anomalies',
  'evidenceRequests',
  'commits',
  'policyUpdates',
  'policyAcks',
] as const;
export type HeardTopic = (typeof HEARD)[number];

export type Opened = {
  readonly genesis: Genesis;
  readonly open: readonly Anomaly[];
  readonly heights: readonly HeightWords[];
  readonly policies: readonly PolicyTrack[];
  readonly outcomes: readonly boolean[];
  /** Ids with a final state, oldest first, at most FINISHED_MAX. */
  readonly finished: readonly string[];
};

export type Self =
  | Incoming
  | ({ readonly kind: 'opened' } & Opened)
  | {
      readonly kind: 'fetched';
      readonly topic: HeardTopic;
      readonly result: Answered<typeof bus, 'fetch'>;
    }
  | { readonly kind: 'poll'; readonly topic: HeardTopic }
  | { readonly kind: 'saved'; readonly records: readonly Finished[] }
  | { readonly kind: 'save' }
  | { readonly kind: 'sweep' }
  | { readonly kind: 'ends'; readonly result: Answered<typeof bus, 'ends'> }
  | { readonly kind: 'projector'; readonly result: Answered<typeof persistence, 'status'> }
  | {
      readonly kind: 'listed';
      readonly replyTo: ListQuestion['replyTo'];
      readonly anomalies: Uint8Array;
      readonly total: number;
    }
  | {
      readonly kind: 'found';
      readonly replyTo: OneQuestion['replyTo'];
      readonly anomaly: Uint8Array | undefined;
    }
  | {
      readonly kind: 'counted';
      readonly replyTo: SummaryQuestion['replyTo'];
      readonly counts: { readonly [state: string]: number };
    };

export type Finished = {
  readonly topic: HeardTopic;
  readonly partition: number;
  readonly offset: number;
};

export type Commands = {
  open: null;
  save: { readonly changes: Changes; readonly records: readonly Finished[] };
  list: ListQuestion;
  one: OneQuestion;
  count: SummaryQuestion;
};

export type State = {
  readonly config: FeedbackConfig;
  readonly crypto: Crypto;
  readonly ledger: Ledger;
  readonly subs: { readonly [T in HeardTopic]: Subscription };
  /** Content hash (hex) to when the signer took the detection; oldest out at 10,000. */
  readonly detected: Map<string, number>;
  roles: RoleBook | undefined;
  /** Heard, and not yet durable. */
  unsaved: Finished[];
  saving: boolean;
  /** A finite source has ended; the run is complete when all that it caused is settled. */
  drained: boolean;
  complete: boolean;
  busCaughtUp: boolean;
  /** Unix ms at which everything but SQL was settled; 0 before. */
  settledAtMs: number;
  asksProjector: boolean;
};

export type Fx = Effects<Self, Commands>;
const ENDS_DEADLINE_MS = 2000;
const DRAINED_SWEEP_MS = 100;
const KEEP_HEIGHTS = 64;
const SAVE_MS = 50;
const UNSAVED_MAX = 4096;
const encoder = new TextEncoder();

const subscriptions = (): State['subs'] => {
  const sub = (topic: HeardTopic): Subscription =>
    subscription({ topic: TOPICS[topic], group: 'feedback' });
  return {
    anomalies: sub('anomalies'),
    evidenceRequests: sub('evidenceRequests'),
    commits: sub('commits'),
    policyUpdates: sub('policyUpdates'),
    policyAcks: sub('policyAcks'),
  };
};

const pollTopic = (state: State, topic: HeardTopic, fx: Fx): void => {
  if (state.unsaved.length >= UNSAVED_MAX) return;
  const full = topic === 'anomalies' && state.ledger.open.size >= state.config.openMax;
  if (full) return fx.after(state.config.sweepMs, { kind: 'poll', topic }, `poll-${topic}`);
  poll(state.subs[topic], fx, { kind: 'fetched', topic });
};

const opened = (state: State, message: Opened, fx: Fx): void => {
  const { ledger } = state;
  for (const anomaly of message.open) ledger.open.set(anomaly.id, anomaly);
  for (const entry of message.heights) ledger.heights.set(entry.height, entry);
  for (const track of message.policies) ledger.policies.set(track.id, track);
  ledger.outcomes.push(...message.outcomes);
  for (const id of message.finished) ledger.finished.add(id);
  state.roles = roleBook(message.genesis);
  for (const topic of HEARD) pollTopic(state, topic, fx);
  fx.after(state.config.sweepMs, { kind: 'sweep' }, 'sweep');
  fx.signal({ kind: 'ready' });
};

const fetched = (
  state: State,
  topic: HeardTopic,
  result: Answered<typeof bus, 'fetch'>,
  fx: Fx,
  atMs: number,
): void => {
  const { records, retryMs } = onFetched(state.subs[topic], result);
  if (retryMs > 0) return fx.after(retryMs, { kind: 'poll', topic }, `poll-${topic}`);
  if (records.length === 0) return pollTopic(state, topic, fx);
  for (const record of records) {
    follow([record], fx, () => hear(state, topic, record, fx, atMs));
  }
  for (const { partition, offset } of records) state.unsaved.push({ topic, partition, offset });
  saveSoon(state, fx);
  pollTopic(state, topic, fx);
};

/** What several topics change within a moment is one transaction and one fsync. */
const saveSoon = (state: State, fx: Fx): void => {
  if (!state.saving) fx.after(SAVE_MS, { kind: 'save' }, 'save');
};

const save = (state: State, fx: Fx): void => {
  const { anomalies, heights, policies } = state.ledger.changes;
  const changed = anomalies.size + heights.size + policies.size > 0;
  if (state.saving || (!changed && state.unsaved.length === 0)) return;
  state.saving = true;
  const records = state.unsaved;
  state.unsaved = [];
  fx.io('save', { changes: takeChanges(state.ledger), records });
};

const saved = (state: State, records: readonly Finished[], fx: Fx, atMs: number): void => {
  const topics = new Set<HeardTopic>();
  for (const { topic, partition, offset } of records) {
    done(state.subs[topic], partition, offset);
    topics.add(topic);
  }
  for (const topic of topics) commitMark(state.subs[topic], fx);
  state.saving = false;
  if (state.unsaved.length > 0) saveSoon(state, fx);
  // Those that the bound had stopped go on; the others have their question open already.
  for (const topic of HEARD) pollTopic(state, topic, fx);
  completeIfSettled(state, fx, atMs);
};

/** Deadlines pass, settled blocks are forgotten, levels are shown. */
const sweep = (state: State, fx: Fx, atMs: number): void => {
  const { ledger, config } = state;
  for (const anomaly of [...ledger.open.values()]) {
    const to = elapse(anomaly, config, atMs);
    if (to === undefined) continue;
    touched(ledger, anomaly, config.acceptanceWindow);
    fx.emit(`anomalies_${to.toLowerCase()}`, 1);
  }
  settle(ledger, KEEP_HEIGHTS);
  fx.gauge('open_anomalies', ledger.open.size);
  fx.gauge('open_policies', unacked(ledger));
  if (ledger.outcomes.length >= config.acceptanceSamplesMin) {
    const committed = ledger.outcomes.filter(Boolean).length;
    fx.gauge('acceptance', committed / ledger.outcomes.length);
  }
  save(state, fx);
  if (state.drained && !state.complete) {
    const { topic, group } = state.subs.anomalies;
    fx.ask(bus, { kind: 'ends', topic, group }, { kind: 'ends' }, ENDS_DEADLINE_MS);
  }
  const pauseMs = state.drained ? Math.min(DRAINED_SWEEP_MS, config.sweepMs) : config.sweepMs;
  fx.after(pauseMs, { kind: 'sweep' }, 'sweep');
};

/** The topic has been read to the end that it had after the last publish. */
const onEnds = (state: State, result: Answered<typeof bus, 'ends'>, fx: Fx, atMs: number): void => {
  if (!result.ok) return;
  const { marks } = state.subs.anomalies;
  state.busCaughtUp = result.value.ends.every((end, part) => (marks[part] ?? 0) >= end);
  completeIfSettled(state, fx, atMs);
};

const summary = (state: State, counts: { readonly [state: string]: number }): Uint8Array => {
  const { outcomes } = state.ledger;
  const enough = outcomes.length >= state.config.acceptanceSamplesMin;
  const committed = outcomes.filter(Boolean).length;
  return encoder.encode(
    JSON.stringify({
      counts,
      open: state.ledger.open.size,
      openPolicies: unacked(state.ledger),
      acceptance: enough ? committed / outcomes.length : null,
      acceptanceSamples: outcomes.length,
    }),
  );
};

const remember = (state: State, message: Extract<Self, { kind: 'detected' }>): void => {
  const key = Array.from(message.contentHash, (b) => b.toString(16).padStart(2, '0')).join('');
  state.detected.set(key, message.atMs);
  if (state.detected.size > 10_000) state.detected.delete(state.detected.keys().next().value!);
};

const step = (state: State, message: Self, fx: Fx, atMs: number): void => {
  switch (message.kind) {
    case 'detected':
      return remember(state, message);
    case 'drained':
      state.drained = true;
      return fx.after(0, { kind: 'sweep' }, 'sweep');
    case 'opened':
      return opened(state, message, fx);
    case 'poll':
      return pollTopic(state, message.topic, fx);
    case 'fetched':
      return fetched(state, message.topic, message.result, fx, atMs);
    case 'saved':
      return saved(state, message.records, fx, atMs);
    case 'save':
      return save(state, fx);
    case 'sweep':
      return sweep(state, fx, atMs);
    case 'ends':
      return onEnds(state, message.result, fx, atMs);
    case 'projector':
      return onProjector(state, message.result, fx, atMs);
    case 'list':
      return fx.io('list', message);
    case 'listed':
      return fx.reply(message.replyTo, { anomalies: message.anomalies, total: message.total });
    case 'one':
      return fx.io('one', message);
    case 'found':
      return fx.reply(message.replyTo, {
        found: message.anomaly !== undefined,
        anomaly: message.anomaly ?? new Uint8Array(0),
      });
    case 'summary':
      return fx.io('count', message);
    case 'counted':
      return fx.reply(message.replyTo, { json: summary(state, message.counts) });
    default:
      return unreachable(message);
  }
};

/** `crypto` verifies the signatures of the bus; it is the only outside thing that the core calls. */
export const createCore = (crypto: Crypto): Core<FeedbackConfig, State, Self, Commands> => ({
  init: (config) => ({
    config,
    crypto,
    ledger: newLedger(),
    subs: subscriptions(),
    detected: new Map(),
    roles: undefined,
    unsaved: [],
    saving: false,
    drained: false,
    complete: false,
    busCaughtUp: false,
    settledAtMs: 0,
    asksProjector: false,
  }),
  start: (_state, fx) => fx.io('open', null),
  step,
});
