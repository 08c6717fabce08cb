/**
 * From the bus to a verdict. While one batch is with the backend, signatures and proofs of the next ones are verified on the
 * pool, and one more is judged, in their order: unless it speaks of a policy of which it is not known yet what came of
 * it. A single policy is verified and judged at once.
 */
import type { PolicyRule } from '#proto/policy.ts';
import type { Answered } from '#runtime/actor.ts';
import type { bus } from '#runtime/bus/protocol.ts';
import { followTrace, onFetched, poll, traceOf } from '#runtime/bus/subscription.ts';
import { pendingAcks } from './acks.ts';
import { type Admission, admissionOf } from './admissions.ts';
import type { Refusal } from './belief.ts';
import { hold } from './holding.ts';
import { type CutOff, cutOff } from './neighbourhood.ts';
import { admit, lastMinute } from './pace.ts';
import { paceCap } from './pace-caps.ts';
import { activeCount, desired, type Entry, rulesInForce } from './registry.ts';
import type { Beliefs, Fx, Self, State } from './state.ts';
import { judge, type Verdict } from './verdict.ts';

/** Batches that were fetched and wait for those before them. */
const HEARD_MAX = 2;
/** Batches that were judged and are not durable: one with the backend, one behind it. */
const IN_HAND_MAX = 2;
/** So many and more are verified on the pool. Fewer take a few milliseconds here; its threads may have to start. */
const BESIDE_MIN = 64;
const RETRY_MS = 500;

export const pollUpdates = (state: State, fx: Fx): void => {
  if (state.draining || state.heard.length >= HEARD_MAX) return;
  if (pendingAcks(state.outbox) >= state.config.outboxMax) {
    return fx.after(RETRY_MS, { kind: 'poll' }, 'poll');
  }
  poll(state.updates, fx, { kind: 'fetched' });
};

export const fetched = (
  state: State,
  result: Answered<typeof bus, 'fetch'>,
  fx: Fx,
  atMs: number,
): void => {
  const { records, retryMs } = onFetched(state.updates, result);
  if (retryMs > 0) return fx.after(retryMs, { kind: 'poll' }, 'poll');
  if (records.length === 0) return pollUpdates(state, fx);
  const id = ++state.heardCount;
  const places = records.map(({ partition, offset }) => ({ partition, offset }));
  const isBeside = records.length >= BESIDE_MIN;
  const beliefs = isBeside ? undefined : records.map(({ value }) => state.believe!(value));
  const trace = traceOf(records);
  state.heard.push({ id, places, beliefs, sinceMs: atMs, trace });
  // Copies: the bytes of a fetch are gone when its step ends.
  if (isBeside) fx.io('believe', { id, values: records.map(({ value }) => value.slice()) });
  proceed(state, fx, atMs);
};

export const believed = (
  state: State,
  { id, beliefs }: Extract<Self, { kind: 'believed' }>,
  fx: Fx,
  atMs: number,
): void => {
  const heard = state.heard.find((one) => one.id === id);
  if (heard === undefined) return;
  heard.beliefs = beliefs;
  proceed(state, fx, atMs);
};

/** What came of the oldest batch in hand is durable. */
export const finished = (state: State, fx: Fx, atMs: number): void => {
  state.inHand.shift();
  proceed(state, fx, atMs);
};

/** What the messages speak of, whether they are refused or not; some name nothing. */
const policiesOf = (beliefs: Beliefs): ReadonlySet<string> => {
  const named = new Set(beliefs.map((one) => (one.ok ? one.value.id : one.error.policyId)));
  named.delete('');
  return named;
};

const proceed = (state: State, fx: Fx, atMs: number): void => {
  const { heard, inHand } = state;
  while (!state.draining && inHand.length < IN_HAND_MAX && heard[0]?.beliefs !== undefined) {
    const { beliefs, places, sinceMs, trace } = heard[0];
    const policies = policiesOf(beliefs);
    if (inHand.some((before) => !before.isDisjointFrom(policies))) break;
    heard.shift();
    inHand.push(policies);
    const batch = judgeAll(state, beliefs, fx, atMs);
    followTrace(trace, fx, () =>
      fx.io('enforce', { ...batch, apply: [...batch.apply.values()], places, sinceMs }),
    );
  }
  pollUpdates(state, fx);
};

type Growing = {
  /** By policy, in the order in which they came. */
  readonly apply: Map<string, Entry>;
  readonly remove: Entry[];
  readonly renewed: Entry[];
  readonly held: Entry[];
  readonly refused: Refusal[];
  readonly admitted: Admission[];
};

/** Kept from batch to batch: only what leaves force, or another neighbourhood, makes it be counted anew. */
const cutNow = (state: State): CutOff => {
  state.cut ??= cutOff(rulesInForce(state.registry), state.around);
  return state.cut;
};

const judgeAll = (state: State, beliefs: Beliefs, fx: Fx, atMs: number): Growing => {
  const { registry, around, pace, crypto } = state;
  const batch: Growing = {
    ...{ apply: new Map(), remove: [], renewed: [] },
    ...{ held: [], refused: [], admitted: [] },
  };
  const cut = cutNow(state);
  let active = activeCount(registry, atMs);
  for (const belief of beliefs) {
    const situation = {
      obeyed: (id: string) => registry.entries.get(id),
      active,
      lastMinute: lastMinute(pace, atMs),
      tooSoon: (rule: PolicyRule) => paceCap(rule, { pace, atMs, crypto }),
      isLetThrough: (id: string) => {
        const known = registry.entries.get(id);
        return state.approved.has(id) || (known !== undefined && desired(known, atMs));
      },
      around,
      cut,
    };
    const verdict = belief.ok ? judge(belief.value, state.trusted!, situation, atMs) : belief;
    if (!verdict.ok) batch.refused.push(verdict.error);
    else if (verdict.value.kind === 'held') {
      batch.refused.push(hold(state, verdict.value.entry, verdict.value.why, fx));
      batch.held.push(verdict.value.entry);
    } else if (verdict.value.kind !== 'known') {
      const { id, rule } = verdict.value.entry;
      const before = registry.entries.get(id);
      if (!take(state, verdict.value, batch)) continue;
      // What failed before was counted when it came.
      if (before === undefined || !desired(before, atMs)) {
        active++;
        batch.admitted.push(admit(pace, admissionOf(rule, crypto, atMs)));
      }
      for (const peer of cutOff([rule], around)) cut.add(peer);
    }
  }
  return batch;
};

/** True for a policy that is to be brought into force. */
const take = (
  state: State,
  verdict: Extract<Verdict, { kind: 'apply' | 'remove' }>,
  batch: Growing,
): boolean => {
  const { registry } = state;
  const { kind, entry } = verdict;
  const before = registry.entries.get(entry.id);
  registry.entries.set(entry.id, entry);
  if (before !== undefined) state.cut = undefined;
  if (kind === 'remove') {
    // What is undone in the same breath never comes into force.
    batch.apply.delete(entry.id);
    entry.status = 'removed';
    batch.remove.push(entry);
    return false;
  }
  if (batch.apply.has(entry.id)) {
    batch.apply.set(entry.id, entry);
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
  batch.apply.set(entry.id, entry);
  return true;
};
