/**
 * The file in which a validator keeps its chain: the layout that the executor writes, and a reader of it for
 * commands that run while the node is stopped.
 */
import { type CommittedBlock, decodeCommitted } from '#proto/consensus/committed.ts';
import { openStore } from './store.ts';

export const CHAIN_FILE = 'chain.sqlite';

/**
 * `blocks.committed` is an encoded CommittedBlock; `state` is the newest version; `undo` holds what a height
 * replaced in it.
 */
export const CHAIN_MIGRATIONS = [
  `CREATE TABLE chain (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
   CREATE TABLE blocks (height INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, header BLOB NOT NULL,
     committed BLOB NOT NULL, proof BLOB NOT NULL) STRICT;
   CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE undo (height INTEGER NOT NULL, key TEXT NOT NULL, value BLOB,
     PRIMARY KEY (height, key)) STRICT, WITHOUT ROWID;`,
];

export type ChainFile = {
  /** Hash of the genesis that the chain began with, hex; undefined before it has begun. */
  readonly genesis: () => string | undefined;
  /** Height of the newest block, 0 where there is none. */
  readonly head: () => number;
  /** Oldest first. Throws on a block that does not decode: a damaged file. */
  readonly blocks: () => Generator<CommittedBlock>;
  /** A value of the newest state. */
  readonly state: (key: string) => Uint8Array | undefined;
  readonly close: () => void;
};

/** Throws StoreError. Nobody else may have the file open. */
export const openChainFile = (file: string): ChainFile => {
  const store = openStore(file, { migrations: CHAIN_MIGRATIONS });
  const newest = store.statement<[], { readonly height: number | null }>(
    'SELECT max(height) AS height FROM blocks',
  );
  const all = store.statement<[], { readonly height: number; readonly committed: Uint8Array }>(
    'SELECT height, committed FROM blocks ORDER BY height',
  );
  const one = store.statement<[string], { readonly value: Uint8Array }>(
    'SELECT value FROM state WHERE key = ?',
  );
  const fact = store.statement<[string], { readonly value: string }>(
    'SELECT value FROM chain WHERE name = ?',
  );
  return {
    genesis: () => fact.get('genesis')?.value,
    head: () => newest.get()?.height ?? 0,
    blocks: function* () {
      for (const { height, committed } of all.each()) {
        const block = decodeCommitted(committed);
        if (!block.ok) throw new Error(`${file}: block ${height} is damaged (${block.error})`);
        yield block.value;
      }
    },
    state: (key) => one.get(key)?.value,
    close: () => store.close(),
  };
};
