/**
 * Detections in, signed messages on the bus. What is accepted is durable first (outbox), released
 * by the limiter, signed then, sent as evidence and anomaly, remembered (ledger), and only then
 * answered. One entity has one detection on its way at a time, so that its messages keep their
 * order.
 */

import { ensemble } from '#actors/ensemble/protocol.ts';
import { feedback } from '#actors/feedback/protocol.ts';
import { unreachable } from '#proto/result.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import type { Core, Effects } from '#runtime/actor.ts';
import { bus } from '#runtime/bus/protocol.ts';
import type { SignerConfig } from './config.ts';
import type { Release } from './envelope.ts';
import { exhaust, type Limiter, limiter, take } from './limiter.ts';
import type { Accepted, Commands, Fate, Part, Self } from './messages.ts';
import type { Waiting } from './store.ts';

type Entry = {
  readonly row: number;
  readonly id: string;
  readonly entity: string;
  epoch: number;
  seq: number;
  release: Release;
  stage: 'queued' | 'sending' | 'finishing';
  bytes: { readonly evidence: Uint8Array; readonly anomaly: Uint8Array } | undefined;
  part: Part;
  attempts: number;
};

export type State = {
  readonly config: SignerConfig;
  readonly limiter: Limiter;
  loaded: boolean;
  instance: number;
  counter: number;
  /** Oldest first. */
  readonly entries: Map<number, Entry>;
  /** Entities with a detection on its way. */
  readonly busy: Set<string>;
  /** Handed to the outbox, not answered yet. */
  accepting: number;
  published: number;
  ended: boolean;
  draining: boolean;
};

type Fx = Effects<Self, Commands>;
const HOUR_MS = 3_600_000;
const COUNTERS = 2 ** 32;

const init = (config: SignerConfig): State => ({
  config,
  limiter: limiter(config.perSecondMax),
  loaded: false,
  instance: 0,
  counter: 0,
  entries: new Map(),
  busy: new Set(),
  accepting: 0,
  published: 0,
  ended: false,
  draining: false,
});

const entryOf = ({ row, id, entity, epoch, seq, release }: Waiting): Entry => ({
  row,
  id,
  entity,
  epoch,
  seq,
  release,
  stage: 'queued',
  bytes: undefined,
  part: 'evidence',
  attempts: 0,
});

const isFresh = (state: State, release: Release, atMs: number): boolean =>
  release.tsMs > 0 && Math.abs(atMs - release.tsMs) < state.config.resignAfterMs;

/**
 * A time and two nonces of its own; what was released before and is still fresh keeps its bytes.
 */
const releaseOf = (state: State, entry: Entry, atMs: number): Release => {
  if (isFresh(state, entry.release, atMs)) return entry.release;
  const release = { tsMs: atMs, instance: state.instance, counter: state.counter };
  state.counter = (state.counter + 2) % COUNTERS;
  return release;
};

/** Releases as many as limiter, entities and the number in flight allow. */
const pump = (state: State, fx: Fx, atMs: number): void => {
  if (!state.loaded) return;
  for (const entry of state.entries.values()) {
    if (state.busy.size >= state.config.inFlightMax) return;
    if (entry.stage !== 'queued' || state.busy.has(entry.entity)) continue;
    const waitMs = take(state.limiter, atMs);
    if (waitMs > 0) {
      fx.emit('limited', 1);
      return fx.after(waitMs, { kind: 'pump' }, 'pump');
    }
    state.busy.add(entry.entity);
    entry.stage = 'sending';
    entry.release = releaseOf(state, entry, atMs);
    fx.io('sign', { row: entry.row, release: entry.release });
  }
};

const send = (state: State, entry: Entry, fx: Fx, atMs: number): void => {
  if (entry.bytes === undefined || !isFresh(state, entry.release, atMs)) {
    // Validators refuse what is older than five minutes: back to the limiter for a new time and
    // nonce.
    fx.emit('signed_afresh', 1);
    entry.stage = 'queued';
    entry.bytes = undefined;
    state.busy.delete(entry.entity);
    return pump(state, fx, atMs);
  }
  const { row, entity, part, bytes } = entry;
  const topic = part === 'evidence' ? TOPICS.evidence : TOPICS.anomalies;
  fx.ask(
    bus,
    { kind: 'publish', topic, key: entity, value: bytes[part], headers: '{}' },
    { kind: 'sent', row, part },
    state.config.publishTimeoutMs,
  );
};

const finish = (entry: Entry, fate: Fate, fx: Fx, atMs: number): void => {
  entry.stage = 'finishing';
  fx.io('finish', { row: entry.row, fate, atMs });
};

const retry = (state: State, entry: Entry, why: string, fx: Fx): void => {
  // The outbox is durable: a stop does not wait for a bus that is away.
  if (state.draining) return fx.stop('normal');
  const { retryFirstMs, retryLastMs } = state.config;
  const pauseMs = Math.min(retryFirstMs * 2 ** Math.min(entry.attempts, 20), retryLastMs);
  entry.attempts += 1;
  fx.emit('publish_retries', 1);
  if (entry.attempts === 1) fx.log('warn', 'the bus did not take a message; trying on', { why });
  fx.after(pauseMs, { kind: 'retry', row: entry.row }, `retry-${entry.row}`);
};

const onSent = (
  state: State,
  { row, part, result }: Extract<Self, { readonly kind: 'sent' }>,
  fx: Fx,
  atMs: number,
): void => {
  const entry = state.entries.get(row);
  if (entry === undefined || entry.part !== part || entry.stage !== 'sending') return;
  if (!result.ok) return retry(state, entry, result.error, fx);
  const { outcome } = result.value;
  switch (outcome) {
    case 'ok':
      entry.attempts = 0;
      if (part === 'anomaly') return finish(entry, 'published', fx, atMs);
      entry.part = 'anomaly';
      return send(state, entry, fx, atMs);
    case 'unavailable':
      return retry(state, entry, outcome, fx);
    case 'too-large':
    case 'unknown-topic':
      fx.log('error', 'the bus refuses a message for good', { id: entry.id, part, outcome });
      return finish(entry, 'dropped', fx, atMs);
    default:
      return unreachable(outcome);
  }
};

/** Tells feedback once when the source has ended and nothing waits. */
const settleEnd = (state: State, fx: Fx): void => {
  if (!state.loaded || state.accepting > 0 || state.entries.size > 0) return;
  if (state.ended) {
    state.ended = false;
    fx.tell(feedback, { kind: 'drained', published: state.published });
  }
  if (state.draining) fx.stop('normal');
};

const onAccepted = (state: State, accepted: Accepted, fx: Fx, atMs: number): void => {
  state.accepting -= 1;
  const { id, contentHash, epoch, seq } = accepted;
  switch (accepted.outcome) {
    case 'queued':
      state.entries.set(accepted.waiting.row, entryOf(accepted.waiting));
      fx.tell(feedback, { kind: 'detected', contentHash, atMs });
      fx.gauge('outbox', state.entries.size);
      return pump(state, fx, atMs);
    case 'known': {
      const entry = state.entries.get(accepted.row);
      // Finished between the look into the outbox and this message: then it is published.
      if (entry === undefined) break;
      entry.epoch = epoch;
      entry.seq = seq;
      return;
    }
    case 'duplicate':
      break;
    case 'refused':
      fx.emit('dropped', 1);
      fx.log('error', 'a detection is dropped', { id, reason: accepted.reason });
      fx.tell(ensemble, { kind: 'published', id, outcome: 'dropped', epoch, seq });
      return settleEnd(state, fx);
    default:
      return unreachable(accepted);
  }
  fx.emit('duplicates', 1);
  fx.tell(ensemble, { kind: 'published', id, outcome: 'duplicate', epoch, seq });
  settleEnd(state, fx);
};

const onFinished = (
  state: State,
  { row, fate }: Extract<Self, { readonly kind: 'finished' }>,
  fx: Fx,
  atMs: number,
): void => {
  const entry = state.entries.get(row);
  if (entry === undefined) return;
  state.entries.delete(row);
  state.busy.delete(entry.entity);
  const { id, epoch, seq } = entry;
  if (fate === 'published') {
    state.published += 1;
    fx.emit('stage_published', 1);
  } else fx.emit('dropped', 1);
  fx.gauge('outbox', state.entries.size);
  fx.tell(ensemble, { kind: 'published', id, outcome: fate, epoch, seq });
  pump(state, fx, atMs);
  settleEnd(state, fx);
};

const onDetection = (
  state: State,
  message: Extract<Self, { readonly kind: 'detection' }>,
  fx: Fx,
  atMs: number,
): void => {
  const { kind: _, epoch, seq, ...detection } = message;
  const room = state.entries.size + state.accepting < state.config.outboxMax;
  state.accepting += 1;
  const sinceMs = atMs - state.config.ledgerKeepMs;
  fx.io('accept', { detection, epoch, seq, room, sinceMs });
};

const onLoaded = (
  state: State,
  { instance, first, waiting }: Extract<Self, { readonly kind: 'loaded' }>,
  fx: Fx,
  atMs: number,
): void => {
  state.loaded = true;
  state.instance = instance;
  for (const one of waiting) {
    if (!state.entries.has(one.row)) state.entries.set(one.row, entryOf(one));
  }
  // What the last incarnation released in its last second is not known any more.
  if (!first) exhaust(state.limiter, atMs);
  if (waiting.length > 0) fx.log('info', 'going on with the outbox', { waiting: waiting.length });
  fx.gauge('outbox', state.entries.size);
  pump(state, fx, atMs);
  settleEnd(state, fx);
};

const step = (state: State, message: Self, fx: Fx, atMs: number): void => {
  switch (message.kind) {
    case 'detection':
      return onDetection(state, message, fx, atMs);
    case 'ended':
      state.ended = true;
      return settleEnd(state, fx);
    case 'loaded':
      return onLoaded(state, message, fx, atMs);
    case 'accepted':
      return onAccepted(state, message.accepted, fx, atMs);
    case 'signed': {
      const entry = state.entries.get(message.row);
      if (entry === undefined) return;
      entry.bytes = { evidence: message.evidence, anomaly: message.anomaly };
      return send(state, entry, fx, atMs);
    }
    case 'sent':
      return onSent(state, message, fx, atMs);
    case 'retry': {
      const entry = state.entries.get(message.row);
      if (entry?.stage === 'sending') send(state, entry, fx, atMs);
      return;
    }
    case 'finished':
      return onFinished(state, message, fx, atMs);
    case 'pump':
      return pump(state, fx, atMs);
    case 'drainOver':
      return fx.stop('normal');
    case 'prune': {
      const { ledgerKeepMs, ledgerMax } = state.config;
      fx.io('prune', { beforeMs: atMs - ledgerKeepMs, countMax: ledgerMax });
      return fx.after(HOUR_MS, { kind: 'prune' }, 'prune');
    }
    default:
      return unreachable(message);
  }
};

export const core: Core<SignerConfig, State, Self, Commands> = {
  init,
  start: (state, fx, atMs) => {
    fx.io('load', {});
    step(state, { kind: 'prune' }, fx, atMs);
  },
  step,
  /** The rest of the outbox goes out; what does not within `drainMaxMs` goes out next time. */
  drain: (state, fx) => {
    state.draining = true;
    fx.after(state.config.drainMaxMs, { kind: 'drainOver' }, 'drain');
    settleEnd(state, fx);
  },
};
