import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { config } from '#actors/persistence/config.ts';
import type { Self } from '#actors/persistence/core.ts';
import { type Database, openDatabase } from '#actors/persistence/database.ts';
import { io } from '#actors/persistence/io.ts';
import { MIGRATIONS, PROJECTED_TABLES } from '#actors/persistence/migrations.ts';
import {
  DivergedError,
  hasAcks,
  newestHeight,
  projectBlocks,
  recordAcks,
  recordGenesis,
  recordValidator,
  validatorIds,
} from '#actors/persistence/projection.ts';
import { rebuild } from '#actors/persistence/rebuild.ts';
import { CHAIN_FILE } from '#native/chain-file.ts';
import { crypto } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { decodeAnchor, verifyAnchor } from '#proto/consensus/anchor.ts';
import { configHash, encodeGenesis, genesisCommittee } from '#proto/genesis.ts';
import { roleBook } from '#proto/roles.ts';
import { validatorKey } from '#proto/state.ts';
import type { BusRecord } from '#runtime/bus/record.ts';
import { main } from '#runtime/cli/dispatch.ts';
import { takeLock } from '#runtime/cli/lock.ts';
import { keys, testGenesis } from '#test/kit/chain-genesis.ts';
import { type CommittedChain, committedChain } from '#test/kit/committed-chain.ts';
import { controlMessage } from '#test/kit/control-messages.ts';
import { freshFolder, portOf } from '#test/kit/executor-host.ts';
import { anomalyTx, policyTx } from '#test/kit/messages.ts';
import { type SqlServer, sqlServer } from '#test/kit/sql-server.ts';

const genesis = testGenesis();
const trust = { committee: genesisCommittee(genesis, crypto), crypto };
const roles = roleBook(genesis);
let server: SqlServer;
let chain: CommittedChain;
let chainFolder = '';
let database: Database;

beforeAll(async () => {
  server = await sqlServer();
  chainFolder = freshFolder();
  const first = anomalyTx({}, { counter: 1 });
  chain = await committedChain(genesis, [[first, policyTx({}, { counter: 1 })]], chainFolder);
  const odd = anomalyTx(
    { src_ip: '198.51.100.8', capture: { source: 'p', path: 'a\0\ud800' } },
    { counter: 2 },
  );
  chain.grow([odd], [first]);
  chain.grow([policyTx({ action: 'remove' }, { counter: 4 })]);
  chain.grow([]);
});
afterAll(async () => {
  chain.host.close();
  await server.close();
});
beforeEach(async () => {
  await server.wipe();
  database = await openDatabase(server.settings);
});
afterEach(() => database.close());

const number = async (sql: string): Promise<number> =>
  Number((await database.query(sql)).rows[0]?.n);
const count = (table: string): Promise<number> => number(`SELECT count(*) AS n FROM ${table}`);

/** Every row of every table, with the order taken out. */
const dump = async (): Promise<string> => {
  const tables = [...PROJECTED_TABLES, 'acks', 'genesis'];
  const rows = [];
  for (const table of tables) {
    const found = await database.query(`SELECT to_jsonb(t)::text AS row FROM ${table} t`);
    rows.push([table, found.rows.map((one) => one.row as string).sort()]);
  }
  return JSON.stringify(rows);
};

const schema = async (): Promise<string> => {
  const columns = await database.query(
    `SELECT table_name, column_name, data_type FROM information_schema.columns
     WHERE table_schema = 'public' ORDER BY 1, 2`,
  );
  const indexes = await database.query(
    "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
  );
  return JSON.stringify([columns.rows, indexes.rows]);
};

test('a fresh database and one of version 1 end with the same schema, and a second run does nothing', async () => {
  const fresh = await schema();
  await database.close();
  database = await openDatabase(server.settings);
  expect(await schema()).toBe(fresh);
  expect(await count('schema_migrations')).toBe(MIGRATIONS.length);

  await server.wipe();
  await database.query(
    'CREATE TABLE schema_migrations (version INT8 PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL)',
  );
  for (const statement of MIGRATIONS[0]!.statements) await database.query(statement);
  await database.query('INSERT INTO schema_migrations VALUES (1, now())');
  expect(await schema()).not.toBe(fresh);
  await database.close();
  database = await openDatabase(server.settings);
  expect(await schema()).toBe(fresh);
});

test('what is projected is what the chain holds', async () => {
  expect(await projectBlocks(database, chain.read(1))).toBe(4);
  expect(await newestHeight(database)).toBe(4);
  expect(await count('blocks')).toBe(4);
  expect(await count('transactions')).toBe(5);
  expect(await number('SELECT sum(tx_count) AS n FROM blocks')).toBe(5);
  expect(await count('anomalies')).toBe(2);
  expect(await number("SELECT count(*) AS n FROM transactions WHERE receipt = 'replayed'")).toBe(1);
  expect(await number('SELECT count(*) AS n FROM policies WHERE active')).toBe(2);
  expect(await number('SELECT count(*) AS n FROM policies WHERE NOT active')).toBe(1);
  expect(await count('audit_log')).toBe(4);
  const head = chain.host.ask({ kind: 'head' }) as { readonly stateRoot: Uint8Array };
  const { rows } = await database.query('SELECT state_root FROM state_versions WHERE height = 4');
  expect(hex(rows[0]?.state_root as Buffer)).toBe(hex(head.stateRoot));
});

test('projecting the same blocks again changes nothing', async () => {
  await projectBlocks(database, chain.read(1));
  const before = await dump();
  await projectBlocks(database, chain.read(1));
  expect(await dump()).toBe(before);
});

test('an older block that comes again does not bring a removed policy back', async () => {
  await projectBlocks(database, chain.read(1));
  const before = await dump();
  await projectBlocks(database, chain.read(1, 1));
  expect(await dump()).toBe(before);
});

test('a certificate read from SQL verifies offline', async () => {
  await projectBlocks(database, chain.read(1));
  const { rows } = await database.query('SELECT block_hash, proof FROM blocks WHERE height = 2');
  const anchor = decodeAnchor(new Uint8Array(rows[0]?.proof as Buffer));
  if (!anchor.ok) throw new Error(anchor.error);
  expect(verifyAnchor(anchor.value, trust).ok).toBe(true);
  expect(anchor.value.anchorQc.blockHash).toBe(hex(rows[0]?.block_hash as Buffer));
});

const otherChain = () =>
  committedChain(genesis, [[], [anomalyTx({ src_ip: '198.51.100.99' }, { counter: 5 })]]);

test('another block at a height of SQL is said by its height, and nothing is overwritten', async () => {
  await projectBlocks(database, chain.read(1));
  const before = await dump();
  const other = await otherChain();
  const fault = await projectBlocks(database, other.read(1)).catch((error: unknown) => error);
  expect(fault).toBeInstanceOf(DivergedError);
  expect(fault).toMatchObject({ height: 1 });
  expect(await dump()).toBe(before);
  other.host.close();
});

test('a block whose parent is not the one in SQL is refused', async () => {
  await projectBlocks(database, chain.read(1, 1));
  const other = await otherChain();
  await expect(projectBlocks(database, other.read(2))).rejects.toMatchObject({ height: 1 });
  expect(await count('blocks')).toBe(1);
  other.host.close();
});

test('a block that fails half-way leaves no row behind', async () => {
  await database.query('ALTER TABLE policies ADD CHECK (ttl_s < 0)');
  await expect(projectBlocks(database, chain.read(1))).rejects.toThrow(/check constraint/);
  expect(await count('blocks')).toBe(0);
  expect(await count('transactions')).toBe(0);
});

test('a database of another chain is refused', async () => {
  await recordGenesis(database, genesis);
  await recordGenesis(database, genesis);
  expect(await count('genesis')).toBe(1);
  const foreign = { ...genesis, chainId: 'other' };
  await expect(recordGenesis(database, foreign)).rejects.toBeInstanceOf(DivergedError);
});

test('a validator is one row that only a later state overwrites', async () => {
  const ids = validatorIds(genesis);
  const at = async (height: number) => {
    for (const id of ids) {
      const answer = chain.host.ask({ kind: 'state', key: validatorKey(id), height } as never);
      await recordValidator(database, { id, value: answer?.value as Uint8Array, height });
    }
  };
  await at(4);
  await at(2);
  expect(await count('validators')).toBe(4);
  expect(await number('SELECT sum(blocks_proposed) AS n FROM validators')).toBe(4);
  expect(await number('SELECT min(updated_height) AS n FROM validators')).toBe(4);
});

const ackRecord = (value: Uint8Array, offset = 0): BusRecord => ({
  ...{ partition: 0, offset, timestampMs: 0, key: 'k', value, headers: {} },
});

test('acknowledgements of registered enforcers are rows, of others not', async () => {
  const good = controlMessage('policy-ack', {}, keys.enforcer);
  const forged = controlMessage('policy-ack', { ackEventId: 'ack-2' }, keys.stranger);
  const records = [good, forged, new Uint8Array([1, 2])].map(ackRecord);
  expect(await hasAcks(database)).toBe(false);
  expect(await recordAcks(database, records, roles)).toBe(2);
  expect(await recordAcks(database, records, roles)).toBe(2);
  const { rows } = await database.query('SELECT ack_event_id, result FROM acks');
  expect(rows).toEqual([{ ack_event_id: 'ack-1', result: 'applied' }]);
  expect(await hasAcks(database)).toBe(true);
});

test('every query of the screens finds an index', async () => {
  const queries = [
    'SELECT 1 FROM blocks WHERE block_hash = $1::bytea',
    'SELECT 1 FROM transactions WHERE tx_id = $1::bytea',
    'SELECT 1 FROM transactions WHERE content_hash = $1::bytea',
    "SELECT 1 FROM anomalies WHERE lifecycle_state = 'COMMITTED' AND $1::bytea IS NOT NULL ORDER BY detected_at",
    'SELECT 1 FROM evidence WHERE offender = encode($1::bytea, $$hex$$)',
    'SELECT 1 FROM policies WHERE active = true AND expires_at > now() AND $1::bytea IS NOT NULL',
  ];
  await database.transaction(async (client) => {
    await client.query('SET LOCAL enable_seqscan = off');
    for (const query of queries) {
      const { rows } = await client.query(`EXPLAIN ${query}`, [Buffer.alloc(32)]);
      expect(JSON.stringify(rows)).toMatch(/Index|Bitmap/);
    }
  });
});

/** The io adapter with its mailbox. */
const adapterOf = async (url: string, folder = freshFolder()) => {
  const mailbox: Self[] = [];
  const port = portOf<Self>(folder, genesis, mailbox);
  const adapter = await io(config.parse({ statementTimeoutMs: 2000 }), {
    ...port,
    node: { ...port.node, database: { url } },
  });
  return { ...adapter, mailbox };
};

test('a server that goes and comes back is a message each time, and the work succeeds then', async () => {
  const { commands, close, mailbox } = await adapterOf(server.settings.url);
  await commands.open(null);
  expect(mailbox.splice(0)).toMatchObject([{ kind: 'opened', height: 0, hasAcks: false }]);
  await server.down();
  await commands.project(chain.read(1));
  expect(mailbox.splice(0)).toMatchObject([{ kind: 'unavailable' }]);
  await server.up();
  await commands.project(chain.read(1));
  expect(mailbox.splice(0)).toMatchObject([{ kind: 'projected', height: 4 }]);
  await close?.();
});

test('a server that is away at the start is a message, not a crash', async () => {
  await server.down();
  const { commands, close, mailbox } = await adapterOf(server.settings.url);
  await commands.open(null);
  expect(mailbox.splice(0)).toMatchObject([{ kind: 'unavailable' }]);
  await server.up();
  await commands.open(null);
  expect(mailbox.splice(0)).toMatchObject([{ kind: 'opened', validators: validatorIds(genesis) }]);
  await close?.();
});

test('a projection that differs from the chain is a message with its height', async () => {
  const { commands, close, mailbox } = await adapterOf(server.settings.url);
  await commands.open(null);
  const other = await otherChain();
  await commands.project(other.read(1));
  await commands.project(chain.read(1));
  expect(mailbox.at(-1)).toMatchObject({ kind: 'diverged', height: 1 });
  await close?.();
  other.host.close();
});

test('acknowledgements are saved before the core hears of them', async () => {
  const { commands, close, mailbox } = await adapterOf(server.settings.url);
  const good = controlMessage('policy-ack', {}, keys.enforcer);
  await commands.acks([ackRecord(good, 4)]);
  expect(mailbox.splice(0)).toEqual([{ kind: 'acksFailed' }]);
  await commands.open(null);
  await commands.acks([ackRecord(good, 4)]);
  expect(mailbox.at(-1)).toEqual({
    ...{ kind: 'acksSaved', places: [{ partition: 0, offset: 4 }], refused: 0 },
  });
  expect(await count('acks')).toBe(1);
  await close?.();
});

test('a server that holds another chain is rebuilt only when told to', async () => {
  await recordGenesis(database, { ...genesis, chainId: 'other' });
  const chainFile = join(chainFolder, CHAIN_FILE);
  const settings = { database: server.settings, chainFile, genesis, force: false };
  await expect(rebuild(settings)).rejects.toThrow(/holds the chain other.*--force/);
  const rebuilt = await rebuild({ ...settings, force: true });
  expect(rebuilt).toMatchObject({ height: 4, blocks: 4, tables: { blocks: 4, validators: 4 } });
});

test('a rebuilt projection is the same as the first', async () => {
  await recordGenesis(database, genesis);
  await projectBlocks(database, chain.read(1));
  for (const id of validatorIds(genesis)) {
    const answer = chain.host.ask({ kind: 'state', key: validatorKey(id), height: 4 } as never);
    await recordValidator(database, { id, value: answer?.value as Uint8Array, height: 4 });
  }
  await recordAcks(database, [ackRecord(controlMessage('policy-ack', {}, keys.enforcer))], roles);
  const before = await dump();
  await database.query("UPDATE blocks SET block_hash = '\\x00' WHERE height = 2");
  await database.query("DELETE FROM transactions WHERE type = 'policy'");
  const chainFile = join(chainFolder, CHAIN_FILE);
  await rebuild({ database: server.settings, chainFile, genesis, force: false });
  expect(await dump()).toBe(before);
});

/** A stopped node with a chain: its topology file and data folder. */
const stoppedNode = async () => {
  const dataDir = freshFolder();
  const folder = join(dataDir, 'v1', 'executor');
  mkdirSync(folder, { recursive: true });
  const one = await committedChain(genesis, [[anomalyTx()], []], folder);
  one.host.close();
  const file = join(dataDir, 'genesis.json');
  writeFileSync(file, encodeGenesis(genesis));
  const topology = join(dataDir, 'node.yaml');
  writeFileSync(
    topology,
    `node: { name: test, dataDir: ${dataDir} }
bus: { driver: embedded }
database: { url: embedded }
genesis: { file: ${file}, sha256: ${hex(configHash(genesis, crypto))} }
supervise:
  children:
    - { name: bus, actor: bus, config: $bus }
    - { name: v1, children: [{ name: executor, actor: executor }] }
    - { name: persistence, actor: persistence }
`,
  );
  return { topology, dataDir };
};

const run = async (...argv: string[]) => {
  let out = '';
  let err = '';
  const code = await main(argv, {
    out: { write: (text) => (out += text) },
    err: { write: (text) => (err += text) },
  });
  return { code, out, err };
};

test('rebuild-sql fills the embedded database of a stopped node and prints the counts', async () => {
  const { topology, dataDir } = await stoppedNode();
  const damaged = join(dataDir, 'persistence', 'pglite');
  mkdirSync(damaged, { recursive: true });
  writeFileSync(join(damaged, 'PG_VERSION'), 'no version');
  const { code, out, err } = await run('rebuild-sql', topology, '-o', 'json');
  expect([code, err]).toEqual([0, '']);
  expect(JSON.parse(out)).toMatchObject({
    ...{ ok: true, height: 2, blocks: 2 },
    tables: { blocks: 2, transactions: 1, anomalies: 1, policies: 1, validators: 4 },
  });
});

test('rebuild-sql refuses a running node, a node without a chain and wrong words', async () => {
  const { topology, dataDir } = await stoppedNode();
  const lock = takeLock(dataDir, 0);
  if (!lock.ok) throw new Error(lock.error);
  const running = await run('rebuild-sql', topology);
  expect(running).toMatchObject({ code: 1, err: expect.stringContaining('stop it first') });
  lock.value.release();
  const none = await run('rebuild-sql', topology, '--set', `node.dataDir=${freshFolder()}`);
  expect(none).toMatchObject({ code: 1, err: expect.stringContaining('start the node first') });
  expect(await run('rebuild-sql')).toMatchObject({ code: 2 });
  expect(await run('rebuild-sql', topology, '--sett')).toMatchObject({ code: 2 });
});

test('an embedded database that is damaged is made anew and filled from the chain', async () => {
  const folder = freshFolder();
  const damaged = join(folder, 'pglite');
  mkdirSync(damaged, { recursive: true });
  writeFileSync(join(damaged, 'PG_VERSION'), 'no version');
  const { commands, close, mailbox } = await adapterOf('embedded', folder);
  await commands.open(null);
  expect(mailbox.splice(0)).toMatchObject([{ kind: 'opened', height: 0 }]);
  await commands.project(chain.read(1));
  expect(mailbox.splice(0)).toMatchObject([{ kind: 'projected', height: 4 }]);
  await close?.();
  const again = await adapterOf('embedded', folder);
  await again.commands.open(null);
  expect(again.mailbox).toMatchObject([{ kind: 'opened', height: 4 }]);
  await again.close?.();
});
