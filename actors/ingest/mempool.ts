/**
 * Verified transactions that wait for a block. Pure data: ingest's core decides what enters, the pool
 * decides what fits, what goes first and who has to leave.
 *
 * Own transactions came from the bus and are never evicted (their record stays unfinished until they are
 * committed or expired); forwarded ones came from a peer and leave for own ones when there is no room.
 */

import type { Transaction } from '#proto/consensus/transaction.ts';

/** Where a record of the bus stands. */
export type Place = {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
};

export type Entry = {
  /** Transaction id, hex. */
  readonly txId: string;
  /** SHA-256 of the message's content, hex. */
  readonly contentHash: string;
  readonly tx: Transaction;
  /** Key of the record, '' for a forwarded one. */
  readonly key: string;
  /** 1..10. */
  readonly severity: number;
  /** The producer's own time, Unix milliseconds. */
  readonly tsMs: number;
  readonly admittedMs: number;
  /** null: forwarded by a peer and not yet read from the bus here. */
  readonly place: Place | null;
};

export type PoolLimits = {
  readonly transactionsMax: number;
  readonly bytesMax: number;
  /** One step of severity outweighs so much waiting, so that nothing waits for ever. */
  readonly severityStepMs: number;
};

export type Mempool = {
  readonly limits: PoolLimits;
  readonly byTx: Map<string, Entry>;
  readonly byContent: Map<string, Entry>;
  bytes: number;
};

export type Admission =
  | { readonly outcome: 'admitted'; readonly evicted: readonly Entry[] }
  /** The same content is here already. */
  | { readonly outcome: 'present'; readonly entry: Entry }
  /** No room: an own transaction waits outside (back-pressure), a forwarded one is dropped. */
  | { readonly outcome: 'full' };

export const mempool = (limits: PoolLimits): Mempool => ({
  limits,
  byTx: new Map(),
  byContent: new Map(),
  bytes: 0,
});

/** Smaller goes first: severity buys time. Fixed at admission, so the order never changes. */
const rank = (pool: Mempool, entry: Entry): number =>
  entry.admittedMs - entry.severity * pool.limits.severityStepMs;

const before = (pool: Mempool) => (a: Entry, b: Entry) =>
  rank(pool, a) - rank(pool, b) || (a.txId < b.txId ? -1 : 1);

const insert = (pool: Mempool, entry: Entry): void => {
  pool.byTx.set(entry.txId, entry);
  pool.byContent.set(entry.contentHash, entry);
  pool.bytes += entry.tx.bytes.length;
};

/** Takes an entry out; undefined when it is not here. */
export const remove = (pool: Mempool, txId: string): Entry | undefined => {
  const entry = pool.byTx.get(txId);
  if (entry === undefined) return undefined;
  pool.byTx.delete(txId);
  pool.byContent.delete(entry.contentHash);
  pool.bytes -= entry.tx.bytes.length;
  return entry;
};

const fits = (pool: Mempool, entry: Entry, lessCount = 0, lessBytes = 0): boolean =>
  pool.byTx.size - lessCount < pool.limits.transactionsMax &&
  pool.bytes - lessBytes + entry.tx.bytes.length <= pool.limits.bytesMax;

/** The forwarded entries, last in rank first, whose leaving makes room; undefined when it cannot be made. */
const victims = (pool: Mempool, entry: Entry): readonly Entry[] | undefined => {
  const forwarded = [...pool.byTx.values()].filter((one) => one.place === null);
  forwarded.sort((a, b) => before(pool)(b, a));
  const leaving: Entry[] = [];
  let bytes = 0;
  for (const one of forwarded) {
    if (fits(pool, entry, leaving.length, bytes)) break;
    leaving.push(one);
    bytes += one.tx.bytes.length;
  }
  return fits(pool, entry, leaving.length, bytes) ? leaving : undefined;
};

export const admit = (pool: Mempool, entry: Entry): Admission => {
  const present = pool.byContent.get(entry.contentHash) ?? pool.byTx.get(entry.txId);
  if (present !== undefined) return { outcome: 'present', entry: present };
  if (fits(pool, entry)) {
    insert(pool, entry);
    return { outcome: 'admitted', evicted: [] };
  }
  const leaving = entry.place === null ? undefined : victims(pool, entry);
  if (leaving === undefined) return { outcome: 'full' };
  for (const one of leaving) remove(pool, one.txId);
  insert(pool, entry);
  return { outcome: 'admitted', evicted: leaving };
};

/** A forwarded transaction has been read from the bus, too: from now on it is an own one. */
export const adopt = (pool: Mempool, txId: string, place: Place, key: string): void => {
  const entry = pool.byTx.get(txId);
  if (entry === undefined || entry.place !== null) return;
  const own = { ...entry, place, key };
  pool.byTx.set(txId, own);
  pool.byContent.set(entry.contentHash, own);
};

/** The best entries within both limits; they stay in the pool. */
export const best = (pool: Mempool, countMax: number, bytesMax: number): readonly Entry[] => {
  const taken: Entry[] = [];
  let bytes = 0;
  for (const entry of [...pool.byTx.values()].sort(before(pool))) {
    if (taken.length >= countMax) break;
    if (bytes + entry.tx.bytes.length > bytesMax) continue;
    bytes += entry.tx.bytes.length;
    taken.push(entry);
  }
  return taken;
};

/** Takes out everything whose timestamp lies before `oldestTsMs`: no block can carry it any more. */
export const expire = (pool: Mempool, oldestTsMs: number): readonly Entry[] => {
  const gone = [...pool.byTx.values()].filter((entry) => entry.tsMs < oldestTsMs);
  for (const entry of gone) remove(pool, entry.txId);
  return gone;
};
