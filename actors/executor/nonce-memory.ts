/**
 * Whether a producer's nonce stands in the state: in this block, in an uncommitted one below, or in the head. A
 * block writes nonces under the minute of its header time, so each of them has one key to look at.
 */
import { minuteOf, type NonceState, nonceStateKey } from '#proto/state.ts';
import { nonceDueMs } from './agenda.ts';
import { read, type Scratch, write } from './scratch.ts';
import type { Branch } from './version.ts';

const keyIn = (
  pad: Scratch,
  branch: Branch,
  timeMs: number,
  producer: string,
  nonce: string,
): string | undefined => {
  const { parameters, nonceKeys } = branch.book;
  const own = nonceStateKey(minuteOf(timeMs), producer, nonce);
  if (pad.pending.has(own) || pad.writes.has(own)) return own;
  for (const { header, changes } of branch.uncommitted) {
    const key = nonceStateKey(minuteOf(header.timeMs), producer, nonce);
    if (changes.has(key) && nonceDueMs(minuteOf(header.timeMs), parameters) > timeMs) return key;
  }
  const committed = nonceKeys.get(`${producer}/${nonce}`);
  const dueMs = committed === undefined ? undefined : branch.book.dueMs.get(committed);
  return dueMs !== undefined && dueMs > timeMs ? committed : undefined;
};

/**
 * The content hash (hex) that used this nonce, or undefined. A minute counts until it lies `nonceTtlMs` behind the
 * header time, whether or not it has been swept: sweeping is bounded and may lag.
 */
export const nonceUse = (
  pad: Scratch,
  branch: Branch,
  timeMs: number,
  producer: string,
  nonce: string,
): NonceState | undefined => {
  const key = keyIn(pad, branch, timeMs, producer, nonce);
  return key === undefined ? undefined : (read(pad, key) ?? undefined);
};

export const useNonce = (
  pad: Scratch,
  timeMs: number,
  producer: string,
  nonce: string,
  contentHash: string,
): void => write(pad, nonceStateKey(minuteOf(timeMs), producer, nonce), contentHash);
