import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '#actors/persistence/database.ts';
import { claimLease } from '#actors/persistence/lease.ts';
import {
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
import { configHash, encodeGenesis } from '#proto/genesis.ts';
import { roleBook } from '#proto/roles.ts';
import { validatorKey } from '#proto/state.ts';
import { main } from '#runtime/cli/dispatch.ts';
import { takeLock } from '#runtime/cli/lock.ts';
import { keys } from '#test/kit/chain-genesis.ts';
import { type CommittedChain, committedChain } from '#test/kit/committed-chain.ts';
import { controlMessage } from '#test/kit/control-messages.ts';
import { freshFolder } from '#test/kit/executor-host.ts';
import { anomalyTx } from '#test/kit/messages.ts';
import { ackRecord, dumpOf, genesis, sqlAdapter, sqlChain } from '#test/kit/sql-chain.ts';
import { type SqlServer, sqlServer } from '#test/kit/sql-server.ts';

const LEASE = { holder: 'this node', leaseMs: 60_000 };
const roles = roleBook(genesis);
const chainFolder = freshFolder();
let server: SqlServer;
let chain: CommittedChain;
let database: Database;

beforeAll(async () => {
  server = await sqlServer();
  chain = await sqlChain(chainFolder);
});
afterAll(async () => {
  chain.host.close();
  await database.close();
  await server.close();
});
beforeEach(async () => {
  await database?.close();
  await server.wipe();
  database = await openDatabase(server.settings);
});
const dump = (): Promise<string> => dumpOf(database);

test('a server that another node writes to is not rebuilt, until its lease has expired', async () => {
  const chainFile = join(chainFolder, CHAIN_FILE);
  const settings = { database: server.settings, chainFile, genesis, force: true, ...LEASE };
  await claimLease(database, 'node b', 60_000);
  await expect(rebuild(settings)).rejects.toThrow(/the node node b writes to this database/);
  await database.query("UPDATE projector_lease SET expires_at = now() - INTERVAL '1 hour'");
  expect(await rebuild(settings)).toMatchObject({ height: 4 });
});

test('a server that holds another chain is rebuilt only when told to', async () => {
  await recordGenesis(database, { ...genesis, chainId: 'other' });
  const chainFile = join(chainFolder, CHAIN_FILE);
  const settings = { database: server.settings, chainFile, genesis, force: false, ...LEASE };
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
  await rebuild({ database: server.settings, chainFile, genesis, force: false, ...LEASE });
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
  const { commands, close, mailbox } = await sqlAdapter('embedded', {}, folder);
  await commands.open(null);
  expect(mailbox.splice(0)).toMatchObject([{ kind: 'opened', height: 0 }]);
  await commands.project(chain.read(1));
  expect(mailbox.splice(0)).toMatchObject([{ kind: 'projected', height: 4 }]);
  await close?.();
  const again = await sqlAdapter('embedded', {}, folder);
  await again.commands.open(null);
  expect(again.mailbox).toMatchObject([{ kind: 'opened', height: 4 }]);
  await again.close?.();
});
