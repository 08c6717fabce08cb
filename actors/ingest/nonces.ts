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
  /** Content hash (hex) -> the nonce's key: known content under another nonce is a duplicate. */
  readonly contents: Map<string, string>;
  readonly entriesMax: number;
  size: number;
};

const MINUTE_MS = 60_000;

export const nonces = (entriesMax: number): Nonces => ({
  buckets: new Map(),
  contents: new Map(),
  entriesMax,
  size: 0,
});

export const nonceKey = (producer: string, nonce: string): string => `${producer}/${nonce}`;

export const findNonce = (seen: Nonces, key: string): SeenNonce | undefined => {
  for (const bucket of seen.buckets.values()) {
    const found = bucket.get(key);
    if (found !== undefined) return found;
  }
  return undefined;
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
  seen.contents.set(entry.contentHash, key);
  seen.buckets.set(minute, bucket);
  seen.size += 1;
  if (seen.size > seen.entriesMax) forgetBucket(seen, Math.min(...seen.buckets.keys()));
};

const forgetBucket = (seen: Nonces, minute: number): void => {
  for (const { contentHash } of seen.buckets.get(minute)?.values() ?? []) {
    seen.contents.delete(contentHash);
  }
  seen.size -= seen.buckets.get(minute)?.size ?? 0;
  seen.buckets.delete(minute);
};

/** Forgets every minute that ended before `oldestMs`. */
export const forgetNonces = (seen: Nonces, oldestMs: number): void => {
  for (const minute of [...seen.buckets.keys()]) {
    if ((minute + 1) * MINUTE_MS <= oldestMs) forgetBucket(seen, minute);
  }
};

/** Content that was admitted under another nonce than this one. */
export const isDuplicate = (seen: Nonces, key: string, contentHash: string): boolean => {
  const known = seen.contents.get(contentHash);
  return known !== undefined && known !== key;
};
