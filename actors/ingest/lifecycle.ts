/** What happens to a transaction in the pool: taken into a block, committed, refused, expired. */

import { executor } from '#actors/executor/protocol.ts';
import { replica } from '#actors/replica/protocol.ts';
import { fromHex, hex } from '#proto/bytes.ts';
import { BLOCK_TX_MAX, encodeTransactions } from '#proto/consensus/transaction.ts';
import { bury, finish } from './admission.ts';
import { best, type Entry, expire, remove } from './mempool.ts';
import { forgetNonces } from './nonces.ts';
import { outboxSize } from './outbox.ts';
import type { Fx, Self, State } from './state.ts';

type Of<K extends Self['kind']> = Extract<Self, { kind: K }>;

/** `list` fields carry at most 4,096 items, a forward of ours about this many bytes. */
const LIST_ITEMS_MAX = 4000;
const FORWARD_BYTES_MAX = 4 << 20;
/** Clocks of validators differ: what is this much too old is too old for every block. */
const EXPIRY_MARGIN_MS = 5000;
/** After so long in the pool one asks the chain whether the content came another way. */
const RECHECK_AFTER_MS = 3000;
const RECHECK_MAX = 256;

export const take = (state: State, message: Of<'take'>, fx: Fx): void => {
  const count = Math.min(message.maxTransactions, BLOCK_TX_MAX);
  const entries = best(state.pool, count, message.maxBytes);
  const transactions = encodeTransactions(entries.map((entry) => entry.tx));
  fx.reply(message.replyTo, { transactions });
};

const settle = (state: State, entry: Entry): void => {
  if (entry.place !== null) finish(state, entry.place);
};

export const included = (state: State, message: Of<'included'>, fx: Fx): void => {
  state.height = Math.max(state.height, message.height);
  for (const id of message.ids) {
    const entry = remove(state.pool, hex(id));
    if (entry !== undefined) settle(state, entry);
  }
  const ttlMs = state.chain?.context.parameters.nonceTtlMs;
  if (ttlMs !== undefined) forgetNonces(state.nonces, message.timeMs - ttlMs);
  fx.gauge('pool_transactions', state.pool.byTx.size);
};

const CODES: ReadonlySet<string> = new Set([
  'timestamp',
  'nonce-conflict',
  'unknown-producer',
  'no-such-policy',
  'policy-exists',
  'removal-needs-operator',
]);

/** The chain's rules keep it out: for our own records that is a rejection like any other. */
export const refused = (state: State, message: Of<'refused'>, fx: Fx): void => {
  for (const [at, id] of message.ids.entries()) {
    const entry = remove(state.pool, hex(id));
    if (entry === undefined) continue;
    const detail = message.reasons[at] ?? '';
    if (detail === 'committed') {
      settle(state, entry);
      continue;
    }
    const code = CODES.has(detail) ? detail : 'guardrail';
    fx.emit('refused', 1);
    const { kind, bytes } = entry.tx;
    if (entry.place === null || kind === 'misbehaviour') continue;
    bury(state, { bytes, key: entry.key }, entry.place, { code, detail }, fx);
  }
};

/** The executor gets what it need not verify again, the replica the count. */
export const tellOthers = (state: State, fx: Fx, atMs: number): void => {
  const fresh = state.fresh.splice(0);
  for (let at = 0; at < fresh.length; at += LIST_ITEMS_MAX) {
    const ids = fresh.slice(at, at + LIST_ITEMS_MAX).map((one) => one.txId);
    fx.tell(executor, { kind: 'verified', ids });
  }
  for (const { own, txId } of fresh) {
    if (own) state.unforwarded.push({ txId: hex(txId), admittedMs: atMs });
  }
  const count = state.pool.byTx.size;
  if (count === state.told && fresh.length === 0) return;
  state.told = count;
  fx.tell(replica, { kind: 'pending', count });
};

/**
 * Peers get what no block has taken: a validator whose bus is behind, or that alone has read a record. Sent at once,
 * every transaction would go to everybody from everybody, beside the bus that brings it anyway.
 */
const forwardWaiting = (state: State, fx: Fx, atMs: number): void => {
  const { unforwarded, config } = state;
  const young = unforwarded.findIndex((one) => one.admittedMs + config.forwardAfterMs > atMs);
  const due = unforwarded.splice(0, young < 0 ? unforwarded.length : young);
  let own = due.flatMap(({ txId }) => state.pool.byTx.get(txId)?.tx ?? []);
  while (own.length > 0) {
    let bytes = 0;
    const end = own.findIndex((tx, at) => {
      bytes += tx.bytes.length;
      return at > 0 && bytes > FORWARD_BYTES_MAX;
    });
    const some = end < 0 ? own : own.slice(0, end);
    fx.tell(replica, { kind: 'forward', transactions: encodeTransactions(some) });
    own = own.slice(some.length);
  }
};

export const housekeep = (state: State, fx: Fx, atMs: number): void => {
  const skewMs = state.chain?.context.parameters.blockTimeSkewMs;
  if (skewMs === undefined) return;
  const gone = expire(state.pool, atMs - skewMs - EXPIRY_MARGIN_MS);
  for (const entry of gone) settle(state, entry);
  if (gone.length > 0) fx.emit('expired', gone.length);
  recheck(state, fx, atMs);
  forwardWaiting(state, fx, atMs);
  // Said again: a replica that has restarted knows of nothing.
  if (state.pool.byTx.size > 0) state.told = -1;
  fx.gauge('pool_transactions', state.pool.byTx.size);
  fx.gauge('pool_bytes', state.pool.bytes);
  fx.gauge('letters_waiting', outboxSize(state.letters));
};

/** Content may be committed under another transaction, and `included` may have been lost in a restart. */
const recheck = (state: State, fx: Fx, atMs: number): void => {
  const old = [...state.pool.byTx.values()]
    .filter((entry) => entry.admittedMs + RECHECK_AFTER_MS < atMs)
    .slice(0, RECHECK_MAX);
  if (old.length === 0) return;
  fx.ask(
    executor,
    { kind: 'known', ids: old.map((entry) => fromHex(entry.contentHash)) },
    { kind: 'rechecked', txIds: old.map((entry) => entry.txId) },
  );
};

/** A failure is no answer: the next tick asks again. */
export const rechecked = (state: State, message: Of<'rechecked'>): void => {
  if (!message.result.ok) return;
  const { known } = message.result.value;
  for (const [at, txId] of message.txIds.entries()) {
    if (known[at] !== true) continue;
    const entry = remove(state.pool, txId);
    if (entry !== undefined) settle(state, entry);
  }
};
