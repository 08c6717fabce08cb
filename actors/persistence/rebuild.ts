/** Makes the SQL projection anew from the chain on disk. The node is stopped; nobody else writes. */
import { openChainFile } from '#native/chain-file.ts';
import type { Genesis } from '#proto/genesis.ts';
import { validatorKey } from '#proto/state.ts';
import { type Database, openDatabase } from './database.ts';
import { PROJECTED_TABLES } from './migrations.ts';
import { projectCommitted, recordGenesis, recordValidator, validatorIds } from './projection.ts';

export type Rebuilt = {
  readonly height: number;
  readonly blocks: number;
  /** Rows of each table afterwards. */
  readonly tables: { readonly [table: string]: number };
};

/** Every projected table, and `genesis` where it belongs to another chain than ours, is emptied. */
const empty = async (database: Database, otherChain: boolean): Promise<void> => {
  const tables = otherChain ? [...PROJECTED_TABLES, 'genesis', 'acks'] : PROJECTED_TABLES;
  await database.transaction(async (client) => {
    for (const table of tables) await client.query(`DELETE FROM ${table}`);
  });
};

/** The chain whose genesis SQL holds; undefined in a new database. */
const chainIn = async (database: Database): Promise<string | undefined> => {
  const { rows } = await database.query('SELECT chain_id FROM genesis');
  return rows[0]?.chain_id as string | undefined;
};

const countRows = async (database: Database): Promise<Rebuilt['tables']> => {
  const counts: [string, number][] = [];
  for (const table of [...PROJECTED_TABLES, 'acks'].toSorted()) {
    const { rows } = await database.query(`SELECT count(*) AS n FROM ${table}`);
    counts.push([table, Number(rows[0]?.n)]);
  }
  return Object.fromEntries(counts);
};

/** SQL holds another chain: a server that is shared by mistake is not emptied without being told to. */
export class ForeignChainError extends Error {}

const fill = async (database: Database, chainFile: string, genesis: Genesis): Promise<number> => {
  const chain = openChainFile(chainFile);
  try {
    await recordGenesis(database, genesis);
    let blocks = 0;
    for (const committed of chain.blocks()) {
      await projectCommitted(database, committed);
      blocks += 1;
    }
    const height = chain.head();
    for (const id of validatorIds(genesis)) {
      const value = chain.state(validatorKey(id));
      if (value !== undefined) await recordValidator(database, { id, value, height });
    }
    return blocks;
  } finally {
    chain.close();
  }
};

export type RebuildSettings = {
  readonly database: Parameters<typeof openDatabase>[0];
  readonly chainFile: string;
  readonly genesis: Genesis;
  /** Empties a server that holds another chain, too. The embedded database belongs to this node alone. */
  readonly force: boolean;
};

/** Rejects with ForeignChainError, and with whatever the database or the chain's file says. */
export const rebuild = async (settings: RebuildSettings): Promise<Rebuilt> => {
  const database = await openDatabase(settings.database);
  try {
    const { genesis } = settings;
    const holds = await chainIn(database);
    const isForeign = holds !== undefined && holds !== genesis.chainId;
    if (isForeign && !settings.force && settings.database.url !== 'embedded') {
      throw new ForeignChainError(
        `the database holds the chain ${holds}, this node's is ${genesis.chainId}; --force empties it`,
      );
    }
    // A genesis of the same name may have another hash: its row is made anew as well.
    await empty(database, isForeign);
    await database.query('DELETE FROM genesis');
    const blocks = await fill(database, settings.chainFile, genesis);
    const { rows } = await database.query('SELECT max(height) AS height FROM blocks');
    const height = Number(rows[0]?.height ?? 0);
    return { height, blocks, tables: await countRows(database) };
  } finally {
    await database.close();
  }
};
