/** The disk of somebody else is full: the database's, the broker's. It is said, waited for, and nothing is lost. */
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { openDatabase } from '#actors/persistence/database.ts';
import type { BusRecord } from '#runtime/bus/record.ts';
import { KAFKA_VERSIONS, kafkaNeeds, provideKafka } from '#test/kit/kafka.ts';
import { openBus } from '#test/kit/kafka-bus.ts';
import { anomalyTx } from '#test/kit/messages.ts';
import { hasPostgres, postgresServer } from '#test/kit/postgres.ts';
import { canMount, smallDisk } from '#test/kit/small-disk.ts';
import { dumpOf, sqlAdapter, sqlChain } from '#test/kit/sql-chain.ts';
import { until } from '#test/kit/system.ts';

const version = process.env.KAFKA_VERSION ?? KAFKA_VERSIONS.four;
const POSTGRES_DISK_BYTES = 192 << 20;
const KAFKA_DISK_BYTES = 64 << 20;
const WAIT_MS = 60_000;

describe.skipIf(!canMount || !hasPostgres)(
  'PostgreSQL on a full disk (needs root and postgres)',
  () => {
    test('the disk of the server is named with what to do, at the start and in the middle; then the work goes on', async () => {
      const disk = smallDisk(POSTGRES_DISK_BYTES);
      const server = await postgresServer({}, disk.path);
      const chain = await sqlChain();
      for (let i = 0; i < 40; i++) chain.grow([anomalyTx({}, { counter: 100 + i })]);
      const head = 44;
      try {
        disk.fill();
        const early = await sqlAdapter(server.url);
        await early.commands.open(null);
        expect(early.mailbox.at(-1)).toMatchObject({
          kind: 'unavailable',
          reason: expect.stringMatching(
            /127\.0\.0\.1:\d+.*the disk of the server is full: make room/,
          ),
        });
        disk.free();
        await early.commands.open(null);
        expect(early.mailbox.at(-1)).toMatchObject({ kind: 'opened' });
        await early.commands.project(chain.read(1, 2));
        expect(early.mailbox.at(-1)).toMatchObject({ kind: 'projected', height: 2 });
        disk.fill();
        await early.commands.project(chain.read(3));
        expect(early.mailbox.at(-1)).toMatchObject({
          kind: 'unavailable',
          reason: expect.stringMatching(/the disk of the server is full: make room/),
        });
        disk.free();
        await early.commands.project(chain.read(1));
        expect(early.mailbox.at(-1)).toMatchObject({ kind: 'projected', height: head });
        await early.close?.();
        const database = await openDatabase(server.settings);
        const rows = JSON.parse(await dumpOf(database)) as readonly [string, readonly string[]][];
        expect(rows.find(([table]) => table === 'blocks')![1]).toHaveLength(head);
        await database.close();
      } finally {
        chain.host.close();
        await server.close();
        disk.remove();
      }
    }, 180_000);
  },
);

describe.skipIf(!canMount || kafkaNeeds() !== '')(
  `Kafka ${version} on a full disk (needs root, java, mvn and openssl)`,
  () => {
    test('publishers wait and the log says why; with room and a broker again, every record is there once', async () => {
      const disk = smallDisk(KAFKA_DISK_BYTES);
      const broker = await provideKafka(version, { folder: path.join(disk.path, 'broker') });
      await broker.start();
      const bus = await openBus(broker, ['full'], { deliveryMs: 1000, requestMs: 2500 });
      const publish = async (n: number) => {
        const value = new Uint8Array(20_000).fill(n);
        const [outcome] = await bus.publish([{ topic: 'full', key: `${n}`, value, headers: {} }]);
        return outcome!.outcome;
      };
      const insist = (n: number) => until(async () => (await publish(n)) === 'ok', WAIT_MS, 50);
      try {
        for (let n = 0; n < 20; n++) await insist(n);
        disk.fill();
        let next = 20;
        while ((await publish(next)) === 'ok') next++;
        const isTold = (): boolean => bus.said.some(({ level }) => level === 'error');
        await until(isTold, WAIT_MS);
        const told = bus.said.find(({ level }) => level === 'error')!;
        expect(told.text).toMatch(/the bus waits for /);
        expect(told.fields!.remedy).toMatch(/disk|start the broker|look at the broker|its restart/);
        await broker.kill();
        disk.free();
        await broker.start();
        for (const n of [next, next + 1]) await insist(n);
        const seen: BusRecord[] = [];
        let positions: readonly number[] = [];
        while (seen.length < next + 2) {
          const page = await bus.fetch('full', 'g', positions, 100);
          if (page.outcome !== 'ok') continue;
          seen.push(...page.records);
          positions = page.positions;
          if (page.records.length === 0) break;
        }
        const keys = seen.map((one) => Number(one.key)).toSorted((a, b) => a - b);
        expect(keys).toEqual(Array.from({ length: next + 2 }, (_, n) => n));
        await bus.close();
      } finally {
        await broker.remove();
        disk.remove();
      }
    }, 300_000);
  },
);
