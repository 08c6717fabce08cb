/**
 * Nonces that this validator has admitted, in buckets of one minute, each with its content and the place
 * where its record stands. Forgotten 15 minutes (a parameter of the chain) behind header time.
 */
import type { Place } from './mempool.ts';

export type SeenNonce = {
  /** Hex. */
  readonly contentHash: string;
  /** null while it is known from a peer only. */
  place: Place | null;
};

export type Nonces = {
  /** Minute of admission (Unix time / 60,000) -> `producer/nonce` in hex -> what was seen. */
  readonly buckets: Map<number, Map<string, SeenNonce>>;
  readonly entriesMax: number;
  size: number;
};

/** What an arriving nonce is. `redelivered` is silent; the others name the code of its rejection. */
export type NonceVerdict = 'fresh' | 'adopted' | 'redelivered' | 'replayed' | 'nonce-conflict';

const MINUTE_MS = 60_000;

export const nonces = (entriesMax: number): Nonces => ({
  buckets: new Map(),
  entriesMax,
  size: 0,
});

export const nonceKey = (producer: string, nonce: string): string => `${producer}/${nonce}`;

const samePlace = (a: Place, b: Place): boolean =>
  a.topic === b.topic && a.partition === b.partition && a.offset === b.offset;

export const findNonce = (seen: Nonces, key: string): SeenNonce | undefined => {
  for (const bucket of seen.buckets.values()) {
    const found = bucket.get(key);
    if (found !== undefined) return found;
  }
  return undefined;
};

/** Judges without remembering: only what is admitted may occupy a nonce. */
export const judgeNonce = (
  seen: Nonces,
  key: string,
  contentHash: string,
  place: Place | null,
): NonceVerdict => {
  const known = findNonce(seen, key);
  if (known === undefined) return 'fresh';
  if (known.contentHash !== contentHash) return 'nonce-conflict';
  if (place === null) return 'redelivered';
  if (known.place === null) return 'adopted';
  return samePlace(known.place, place) ? 'redelivered' : 'replayed';
};

/** At `entriesMax` the oldest minute is forgotten: the chain's own memory of nonces still decides. */
export const rememberNonce = (seen: Nonces, key: string, entry: SeenNonce, atMs: number): void => {
  const known = findNonce(seen, key);
  if (known !== undefined) {
    known.place ??= entry.place;
    return;
  }
  const minute = Math.floor(atMs / MINUTE_MS);
  const bucket = seen.buckets.get(minute) ?? new Map<string, SeenNonce>();
  bucket.set(key, entry);
  seen.buckets.set(minute, bucket);
  seen.size += 1;
  if (seen.size > seen.entriesMax) forgetBucket(seen, Math.min(...seen.buckets.keys()));
};

const forgetBucket = (seen: Nonces, minute: number): void => {
  seen.size -= seen.buckets.get(minute)?.size ?? 0;
  seen.buckets.delete(minute);
};

/** Forgets every minute that ended before `oldestMs`. */
export const forgetNonces = (seen: Nonces, oldestMs: number): void => {
  for (const minute of [...seen.buckets.keys()]) {
    if ((minute + 1) * MINUTE_MS <= oldestMs) forgetBucket(seen, minute);
  }
};
