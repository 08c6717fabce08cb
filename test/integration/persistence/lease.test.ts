import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '#actors/persistence/database.ts';
import { claimLease, FencedError, fenced, renewLease } from '#actors/persistence/lease.ts';
import { projectBlocks } from '#actors/persistence/projection.ts';
import type { CommittedChain } from '#test/kit/committed-chain.ts';
import { freshFolder } from '#test/kit/executor-host.ts';
import {
  hasPostgres,
  NEEDS_POSTGRES,
  type PostgresServer,
  postgresServer,
} from '#test/kit/postgres.ts';
import { dumpOf, otherChain, sqlAdapter, sqlChain } from '#test/kit/sql-chain.ts';

let server: PostgresServer;
let chain: CommittedChain;
let databases: Database[] = [];
let adapters: Awaited<ReturnType<typeof sqlAdapter>>[] = [];

const open = async (): Promise<Database> => {
  const database = await openDatabase(server.settings);
  databases.push(database);
  return database;
};
const projector = async (leaseMs = 60_000, folder = freshFolder()) => {
  const adapter = await sqlAdapter(server.url, { leaseMs }, folder);
  adapters.push(adapter);
  return adapter;
};
const countBlocks = async (): Promise<number> =>
  Number((await server.execute('SELECT count(*) AS n FROM blocks')).rows[0]?.n);
const expire = () =>
  server.execute("UPDATE projector_lease SET expires_at = now() - INTERVAL '1 second'");

/** All of these have begun before any of them goes on; later calls pass. */
const meeting = (parties: number): (() => Promise<void>) => {
  let missing = parties;
  let release = (): void => {};
  const all = new Promise<void>((resolve) => {
    release = resolve;
  });
  return async () => {
    missing -= 1;
    if (missing === 0) release();
    await all;
  };
};

describe.skipIf(!hasPostgres)(`several projectors on one server ${NEEDS_POSTGRES}`, () => {
  beforeAll(async () => {
    server = await postgresServer();
    chain = await sqlChain();
  }, 120_000);
  afterAll(async () => {
    chain.host.close();
    await server.close();
  });
  beforeEach(() => server.wipe());
  afterEach(async () => {
    for (const one of adapters) await one.close?.();
    for (const one of databases) await one.close();
    [databases, adapters] = [[], []];
  });

  test('twelve that open an empty database at once all get its schema', async () => {
    const all = await Promise.all(Array.from({ length: 12 }, () => open()));
    const dumps = await Promise.all(all.map(dumpOf));
    expect(new Set(dumps).size).toBe(1);
  });

  test('two that write the same block at once meet a real 40001, and both end with the same rows', async () => {
    const [a, b] = [await open(), await open()];
    const meet = meeting(2);
    const met: Database[] = [a, b].map((database) => ({
      ...database,
      transaction: (work, look) =>
        database.transaction(async (client) => {
          await client.query('SELECT count(*) FROM blocks');
          await meet();
          return await work(client);
        }, look),
    }));
    const heights = await Promise.all(met.map((one) => projectBlocks(one, chain.read(1))));
    expect(heights).toEqual([4, 4]);
    expect(a.retries() + b.retries()).toBeGreaterThanOrEqual(1);
    const both = await dumpOf(a);
    await server.wipe();
    const alone = await open();
    await projectBlocks(alone, chain.read(1));
    expect(await dumpOf(alone)).toBe(both);
  });

  test('one writes and the other compares; what the other is told to write it does not', async () => {
    const [a, b] = [await projector(), await projector()];
    await a.commands.open(null);
    await b.commands.open(null);
    expect(a.mailbox.splice(0)).toMatchObject([{ kind: 'opened', holds: true }]);
    expect(b.mailbox.splice(0)).toMatchObject([{ kind: 'opened', holds: false }]);
    await b.commands.project(chain.read(1));
    expect(b.mailbox.splice(0)).toEqual([{ kind: 'fenced' }]);
    expect(await countBlocks()).toBe(0);
    await b.commands.compare(chain.read(1));
    expect(b.mailbox.splice(0)).toEqual([{ kind: 'compared', height: 0, all: false }]);
    await a.commands.project(chain.read(1, 3));
    await b.commands.compare(chain.read(1));
    expect(b.mailbox.splice(0)).toEqual([{ kind: 'compared', height: 3, all: false }]);
    await a.commands.project(chain.read(4));
    await b.commands.compare(chain.read(1));
    expect(b.mailbox.splice(0)).toEqual([{ kind: 'compared', height: 4, all: true }]);
  });

  test('one that compares says the height at which its chain differs', async () => {
    const [a, b] = [await projector(), await projector()];
    await a.commands.open(null);
    await b.commands.open(null);
    const other = await otherChain();
    await a.commands.project(other.read(1));
    const before = await dumpOf(await open());
    await b.commands.compare(chain.read(1));
    expect(b.mailbox.at(-1)).toMatchObject({ kind: 'diverged', height: 1 });
    expect(await dumpOf(databases[0]!)).toBe(before);
    other.host.close();
  });

  test('a silent one is followed when its lease has expired, and never writes again', async () => {
    const [a, b] = [await projector(1000), await projector(1000)];
    await a.commands.open(null);
    await a.commands.project(chain.read(1, 2));
    await b.commands.open(null);
    expect(b.mailbox.splice(0)).toMatchObject([{ holds: false, height: 2 }]);
    await new Promise((resolve) => setTimeout(resolve, 1200));
    await b.commands.lease(null);
    expect(b.mailbox.splice(0)).toMatchObject([{ kind: 'lease', holds: true, height: 2 }]);
    await b.commands.project(chain.read(3, 1));
    a.mailbox.splice(0);
    const before = await dumpOf(await open());
    await a.commands.project(chain.read(3));
    expect(a.mailbox.splice(0)).toEqual([{ kind: 'fenced' }]);
    await a.commands.acks([]);
    expect(a.mailbox.splice(0)).toEqual([{ kind: 'acksFailed' }]);
    expect(await dumpOf(databases[0]!)).toBe(before);
    await a.commands.lease(null);
    expect(a.mailbox.splice(0)).toMatchObject([{ kind: 'lease', holds: false, height: 3 }]);
  });

  test('a renewed lease is not taken, and an expired one that nobody took still counts', async () => {
    const [a, b] = [await projector(), await projector()];
    await a.commands.open(null);
    await b.commands.open(null);
    await expire();
    await a.commands.lease(null);
    await b.commands.lease(null);
    expect(a.mailbox.at(-1)).toEqual({ kind: 'leaseKept' });
    expect(b.mailbox.at(-1)).toMatchObject({ kind: 'lease', holds: false });
  });

  test('the fencing token grows with each change of hands', async () => {
    const database = await open();
    const fences = [];
    for (const holder of ['a', 'b', 'a', 'a']) {
      const claimed = await claimLease(database, holder, 60_000);
      fences.push(claimed.held ? claimed.lease.fence : claimed.by);
      await expire();
    }
    expect(fences).toEqual([1, 2, 3, 4]);
    await expect(renewLease(database, { holder: 'a', fence: 3 }, 1000)).rejects.toThrow(
      FencedError,
    );
  });

  test('a taker waits for the transaction in hand; one that began before it writes nothing after it', async () => {
    const [a, b] = [await open(), await open()];
    const claimed = await claimLease(a, 'a', 60_000);
    if (!claimed.held) throw new Error('not held');
    const writer = fenced(a, claimed.lease, 1);
    const order: string[] = [];
    await writer.transaction(async (client) => {
      // Its own renewal lasts a millisecond: another may take it as soon as the row is free.
      void claimLease(b, 'b', 60_000).then(() => order.push('taken'));
      await client.query('SELECT pg_sleep(0.3)');
      order.push('written');
    });
    await expect.poll(() => order).toEqual(['written', 'taken']);
    let ran = 0;
    const late = writer.transaction(async () => ++ran);
    await expect(late).rejects.toThrow(FencedError);
    expect(ran).toBe(0);
  });

  test('the same installation goes on at once after a crash, another one after an orderly end', async () => {
    const folder = freshFolder();
    const crashed = await projector(60_000, folder);
    await crashed.commands.open(null);
    const again = await projector(60_000, folder);
    await again.commands.open(null);
    expect(again.mailbox).toMatchObject([{ kind: 'opened', holds: true }]);
    await crashed.commands.project(chain.read(1));
    expect(crashed.mailbox.at(-1)).toEqual({ kind: 'fenced' });
    await again.close?.();
    adapters = adapters.filter((one) => one !== again);
    const next = await projector();
    await next.commands.open(null);
    expect(next.mailbox).toMatchObject([{ kind: 'opened', holds: true }]);
  });
});
