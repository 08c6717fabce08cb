/**
 * The enforcement agent: verify, apply, persist, acknowledge, in this order. A record of the bus is
 * finished when what came of it and its acknowledgement are durable; a crash before that reads it again.
 */
import type { Crypto } from '#proto/crypto.ts';
import { guardrailLimits } from '#proto/policy.ts';
import { unreachable } from '#proto/result.ts';
import { roleBook } from '#proto/roles.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import type { Answered, Core } from '#runtime/actor.ts';
import type { bus } from '#runtime/bus/protocol.ts';
import {
  commitMark,
  done,
  follow,
  onFetched,
  poll,
  subscription,
} from '#runtime/bus/subscription.ts';
import { newOutbox, pendingAcks } from './acks.ts';
import { listed, summary } from './answers.ts';
import { NO_PACKETS } from './backend.ts';
import { answered, braked, pull, release } from './braking.ts';
import type { EnforcerConfig } from './config.ts';
import { approved, hold } from './holding.ts';
import { cutOff, NOWHERE } from './neighbourhood.ts';
import { published, sendAcks } from './posting.ts';
import {
  activeCount,
  allDesired,
  allHeld,
  desired,
  type Entry,
  expired,
  inForce,
  lastMinute,
  newRegistry,
  type Registry,
} from './registry.ts';
import { remembered } from './remembered.ts';
import { enforced, giveWay, reconciled, surveyed } from './settling.ts';
import type { Commands, Fx, Place, Self, State } from './state.ts';
import { judge, type Refusal, type Verdict } from './verdict.ts';

export type { Batch, Commands, Self, State } from './state.ts';

const RETRY_MS = 500;

const opened = (
  state: State,
  message: Extract<Self, { kind: 'opened' }>,
  fx: Fx,
  atMs: number,
): void => {
  const { config, crypto } = state;
  const { genesis, committee, pair } = message;
  const { parameters } = genesis;
  state.registry = newRegistry(message.entries);
  state.outbox = newOutbox(message.acks);
  state.signer = { pair, instance: config.instance, crypto };
  state.around = message.around;
  const limits = guardrailLimits(
    {
      ...parameters,
      activePoliciesMax: Math.min(parameters.activePoliciesMax, config.activeMax),
      // Not the chain's number: its minutes are those of the header, and two of them may meet in one here.
      policiesPerMinuteMax: config.perMinuteMax,
    },
    [...genesis.neverBlock, ...config.neverBlock],
  );
  const { peersShareMax } = config;
  const trust = { committee, crypto: remembered(crypto) };
  state.trusted = { trust, roles: roleBook(genesis), limits, peersShareMax };
  giveWay(state, fx, atMs);
  // What was in force before a restart is in force again before the first new policy is read.
  fx.io('restore', allDesired(state.registry, atMs));
  sendAcks(state, fx);
  fx.after(config.tickMs, { kind: 'tick' }, 'tick');
  fx.after(config.reconcileMs, { kind: 'reconcile' }, 'reconcile');
  fx.after(config.surveyMs, { kind: 'survey' }, 'survey');
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

type Growing = {
  readonly apply: Entry[];
  readonly remove: Entry[];
  readonly renewed: Entry[];
  readonly held: Entry[];
  readonly refused: Refusal[];
  readonly places: Place[];
  readonly sinceMs: number;
};

const fetched = (state: State, result: Answered<typeof bus, 'fetch'>, fx: Fx, atMs: number) => {
  const { records, retryMs } = onFetched(state.updates, result);
  if (retryMs > 0) return fx.after(retryMs, { kind: 'poll' }, 'poll');
  if (records.length === 0) return pollUpdates(state, fx);
  const { registry, around } = state;
  const batch: Growing = {
    apply: [],
    remove: [],
    renewed: [],
    held: [],
    refused: [],
    places: [],
    sinceMs: atMs,
  };
  const rules = [...registry.entries.values()].filter(inForce).map((entry) => entry.rule);
  const cut = cutOff(rules, around);
  let active = activeCount(registry, atMs);
  for (const record of records) {
    batch.places.push({ partition: record.partition, offset: record.offset });
    const situation = {
      obeyed: (id: string) => registry.entries.get(id),
      active,
      lastMinute: lastMinute(registry, atMs),
      isLetThrough: (id: string) => {
        const known = registry.entries.get(id);
        return state.approved.has(id) || (known !== undefined && desired(known, atMs));
      },
      around,
      cut,
    };
    const verdict = judge(record.value, state.trusted!, situation, atMs);
    if (!verdict.ok) batch.refused.push(verdict.error);
    else if (verdict.value.kind === 'held') {
      batch.refused.push(hold(state, verdict.value.entry, verdict.value.why, fx));
      batch.held.push(verdict.value.entry);
    } else if (verdict.value.kind !== 'known' && take(registry, verdict.value, batch, atMs)) {
      active++;
      for (const peer of cutOff([verdict.value.entry.rule], around)) cut.add(peer);
    }
  }
  follow(records, fx, () => fx.io('enforce', batch));
};

/** True for a policy that is new in force. */
const take = (
  registry: Registry,
  verdict: Extract<Verdict, { kind: 'apply' | 'remove' }>,
  batch: Growing,
  atMs: number,
): boolean => {
  const { kind, entry } = verdict;
  const before = registry.entries.get(entry.id);
  registry.entries.set(entry.id, entry);
  const waiting = batch.apply.findIndex((one) => one.id === entry.id);
  if (kind === 'remove') {
    // What is undone in the same breath never comes into force.
    if (waiting >= 0) batch.apply.splice(waiting, 1);
    entry.status = 'removed';
    batch.remove.push(entry);
    return false;
  }
  if (waiting >= 0) {
    batch.apply[waiting] = entry;
    return false;
  }
  if (before?.status === 'applied') {
    // A newer proof of a policy in force changes its record, not the firewall.
    Object.assign(entry, { status: 'applied', reason: before.reason, turn: before.turn });
    entry.appliedAtMs = before.appliedAtMs;
    batch.renewed.push(entry);
    return false;
  }
  if (before !== undefined) entry.turn = before.turn + 1;
  registry.recent.push(atMs);
  batch.apply.push(entry);
  return true;
};

const saved = (
  state: State,
  message: Extract<Self, { kind: 'saved' }>,
  fx: Fx,
  atMs: number,
): void => {
  for (const { partition, offset } of message.places) done(state.updates, partition, offset);
  commitMark(state.updates, fx);
  state.outbox.waiting.push(...message.acks);
  fx.gauge('active', activeCount(state.registry, atMs));
  fx.gauge('held', allHeld(state.registry, atMs).length);
  sendAcks(state, fx);
  if (message.places.length > 0) pollUpdates(state, fx);
};

const tick = (state: State, fx: Fx, atMs: number): void => {
  const over = expired(state.registry, atMs);
  for (const entry of over) {
    entry.status = 'expired';
    entry.endedAtMs = atMs;
  }
  if (over.length > 0) {
    const nothing = { apply: [], renewed: [], held: [], refused: [], places: [] };
    fx.io('enforce', { ...nothing, remove: over, sinceMs: atMs });
  }
  fx.io('look', null);
  fx.after(state.config.tickMs, { kind: 'tick' }, 'tick');
};

const compare = (state: State, fx: Fx, atMs: number): void => {
  state.readBackDue = false;
  fx.io('reconcile', allDesired(state.registry, atMs));
  fx.after(state.config.reconcileMs, { kind: 'reconcile' }, 'reconcile');
};

const step = (state: State, message: Self, fx: Fx, atMs: number): void => {
  switch (message.kind) {
    case 'opened':
      return opened(state, message, fx, atMs);
    case 'poll':
      return pollUpdates(state, fx);
    case 'fetched':
      return fetched(state, message.result, fx, atMs);
    case 'enforced':
      return enforced(state, message, fx, atMs);
    case 'saved':
      return saved(state, message, fx, atMs);
    case 'send':
      return sendAcks(state, fx);
    case 'published':
      return published(state, message, fx);
    case 'tick':
      return tick(state, fx, atMs);
    case 'reconcile':
      return compare(state, fx, atMs);
    case 'reconciled':
      return reconciled(state, message, fx, atMs);
    case 'braked':
      braked(state, message, fx);
      return compare(state, fx, atMs);
    case 'brake':
      return pull(message, fx);
    case 'release':
      return release(message, fx);
    case 'handled':
      return answered(message, fx);
    case 'approved':
      return approved(state, message, fx, atMs);
    case 'survey':
      fx.io('survey', null);
      return fx.after(state.config.surveyMs, { kind: 'survey' }, 'survey');
    case 'surveyed':
      return surveyed(state, message.around, fx, atMs);
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
    around: NOWHERE,
    coverage: 1,
    packets: NO_PACKETS,
    brake: undefined,
    approved: new Map(),
    fault: undefined,
    readBackDue: false,
    repaired: false,
    draining: false,
  }),
  start: (_state, fx) => fx.io('open', null),
  step,
  drain: (state, fx) => {
    state.draining = true;
    sendAcks(state, fx);
  },
});
