/** The way of a batch: fetched or forwarded, signatures verified, content looked up in the chain, admitted. */

import { executor } from '#actors/executor/protocol.ts';
import { EMPTY, hex } from '#proto/bytes.ts';
import { decodeEvidence, verifyEvidence } from '#proto/consensus/evidence.ts';
import { decodeTransactions, type Transaction, txIdBytes } from '#proto/consensus/transaction.ts';
import { AI_TOPICS } from '#proto/wire/topics.ts';
import { follow, onFetched, openCount, poll } from '#runtime/bus/subscription.ts';
import { bury, enter, receive, receiveForwarded } from './admission.ts';
import { type Item, itemOf } from './intake.ts';
import { admit } from './mempool.ts';
import { isFull } from './outbox.ts';
import { reportRejected } from './reports.ts';
import type { Batch, Chain, Fx, Held, Lane, NonceClaim, Self, State } from './state.ts';

const KNOWN_DEADLINE_MS = 2000;
const KNOWN_RETRY_MS = 200;
const HELD_RETRY_MS = 100;

const begin = (state: State, lane: Lane | null, items: readonly Item[], fx: Fx): void => {
  const id = state.nextBatch++;
  state.batches.set(id, { id, lane, items, results: [], sightings: [] });
  const claims = items.flatMap((item) => item.claims);
  if (state.config.redis === undefined) return fx.io('verify', { batch: id, claims });
  const nonces = items.map((item) => ({
    signatures: item.claims.length,
    claim: nonceClaim(state, item),
  }));
  fx.io('verify', { batch: id, claims, nonces });
};

/** Of a record by a registered producer; others leave nothing behind in what processes share. */
const nonceClaim = ({ chain }: State, item: Item): NonceClaim | null => {
  const { place, nonce: key, contentHash, claims } = item;
  if (chain === undefined || place === null || key === undefined) return null;
  const [own] = claims;
  if (own === undefined || chain.roles.roleOf(own.publicKey) === undefined) return null;
  const { nonceTtlMs: ttlMs } = chain.context.parameters;
  return { key, contentHash: hex(contentHash ?? EMPTY), place, ttlMs };
};

/** A producer over its quota keeps nobody else waiting, unless it has left too much behind. */
const isHeldUp = ({ held }: Lane, { heldBytesMax }: State['config']): boolean => {
  let bytes = 0;
  for (const { lacks, item } of held) {
    if (lacks === 'room') return true;
    bytes += item.bytes.length;
  }
  return bytes >= heldBytesMax;
};

const retryLater = (fx: Fx): void => fx.after(HELD_RETRY_MS, { kind: 'retry' }, 'retry');

/** Reads on, unless something of this topic waits or there is too much that is not finished. */
const readOn = (state: State, lane: Lane, fx: Fx): void => {
  const waits =
    isHeldUp(lane, state.config) ||
    isFull(state.letters) ||
    openCount(lane.sub) >= state.config.openRecordsMax;
  if (waits) {
    fx.emit('back_pressure', 1);
    return retryLater(fx);
  }
  if (lane.held.length > 0) retryLater(fx);
  poll(lane.sub, fx, { kind: 'fetched', topic: lane.topic });
};

export const fetched = (
  state: State,
  message: Extract<Self, { kind: 'fetched' }>,
  fx: Fx,
): void => {
  const { topic, result } = message;
  const lane = state.lanes.get(topic);
  if (lane === undefined) throw new Error(`a topic that nobody reads: ${topic}`);
  const { records, retryMs } = onFetched(lane.sub, result);
  if (retryMs > 0) return fx.after(retryMs, { kind: 'poll', topic }, `poll-${topic}`);
  if (records.length === 0) return readOn(state, lane, fx);
  lane.busy = true;
  const items = records.map(({ value, key, partition, offset }) =>
    // A copy: the pool keeps it long after the batch that it came in.
    itemOf(topic, value.slice(), key, { topic, partition, offset }),
  );
  follow(records, fx, () => begin(state, lane, items, fx));
};

export const batchVerified = (
  state: State,
  message: Extract<Self, { kind: 'verifiedBatch' }>,
  fx: Fx,
  atMs: number,
): void => {
  const batch = state.batches.get(message.batch);
  if (batch === undefined) return;
  batch.results = message.results;
  batch.sightings = message.sightings ?? [];
  if (contentsOf(batch).length > 0) return askKnown(state, batch.id, fx);
  return admitBatch(state, batch, new Set(), fx, atMs);
};

const contentsOf = (batch: Batch): readonly Uint8Array[] =>
  batch.items.flatMap(({ contentHash }) => (contentHash?.length === 32 ? [contentHash] : []));

export const askKnown = (state: State, id: number, fx: Fx): void => {
  const batch = state.batches.get(id);
  if (batch === undefined) return;
  fx.ask(
    executor,
    { kind: 'known', ids: contentsOf(batch) },
    { kind: 'knownBatch', batch: id },
    KNOWN_DEADLINE_MS,
  );
};

export const batchKnown = (
  state: State,
  message: Extract<Self, { kind: 'knownBatch' }>,
  fx: Fx,
  atMs: number,
): void => {
  const batch = state.batches.get(message.batch);
  if (batch === undefined) return;
  if (!message.result.ok) {
    return fx.after(KNOWN_RETRY_MS, { kind: 'askKnown', batch: batch.id }, `known-${batch.id}`);
  }
  const { known } = message.result.value;
  const contents = contentsOf(batch).filter((_, at) => known[at] === true);
  admitBatch(state, batch, new Set(contents.map(hex)), fx, atMs);
};

const admitBatch = (
  state: State,
  batch: Batch,
  known: ReadonlySet<string>,
  fx: Fx,
  atMs: number,
): void => {
  const { chain } = state;
  if (chain === undefined) throw new Error('a batch before the chain is known');
  state.batches.delete(batch.id);
  const { lane } = batch;
  // What came before goes before.
  if (lane !== null) enterHeld(state, chain, lane, fx, atMs);
  let at = 0;
  for (const [index, item] of batch.items.entries()) {
    const results = batch.results.slice(at, at + item.claims.length);
    at += item.claims.length;
    const isKnown = item.contentHash !== undefined && known.has(hex(item.contentHash));
    if (lane === null) receiveForwarded(state, chain, item, results, isKnown, fx, atMs);
    else {
      const shared = batch.sightings[index] ?? undefined;
      const held = receive(state, chain, { item, results, shared }, isKnown, fx, atMs);
      if (held !== undefined) lane.held.push(held);
    }
  }
  if (lane === null) {
    state.peerBusy = false;
    return nextForwarded(state, fx, atMs);
  }
  lane.busy = false;
  readOn(state, lane, fx);
};

/** What waited for room, rate or quota tries again; what grew too old meanwhile is rejected. */
const enterHeld = (state: State, chain: Chain, lane: Lane, fx: Fx, atMs: number): void => {
  const { blockTimeSkewMs } = chain.context.parameters;
  lane.held = lane.held.flatMap((held): Held[] => {
    const { item, message } = held;
    if (message.message.ts * 1000 + blockTimeSkewMs >= atMs) {
      const outcome = enter(state, chain, held, fx, atMs);
      return outcome === 'entered' ? [] : [{ ...held, lacks: outcome }];
    }
    const error = { code: 'timestamp', detail: 'grew too old while it waited for room' };
    if (item.place !== null) bury(state, item, item.place, error, fx);
    reportRejected(state, item, error.code, atMs);
    return [];
  });
};

export const retryHeld = (state: State, fx: Fx, atMs: number): void => {
  const { chain } = state;
  if (chain === undefined) return;
  for (const lane of state.lanes.values()) {
    enterHeld(state, chain, lane, fx, atMs);
    if (!lane.busy && !lane.sub.polling) readOn(state, lane, fx);
    else if (lane.held.length > 0) retryLater(fx);
  }
};

export const forwarded = (
  state: State,
  message: Extract<Self, { kind: 'forwarded' }>,
  fx: Fx,
  atMs: number,
): void => {
  if (state.peers.length >= state.config.forwardsMax) return fx.emit('forwarded_dropped', 1);
  state.peers.push({ from: message.from, transactions: message.transactions });
  nextForwarded(state, fx, atMs);
};

const nextForwarded = (state: State, fx: Fx, atMs: number): void => {
  while (!state.peerBusy && state.chain !== undefined) {
    const next = state.peers.shift();
    if (next === undefined) return;
    const txs = decodeTransactions(next.transactions);
    if (!txs.ok) {
      fx.emit('forwarded_rejected', 1);
      continue;
    }
    const items = txs.value.flatMap((tx) => forwardedItem(state, tx, fx, atMs));
    if (items.length === 0) continue;
    state.peerBusy = true;
    begin(state, null, items, fx);
  }
};

/** Nothing for what is known here already: every peer forwards everything. */
const forwardedItem = (state: State, tx: Transaction, fx: Fx, atMs: number): readonly Item[] => {
  if (tx.kind === 'misbehaviour') {
    misbehaviour(state, tx, fx, atMs);
    return [];
  }
  if (state.pool.byTx.has(hex(txIdBytes(tx, state.crypto)))) return [];
  const item = itemOf(AI_TOPICS[tx.kind], tx.bytes, '', null);
  if (item.contentHash === undefined) {
    fx.emit('forwarded_rejected', 1);
    return [];
  }
  return state.nonces.contents.has(hex(item.contentHash)) ? [] : [item];
};

/** Its proof verifies by itself; the chain convicts for one deed only once. */
const misbehaviour = (state: State, tx: Transaction, fx: Fx, atMs: number): void => {
  const { chain, crypto } = state;
  const evidence = decodeEvidence(tx.bytes);
  const holds =
    chain !== undefined &&
    evidence.ok &&
    verifyEvidence(evidence.value, { committee: chain.committee, crypto }).ok;
  if (!holds) return fx.emit('forwarded_rejected', 1);
  const txId = txIdBytes(tx, crypto);
  const admission = admit(state.pool, {
    txId: hex(txId),
    contentHash: hex(crypto.sha256(tx.bytes)),
    tx,
    key: '',
    severity: 10,
    tsMs: atMs,
    admittedMs: atMs,
    place: null,
  });
  if (admission.outcome === 'admitted') state.fresh.push({ tx, txId, own: false });
};
