/**
 * From the bus to a verdict. While one batch is with the backend, the next ones are fetched and the signatures of their
 * messages verified on the pool; they are judged in their order, one batch after the other, so that each is judged by
 * what came of those before. A single policy is verified and judged at once.
 */
import { controlClaim } from '#proto/wire/control.ts';
import type { Answered } from '#runtime/actor.ts';
import type { bus } from '#runtime/bus/protocol.ts';
import type { BusRecord } from '#runtime/bus/record.ts';
import { onFetched, poll } from '#runtime/bus/subscription.ts';
import { POOL_CLAIMS_MIN } from '#runtime/signatures.ts';
import { pendingAcks } from './acks.ts';
import { hold } from './holding.ts';
import { type CutOff, cutOff } from './neighbourhood.ts';
import { activeCount, desired, type Entry, lastMinute, rulesInForce } from './registry.ts';
import type { Fx, Heard, Place, Self, State } from './state.ts';
import { type Checked, judge, type Refusal, type Verdict } from './verdict.ts';

/** Batches that were fetched and wait for the one before them. */
const HEARD_MAX = 2;
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
  if (records.length < POOL_CLAIMS_MIN) {
    const kept = state.busy || state.heard.length > 0 ? records.map(copied) : records;
    state.heard.push({ id, records: kept, claims: [], holds: [], sinceMs: atMs });
  } else {
    const kept = records.map(copied);
    const claims = kept.map(({ value }) => controlClaim('policy-update', value));
    state.heard.push({ id, records: kept, claims, holds: undefined, sinceMs: atMs });
    fx.io('verify', { id, claims: claims.filter((claim) => claim !== undefined) });
  }
  proceed(state, fx, atMs);
};

/** The bytes of a fetch are gone when its step ends. */
const copied = (record: BusRecord): BusRecord => ({ ...record, value: record.value.slice() });

export const verified = (
  state: State,
  { id, holds }: Extract<Self, { kind: 'verified' }>,
  fx: Fx,
  atMs: number,
): void => {
  const heard = state.heard.find((one) => one.id === id);
  if (heard === undefined) return;
  heard.holds = holds;
  proceed(state, fx, atMs);
};

/** What came of the batch in hand is durable. */
export const finished = (state: State, fx: Fx, atMs: number): void => {
  state.busy = false;
  proceed(state, fx, atMs);
};

const proceed = (state: State, fx: Fx, atMs: number): void => {
  const next = state.heard[0];
  if (!state.busy && !state.draining && next?.holds !== undefined) {
    state.heard.shift();
    state.busy = true;
    judgeAll(state, next, fx, atMs);
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
  readonly places: readonly Place[];
};

/** What was found out beforehand about the signature of each record; undefined where nothing was. */
const checkedOf = ({ claims, holds = [] }: Heard): readonly (Checked | undefined)[] => {
  let at = 0;
  return claims.map((claim) => (claim === undefined ? undefined : { claim, holds: holds[at++]! }));
};

/** Kept from batch to batch: only what leaves force, or another neighbourhood, makes it be counted anew. */
const cutNow = (state: State): CutOff => {
  state.cut ??= cutOff(rulesInForce(state.registry), state.around);
  return state.cut;
};

const judgeAll = (state: State, heard: Heard, fx: Fx, atMs: number): void => {
  const { registry, around } = state;
  const batch: Growing = {
    ...{ apply: new Map(), remove: [], renewed: [], held: [], refused: [] },
    ...{ places: heard.records.map(({ partition, offset }) => ({ partition, offset })) },
  };
  const checked = checkedOf(heard);
  const cut = cutNow(state);
  let active = activeCount(registry, atMs);
  for (const [k, record] of heard.records.entries()) {
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
    const verdict = judge(record.value, state.trusted!, situation, atMs, checked[k]);
    if (!verdict.ok) batch.refused.push(verdict.error);
    else if (verdict.value.kind === 'held') {
      batch.refused.push(hold(state, verdict.value.entry, verdict.value.why, fx));
      batch.held.push(verdict.value.entry);
    } else if (verdict.value.kind !== 'known' && take(state, verdict.value, batch, atMs)) {
      active++;
      for (const peer of cutOff([verdict.value.entry.rule], around)) cut.add(peer);
    }
  }
  fx.io('enforce', { ...batch, apply: [...batch.apply.values()], sinceMs: heard.sinceMs });
};

/** True for a policy that is new in force. */
const take = (
  state: State,
  verdict: Extract<Verdict, { kind: 'apply' | 'remove' }>,
  batch: Growing,
  atMs: number,
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
  registry.recent.push(atMs);
  batch.apply.set(entry.id, entry);
  return true;
};
