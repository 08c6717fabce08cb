/**
 * Where a message ends: in the pool, in the dead letters, held back, or known already. A record of the bus is
 * finished when its message is committed, in the DLQ or expired, and not before.
 */
import { EMPTY, fromHex, hex } from '#proto/bytes.ts';
import { txIdBytes } from '#proto/consensus/transaction.ts';
import { DLQ_HEADERS, TOPICS } from '#proto/wire/topics.ts';
import type { NonceSighting, VerifiedMessage } from '#proto/wire/verification.ts';
import { done } from '#runtime/bus/subscription.ts';
import { type Item, judge, producerOf, severityOf, transactionOf } from './intake.ts';
import { admit, adopt, type Place } from './mempool.ts';
import { findNonce, isDuplicate, nonceKey, rememberNonce, type SeenNonce } from './nonces.ts';
import { enclose } from './outbox.ts';
import { giveBack, mayEnter } from './pace.ts';
import { reportAccepted, reportRejected } from './reports.ts';
import type { Chain, Fx, Held, State, Waiting } from './state.ts';

export const finish = (state: State, place: Place): void => {
  const lane = state.lanes.get(place.topic);
  if (lane !== undefined) done(lane.sub, place.partition, place.offset);
};

type Fault = { readonly code: string; readonly detail: string };

/** To the DLQ with the original bytes; the record is finished when the bus has the letter. */
export const bury = (
  state: State,
  item: Pick<Item, 'bytes' | 'key'>,
  place: Place,
  { code, detail }: Fault,
  fx: Fx,
): void => {
  fx.emit('stage_rejected', 1);
  enclose(state.letters, {
    topic: TOPICS.dlq,
    key: item.key,
    value: item.bytes,
    headers: {
      [DLQ_HEADERS.code]: code,
      [DLQ_HEADERS.detail]: detail,
      [DLQ_HEADERS.topic]: place.topic,
      [DLQ_HEADERS.partition]: String(place.partition),
      [DLQ_HEADERS.offset]: String(place.offset),
    },
    settles: place,
  });
};

const isBuried = ({ letters }: State, place: Place): boolean =>
  [...letters.waiting, ...letters.flying.values()].some(
    ({ settles }) =>
      settles !== null &&
      settles.topic === place.topic &&
      settles.partition === place.partition &&
      settles.offset === place.offset,
  );

/**
 * What the nonce check of the wire may know. A nonce that only a peer has shown so far counts as this very record:
 * the record is where the peer has it from.
 */
const sighting = (seen: SeenNonce | undefined, place: Place | null): NonceSighting | undefined => {
  if (seen === undefined) return undefined;
  const contentHash = fromHex(seen.contentHash);
  const at = seen.place ?? place;
  if (at === null || (place !== null && at.topic !== place.topic)) return { contentHash };
  return { contentHash, position: { partition: at.partition, offset: at.offset } };
};

/** What was found out about a message beforehand. */
type Looked = {
  readonly item: Item;
  /** Of its signatures. */
  readonly results: readonly boolean[];
  /** Its nonce as another process of this validator has seen it. */
  readonly shared?: SeenNonce | undefined;
};

/** The checks of the wire, all of them, with this validator's memory and clock. */
const verdict = (
  state: State,
  chain: Chain,
  { item, results, shared }: Looked,
  atMs: number,
  withMemory = true,
) => {
  const { place } = item;
  const { parameters } = chain.context;
  let nonce = '';
  return judge(item, results, state.verify, {
    crypto: state.crypto,
    nowMs: atMs,
    timeSkewMs: parameters.blockTimeSkewMs,
    roleOf: chain.roles.roleOf,
    detectorsMayPropose: parameters.detectorsMayPropose,
    nonceSeen: (producerId, bytes) => {
      nonce = nonceKey(hex(producerId), hex(bytes));
      return withMemory ? sighting(findNonce(state.nonces, nonce) ?? shared, place) : undefined;
    },
    contentKnown: (contentHash) => withMemory && isDuplicate(state.nonces, nonce, hex(contentHash)),
    ...(place !== null && { position: { partition: place.partition, offset: place.offset } }),
  });
};

const remember = (
  state: State,
  { message }: VerifiedMessage,
  place: Place | null,
  atMs: number,
): void =>
  rememberNonce(
    state.nonces,
    nonceKey(hex(message.producerId), hex(message.nonce)),
    { contentHash: hex(message.contentHash), place },
    atMs,
  );

const accepted = (state: State, message: VerifiedMessage, fx: Fx, atMs: number): void => {
  if (message.kind === 'anomaly') fx.emit('stage_admitted', 1);
  reportAccepted(state, message, atMs);
};

/** Puts a verified message into the pool, or says what it has to wait for. */
export const enter = (
  state: State,
  chain: Chain,
  { item, message }: Waiting,
  fx: Fx,
  atMs: number,
): 'entered' | Held['lacks'] => {
  const producer = producerOf(message);
  const own = item.place !== null;
  const quota = chain.quotas.get(producer) ?? 0;
  const pace = own ? mayEnter(state.pace, producer, quota, atMs) : 'yes';
  if (pace !== 'yes') return pace === 'quota' ? 'quota' : 'room';
  const tx = transactionOf(item);
  const txId = txIdBytes(tx, state.crypto);
  const admission = admit(state.pool, {
    txId: hex(txId),
    contentHash: hex(message.message.contentHash),
    tx,
    key: item.key,
    severity: severityOf(message),
    tsMs: message.message.ts * 1000,
    admittedMs: atMs,
    place: item.place,
  });
  switch (admission.outcome) {
    case 'full':
      if (own) giveBack(state.pace, producer);
      return 'room';
    case 'present':
      if (item.place !== null) adopt(state.pool, admission.entry.txId, item.place, item.key);
      break;
    default:
      state.fresh.push({ tx, txId, own });
      if (admission.evicted.length > 0) fx.emit('evicted', admission.evicted.length);
  }
  remember(state, message, item.place, atMs);
  if (own) accepted(state, message, fx, atMs);
  return 'entered';
};

/** A record of a topic, after its signatures have been looked at. `known`: the chain has its content. */
export const receive = (
  state: State,
  chain: Chain,
  looked: Looked,
  known: boolean,
  fx: Fx,
  atMs: number,
): Held | undefined => {
  const { item } = looked;
  const { place } = item;
  if (place === null) throw new Error('a forwarded message on the way of the records');
  let judged = verdict(state, chain, looked, atMs);
  if (!judged.ok && judged.error.code === 'redelivered') {
    if (isSettled(state, item, place, known)) return undefined;
    judged = verdict(state, chain, looked, atMs, false);
  }
  if (!judged.ok) {
    bury(state, item, place, judged.error, fx);
    if (!known) reportRejected(state, item, judged.error.code, atMs);
    return undefined;
  }
  if (known) {
    remember(state, judged.value, place, atMs);
    finish(state, place);
    accepted(state, judged.value, fx, atMs);
    return undefined;
  }
  const waiting = { item, message: judged.value };
  const outcome = enter(state, chain, waiting, fx, atMs);
  return outcome === 'entered' ? undefined : { ...waiting, lacks: outcome };
};

/** Whether nothing is left to do for a record that was here before. */
const isSettled = (state: State, item: Item, place: Place, known: boolean): boolean => {
  const content = hex(item.contentHash ?? EMPTY);
  const entry = state.pool.byContent.get(content);
  if (entry?.place === null) return false; // a peer's, which `enter` makes our own
  if (entry !== undefined || isBuried(state, place)) return true;
  const seen = findNonce(state.nonces, state.nonces.contents.get(content) ?? '');
  if (!known || seen?.place === null) return false;
  finish(state, place);
  return true;
};

/** A peer's transaction: verified in full like our own, and dropped without ceremony where it fails. */
export const receiveForwarded = (
  state: State,
  chain: Chain,
  item: Item,
  results: readonly boolean[],
  known: boolean,
  fx: Fx,
  atMs: number,
): void => {
  if (known) return;
  const judged = verdict(state, chain, { item, results }, atMs);
  if (judged.ok) {
    const outcome = enter(state, chain, { item, message: judged.value }, fx, atMs);
    if (outcome !== 'entered') fx.emit('forwarded_dropped', 1);
    return;
  }
  const { code } = judged.error;
  if (code !== 'redelivered' && code !== 'replayed' && code !== 'duplicate') {
    fx.emit('forwarded_rejected', 1);
  }
};
