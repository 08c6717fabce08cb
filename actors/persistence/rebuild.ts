/** Makes the SQL projection anew from the chain on disk. The node is stopped; nobody else writes. */
import { rmSync } from 'node:fs';
import { type ChainFile, openChainFile } from '#native/chain-file.ts';
import { crypto } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { configHash, type Genesis } from '#proto/genesis.ts';
import { validatorKey } from '#proto/state.ts';
import { type Database, openDatabase } from './database.ts';
import { claimLease, fenced, releaseLease } from './lease.ts';
import { PROJECTED_TABLES } from './migrations.ts';
import { projectCommitted, recordGenesis, recordValidator, validatorIds } from './projection.ts';

export type Rebuilt = {
  readonly height: number;
  readonly blocks: number;
  /** Rows of each table afterwards. */
  readonly tables: { readonly [table: string]: number };
};

/**
 * Every projected table is emptied, and that of acknowledgements where they belong to another chain. A genesis of
 * the same name may have another hash: its row is made anew as well.
 */
const empty = async (database: Database, otherChain: boolean): Promise<void> => {
  const tables = [...PROJECTED_TABLES, 'genesis', ...(otherChain ? ['acks'] : [])];
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

/** Another chain: a server that is shared by mistake is not emptied without being told to. */
export class ForeignChainError extends Error {}

/** Another node projects into this database at the moment. */
export class LeaseHeldError extends Error {
  constructor(by: string) {
    super(`the node ${by} writes to this database: stop it, or wait until its lease has expired`);
    this.name = 'LeaseHeldError';
  }
}

const fill = async (database: Database, chain: ChainFile, genesis: Genesis): Promise<number> => {
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
};

export type RebuildSettings = {
  readonly database: Parameters<typeof openDatabase>[0];
  readonly chainFile: string;
  readonly genesis: Genesis;
  /** Empties a server that holds another chain, too. */
  readonly force: boolean;
  /** Of the lease: the name of the installation that rebuilds. */
  readonly holder: string;
  readonly leaseMs: number;
};

/** Rejects with ForeignChainError, LeaseHeldError, and with whatever the database or the chain's file says. */
export const rebuild = async (settings: RebuildSettings): Promise<Rebuilt> => {
  const chain = openChainFile(settings.chainFile);
  try {
    const ours = hex(configHash(settings.genesis, crypto));
    const begun = chain.genesis();
    if (begun !== undefined && begun !== ours) {
      throw new ForeignChainError(`${settings.chainFile} belongs to genesis ${begun}, not ${ours}`);
    }
    return await rebuildFrom(chain, settings);
  } finally {
    chain.close();
  }
};

const rebuildFrom = async (chain: ChainFile, settings: RebuildSettings): Promise<Rebuilt> => {
  const { url, folder } = settings.database;
  // The embedded database holds nothing but copies, and may be what has to be repaired.
  if (url === 'embedded') rmSync(folder, { recursive: true, force: true });
  const opened = await openDatabase(settings.database);
  try {
    const claimed = await claimLease(opened, settings.holder, settings.leaseMs);
    if (!claimed.held) throw new LeaseHeldError(claimed.by);
    try {
      return await rewrite(fenced(opened, claimed.lease, settings.leaseMs), chain, settings);
    } finally {
      await releaseLease(opened, claimed.lease);
    }
  } finally {
    await opened.close();
  }
};

const rewrite = async (
  database: Database,
  chain: ChainFile,
  { genesis, force }: RebuildSettings,
): Promise<Rebuilt> => {
  const holds = await chainIn(database);
  const isForeign = holds !== undefined && holds !== genesis.chainId;
  if (isForeign && !force) {
    throw new ForeignChainError(
      `the database holds the chain ${holds}, this node's is ${genesis.chainId}; --force empties it`,
    );
  }
  await empty(database, isForeign);
  const blocks = await fill(database, chain, genesis);
  const { rows } = await database.query('SELECT max(height) AS height FROM blocks');
  const height = Number(rows[0]?.height ?? 0);
  return { height, blocks, tables: await countRows(database) };
};
