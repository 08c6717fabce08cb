import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Kafka as Client } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PublishOutcome, partitionOf } from '#runtime/bus/driver.ts';
import { KafkaRefusal } from '#runtime/bus/kafka/faults.ts';
import type { BusRecord } from '#runtime/bus/record.ts';
import { KAFKA_VERSIONS, type Kafka, kafkaNeeds, provideKafka, USER } from '#test/kit/kafka.ts';
import { contractBus, type KafkaBus, openBus, readAll } from '#test/kit/kafka-bus.ts';
import { until } from '#test/kit/system.ts';
import { busContract } from '../runtime/bus/contract.ts';

/** KAFKA_VERSION=3.9.1 runs the same on the older line. */
const version = process.env.KAFKA_VERSION ?? KAFKA_VERSIONS.four;
const WAIT_MS = 60_000;

const message = (topic: string, key: string, text: string) => ({
  topic,
  key,
  value: new TextEncoder().encode(text),
  headers: {},
});
const textOf = (record: BusRecord): string => new TextDecoder().decode(record.value);

/** Publishes as our actors do: again after `unavailable`, until it is there. */
const insist = async (bus: KafkaBus, one: ReturnType<typeof message>): Promise<PublishOutcome> => {
  for (;;) {
    const [outcome] = await bus.publish([one]);
    if (outcome!.outcome !== 'unavailable') return outcome!;
    await pause(50);
  }
};

const refusalOf = async (opening: Promise<KafkaBus>): Promise<string> => {
  try {
    await (await opening).close();
  } catch (error) {
    expect(error).toBeInstanceOf(KafkaRefusal);
    return (error as Error).message;
  }
  throw new Error('it opened');
};

describe.skipIf(kafkaNeeds() !== '')(`Kafka ${version} (needs java, mvn and openssl)`, () => {
  let broker: Kafka;
  beforeAll(async () => {
    broker = await provideKafka(version);
    await broker.start();
  }, 400_000);
  afterAll(() => broker.remove());

  busContract('kafka', (storage) => contractBus(() => broker)(storage));

  const tlsAt = (port: number, ca: string) => ({
    brokers: [`127.0.0.1:${port}`],
    tls: { ca: readFileSync(ca, 'utf8') },
  });

  test('over TLS it publishes and reads; a certificate of another authority is refused by name', async () => {
    const { ports, ca, otherCa } = broker;
    const bus = await openBus(broker, ['tls'], tlsAt(ports.tls, ca));
    expect(await insist(bus, message('tls', 'k', 'x'))).toMatchObject({ outcome: 'ok' });
    expect((await readAll(bus, 'tls')).map(textOf)).toEqual(['x']);
    await bus.close();
    const refused = await refusalOf(openBus(broker, ['tls'], tlsAt(ports.tls, otherCa)));
    expect(refused).toMatch(/certificate of 127\.0\.0\.1:\d+ is not signed .*tls\.ca/);
    const plain = await openBus(broker, ['tls'], tlsAt(ports.plain, ca));
    expect(plain.said[0]!.fields!.remedy).toMatch(/give tls and sasl as its listener wants them/);
    await plain.close();
  });

  test('where the brokers want a certificate of ours, the right one opens; none, and one of nobody they know, is refused by name', async () => {
    const { ports, ca, otherCa, client } = broker;
    const { brokers, tls } = tlsAt(ports.mtls, ca);
    const withCertificate = (cert: string, key: string) => ({
      brokers,
      tls: { ...tls, cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') },
    });
    const right = withCertificate(client.cert, client.key);
    const bus = await openBus(broker, ['mtls'], right);
    expect(await insist(bus, message('mtls', 'k', 'x'))).toMatchObject({ outcome: 'ok' });
    expect((await readAll(bus, 'mtls')).map(textOf)).toEqual(['x']);
    await bus.close();
    const foreign = withCertificate(otherCa, otherCa.replace(/pem$/, 'key'));
    for (const wrong of [{ brokers, tls }, foreign]) {
      const refused = await refusalOf(openBus(broker, ['mtls'], wrong));
      expect(refused).toMatch(
        /127\.0\.0\.1:\d+ wants another certificate .*tls\.cert and tls\.key/,
      );
    }
  });

  for (const mechanism of ['plain', 'scram-sha-256'] as const) {
    test(`with ${mechanism} the right password opens, a wrong one is refused by name and never shown`, async () => {
      const { ports, ca } = broker;
      const brokers = [`127.0.0.1:${ports.sasl}`];
      const bus = await openBus(broker, ['sasl'], { brokers, sasl: { mechanism, ...USER } });
      expect(await insist(bus, message('sasl', 'k', mechanism))).toMatchObject({ outcome: 'ok' });
      await bus.close();
      const both = { ...tlsAt(ports.saslTls, ca), sasl: { mechanism, ...USER } };
      await (await openBus(broker, ['sasl'], both)).close();
      const wrong = { mechanism, username: USER.username, password: 'wrong-donkey' };
      const refused = await refusalOf(openBus(broker, ['sasl'], { brokers, sasl: wrong }));
      expect(refused).toMatch(/refuses user or password: mend sasl/);
      expect(refused).not.toContain('donkey');
    });
  }

  test('a listener that wants a password, and one that has another mechanism, are named', async () => {
    const brokers = [`127.0.0.1:${broker.ports.sasl}`];
    const sasl = { mechanism: 'scram-sha-512', ...USER } as const;
    expect(await refusalOf(openBus(broker, ['sasl'], { brokers, sasl }))).toMatch(/mechanism/i);
    const bus = await openBus(broker, ['sasl'], { brokers });
    expect(bus.said[0]!.text).toMatch(/closed the connection/);
    expect(bus.said[0]!.fields!.remedy).toMatch(/give tls and sasl as its listener wants them/);
    await bus.close();
  });

  test('missing topics are refused by name with what to do', async () => {
    const refused = await refusalOf(openBus(broker, ['no-1', 'no-2'], { create: undefined }));
    expect(refused).toMatch(/topics no-1, no-2 are missing.*make them .*bus\.create/);
  });

  test('topics that were there before us are used as they are, and what does not fit is said', async () => {
    const client = new Client({ brokers: [`127.0.0.1:${broker.ports.plain}`], logLevel: 0 });
    const admin = client.admin();
    await admin.connect();
    const configEntries = [{ name: 'max.message.bytes', value: '20000' }];
    await admin.createTopics({ topics: [{ topic: 'small', numPartitions: 2, configEntries }] });
    const bus = await openBus(broker, ['small']);
    expect(bus.said[0]!.text).toBe('small refuses the largest messages');
    const big = { ...message('small', 'k', ''), value: new Uint8Array(30_000) };
    const few = [...Array(6).keys()].map((n) => message('small', 'k', String(n)));
    const outcomes = await bus.publish([...few, big, { ...message('small', 'k', 'end') }]);
    expect(outcomes.map((one) => one.outcome)).toEqual([...few.map(() => 'ok'), 'too-large', 'ok']);
    // Records that are gone before they were read are told of.
    const partition = partitionOf('k', 2);
    await admin.fetchTopicOffsets('small'); // kafkajs looks for the leader only then
    await admin.deleteTopicRecords({ topic: 'small', partitions: [{ partition, offset: '5' }] });
    expect((await bus.fetch('small', 'late', [0, 0], 10)) as object).toMatchObject({
      outcome: 'ok',
      records: [{ offset: 5 }, { offset: 6 }],
    });
    expect(bus.said.at(-1)).toMatchObject({
      text: 'small dropped records that late had not read',
      fields: { records: 5 },
    });
    await admin.disconnect();
    await bus.close();
  });

  test('whoever publishes, a waiting reader hears of it; the lag of a group is told', async () => {
    const [reader, writer] = [await openBus(broker, ['news']), await openBus(broker, ['news'])];
    await readAll(reader, 'news', 'g');
    await until(() => reader.grown.includes('news'), WAIT_MS, 20);
    await pause(300);
    const before = reader.grown.length;
    const atMs = performance.now();
    await insist(writer, message('news', 'k', 'x'));
    await until(() => reader.grown.length > before, 5000, 20);
    expect(performance.now() - atMs).toBeLessThan(2000);
    await writer.publish([...Array(9).keys()].map((n) => message('news', 'k', String(n))));
    await reader.fetch('news', 'g', [0, 0, 0], 4);
    expect(reader.lags.get('news g')).toBe(6);
    await Promise.all([reader.close(), writer.close()]);
  });

  test('a page is handed out in parts, in order, nothing twice', async () => {
    const bus = await openBus(broker, ['parts']);
    const sent = [...Array(700).keys()].map((n) => message('parts', `k${n % 7}`, String(n)));
    await bus.publish(sent);
    const got: BusRecord[] = [];
    let positions: readonly number[] = [];
    for (;;) {
      const page = await bus.fetch('parts', 'g', positions, 33);
      if (page.outcome !== 'ok') throw new Error(page.outcome);
      if (page.records.length === 0) break;
      expect(page.records.length).toBeLessThanOrEqual(33);
      got.push(...page.records);
      positions = page.positions;
    }
    expect(got).toHaveLength(700);
    expect(new Set(got.map(textOf)).size).toBe(700);
    for (const key of new Set(got.map((one) => one.key))) {
      const own = got.filter((one) => one.key === key).map((one) => Number(textOf(one)));
      expect(own).toEqual(own.toSorted((a, b) => a - b));
    }
    await bus.close();
  });

  test('killed with -9 twice in the middle: nothing lost, nothing twice, positions go on', async () => {
    const bus = await openBus(broker, ['kill'], { deliveryMs: 1000 });
    const KEYS = 16;
    const EACH = 120;
    let placed = 0;
    const publishing = [...Array(KEYS).keys()].map(async (k) => {
      for (let n = 0; n < EACH; n++) {
        const outcome = await insist(bus, message('kill', `k${k}`, `${k}:${n}`));
        expect(outcome.outcome).toBe('ok');
        placed++;
      }
    });
    const seen: BusRecord[] = [];
    let positions: readonly number[] = [];
    let done = false;
    const consuming = (async () => {
      while (!done || seen.length < KEYS * EACH) {
        const page = await bus.fetch('kill', 'g', positions, 100);
        if (page.outcome === 'ok') {
          seen.push(...page.records);
          positions = page.positions;
          await bus.commit('kill', 'g', positions);
        }
        await pause(page.outcome === 'ok' && page.records.length > 0 ? 0 : 20);
      }
    })();
    for (const share of [1 / 3, 2 / 3]) {
      await until(() => placed >= KEYS * EACH * share, WAIT_MS, 20);
      await broker.kill();
      await pause(1500);
      await broker.start();
    }
    await Promise.all(publishing);
    done = true;
    await consuming;
    const wanted = [...Array(KEYS * EACH).keys()].map((n) => `${n % KEYS}:${Math.floor(n / KEYS)}`);
    expect(seen.map(textOf).toSorted()).toEqual(wanted.toSorted());
    for (let k = 0; k < KEYS; k++) {
      const own = seen.filter((one) => one.key === `k${k}`).map(textOf);
      expect(own).toEqual([...Array(EACH).keys()].map((n) => `${k}:${n}`));
    }
    const broken = bus.said.filter((one) => one.level === 'error');
    expect(broken.length).toBeGreaterThan(0);
    expect(broken.length).toBeLessThan(10);
    expect(bus.said.some((one) => /works again/.test(one.text))).toBe(true);
    await bus.close();
    const again = await openBus(broker, ['kill']);
    expect(await readAll(again, 'kill', 'g')).toEqual([]);
    expect(await readAll(again, 'kill', 'other')).toHaveLength(KEYS * EACH);
    await again.close();
  });

  test('a record of unknown fate, published again, is there once', async () => {
    const bus = await openBus(broker, ['doubt'], { deliveryMs: 600, requestMs: 2000 });
    await insist(bus, message('doubt', 'k', 'first'));
    await broker.freeze();
    const atMs = performance.now();
    expect(await bus.publish([message('doubt', 'k', 'second')])).toEqual([
      { outcome: 'unavailable' },
    ]);
    expect(performance.now() - atMs).toBeLessThan(2000);
    const again = insist(bus, message('doubt', 'k', 'second'));
    expect(await bus.fetch('doubt', 'g', [], 10)).toEqual({ outcome: 'unavailable' });
    await pause(3000);
    broker.thaw();
    expect(await again).toMatchObject({ outcome: 'ok', offset: 1 });
    expect(await insist(bus, message('doubt', 'k', 'third'))).toMatchObject({ offset: 2 });
    expect((await readAll(bus, 'doubt')).map(textOf)).toEqual(['first', 'second', 'third']);
    await bus.close();
  });

  test('without a broker it opens, says so once, and goes on by itself when one is there', async () => {
    await broker.stop();
    const bus = await openBus(broker, ['late'], { deliveryMs: 600 });
    expect(bus.said).toHaveLength(1);
    expect(bus.said[0]).toMatchObject({
      level: 'error',
      text: expect.stringMatching(/nothing listens at 127/),
    });
    const first = insist(bus, message('late', 'k', 'x'));
    expect(await bus.fetch('late', 'g', [], 1)).toEqual({ outcome: 'unavailable' });
    await expect(bus.ends('late', 'g')).rejects.toThrow();
    const other = await openBus(broker, ['late']);
    const atMs = performance.now();
    await other.close();
    expect(performance.now() - atMs).toBeLessThan(5000);
    await pause(2500);
    expect(bus.said).toHaveLength(1);
    await broker.start();
    expect(await first).toMatchObject({ outcome: 'ok', offset: 0 });
    expect((await readAll(bus, 'late')).map(textOf)).toEqual(['x']);
    await bus.close();
  });
});
