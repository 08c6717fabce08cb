/** Writes to SQL what the core reads from the chain. Every write may be repeated. */
import type pg from 'pg';
import { crypto } from '#native/crypto.ts';
import { fromHex, hex } from '#proto/bytes.ts';
import { blockOf, type CommittedBlock, decodeCommittedList } from '#proto/consensus/committed.ts';
import { validatorId } from '#proto/consensus/committee.ts';
import { blockHash } from '#proto/consensus/header.ts';
import { configHash, type Genesis } from '#proto/genesis.ts';
import { canonicalJson } from '#proto/json.ts';
import type { RoleBook } from '#proto/roles.ts';
import { decodeState, validatorKey } from '#proto/state.ts';
import { verifyControl } from '#proto/wire/control.ts';
import type { BusRecord } from '#runtime/bus/record.ts';
import type { Client, Database } from './database.ts';
import { dateOf, insertsOf, type ProjectedBlock, projectBlock, type Rows } from './rows.ts';

/** SQL holds another block at a height than the chain: never overwritten, always said. */
export class DivergedError extends Error {
  readonly height: number;
  constructor(height: number, theirs: string, ours: string) {
    super(`height ${height}: SQL has ${theirs}, the chain has ${ours}`);
    this.name = 'DivergedError';
    this.height = height;
  }
}

const insert = async (client: Client, rows: Rows): Promise<void> => {
  for (const { text, values } of insertsOf(rows)) {
    // node-postgres takes bytes as Buffers only.
    const bound = values.map((value) => (value instanceof Uint8Array ? Buffer.from(value) : value));
    await client.query(text, bound);
  }
};

const projectOne = async (client: Client, block: ProjectedBlock): Promise<void> => {
  const { rows } = await client.query(
    'SELECT height, block_hash FROM blocks WHERE height BETWEEN $1 AND $2',
    [block.height - 1, block.height],
  );
  const known = rows.find((row) => Number(row.height) === block.height)?.block_hash as
    | Buffer
    | undefined;
  if (known !== undefined && hex(known) !== hex(block.hash)) {
    throw new DivergedError(block.height, hex(known), hex(block.hash));
  }
  const below = rows.find((row) => Number(row.height) === block.height - 1)?.block_hash as
    | Buffer
    | undefined;
  if (below !== undefined && hex(below) !== hex(block.parentHash)) {
    throw new DivergedError(block.height - 1, hex(below), hex(block.parentHash));
  }
  for (const table of block.tables) await insert(client, table);
};

/** One SERIALIZABLE transaction; resolves to the height. Rejects with DivergedError. */
export const projectCommitted = async (
  database: Database,
  committed: CommittedBlock,
): Promise<number> => {
  const block = projectBlock(committed, crypto, hashOf(committed));
  await database.transaction(
    async (client) => {
      await projectOne(client, block);
      return block.height;
    },
    async (client) =>
      (await hashIn(client, block.height)) === undefined ? undefined : block.height,
  );
  return block.height;
};

/** Hex; undefined where SQL has no block at this height. */
const hashIn = async (client: Client, height: number): Promise<string | undefined> => {
  const { rows } = await client.query('SELECT block_hash FROM blocks WHERE height = $1', [height]);
  const hash = rows[0]?.block_hash as Buffer | undefined;
  return hash === undefined ? undefined : hex(hash);
};

/**
 * What one does who does not project: compares (height, hash), writes nothing. Resolves to the newest height that
 * SQL has, too, and whether that is all of them. Rejects with DivergedError.
 */
export const compareBlocks = async (
  database: Database,
  encoded: Uint8Array,
): Promise<{ readonly height: number; readonly all: boolean }> => {
  const blocks = decodeCommittedList(encoded);
  const heights = blocks.map((one) => blockOf(one).header.height);
  const first = heights[0] ?? 0;
  const { rows } = await database.query(
    'SELECT height, block_hash FROM blocks WHERE height BETWEEN $1 AND $2',
    [first, heights.at(-1) ?? 0],
  );
  const known = new Map(rows.map((row) => [Number(row.height), hex(row.block_hash as Buffer)]));
  let height = 0;
  for (const [at, committed] of blocks.entries()) {
    const theirs = known.get(heights[at]!);
    if (theirs === undefined) return { height, all: false };
    const ours = hex(hashOf(committed));
    if (theirs !== ours) throw new DivergedError(heights[at]!, theirs, ours);
    height = heights[at]!;
  }
  return { height, all: true };
};

/** Oldest first. Resolves to the newest height among them, 0 where there are none. */
export const projectBlocks = async (database: Database, encoded: Uint8Array): Promise<number> => {
  let height = 0;
  for (const committed of decodeCommittedList(encoded)) {
    height = await projectCommitted(database, committed);
  }
  return height;
};

const hashOf = (committed: CommittedBlock): Uint8Array =>
  fromHex(blockHash(blockOf(committed).header, crypto));

export const newestHeight = async (database: Database): Promise<number> => {
  const { rows } = await database.query('SELECT max(height) AS height FROM blocks');
  return Number(rows[0]?.height ?? 0);
};

export const hasAcks = async (database: Database): Promise<boolean> => {
  const { rows } = await database.query('SELECT ack_event_id FROM acks LIMIT 1');
  return rows.length > 0;
};

/** A client or a pool of them. */
type Asked = { query(text: string): Promise<Pick<pg.QueryResult, 'rows'>> };

/** A database of another chain is refused by name. Rejects with DivergedError. */
export const checkGenesis = async (asked: Asked, genesis: Genesis): Promise<void> => {
  const { rows } = await asked.query('SELECT chain_id, config_hash FROM genesis');
  const theirs = rows[0] as { chain_id: string; config_hash: Buffer } | undefined;
  if (theirs !== undefined && hex(theirs.config_hash) !== hex(configHash(genesis, crypto))) {
    throw new DivergedError(0, `chain ${theirs.chain_id}`, `chain ${genesis.chainId}`);
  }
};

/** The genesis row. Rejects with DivergedError where it is of another chain. */
export const recordGenesis = (database: Database, genesis: Genesis): Promise<void> =>
  database.transaction(async (client) => {
    await checkGenesis(client, genesis);
    await client.query(
      'INSERT INTO genesis VALUES ($1, $2, $3, $4) ON CONFLICT (chain_id) DO NOTHING',
      [
        genesis.chainId,
        Buffer.from(configHash(genesis, crypto)),
        canonicalJson(genesis),
        new Date(genesis.timeMs),
      ],
    );
  });

export const validatorIds = (genesis: Genesis): readonly string[] =>
  genesis.validators.map((one) => validatorId(fromHex(one.publicKey), crypto));

/** One validator's row after `height`; an older height never overwrites a newer one. */
export const recordValidator = async (
  database: Database,
  row: { readonly id: string; readonly value: Uint8Array; readonly height: number },
): Promise<void> => {
  const state = decodeState(validatorKey(row.id), row.value);
  await database.transaction((client) =>
    client.query(
      `INSERT INTO validators VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     ON CONFLICT (validator_id) DO UPDATE SET weight = excluded.weight,
       reputation = excluded.reputation, blocks_proposed = excluded.blocks_proposed,
       blocks_committed = excluded.blocks_committed, active = excluded.active,
       updated_height = excluded.updated_height
     WHERE validators.updated_height <= excluded.updated_height`,
      [
        Buffer.from(fromHex(row.id)),
        state.name,
        Buffer.from(fromHex(state.publicKey)),
        state.weight,
        state.reputation,
        state.proposed,
        state.committed,
        state.weight > 0,
        0,
        row.height,
      ],
    ),
  );
};

/**
 * Acknowledgements of registered enforcers. Resolves to how many were left out: what is malformed, forged or of a
 * stranger is on the bus, but nobody's word.
 */
export const recordAcks = async (
  database: Database,
  records: readonly BusRecord[],
  roles: RoleBook,
): Promise<number> => {
  const verified = records.flatMap((record) => {
    const ack = verifyControl('policy-ack', record.value, { crypto, roleOf: roles.roleOf });
    return ack.ok ? [ack.value] : [];
  });
  const rows: Rows = {
    table: 'acks',
    columns: [
      'ack_event_id',
      'policy_id',
      'result',
      'reason',
      'error_code',
      'applied_at',
      'acked_at',
    ],
    key: ['ack_event_id'],
    rows: verified.map((ack) => {
      const times = [dateOf(ack.appliedAtMs), dateOf(ack.ackedAtMs)] as const;
      return [ack.ackEventId, ack.policyId, ack.result, ack.reason, ack.errorCode, ...times];
    }),
  };
  if (rows.rows.length > 0) await database.transaction((client) => insert(client, rows));
  return records.length - verified.length;
};
