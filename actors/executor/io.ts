/**
 * The chain on disk (node:sqlite through native/store.ts, WAL, synchronous=FULL): blocks with their proofs and
 * receipts, the newest state, and what the last `horizonBlocks` blocks replaced in it. A commit is one transaction.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHAIN_FILE, CHAIN_MIGRATIONS } from '#native/chain-file.ts';
import { crypto } from '#native/crypto.ts';
import { openStore, type Store } from '#native/store.ts';
import { hex } from '#proto/bytes.ts';
import { encodeCommittedList } from '#proto/consensus/committed.ts';
import { blockHash, decodeHeader } from '#proto/consensus/header.ts';
import { configHash, type Genesis, pinnedGenesis } from '#proto/genesis.ts';
import type { Change } from '#proto/merkle.ts';
import type { Io, IoPort } from '#runtime/actor.ts';
import type { BlockRow, Commands, ReadJob } from './chain.ts';
import type { ExecutorConfig } from './config.ts';
import type { Self } from './core.ts';
import type { Stored } from './ledger.ts';

const READ_BYTES_MAX = 8 * 1024 * 1024;

const statementsOf = (store: Store) => ({
  fact: store.statement<[string], { value: string }>('SELECT value FROM chain WHERE name = ?'),
  setFact: store.statement<[string, string]>(
    'INSERT INTO chain VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  ),
  put: store.statement<[string, Uint8Array]>(
    'INSERT INTO state VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  ),
  remove: store.statement<[string]>('DELETE FROM state WHERE key = ?'),
  clear: store.statement<[]>('DELETE FROM state'),
  state: store.statement<[], { key: string; value: Uint8Array }>('SELECT key, value FROM state'),
  addBlock: store.statement<[number, string, Uint8Array, Uint8Array, Uint8Array]>(
    'INSERT INTO blocks VALUES (?, ?, ?, ?, ?)',
  ),
  newest: store.statement<[], { header: Uint8Array; proof: Uint8Array }>(
    'SELECT header, proof FROM blocks ORDER BY height DESC LIMIT 1',
  ),
  blocks: store.statement<[number, number], { committed: Uint8Array }>(
    'SELECT committed FROM blocks WHERE height >= ? ORDER BY height LIMIT ?',
  ),
  hashes: store.statement<[number], { height: number; hash: string }>(
    'SELECT height, hash FROM blocks WHERE height > ? ORDER BY height DESC',
  ),
  addUndo: store.statement<[number, string, Uint8Array | null]>(
    'INSERT INTO undo VALUES (?, ?, ?)',
  ),
  undoOf: store.statement<[number], { key: string; value: Uint8Array | null }>(
    'SELECT key, value FROM undo WHERE height = ?',
  ),
  dropUndo: store.statement<[number]>('DELETE FROM undo WHERE height <= ?'),
});
type Statements = ReturnType<typeof statementsOf>;

const deliver = (port: IoPort<Self>, message: Self): void => {
  if (!port.deliver(message)) throw new Error('the executor does not take what its store read');
};

const genesisOf = (port: IoPort<Self>): Genesis => {
  const { file, sha256 } = port.node.genesis;
  const genesis = pinnedGenesis(readFileSync(file), sha256, crypto);
  if (!genesis.ok) throw new Error(`genesis ${file}: ${genesis.error}`);
  return genesis.value;
};

const storedOf = (sql: Statements, horizonBlocks: number): Stored | null => {
  if (sql.fact.get('genesis') === undefined) return null;
  const newest = sql.newest.get();
  if (newest === undefined) return null; // begun, but without a block: genesis says it all
  const header = decodeHeader(newest.header);
  if (!header.ok) throw new Error(`the chain store is damaged: header ${header.error}`);
  const undo = sql.hashes.all(header.value.height - horizonBlocks).map(({ height, hash }) => ({
    height,
    hash,
    changes: sql.undoOf.all(height).map(({ key, value }): Change => [key, value]),
  }));
  return {
    entries: sql.state.all().map(({ key, value }): Change => [key, value]),
    head: { header: header.value, proof: newest.proof },
    // A longer horizon than before finds no undo further down: the reach ends where it was.
    undo: undo.slice(0, reachOf(undo)),
  };
};

const reachOf = (undo: readonly { readonly changes: readonly Change[] }[]): number => {
  const end = undo.findIndex(({ changes }) => changes.length === 0);
  return end < 0 ? undo.length : end;
};

const writeChanges = (sql: Statements, changes: readonly Change[]): void => {
  for (const [key, value] of changes) {
    if (value === null) sql.remove.run(key);
    else sql.put.run(key, value);
  }
};

const writeBlock = (sql: Statements, block: BlockRow): void => {
  sql.addBlock.run(block.height, block.hash, block.header, block.committed, block.proof);
  writeChanges(sql, block.changes);
  for (const [key, value] of block.undo) sql.addUndo.run(block.height, key, value);
};

/** At least one block, whatever its size. */
const readBlocks = (sql: Statements, job: ReadJob): Uint8Array => {
  const blocks: Uint8Array[] = [];
  const bytesMax = Math.min(job.maxBytes, READ_BYTES_MAX);
  let bytes = 0;
  for (const { committed } of sql.blocks.each(job.fromHeight, Math.max(1, job.maxBlocks))) {
    if (blocks.length > 0 && bytes + committed.length > bytesMax) break;
    bytes += committed.length;
    blocks.push(committed);
  }
  return encodeCommittedList(blocks);
};

export const io: Io<ExecutorConfig, Self, Commands> = (config, port) => {
  const store = openStore(join(port.dataDir, CHAIN_FILE), { migrations: CHAIN_MIGRATIONS });
  const sql = statementsOf(store);
  return {
    commands: {
      load: () => {
        const genesis = genesisOf(port);
        const own = hex(configHash(genesis, crypto));
        const known = sql.fact.get('genesis')?.value;
        if (known !== undefined && known !== own) {
          const begun = `${port.dataDir} belongs to the chain of genesis ${known}, not ${own}`;
          if (sql.newest.get() !== undefined) throw new Error(begun);
          // No block yet: only a genesis file was read, and the ceremony had it replaced by the right one.
          store.transaction(() => sql.clear.run());
        }
        deliver(port, { kind: 'loaded', genesis, stored: storedOf(sql, config.horizonBlocks) });
      },
      begin: ({ header, changes }) => {
        store.transaction(() => {
          sql.setFact.run('genesis', header.parentHash);
          sql.setFact.run('genesis-block', blockHash(header, crypto));
          writeChanges(sql, changes);
        });
      },
      append: ({ blocks, horizonBlocks }) => {
        const height = blocks.at(-1)?.height ?? 0;
        store.transaction(() => {
          for (const block of blocks) writeBlock(sql, block);
          sql.dropUndo.run(height - horizonBlocks);
        });
        deliver(port, { kind: 'appended', height });
      },
      read: (job) => deliver(port, { kind: 'readDone', job, blocks: readBlocks(sql, job) }),
    },
    close: () => store.close(),
  };
};
