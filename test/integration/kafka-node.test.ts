/** The bus actor and the command line on a real broker. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { config } from '#actors/bus/config.ts';
import type { Self } from '#actors/bus/core.ts';
import { io } from '#actors/bus/io.ts';
import { DLQ_HEADERS, TOPICS } from '#proto/wire/topics.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';
import { freshFolder, portOf } from '#test/kit/executor-host.ts';
import { KAFKA_VERSIONS, type Kafka, kafkaNeeds, provideKafka, USER } from '#test/kit/kafka.ts';
import { openBus } from '#test/kit/kafka-bus.ts';
import { ownPorts } from '#test/kit/local-node.ts';
import { cybermesh, ROOT, temporaryFolder } from '#test/kit/processes.ts';

const version = process.env.KAFKA_VERSION ?? KAFKA_VERSIONS.four;
const topology = path.join(ROOT, 'config/local.yaml');
const replyTo = { from: 1, ask: 1, incarnation: 1, kind: 1 };

const until = async (holds: () => boolean): Promise<void> => {
  const untilMs = performance.now() + 20_000;
  while (!holds()) {
    if (performance.now() > untilMs) throw new Error('not within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

describe.skipIf(kafkaNeeds() !== '')(`Kafka ${version} (needs java, mvn and openssl)`, () => {
  let broker: Kafka;
  const data = temporaryFolder();
  beforeAll(async () => {
    broker = await provideKafka(version);
    await broker.start();
  }, 400_000);
  afterAll(async () => {
    await broker.remove();
    data.remove();
  });
  const plain = (): string => `127.0.0.1:${broker.ports.plain}`;
  const set = (bus: object): string[] => [
    '--set',
    `node.dataDir=${data.path}`,
    '--set',
    `bus=${JSON.stringify(bus)}`,
  ];

  test('a renamed topic has its own name on the broker and its canonical one in the system', async () => {
    const topics = { [TOPICS.anomalies]: 'soc.anomalies' };
    const mailbox: Self[] = [];
    const settings = config.parse({ driver: 'kafka', brokers: [plain()], create: {}, topics });
    const adapter = await io(settings, {
      ...portOf<Self>(freshFolder(), testGenesis(), mailbox),
      now: Date.now,
    });
    const of = <K extends Self['kind']>(kind: K) =>
      mailbox.filter((one): one is Extract<Self, { kind: K }> => one.kind === kind);
    const poll = {
      id: 1,
      topic: TOPICS.anomalies,
      group: 'g',
      positions: [],
      maxRecords: 10,
      dueMs: 0,
      replyTo,
    };
    await adapter.commands.fetch(poll);
    await adapter.commands.publish({
      kind: 'publish',
      replyTo,
      topic: TOPICS.anomalies,
      key: 'k',
      value: new Uint8Array([7]),
      headers: '{"a":"b"}',
    });
    expect(of('published')).toMatchObject([
      { topic: TOPICS.anomalies, outcome: { outcome: 'ok' } },
    ]);
    await until(() => of('appended').some((one) => one.topic === TOPICS.anomalies));
    // A broker on a busy machine may be late: consumers ask again, too.
    const fetched = async () => {
      await adapter.commands.fetch(poll);
      return of('fetched').at(-1);
    };
    await expect.poll(fetched, { timeout: 20_000 }).toMatchObject({
      outcome: { records: [{ key: 'k', headers: { a: 'b' } }] },
    });
    await adapter.close?.();
    const bus = await openBus(broker, ['soc.anomalies'], { create: undefined });
    expect(await bus.fetch('soc.anomalies', 'x', [], 9)).toMatchObject({ records: [{ key: 'k' }] });
    await bus.close();
  });

  test('dead letters are listed and replayed on the broker, while nodes run', async () => {
    const bus = await openBus(broker, Object.values(TOPICS));
    await bus.publish([
      {
        topic: TOPICS.dlq,
        key: 'k',
        value: new Uint8Array([1, 2, 3]),
        headers: { [DLQ_HEADERS.code]: 'timestamp', [DLQ_HEADERS.topic]: TOPICS.policy },
      },
    ]);
    const kafka = { driver: 'kafka', brokers: [plain()] };
    const listed = await cybermesh(['dlq', 'list', topology, '-o', 'json', ...set(kafka)]);
    expect(JSON.parse(listed.stdout)).toMatchObject({
      ok: true,
      letters: [{ code: 'timestamp', bytes: 3 }],
    });
    const replayed = await cybermesh(['dlq', 'replay', topology, '--all', ...set(kafka)]);
    expect(replayed).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/1 replayed, 0 refused/),
    });
    const page = await bus.fetch(TOPICS.policy, 'x', [], 9);
    expect(page).toMatchObject({
      records: [{ key: 'k', headers: { 'replayed-from': expect.stringMatching(/^\d:0$/) } }],
    });
    await bus.close();
  });

  test('what waiting cannot mend ends the start with exit 1 and its name', async () => {
    const ports = (await ownPorts()).set.flatMap((one) => ['--set', one]);
    const start = (bus: object) =>
      cybermesh(['start', topology, '--for', '20s', ...ports, ...set(bus)], {
        env: { ...process.env, KAFKA_PASSWORD: 'wrong-donkey' },
      });
    const brokers = [`127.0.0.1:${broker.ports.sasl}`];
    const sasl = { mechanism: 'scram-sha-256', username: USER.username };
    const wrong = await start({ driver: 'kafka', brokers, sasl });
    expect(wrong).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/bus: .*refuses user or password/),
    });
    expect(wrong.stdout + wrong.stderr).not.toContain('donkey');
    const missing = await start({
      driver: 'kafka',
      brokers: [plain()],
      topics: { [TOPICS.dlq]: 'no-such' },
    });
    expect(missing).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/no-such is missing .*bus\.create/),
    });
  });
});
