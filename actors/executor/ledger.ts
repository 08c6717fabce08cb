/** The committed side of the chain: the head, what is due, which content is known, old versions within the horizon. */
import { hex } from '#proto/bytes.ts';
import type { Header } from '#proto/consensus/header.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import type { Genesis } from '#proto/genesis.ts';
import { headerOfGenesis } from '#proto/genesis-state.ts';
import { type Change, entries, get, rootOf, type Tree, update } from '#proto/merkle.ts';
import { err, ok, type Result } from '#proto/result.ts';
import { type AnomalyState, decodeState, type NonceState } from '#proto/state.ts';
import { type Agenda, agenda, note } from './agenda.ts';
import type { Rules } from './rules.ts';
import { headVersion, type Version } from './version.ts';

export type Ledger = {
  readonly rules: Rules;
  readonly horizonBlocks: number;
  readonly book: Agenda;
  /** Content hash (hex) -> how many records of the committed state hold it. */
  readonly contents: Map<string, number>;
  /** Versions of committed heights within the horizon, the head included. */
  readonly trees: Map<number, Tree>;
  /** Hashes of committed blocks within the horizon, ascending by height. */
  readonly heights: Map<HashHex, number>;
  head: Version;
  /** Encoded anchor proof of the head; empty at genesis. */
  proof: Uint8Array;
};

/** What a store holds of a chain that has begun. */
export type Stored = {
  readonly entries: readonly Change[];
  readonly head: { readonly header: Header; readonly proof: Uint8Array };
  /** By height, newest first: hash, and the values that the block at that height replaced. */
  readonly undo: readonly {
    readonly height: number;
    readonly hash: HashHex;
    readonly changes: readonly Change[];
  }[];
};

/** The content hash that a record holds, or undefined. */
const contentOf = (key: string, value: Uint8Array): string | undefined => {
  if (key.startsWith('nonces/')) return decodeState<NonceState>(key, value);
  if (key.startsWith('anomalies/') || key.startsWith('evidence/')) {
    return decodeState<Pick<AnomalyState, 'contentHash'>>(key, value).contentHash;
  }
  return undefined;
};

const count = (ledger: Ledger, key: string, value: Uint8Array | null, by: 1 | -1): void => {
  const content = value === null ? undefined : contentOf(key, value);
  if (content === undefined) return;
  const left = (ledger.contents.get(content) ?? 0) + by;
  if (left > 0) ledger.contents.set(content, left);
  else ledger.contents.delete(content);
};

const ledgerOf = (rules: Rules, horizonBlocks: number, head: Version): Ledger => {
  const ledger: Ledger = {
    rules,
    horizonBlocks,
    book: agenda(rules.parameters),
    contents: new Map(),
    trees: new Map([[head.header.height, head.tree]]),
    heights: new Map([[head.hash, head.header.height]]),
    head,
    proof: new Uint8Array(0),
  };
  for (const { key, value } of entries(head.tree)) {
    note(ledger.book, key, value);
    count(ledger, key, value, 1);
  }
  return ledger;
};

/** A chain that has not begun. */
export const beginLedger = (
  rules: Rules,
  horizonBlocks: number,
  genesis: Genesis,
  genesisChanges: readonly Change[],
): Ledger => {
  const header = headerOfGenesis(genesis, rules.crypto);
  const tree = update(null, genesisChanges, rules.crypto);
  return ledgerOf(rules, horizonBlocks, headVersion(header, tree, rules.crypto));
};

/** A chain as its store holds it; the error says what does not fit together. */
export const restoreLedger = (
  rules: Rules,
  horizonBlocks: number,
  stored: Stored,
): Result<Ledger, string> => {
  const { header, proof } = stored.head;
  const tree = update(null, stored.entries, rules.crypto);
  if (hex(rootOf(tree)) !== header.stateRoot) {
    return err(`the stored state at height ${header.height} has root ${hex(rootOf(tree))}`);
  }
  const ledger = ledgerOf(rules, horizonBlocks, headVersion(header, tree, rules.crypto));
  ledger.proof = proof;
  let older = tree;
  for (const { height, changes } of stored.undo) {
    older = update(older, changes, rules.crypto);
    ledger.trees.set(height - 1, older);
  }
  ledger.heights.clear();
  for (const { hash, height } of stored.undo.toReversed()) ledger.heights.set(hash, height);
  return ok(ledger);
};

/** What each write of a version replaces: lets a restart go back as far as the horizon. */
export const undoOf = (ledger: Ledger, version: Version): readonly Change[] => {
  const below = version.parent?.tree ?? null;
  return [...version.changes.keys()].map((key) => [key, get(below, key, ledger.rules.crypto)]);
};

/** Makes an executed child of the head the new head. Call it for each block, oldest first. */
export const seal = (ledger: Ledger, version: Version, proof: Uint8Array): void => {
  const { head, rules } = ledger;
  if (version.parent !== head) throw new Error('a block sealed on something else than the head');
  for (const [key, value] of version.changes) {
    note(ledger.book, key, value);
    count(ledger, key, get(head.tree, key, rules.crypto), -1);
    count(ledger, key, value, 1);
  }
  version.parent = null;
  ledger.head = version;
  ledger.proof = proof;
  const { height } = version.header;
  ledger.trees.set(height, version.tree);
  ledger.heights.set(version.hash, height);
  ledger.trees.delete(height - ledger.horizonBlocks);
  for (const [hash, at] of ledger.heights) {
    if (at > height - ledger.horizonBlocks) break;
    ledger.heights.delete(hash);
  }
};
