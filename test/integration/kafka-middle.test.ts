/** What goes wrong with a broker while a node runs: a topic that vanishes, a right, a password, a certificate that change. */
import { copyFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Kafka as Client } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCertificates } from '#test/kit/certificates.ts';
import { KAFKA_VERSIONS, type Kafka, kafkaNeeds, provideKafka, USER } from '#test/kit/kafka.ts';
import { CREATE, type KafkaBus, openBus } from '#test/kit/kafka-bus.ts';
import { jars, java } from '#test/kit/kafka-process.ts';
import { grant, type Right, revoke } from '#test/kit/kafka-rights.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { until } from '#test/kit/system.ts';

const version = process.env.KAFKA_VERSION ?? KAFKA_VERSIONS.four;
const WAIT_MS = 90_000;
const TURN_MS = 240_000;

/** Publishes one record until it is there. */
const insist = async (bus: KafkaBus, topic: string, text: string): Promise<void> => {
  const value = new TextEncoder().encode(text);
  const isThere = async () => {
    const [outcome] = await bus.publish([{ topic, key: 'k', value, headers: {} }]);
    return outcome!.outcome === 'ok';
  };
  await until(isThere, WAIT_MS, 50);
};

const readAll = async (bus: KafkaBus, topic: string, count: number): Promise<string[]> => {
  const texts: string[] = [];
  let positions: readonly number[] = [];
  const isRead = async () => {
    const page = await bus.fetch(topic, 'reader', positions, 100);
    if (page.outcome !== 'ok') return false;
    texts.push(...page.records.map(({ value }) => new TextDecoder().decode(value)));
    positions = page.positions;
    return texts.length >= count;
  };
  await until(isRead, WAIT_MS, 50);
  return texts;
};

const isSaid = (bus: KafkaBus, words: RegExp) => (): boolean =>
  bus.said.some(({ text, fields }) => words.test(`${text}: ${String(fields?.remedy)}`));

describe.skipIf(kafkaNeeds() !== '')(
  `Kafka ${version}, in the middle (needs java, mvn and openssl)`,
  () => {
    let broker: Kafka;
    const other = temporaryFolder();
    beforeAll(async () => {
      broker = await provideKafka(version, { rights: true });
      await broker.start();
    }, 400_000);
    afterAll(async () => {
      await broker.remove();
      other.remove();
    });
    const quick = { deliveryMs: 1000, requestMs: 2500 } as const;

    test('a topic that is deleted is named with what to do; made again, it is published to and read', {
      timeout: TURN_MS,
    }, async () => {
      const bus = await openBus(broker, ['gone'], quick);
      await insist(bus, 'gone', 'before');
      const client = new Client({ brokers: [`127.0.0.1:${broker.ports.plain}`], logLevel: 0 });
      const admin = client.admin();
      await admin.connect();
      await admin.deleteTopics({ topics: ['gone'] });
      const after = insist(bus, 'gone', 'after');
      await until(isSaid(bus, /gone: a topic is missing: make it, or give create/), WAIT_MS, 50);
      await admin.createTopics({ topics: [{ topic: 'gone', numPartitions: CREATE.partitions }] });
      await after;
      expect(await readAll(bus, 'gone', 1)).toEqual(['after']);
      await admin.disconnect();
      await bus.close();
    });

    test('a right that our user lacks is named with its topic or group: refused at the start, waited for in the middle', {
      timeout: TURN_MS,
    }, async () => {
      const client = new Client({ brokers: [`127.0.0.1:${broker.ports.plain}`], logLevel: 0 });
      const admin = client.admin();
      await admin.connect();
      const { username: user } = USER;
      const read: Right = { on: 'topic', name: 'guarded', to: 'read', user };
      const write: Right = { ...read, to: 'write' };
      const group: Right = { on: 'group', name: 'reader', to: 'read', user };
      const others = [read, group].map((one) => ({ ...one, user: 'somebody' }));
      await grant(admin, others);
      await admin.createTopics({ topics: [{ topic: 'guarded', numPartitions: 1 }] });
      const brokers = [`127.0.0.1:${broker.ports.sasl}`];
      const sasl = { mechanism: 'scram-sha-256', ...USER } as const;
      const open = () => openBus(broker, ['guarded'], { ...quick, brokers, sasl });
      await expect(open()).rejects.toThrow(
        /our user lacks a right on the topic guarded \(TOPIC_AUTHORIZATION_FAILED\): grant it READ/,
      );
      await grant(admin, [read, write]);
      const bus = await open();
      await insist(bus, 'guarded', 'first');
      await revoke(admin, [write]);
      const second = insist(bus, 'guarded', 'second');
      const noWrite = /publishing to guarded: .*TOPIC_AUTHORIZATION_FAILED.*: grant .*WRITE/;
      await until(isSaid(bus, noWrite), WAIT_MS, 50);
      await grant(admin, [write]);
      await second;
      const both = readAll(bus, 'guarded', 2);
      const noGroup = /group reader .*GROUP_AUTHORIZATION_FAILED.*: grant .*READ on .*group/;
      await until(isSaid(bus, noGroup), WAIT_MS, 50);
      await grant(admin, [group]);
      expect(await both).toEqual(['first', 'second']);
      await revoke(admin, [read]);
      const again = readAll(bus, 'guarded', 2);
      const noRead = /waits for guarded: .*TOPIC_AUTHORIZATION_FAILED.*: grant .*READ/;
      await until(isSaid(bus, noRead), WAIT_MS, 50);
      // Whoever watches its end is refused, too, and begins anew.
      const begun = (): number => bus.grown.filter((topic) => topic === 'guarded').length;
      const before = begun();
      await until(() => begun() > before + 1, WAIT_MS, 50);
      await grant(admin, [read]);
      expect(await again).toEqual(['first', 'second']);
      // Each of the three was said once, and nothing of all the others.
      const errors = bus.said.filter(({ level }) => level === 'error');
      expect(errors.map(({ text }) => text)).toHaveLength(3);
      await revoke(admin, others);
      await admin.disconnect();
      await bus.close();
    });

    test('a password that is changed on the broker is named when it is asked for again; changed back, all goes on', {
      timeout: TURN_MS,
    }, async () => {
      const lib = await jars(version);
      const server = `127.0.0.1:${broker.ports.plain}`;
      const change = (password: string) =>
        java(lib, 'kafka.admin.ConfigCommand', [
          ...['--bootstrap-server', server, '--alter', '--entity-type', 'users'],
          ...['--entity-name', USER.username],
          ...['--add-config', `SCRAM-SHA-256=[password=${password}]`],
        ]);
      const brokers = [`127.0.0.1:${broker.ports.sasl}`];
      const sasl = { mechanism: 'scram-sha-256', ...USER } as const;
      const bus = await openBus(broker, ['password'], { ...quick, brokers, sasl });
      await insist(bus, 'password', 'before');
      await change('another-horse');
      await broker.kill();
      await broker.start();
      const after = insist(bus, 'password', 'after');
      await until(isSaid(bus, /refuses user or password: mend sasl/), WAIT_MS, 50);
      expect(JSON.stringify(bus.said)).not.toContain(USER.password);
      await change(USER.password);
      await after;
      expect(await readAll(bus, 'password', 2)).toEqual(['before', 'after']);
      await bus.close();
    });

    test('a certificate that nobody vouches for after a restart is named; with the right one again, all goes on', {
      timeout: TURN_MS,
    }, async () => {
      const { keystore: foreign } = await makeCertificates(other.path);
      const own = path.join(broker.folder, 'server.pem');
      const kept = path.join(other.path, 'kept.pem');
      copyFileSync(own, kept);
      const brokers = [`127.0.0.1:${broker.ports.tls}`];
      const tls = { ca: readFileSync(broker.ca, 'utf8') };
      const bus = await openBus(broker, ['certificate'], { ...quick, brokers, tls });
      await insist(bus, 'certificate', 'before');
      await broker.kill();
      copyFileSync(foreign, own);
      await broker.start();
      const after = insist(bus, 'certificate', 'after');
      await until(isSaid(bus, /is not signed by an authority that we trust.*tls\.ca/), WAIT_MS, 50);
      await broker.kill();
      copyFileSync(kept, own);
      await broker.start();
      await after;
      expect(await readAll(bus, 'certificate', 2)).toEqual(['before', 'after']);
      await bus.close();
    });
  },
);
