/** Whether a producer's nonce stands in the state: in this block, in an uncommitted one below, or in the head. */
import { minuteOf, type NonceState, nonceStateKey } from '#proto/state.ts';
import { read, type Scratch, write } from './scratch.ts';
import type { Branch } from './version.ts';

/** Without going to the tree for each minute of the window: most nonces are in none of them. */
const stands = (pad: Scratch, branch: Branch, key: string): boolean => {
  const own = pad.pending.get(key) ?? pad.writes.get(key);
  if (own !== undefined) return true;
  for (const version of branch.uncommitted) {
    const change = version.changes.get(key);
    if (change !== undefined) return change !== null;
  }
  return branch.book.dueMs.has(key);
};

/**
 * The content hash (hex) that used this nonce, or undefined. A minute counts until it lies `ttlMs` behind the
 * header time, whether or not it has been swept: sweeping is bounded and may lag.
 */
export const nonceUse = (
  pad: Scratch,
  branch: Branch,
  timeMs: number,
  producer: string,
  nonce: string,
): NonceState | undefined => {
  const { nonceTtlMs } = branch.book.parameters;
  for (let minute = minuteOf(timeMs - nonceTtlMs); minute <= minuteOf(timeMs); minute++) {
    const key = nonceStateKey(minute, producer, nonce);
    if (stands(pad, branch, key)) return read(pad, key) ?? undefined;
  }
  return undefined;
};

export const useNonce = (
  pad: Scratch,
  timeMs: number,
  producer: string,
  nonce: string,
  contentHash: string,
): void => write(pad, nonceStateKey(minuteOf(timeMs), producer, nonce), contentHash);
