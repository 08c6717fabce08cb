/** Reads and writes of a block that is being executed, over the state of its parent. */
import type { Crypto } from '#proto/crypto.ts';
import { type Change, get, type Tree } from '#proto/merkle.ts';
import { decodeState, encodeState, type StateKey } from '#proto/state.ts';

export type Scratch = {
  readonly base: Tree;
  readonly crypto: Crypto;
  /** Values of the base that were read, so that each is decoded once. */
  readonly known: Map<string, unknown>;
  /** Accepted writes; null removes. */
  readonly writes: Map<string, unknown>;
  /** Writes of the transaction in hand: kept by `accept`, forgotten by `reject`. */
  readonly pending: Map<string, unknown>;
};

export const scratch = (base: Tree, crypto: Crypto): Scratch => ({
  base,
  crypto,
  known: new Map(),
  writes: new Map(),
  pending: new Map(),
});

const fromBase = (pad: Scratch, key: string): unknown => {
  const known = pad.known.get(key);
  if (known !== undefined) return known;
  const bytes = get(pad.base, key, pad.crypto);
  const value = bytes === null ? null : decodeState(key, bytes);
  pad.known.set(key, value);
  return value;
};

/** null where nothing stands. Values are never changed in place: write a new one. */
export const read = <T>(pad: Scratch, key: StateKey<T>): T | null => {
  for (const layer of [pad.pending, pad.writes]) {
    const value = layer.get(key);
    if (value !== undefined) return value as T | null;
  }
  return fromBase(pad, key) as T | null;
};

/** For keys that genesis wrote and nothing removes. */
export const must = <T>(pad: Scratch, key: StateKey<T>): T => {
  const value = read(pad, key);
  if (value === null) throw new Error(`the state has no ${key}`);
  return value;
};

export const write = <T>(pad: Scratch, key: StateKey<T>, value: T | null): void => {
  pad.pending.set(key, value);
};

export const accept = (pad: Scratch): void => {
  for (const [key, value] of pad.pending) pad.writes.set(key, value);
  pad.pending.clear();
};

export const reject = (pad: Scratch): void => pad.pending.clear();

/** The accepted writes, encoded; keys ascending, though the root does not depend on it. */
export const changesOf = (pad: Scratch): Map<string, Uint8Array | null> => {
  const changes = [...pad.writes].map(
    ([key, value]): Change => [key, value === null ? null : encodeState(value)],
  );
  return new Map(changes.sort(([a], [b]) => (a < b ? -1 : 1)));
};
