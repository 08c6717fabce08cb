import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '#actors/persistence/database.ts';
import { MIGRATIONS } from '#actors/persistence/migrations.ts';
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
import { crypto } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { decodeAnchor, verifyAnchor } from '#proto/consensus/anchor.ts';
import { genesisCommittee } from '#proto/genesis.ts';
import { roleBook } from '#proto/roles.ts';
import { validatorKey } from '#proto/state.ts';
import { keys } from '#test/kit/chain-genesis.ts';
import type { CommittedChain } from '#test/kit/committed-chain.ts';
import { controlMessage } from '#test/kit/control-messages.ts';
import {
  ackRecord,
  dumpOf,
  genesis,
  otherChain,
  sqlAdapter,
  sqlChain,
} from '#test/kit/sql-chain.ts';
import { SQL_ENGINES } from '#test/kit/sql-engines.ts';
import type { SqlServer } from '#test/kit/sql-server.ts';

const trust = { committee: genesisCommittee(genesis, crypto), crypto };
const roles = roleBook(genesis);
let server: SqlServer;
let chain: CommittedChain;
let database: Database;

beforeAll(async () => {
  chain = await sqlChain();
});
afterAll(() => chain.host.close());

const number = async (sql: string): Promise<number> =>
  Number((await database.query(sql)).rows[0]?.n);
const count = (table: string): Promise<number> => number(`SELECT count(*) AS n FROM ${table}`);

const dump = (): Promise<string> => dumpOf(database);

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

for (const { name, isThere, start } of SQL_ENGINES) {
  describe.skipIf(!isThere)(name, () => {
    beforeAll(async () => {
      server = await start();
    }, 120_000);
    afterAll(() => server.close());
    beforeEach(async () => {
      await server.wipe();
      database = await openDatabase(server.settings);
    });
    afterEach(() => database.close());
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
      expect(
        await number("SELECT count(*) AS n FROM transactions WHERE receipt = 'replayed'"),
      ).toBe(1);
      expect(await number('SELECT count(*) AS n FROM policies WHERE active')).toBe(2);
      expect(await number('SELECT count(*) AS n FROM policies WHERE NOT active')).toBe(1);
      expect(await count('audit_log')).toBe(4);
      const head = chain.host.ask({ kind: 'head' }) as { readonly stateRoot: Uint8Array };
      const { rows } = await database.query(
        'SELECT state_root FROM state_versions WHERE height = 4',
      );
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
      const { rows } = await database.query(
        'SELECT block_hash, proof FROM blocks WHERE height = 2',
      );
      const anchor = decodeAnchor(new Uint8Array(rows[0]?.proof as Buffer));
      if (!anchor.ok) throw new Error(anchor.error);
      expect(verifyAnchor(anchor.value, trust).ok).toBe(true);
      expect(anchor.value.anchorQc.blockHash).toBe(hex(rows[0]?.block_hash as Buffer));
    });

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

    test('a server that goes and comes back is a message each time, and the work succeeds then', async () => {
      const { commands, close, mailbox } = await sqlAdapter(server.settings.url);
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
      const { commands, close, mailbox } = await sqlAdapter(server.settings.url);
      await commands.open(null);
      expect(mailbox.splice(0)).toMatchObject([{ kind: 'unavailable' }]);
      await server.up();
      await commands.open(null);
      expect(mailbox.splice(0)).toMatchObject([
        { kind: 'opened', validators: validatorIds(genesis) },
      ]);
      await close?.();
    });

    test('the genesis is recorded with the first block: before it the committee may refuse it', async () => {
      const { commands, close } = await sqlAdapter(server.settings.url);
      await commands.open(null);
      expect(await count('genesis')).toBe(0);
      await commands.project(chain.read(1));
      expect(await count('genesis')).toBe(1);
      await close?.();
    });

    test('a projection that differs from the chain is a message with its height', async () => {
      const { commands, close, mailbox } = await sqlAdapter(server.settings.url);
      await commands.open(null);
      const other = await otherChain();
      await commands.project(other.read(1));
      await commands.project(chain.read(1));
      expect(mailbox.at(-1)).toMatchObject({ kind: 'diverged', height: 1 });
      await close?.();
      other.host.close();
    });

    test('acknowledgements are saved before the core hears of them', async () => {
      const { commands, close, mailbox } = await sqlAdapter(server.settings.url);
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
  });
}
