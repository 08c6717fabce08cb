/**
 * The enforcement agent: verify, apply, persist, acknowledge, in this order. A record of the bus is
 * finished when what came of it and its acknowledgement are durable; a crash before that reads it again.
 */
import type { Committee } from '#proto/consensus/committee.ts';
import type { Crypto, KeyPair } from '#proto/crypto.ts';
import type { Genesis } from '#proto/genesis.ts';
import { guardrailLimits } from '#proto/policy.ts';
import { unreachable } from '#proto/result.ts';
import { roleBook } from '#proto/roles.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import type { Answered, Core, Effects, MessagesTo } from '#runtime/actor.ts';
import { bus } from '#runtime/bus/protocol.ts';
import {
  commitMark,
  done,
  onFetched,
  poll,
  type Subscription,
  subscription,
} from '#runtime/bus/subscription.ts';
import {
  type Ack,
  ackApplied,
  ackFailed,
  newOutbox,
  nextToSend,
  type Outbox,
  pendingAcks,
  type Signer,
} from './acks.ts';
import type { Applied } from './backend.ts';
import type { EnforcerConfig } from './config.ts';
import type { enforcer } from './protocol.ts';
import {
  activeCount,
  type Entry,
  expired,
  forget,
  inForce,
  lastMinute,
  newRegistry,
  type Registry,
  viewOf,
} from './registry.ts';
import { judge, type Refusal, type Trusted } from './verdict.ts';

type Place = { readonly partition: number; readonly offset: number };

export type Self =
  | MessagesTo<typeof enforcer>
  | {
      readonly kind: 'opened';
      readonly genesis: Genesis;
      readonly committee: Committee;
      readonly pair: KeyPair;
      readonly entries: readonly Entry[];
      readonly acks: readonly Ack[];
    }
  | { readonly kind: 'fetched'; readonly result: Answered<typeof bus, 'fetch'> }
  | { readonly kind: 'poll' }
  | { readonly kind: 'enforced'; readonly batch: Batch; readonly outcomes: readonly Applied[] }
  | { readonly kind: 'saved'; readonly places: readonly Place[]; readonly acks: readonly Ack[] }
  | { readonly kind: 'tick' }
  | { readonly kind: 'reconcile' }
  | { readonly kind: 'reconciled'; readonly missing: number; readonly foreign: number }
  | {
      readonly kind: 'published';
      readonly id: string;
      readonly result: Answered<typeof bus, 'publish'>;
    }
  | { readonly kind: 'send' };

/** What one fetch, or the clock, asks of the backend. */
export type Batch = {
  readonly apply: readonly Entry[];
  readonly remove: readonly Entry[];
  readonly refused: readonly Refusal[];
  readonly places: readonly Place[];
};

export type Commands = {
  open: null;
  enforce: Batch;
  save: {
    readonly entries: readonly Entry[];
    readonly acks: readonly Ack[];
    readonly forgotten: readonly string[];
    readonly places: readonly Place[];
  };
  acked: { readonly id: string };
  /** Everything that is to be in force: the backend is made equal to it. */
  reconcile: readonly Entry[];
};

export type State = {
  readonly config: EnforcerConfig;
  readonly crypto: Crypto;
  readonly updates: Subscription;
  registry: Registry;
  outbox: Outbox;
  trusted: Trusted | undefined;
  signer: Signer | undefined;
  coverage: number;
  failures: number;
  draining: boolean;
};

type Fx = Effects<Self, Commands>;

const PUBLISH_DEADLINE_MS = 5000;
const RETRY_MS = 500;
const MS_PER_S = 1000;
const encoder = new TextEncoder();

const opened = (state: State, message: Extract<Self, { kind: 'opened' }>, fx: Fx): void => {
  const { config, crypto } = state;
  const { genesis, committee, pair } = message;
  const { parameters } = genesis;
  state.registry = newRegistry(message.entries);
  state.outbox = newOutbox(message.acks);
  state.signer = { pair, instance: config.instance, crypto };
  const limits = guardrailLimits(
    {
      ...parameters,
      activePoliciesMax: Math.min(parameters.activePoliciesMax, config.activeMax),
      policiesPerMinuteMax: Math.min(parameters.policiesPerMinuteMax, config.perMinuteMax),
    },
    [...genesis.neverBlock, ...config.neverBlock],
  );
  state.trusted = { trust: { committee, crypto }, roles: roleBook(genesis), limits };
  // What was in force before a restart is in force again before the first new policy is read.
  fx.io('reconcile', [...state.registry.entries.values()].filter(inForce));
  sendAcks(state, fx);
  fx.after(config.tickMs, { kind: 'tick' }, 'tick');
  fx.after(config.reconcileMs, { kind: 'reconcile' }, 'reconcile');
  pollUpdates(state, fx);
  fx.signal({ kind: 'ready' });
};

const pollUpdates = (state: State, fx: Fx): void => {
  if (state.draining) return;
  if (pendingAcks(state.outbox) >= state.config.outboxMax) {
    return fx.after(RETRY_MS, { kind: 'poll' }, 'poll');
  }
  poll(state.updates, fx, { kind: 'fetched' });
};

const fetched = (state: State, result: Answered<typeof bus, 'fetch'>, fx: Fx, atMs: number) => {
  const { records, retryMs } = onFetched(state.updates, result);
  if (retryMs > 0) return fx.after(retryMs, { kind: 'poll' }, 'poll');
  if (records.length === 0) return pollUpdates(state, fx);
  const { registry } = state;
  const batch: { apply: Entry[]; remove: Entry[]; refused: Refusal[]; places: Place[] } = {
    apply: [],
    remove: [],
    refused: [],
    places: [],
  };
  for (const record of records) {
    batch.places.push({ partition: record.partition, offset: record.offset });
    const situation = {
      newestAnchor: (id: string) => registry.entries.get(id)?.anchorHeight ?? -1,
      active: activeCount(registry),
      lastMinute: lastMinute(registry, atMs),
    };
    const verdict = judge(record.value, state.trusted!, situation, atMs);
    if (!verdict.ok) batch.refused.push(verdict.error);
    else if (verdict.value.kind !== 'known') {
      const { kind, entry } = verdict.value;
      const before = registry.entries.get(entry.id);
      registry.entries.set(entry.id, entry);
      // A newer proof of a policy in force changes its record, not the firewall.
      if (kind === 'apply' && before?.status === 'applied') {
        Object.assign(entry, { status: 'applied', reason: before.reason });
        entry.appliedAtMs = before.appliedAtMs;
      } else if (kind === 'apply') {
        registry.recent.push(atMs);
        batch.apply.push(entry);
      } else {
        batch.remove.push(entry);
      }
    }
  }
  fx.io('enforce', batch);
};

const enforced = (
  state: State,
  message: Extract<Self, { kind: 'enforced' }>,
  fx: Fx,
  atMs: number,
) => {
  const { batch, outcomes } = message;
  const signer = state.signer!;
  const acks: Ack[] = [];
  for (const [k, entry] of batch.apply.entries()) {
    const outcome = outcomes[k]!;
    entry.reason = outcome.reason;
    if (outcome.ok) {
      entry.status = 'applied';
      entry.appliedAtMs = atMs;
      acks.push(ackApplied(entry, signer, atMs));
      fx.emit('stage_applied', 1);
      fx.emit('commit_to_apply_seconds', Math.max(0, atMs - entry.committedMs) / MS_PER_S);
      const targets = viewOf(entry).targets.join(', ');
      const ttlS = Math.round((entry.expiresMs - atMs) / MS_PER_S);
      const text = `${entry.rule.action} ${targets} for ${ttlS} s (${outcome.reason})`;
      fx.signal({ kind: 'notice', topic: 'policy', text });
    } else {
      entry.status = 'failed';
      const { code, reason } = outcome;
      const { id, ruleHash, anomaly, anchorHash } = entry;
      acks.push(
        ackFailed({ policyId: id, code, reason, ruleHash, anomaly, anchorHash }, signer, atMs),
      );
      fx.emit('failed', 1);
    }
  }
  for (const entry of batch.remove) {
    if (entry.status !== 'expired') entry.status = 'removed';
    entry.endedAtMs = atMs;
    fx.emit(entry.status, 1);
  }
  for (const refused of batch.refused) {
    fx.emit('refused', 1);
    fx.log('warn', 'a policy is refused', { ...refused });
    // What names no policy cannot be acknowledged; it is counted and logged.
    if (refused.policyId !== '') acks.push(ackFailed(refused, signer, atMs));
  }
  const entries = [...batch.apply, ...batch.remove];
  fx.io('save', { entries, acks, forgotten: forget(state.registry, atMs), places: batch.places });
};

const saved = (state: State, message: Extract<Self, { kind: 'saved' }>, fx: Fx): void => {
  for (const { partition, offset } of message.places) done(state.updates, partition, offset);
  commitMark(state.updates, fx);
  state.outbox.waiting.push(...message.acks);
  fx.gauge('active', activeCount(state.registry));
  sendAcks(state, fx);
  if (message.places.length > 0) pollUpdates(state, fx);
};

const sendAcks = (state: State, fx: Fx): void => {
  for (const ack of nextToSend(state.outbox, state.config.acksOpenMax)) {
    fx.ask(
      bus,
      {
        kind: 'publish',
        topic: TOPICS.policyAcks,
        key: ack.policyId,
        value: ack.bytes,
        headers: '{}',
      },
      { kind: 'published', id: ack.id },
      PUBLISH_DEADLINE_MS,
    );
  }
  fx.gauge('acks_waiting', pendingAcks(state.outbox));
  if (state.draining && pendingAcks(state.outbox) === 0) fx.stop('normal');
};

const published = (state: State, message: Extract<Self, { kind: 'published' }>, fx: Fx): void => {
  const { id, result } = message;
  const ack = state.outbox.sent.get(id);
  if (ack === undefined) return;
  state.outbox.sent.delete(id);
  if (result.ok && result.value.outcome === 'ok') {
    fx.emit('stage_acked', 1);
    fx.io('acked', { id });
    return sendAcks(state, fx);
  }
  state.outbox.waiting.unshift(ack);
  fx.after(RETRY_MS, { kind: 'send' }, 'send');
};

const tick = (state: State, fx: Fx, atMs: number): void => {
  const over = expired(state.registry, atMs);
  for (const entry of over) {
    entry.status = 'expired';
    entry.endedAtMs = atMs;
  }
  if (over.length > 0) fx.io('enforce', { apply: [], remove: over, refused: [], places: [] });
  fx.after(state.config.tickMs, { kind: 'tick' }, 'tick');
};

const reconciled = (state: State, message: Extract<Self, { kind: 'reconciled' }>, fx: Fx): void => {
  const { missing, foreign } = message;
  const active = activeCount(state.registry);
  state.coverage = active === 0 ? 1 : (active - missing) / active;
  fx.gauge('coverage_ratio', state.coverage);
  if (missing + foreign === 0) return;
  fx.emit('drift_repaired', missing + foreign);
  fx.log('warn', 'the backend differed from what is committed and was repaired', {
    missing,
    foreign,
  });
};

const listed = (state: State, message: Extract<Self, { kind: 'list' }>, fx: Fx): void => {
  const views = [...state.registry.entries.values()]
    .filter((entry) => !message.activeOnly || inForce(entry))
    .sort((a, b) => b.committedMs - a.committedMs || (a.id < b.id ? -1 : 1))
    .slice(0, message.limit)
    .map(viewOf);
  fx.reply(message.replyTo, { policies: encoder.encode(JSON.stringify(views)) });
};

const summary = (state: State, message: Extract<Self, { kind: 'summary' }>, fx: Fx): void => {
  const byStatus: Record<string, number> = {};
  for (const { status } of state.registry.entries.values()) {
    byStatus[status] = (byStatus[status] ?? 0) + 1;
  }
  const { config, coverage, outbox } = state;
  const json = { backend: config.backend, byStatus, coverage, acksWaiting: pendingAcks(outbox) };
  fx.reply(message.replyTo, { json: encoder.encode(JSON.stringify(json)) });
};

const step = (state: State, message: Self, fx: Fx, atMs: number): void => {
  switch (message.kind) {
    case 'opened':
      return opened(state, message, fx);
    case 'poll':
      return pollUpdates(state, fx);
    case 'fetched':
      return fetched(state, message.result, fx, atMs);
    case 'enforced':
      return enforced(state, message, fx, atMs);
    case 'saved':
      return saved(state, message, fx);
    case 'send':
      return sendAcks(state, fx);
    case 'published':
      return published(state, message, fx);
    case 'tick':
      return tick(state, fx, atMs);
    case 'reconcile':
      fx.io(
        'reconcile',
        [...state.registry.entries.values()].filter((e) => e.status === 'applied'),
      );
      return fx.after(state.config.reconcileMs, { kind: 'reconcile' }, 'reconcile');
    case 'reconciled':
      return reconciled(state, message, fx);
    case 'list':
      return listed(state, message, fx);
    case 'summary':
      return summary(state, message, fx);
    default:
      return unreachable(message);
  }
};

export const createCore = (crypto: Crypto): Core<EnforcerConfig, State, Self, Commands> => ({
  init: (config) => ({
    config,
    crypto,
    updates: subscription({ topic: TOPICS.policyUpdates, group: `enforcer-${config.instance}` }),
    registry: newRegistry([]),
    outbox: newOutbox([]),
    trusted: undefined,
    signer: undefined,
    coverage: 1,
    failures: 0,
    draining: false,
  }),
  start: (_state, fx) => fx.io('open', null),
  step,
  drain: (state, fx) => {
    state.draining = true;
    sendAcks(state, fx);
  },
});
