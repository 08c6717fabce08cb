/** The bus actor and the command line on a real broker. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { config } from '#actors/bus/config.ts';
import type { Self } from '#actors/bus/core.ts';
import { io } from '#actors/bus/io.ts';
import { crypto } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { configHash, encodeGenesis } from '#proto/genesis.ts';
import { DLQ_HEADERS, TOPICS } from '#proto/wire/topics.ts';
import { chainOf } from '#test/kit/chain.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';
import { commandLine } from '#test/kit/command-line.ts';
import { freshFolder, portOf } from '#test/kit/executor-host.ts';
import { KAFKA_VERSIONS, type Kafka, kafkaNeeds, provideKafka, USER } from '#test/kit/kafka.ts';
import { openBus } from '#test/kit/kafka-bus.ts';
import { writeKeyFile } from '#test/kit/key-files.ts';
import { ownPorts } from '#test/kit/local-node.ts';
import { cybermesh, ROOT, temporaryFolder } from '#test/kit/processes.ts';
import { until } from '#test/kit/system.ts';
import { ackBytes, provenBlock, updateOf } from '../actors/enforcer/policies.ts';

const version = process.env.KAFKA_VERSION ?? KAFKA_VERSIONS.four;
const topology = path.join(ROOT, 'config/local.yaml');
const replyTo = { from: 1, ask: 1, incarnation: 1, kind: 1 };

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

  test('an order goes to the broker without a node, and its fate comes from there', async () => {
    const genesis = testGenesis();
    const file = path.join(data.path, 'pinned.json');
    writeFileSync(file, encodeGenesis(genesis));
    const topics = { [TOPICS.policy]: 'soc.policy' };
    const names = Object.values(TOPICS).map((one) => (one === TOPICS.policy ? 'soc.policy' : one));
    const bus = await openBus(broker, names);
    const kafka = { driver: 'kafka', brokers: [plain()], topics };
    const own = [`genesis.file=${file}`, `genesis.sha256=${hex(configHash(genesis, crypto))}`];
    const operator = path.join(ROOT, 'config/enforcer.yaml');
    const given = commandLine(
      ...['decisions', 'add', operator, '--block', '198.51.100.7', '--wait', '2m', '-o', 'json'],
      ...['--key', writeKeyFile(data.path, 'operator', 12), ...set(kafka)],
      ...own.map((one) => `--set=${one}`),
    );
    // The test plays validators and agent: they read the order, commit it, and say so.
    const order = await until(async () => {
      const page = await bus.fetch('soc.policy', 'validators', [], 9);
      return page.outcome === 'ok' ? page.records[0] : undefined;
    }, 60_000);
    const tx = { kind: 'policy', bytes: order.value } as const;
    const proven = provenBlock(chainOf(genesis), tx, { timeMs: Date.now() });
    const { policyId, state } = proven;
    expect(order.key).toBe(policyId);
    await bus.publish([
      { topic: TOPICS.policyUpdates, key: policyId, value: updateOf(proven), headers: {} },
      {
        ...{ topic: TOPICS.policyAcks, key: policyId, headers: {} },
        value: ackBytes(policyId, state.ruleHash),
      },
    ]);
    const { code, out } = await given;
    expect([code, JSON.parse(out)]).toMatchObject([
      0,
      { ok: true, decisions: [{ policyId, fate: 'committed', acks: [{ result: 'applied' }] }] },
    ]);
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
