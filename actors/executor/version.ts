/**
 * Versions of the chain's state: the committed head and the executed blocks above it, a tree of forks. A version
 * shares with its parent what its block did not change, so a fork costs what its block wrote.
 */

import { EMPTY } from '#proto/bytes.ts';
import type { PolicyWrite, Receipt } from '#proto/consensus/committed.ts';
import { blockHash, type Header } from '#proto/consensus/header.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import type { Crypto } from '#proto/crypto.ts';
import type { Tree } from '#proto/merkle.ts';
import type { Agenda, Due } from './agenda.ts';

export type Version = {
  readonly hash: HashHex;
  readonly header: Header;
  readonly tree: Tree;
  /** Encoded block; empty for genesis and for a head read from the store. */
  readonly block: Uint8Array;
  readonly txIds: readonly Uint8Array[];
  readonly receipts: readonly Receipt[];
  readonly policies: readonly PolicyWrite[];
  /** What the block wrote (null: removed). */
  readonly changes: ReadonlyMap<string, Uint8Array | null>;
  /** When what the block wrote falls due, in `dueOrder`. */
  readonly dues: readonly Due[];
  /** null for the committed head: nothing below it is needed to go on. */
  parent: Version | null;
};

/** A head without its block: genesis, or one read from the store. */
export const headVersion = (header: Header, tree: Tree, crypto: Crypto): Version => ({
  hash: blockHash(header, crypto),
  header,
  tree,
  block: EMPTY,
  txIds: [],
  receipts: [],
  policies: [],
  changes: new Map(),
  dues: [],
  parent: null,
});

/** What execution reads besides the tree: the branch back to the head, and the head's agenda. */
export type Branch = {
  readonly parent: Version;
  /** Uncommitted blocks from the parent downwards; empty on the head. */
  readonly uncommitted: readonly Version[];
  readonly book: Agenda;
};

export const branchOf = (parent: Version, book: Agenda): Branch => {
  const uncommitted: Version[] = [];
  for (let at: Version = parent; at.parent !== null; at = at.parent) uncommitted.push(at);
  return { parent, uncommitted, book };
};

/** Whether `version` stands on `ancestor`, or is it. */
export const descends = (version: Version, ancestor: Version): boolean => {
  for (let at: Version | null = version; at !== null; at = at.parent) {
    if (at === ancestor) return true;
  }
  return false;
};
