import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rebuild } from '#actors/persistence/rebuild.ts';
import { keyQuestion, pageOf, SESSION } from '#actors/telemetry/table/query.ts';
import { CHAIN_FILE } from '#native/chain-file.ts';
import { keys } from '#test/kit/chain-genesis.ts';
import type { CommittedChain } from '#test/kit/committed-chain.ts';
import { controlMessage } from '#test/kit/control-messages.ts';
import { freshFolder } from '#test/kit/executor-host.ts';
import { ROOT } from '#test/kit/processes.ts';
import { programOf } from '#test/kit/programs.ts';
import { ackRecord, genesis, sqlAdapter, sqlChain } from '#test/kit/sql-chain.ts';
import { type SqlServer, sqlServer } from '#test/kit/sql-server.ts';

const hasGo = programOf('go') !== undefined;
const chainFolder = freshFolder();
const folder = mkdtempSync(join(tmpdir(), 'cybermesh-parser-'));
const program = join(folder, 'parser');
let server: SqlServer;
let chain: CommittedChain;

/** Every text that any client sends while `work` runs. */
const sentDuring = async (work: () => Promise<void>): Promise<Set<string>> => {
  const sent = new Set<string>();
  const original = pg.Client.prototype.query;
  const spy = function (this: pg.Client, ...args: unknown[]) {
    const [first] = args;
    sent.add(typeof first === 'string' ? first : (first as { readonly text: string }).text);
    return (original as (...all: unknown[]) => unknown).apply(this, args);
  };
  pg.Client.prototype.query = spy as typeof original;
  try {
    await work();
  } finally {
    pg.Client.prototype.query = original;
  }
  return sent;
};

/** What CockroachDB's parser says against each statement. */
const faultsOf = (statements: readonly string[]): readonly string[] =>
  JSON.parse(
    execFileSync(program, { input: JSON.stringify(statements), encoding: 'utf8' }),
  ) as string[];

/** Everything that a projector does: opening, writing, comparing, acknowledging, its lease, a rebuild, an end. */
const everything = async (): Promise<void> => {
  const { commands, close } = await sqlAdapter(server.settings.url);
  await commands.open(null);
  await commands.project(chain.read(1));
  await commands.compare(chain.read(1));
  await commands.lease(null);
  await commands.acks([ackRecord(controlMessage('policy-ack', {}, keys.enforcer))]);
  await close?.();
  const lease = { holder: 'rebuilding', leaseMs: 60_000 };
  const chainFile = join(chainFolder, CHAIN_FILE);
  await rebuild({ database: server.settings, chainFile, genesis, force: true, ...lease });
};

describe.skipIf(!hasGo)("CockroachDB's own parser (needs go)", () => {
  beforeAll(async () => {
    execFileSync('go', ['build', '-o', program, '.'], {
      cwd: join(ROOT, 'test/kit/cockroach-parser'),
      stdio: 'pipe',
    });
    server = await sqlServer();
    chain = await sqlChain(chainFolder);
  }, 900_000);
  afterAll(async () => {
    chain.host.close();
    await server.close();
    rmSync(folder, { recursive: true });
  });

  test('it takes every statement that persistence sends', async () => {
    const sent = await sentDuring(everything);
    const statements = [...sent];
    for (const word of ['CREATE TABLE', 'CREATE INDEX', 'INSERT', 'UPDATE', 'DELETE', 'SELECT']) {
      expect(statements.filter((one) => one.startsWith(word)).length).toBeGreaterThan(0);
    }
    expect(statements.length).toBeGreaterThan(50);
    const faults = faultsOf(statements);
    expect(statements.filter((_, at) => faults[at] !== '')).toEqual([]);
  });

  test('it takes what telemetry asks a table of flows', () => {
    const place = { table: 'lab.flows', key: 'id' };
    const statements = [
      ...SESSION,
      ...[pageOf(place, undefined, 9), pageOf(place, '7', 9), keyQuestion(place)].map(
        ({ text }) => text,
      ),
    ];
    expect(faultsOf(statements)).toEqual(statements.map(() => ''));
  });

  test('it refuses what PostgreSQL alone takes, so it would have said so', async () => {
    const foreign = [
      'LISTEN a',
      'LOCK TABLE a',
      'VACUUM a',
      'CREATE TABLE a (b INT8) INHERITS (c)',
      'CREATE TABLE a (b INT8) PARTITION BY RANGE (b)',
    ];
    expect(faultsOf(foreign).filter((one) => one !== '')).toHaveLength(foreign.length);
  });
});
