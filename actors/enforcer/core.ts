/**
 * The enforcement agent: verify, apply, persist, acknowledge, in this order. A record of the bus is
 * finished when what came of it and its acknowledgement are durable; a crash before that reads it again.
 */
import type { Crypto } from '#proto/crypto.ts';
import { guardrailLimits } from '#proto/policy.ts';
import { unreachable } from '#proto/result.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import type { Core } from '#runtime/actor.ts';
import { commitMark, done, subscription } from '#runtime/bus/subscription.ts';
import { addAcks, newOutbox } from './acks.ts';
import { listed, summary } from './answers.ts';
import { NO_PACKETS } from './backend.ts';
import { believing } from './belief.ts';
import { answered, braked, pull, release } from './braking.ts';
import type { EnforcerConfig } from './config.ts';
import { believed, fetched, finished, pollUpdates } from './hearing.ts';
import { approved } from './holding.ts';
import { NOWHERE } from './neighbourhood.ts';
import { newPace } from './pace.ts';
import { published, sendAcks } from './posting.ts';
import { activeCount, allDesired, allHeld, expired, forget, newRegistry } from './registry.ts';
import { enforced, giveWay, reconciled, surveyed } from './settling.ts';
import type { Commands, Fx, Self, State } from './state.ts';

export type { Batch, Commands, Self, State } from './state.ts';

/** At most so many policies are brought into force together: more of them make each wait for the others. */
const RECORDS_MAX = 1024;

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
  state.pace = newPace(message.admitted, atMs);
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
  const { peersShareMax, canaryScopes } = config;
  state.trusted = { limits, peersShareMax, canaryScopes: new Set(canaryScopes) };
  state.believe = believing(genesis, committee, crypto);
  giveWay(state, fx, atMs);
  // What was in force before a restart is in force again before the first new policy is read.
  state.comparedAtMs = atMs;
  fx.io('restore', allDesired(state.registry, atMs));
  sendAcks(state, fx);
  fx.after(config.tickMs, { kind: 'tick' }, 'tick');
  fx.after(config.reconcileMs, { kind: 'reconcile' }, 'reconcile');
  fx.after(config.surveyMs, { kind: 'survey' }, 'survey');
  pollUpdates(state, fx);
  fx.signal({ kind: 'ready' });
};

const saved = (
  state: State,
  message: Extract<Self, { kind: 'saved' }>,
  fx: Fx,
  atMs: number,
): void => {
  for (const { partition, offset } of message.places) done(state.updates, partition, offset);
  commitMark(state.updates, fx);
  addAcks(state.outbox, message.acks);
  sendAcks(state, fx);
  if (message.places.length > 0) finished(state, fx, atMs);
};

const tick = (state: State, fx: Fx, atMs: number): void => {
  const over = expired(state.registry, atMs);
  for (const entry of over) {
    entry.status = 'expired';
    entry.endedAtMs = atMs;
  }
  if (over.length > 0) {
    state.cut = undefined;
    const nothing = { apply: [], renewed: [], held: [], refused: [], admitted: [], places: [] };
    fx.io('enforce', { ...nothing, remove: over, sinceMs: atMs });
  }
  const forgotten = forget(state.registry, atMs);
  if (forgotten.length > 0) {
    fx.io('save', { entries: [], acks: [], forgotten, places: [], admitted: [] });
  }
  fx.gauge('active', activeCount(state.registry, atMs));
  fx.gauge('held', allHeld(state.registry, atMs).length);
  fx.io('look', null);
  fx.after(state.config.tickMs, { kind: 'tick' }, 'tick');
};

const compare = (state: State, fx: Fx, atMs: number): void => {
  state.readBackDue = false;
  state.comparedAtMs = atMs;
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
    case 'believed':
      return believed(state, message, fx, atMs);
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
    updates: subscription({
      topic: TOPICS.policyUpdates,
      group: `enforcer-${config.instance}`,
      maxRecords: RECORDS_MAX,
    }),
    heard: [],
    heardCount: 0,
    inHand: [],
    cut: undefined,
    registry: newRegistry([]),
    pace: newPace([], 0),
    outbox: newOutbox([]),
    trusted: undefined,
    believe: undefined,
    signer: undefined,
    around: NOWHERE,
    coverage: 1,
    packets: NO_PACKETS,
    brake: undefined,
    approved: new Map(),
    fault: undefined,
    comparedAtMs: 0,
    comparingMs: 0,
    readBackDue: false,
    repaired: false,
    draining: false,
  }),
  start: (_state, fx) => fx.io('open', null),
  step,
  drain: (state, fx) => {
    // What was heard and not judged is read again by the next life.
    state.draining = true;
    sendAcks(state, fx);
  },
});
