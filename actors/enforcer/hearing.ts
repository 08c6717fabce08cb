/**
 * From the bus to a verdict. While one batch is with the backend, the signatures of the next ones are verified on the pool,
 * and one more is judged, in their order: unless it speaks of a policy of which it is not known yet what came of it. A
 * single policy is verified and judged at once.
 */
import type { SignatureClaim } from '#proto/crypto.ts';
import { sizeProblem } from '#proto/wire/codec.ts';
import { controlSigningBytes } from '#proto/wire/control-signature.ts';
import { policyUpdateWire } from '#proto/wire/policy-update.ts';
import type { Answered } from '#runtime/actor.ts';
import type { bus } from '#runtime/bus/protocol.ts';
import type { BusRecord } from '#runtime/bus/record.ts';
import { follow, onFetched, poll } from '#runtime/bus/subscription.ts';
import { pendingAcks } from './acks.ts';
import { hold } from './holding.ts';
import { type CutOff, cutOff } from './neighbourhood.ts';
import { activeCount, desired, type Entry, lastMinute, rulesInForce } from './registry.ts';
import type { Fx, Heard, Place, Self, State } from './state.ts';
import { type Checked, judge, type Refusal, type Verdict } from './verdict.ts';

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
  const beside = records.length >= BESIDE_MIN;
  const isNext = !beside && state.inHand.length + state.heard.length === 0;
  // The bytes of a fetch are gone when its step ends.
  const kept = isNext ? records : records.map(copied);
  const found = kept.map(({ value }) => claimIn(value, beside));
  const policies = new Set(found.flatMap(({ policy }) => (policy === '' ? [] : [policy])));
  const claims = found.map(({ claim }) => claim);
  const holds = beside ? undefined : [];
  state.heard.push({ id, records: kept, policies, claims, holds, sinceMs: atMs });
  if (beside) fx.io('verify', { id, claims: claims.filter((claim) => claim !== undefined) });
  proceed(state, fx, atMs);
};

const copied = (record: BusRecord): BusRecord => ({ ...record, value: record.value.slice() });

type Said = {
  /** '' where not even that can be read. */
  readonly policy: string;
  readonly claim: SignatureClaim | undefined;
};

/** What a message says of itself, believed by nobody yet: its policy, and (`claims`) what its signature stands for. */
const claimIn = (bytes: Uint8Array, claims: boolean): Said => {
  if (sizeProblem(bytes) !== undefined) return { policy: '', claim: undefined };
  const { policyId: policy, pubkey, signature } = policyUpdateWire.parse(bytes).message;
  const signed = claims ? controlSigningBytes('policy-update', bytes) : undefined;
  if (signed === undefined || !signed.ok) return { policy, claim: undefined };
  return { policy, claim: { publicKey: pubkey, message: signed.value, signature } };
};

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

/** What came of the oldest batch in hand is durable. */
export const finished = (state: State, fx: Fx, atMs: number): void => {
  state.inHand.shift();
  proceed(state, fx, atMs);
};

const proceed = (state: State, fx: Fx, atMs: number): void => {
  const { heard, inHand } = state;
  while (!state.draining && inHand.length < IN_HAND_MAX && heard[0]?.holds !== undefined) {
    const { policies } = heard[0];
    if (inHand.some((before) => !before.isDisjointFrom(policies))) break;
    inHand.push(policies);
    judgeAll(state, heard.shift()!, fx, atMs);
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
  follow(heard.records, fx, () =>
    fx.io('enforce', { ...batch, apply: [...batch.apply.values()], sinceMs: heard.sinceMs }),
  );
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
