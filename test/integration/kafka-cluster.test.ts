/** Three real brokers: copies, leaders that move when one dies, too few of them, and two nodes of one group. */
import { setTimeout as pause } from 'node:timers/promises';
import { Kafka as Client } from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { BusRecord } from '#runtime/bus/record.ts';
import { KAFKA_VERSIONS, kafkaNeeds } from '#test/kit/kafka.ts';
import { type KafkaBus, openBus } from '#test/kit/kafka-bus.ts';
import { type ClusterNode, type KafkaCluster, startCluster } from '#test/kit/kafka-cluster.ts';
import { freePort } from '#test/kit/ports.ts';
import { until } from '#test/kit/system.ts';

const version = process.env.KAFKA_VERSION ?? KAFKA_VERSIONS.four;
const CREATE = { partitions: 3, replication: 3, retentionMs: 3_600_000 } as const;
const KEYS = 12;
const EACH = 100;
const TURN_MS = 60_000;

const textOf = (record: BusRecord): string => new TextDecoder().decode(record.value);
const message = (topic: string, key: string, text: string) => ({
  ...{ topic, key, headers: {} },
  value: new TextEncoder().encode(text),
});

/** Publishes as our actors do: again after `unavailable`, until it is there. */
const insist = async (bus: KafkaBus, one: ReturnType<typeof message>): Promise<void> => {
  const untilMs = Date.now() + TURN_MS;
  for (;;) {
    const [outcome] = await bus.publish([one]);
    if (outcome!.outcome === 'ok') return;
    expect(outcome).toEqual({ outcome: 'unavailable' });
    if (Date.now() > untilMs)
      throw new Error(`${one.topic} takes nothing: ${JSON.stringify(bus.said.at(-1))}`);
    await pause(50);
  }
};

/** Reads on from the beginning or the mark until there are `count` records, committing as it goes. */
const reading = async (bus: KafkaBus, topic: string, group: string, count: number) => {
  const records: BusRecord[] = [];
  let positions: readonly number[] = [];
  const untilMs = Date.now() + TURN_MS;
  while (records.length < count) {
    if (Date.now() > untilMs) throw new Error(`${records.length} of ${count} read of ${topic}`);
    const page = await bus.fetch(topic, group, positions, 100);
    if (page.outcome === 'ok') {
      records.push(...page.records);
      positions = page.positions;
      await bus.commit(topic, group, positions);
    }
    if (page.outcome !== 'ok' || page.records.length === 0) await pause(20);
  }
  return records;
};

const numbered = (keys: number, each: number): string[] =>
  Array.from({ length: keys * each }, (_, n) => `${n % keys}:${Math.floor(n / keys)}`);

describe.skipIf(kafkaNeeds() !== '')(
  `Kafka ${version}, three brokers (needs java, mvn and openssl)`,
  () => {
    let cluster: KafkaCluster;
    /** Nobody listens there: the first address of every list. */
    let nobody: string;
    beforeAll(async () => {
      cluster = await startCluster(version);
      nobody = `127.0.0.1:${await freePort()}`;
    }, 400_000);
    afterAll(() => cluster.remove());
    // What one test has ended is there for the next one, however it went.
    afterEach(() => Promise.all(cluster.nodes.map((one) => one.start())), 120_000);

    const open = (topics: readonly string[]): Promise<KafkaBus> =>
      openBus({ ports: { plain: 0 } }, topics, {
        brokers: [nobody, ...cluster.addresses],
        create: CREATE,
        deliveryMs: 1000,
        requestMs: 2500,
      });
    const admin = async <T>(
      ask: (admin: ReturnType<Client['admin']>) => Promise<T>,
    ): Promise<T> => {
      const client = new Client({ brokers: [...cluster.addresses], logLevel: 0 });
      const one = client.admin();
      await one.connect();
      try {
        return await ask(one);
      } finally {
        await one.disconnect();
      }
    };
    const leadersOf = async (topic: string): Promise<readonly number[]> => {
      const { topics } = await admin((one) => one.fetchTopicMetadata({ topics: [topic] }));
      return topics[0]!.partitions.map(({ leader }) => leader);
    };
    const inSync = async (topic: string): Promise<readonly number[]> => {
      const { topics } = await admin((one) => one.fetchTopicMetadata({ topics: [topic] }));
      return topics[0]!.partitions.map(({ isr }) => isr.length);
    };
    const withId = (id: number): ClusterNode => cluster.nodes.find((one) => one.id === id)!;

    test('a topic that it makes has three copies, of which two must have a record; an address of nobody is passed over', async () => {
      const bus = await open(['made']);
      await insist(bus, message('made', 'k', 'x'));
      const { topics } = await admin((one) => one.fetchTopicMetadata({ topics: ['made'] }));
      expect(topics[0]!.partitions.map(({ replicas }) => replicas.length)).toEqual([3, 3, 3]);
      const { resources } = await admin((one) =>
        one.describeConfigs({
          includeSynonyms: false,
          resources: [{ type: 2, name: 'made', configNames: ['min.insync.replicas'] }],
        }),
      );
      expect(resources[0]!.configEntries[0]!.configValue).toBe('2');
      await bus.close();
    });

    test('a leader killed with -9 under load: another one leads, nothing is lost, nothing twice, each key in order', async () => {
      const bus = await open(['moved']);
      let placed = 0;
      const publishing = Array.from({ length: KEYS }, async (_, key) => {
        for (let n = 0; n < EACH; n++) {
          await insist(bus, message('moved', `k${key}`, `${key}:${n}`));
          placed++;
        }
      });
      const consuming = reading(bus, 'moved', 'g', KEYS * EACH);
      await until(() => placed >= (KEYS * EACH) / 3, TURN_MS);
      const [leader] = await leadersOf('moved');
      await withId(leader!).kill();
      await Promise.all(publishing);
      const seen = await consuming;
      expect((await leadersOf('moved'))[0]).not.toBe(leader);
      expect(seen.map(textOf).toSorted()).toEqual(numbered(KEYS, EACH).toSorted());
      for (let key = 0; key < KEYS; key++) {
        const own = seen.filter((one) => one.key === `k${key}`).map(textOf);
        expect(own).toEqual(Array.from({ length: EACH }, (_, n) => `${key}:${n}`));
      }
      await withId(leader!).start();
      await bus.close();
    }, 120_000);

    test('with one copy of three left a publisher is told to wait and the log says why; with a second one it goes on', async () => {
      const bus = await open(['few']);
      // A broker that has just come back may not have followed yet: without it nobody could lead.
      await expect.poll(() => inSync('few'), { timeout: TURN_MS }).toEqual([3, 3, 3]);
      await insist(bus, message('few', 'k', 'before'));
      // That a record is confirmed the followers hear with the next one; one that has not heard it
      // and is left alone shows the record to nobody, since alone it may confirm nothing.
      await insist(bus, message('few', 'k', 'more'));
      const [first, second] = cluster.nodes;
      await Promise.all([first!.kill(), second!.kill()]);
      const after = insist(bus, message('few', 'k', 'after'));
      const isSaid = (): boolean =>
        bus.said.some(({ text }) =>
          /min\.insync\.replicas asks for \(NOT_ENOUGH_REPLICAS/.test(text),
        );
      await until(isSaid, TURN_MS, 50);
      const said = bus.said.find(({ text }) => /NOT_ENOUGH/.test(text))!;
      expect(said.fields!.remedy).toMatch(/bring the missing brokers back/);
      // What was confirmed is still there to be read, and nothing of the rest is.
      expect((await reading(bus, 'few', 'early', 1)).map(textOf)[0]).toBe('before');
      await first!.start();
      await after;
      await second!.start();
      expect((await reading(bus, 'few', 'late', 3)).map(textOf)).toEqual([
        'before',
        'more',
        'after',
      ]);
      expect(await bus.fetch('few', 'late', [], 10)).toMatchObject({ records: [] });
      // Reading went well all the while, which is no news of publishing.
      const news = bus.said.filter(({ text }) => /^publishing to few works/.test(text));
      expect(news).toHaveLength(1);
      await bus.close();
    }, 120_000);

    test('two nodes of one group each read everything, and the one that takes over begins at the mark of both', async () => {
      const [one, other] = [await open(['shared']), await open(['shared'])];
      for (let n = 0; n < 30; n++) await insist(one, message('shared', `k${n}`, String(n)));
      const wanted = Array.from({ length: 30 }, (_, n) => String(n)).toSorted();
      const read = await Promise.all([
        reading(one, 'shared', 'g', 30),
        reading(other, 'shared', 'g', 30),
      ]);
      for (const records of read) expect(records.map(textOf).toSorted()).toEqual(wanted);
      await Promise.all([one.close(), other.close()]);
      const heir = await open(['shared']);
      await insist(heir, message('shared', 'k0', 'new'));
      expect((await reading(heir, 'shared', 'g', 1)).map(textOf)).toEqual(['new']);
      await heir.close();
    });
  },
);
