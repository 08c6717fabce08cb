/** The same facts of a stopped node's chain, from a validator's disk and from SQL, in words that can be compared. */
import path from 'node:path';
import { type Database, EMBEDDED_FOLDER, openDatabase } from '#actors/persistence/database.ts';
import { CHAIN_FILE, openChainFile } from '#native/chain-file.ts';
import { crypto } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { blockOf } from '#proto/consensus/committed.ts';
import { blockHash } from '#proto/consensus/header.ts';
import { txId } from '#proto/consensus/transaction.ts';

export type ChainFacts = {
  /** Height, hash, state root and number of transactions of each block, oldest first. */
  readonly blocks: readonly string[];
  /** Height and id of each transaction, in block order. */
  readonly transactions: readonly string[];
  /** Height and id of each anomaly that was applied, sorted. */
  readonly anomalies: readonly string[];
};

export const factsOfChain = (dataDir: string, validator = 'v1'): ChainFacts => {
  const file = openChainFile(path.join(dataDir, validator, 'executor', CHAIN_FILE));
  try {
    const blocks = [...file.blocks()].map((committed) => ({ ...blockOf(committed), committed }));
    return {
      blocks: blocks.map(({ header }) => {
        const { height, stateRoot, txCount } = header;
        return `${height} ${blockHash(header, crypto)} ${stateRoot} ${txCount}`;
      }),
      transactions: blocks.flatMap(({ header, txs }) =>
        txs.map((tx) => `${header.height} ${txId(tx, crypto)}`),
      ),
      anomalies: blocks
        .flatMap(({ header, txs, committed }) =>
          committed.receipts
            .filter(({ status }, k) => status === 'applied' && txs[k]?.kind === 'anomaly')
            .map(({ id }) => `${header.height} ${id}`),
        )
        .toSorted(),
    };
  } finally {
    file.close();
  }
};

type Query = Pick<Database, 'query'>;

/** The same of a database. */
export const factsOfDatabase = async (database: Query): Promise<ChainFacts> => {
  const rowsOf = async (text: string): Promise<readonly Record<string, Buffer | string>[]> =>
    (await database.query(text)).rows;
  const blocks = await rowsOf('SELECT * FROM blocks ORDER BY height');
  const transactions = await rowsOf('SELECT * FROM transactions ORDER BY block_height, idx');
  const anomalies = await rowsOf('SELECT id, block_height FROM anomalies');
  return {
    blocks: blocks.map((row) => {
      const hashes = [row.block_hash, row.state_root].map((bytes) => hex(bytes as Buffer));
      return `${row.height} ${hashes.join(' ')} ${row.tx_count}`;
    }),
    transactions: transactions.map((row) => `${row.block_height} ${hex(row.tx_id as Buffer)}`),
    anomalies: anomalies.map((row) => `${row.block_height} ${row.id}`).toSorted(),
  };
};

/** The same of the embedded database of a stopped node. */
export const factsOfSql = async (dataDir: string): Promise<ChainFacts> => {
  const database = await openDatabase({
    url: 'embedded',
    folder: path.join(dataDir, 'persistence', EMBEDDED_FOLDER),
    connectionsMax: 1,
    statementTimeoutMs: 60_000,
    retriesMax: 0,
    onError: (error) => {
      throw error;
    },
  });
  try {
    return await factsOfDatabase(database);
  } finally {
    await database.close();
  }
};
