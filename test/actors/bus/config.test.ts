import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { config, type KafkaConfig } from '#actors/bus/config.ts';
import { kafkaSettings } from '#actors/bus/drivers.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import { loadTopology } from '#runtime/topology/load.ts';
import { ROOT, temporaryFolder } from '#test/kit/processes.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

const surroundings = {
  file: '',
  now: () => 0,
  say: () => undefined,
  appended: () => undefined,
  lag: () => undefined,
};
const sasl = { mechanism: 'plain', username: 'u' };
const kafka = (given: object) =>
  config.parse({ driver: 'kafka', brokers: ['b:9092'], ...given }) as KafkaConfig;
const problems = async (bus: object): Promise<string[]> => {
  const set = [`bus=${JSON.stringify(bus)}`];
  const loaded = await loadTopology(path.join(ROOT, 'config/local.yaml'), { set });
  return loaded.ok ? [] : loaded.error.map((one) => `${one.path}: ${one.message}`);
};

test('without a word the bus is the embedded one', () => {
  expect(config.parse({})).toMatchObject({ driver: 'embedded', partitions: 3 });
});

test('more copies that must hold a record than there are copies are refused by name', async () => {
  const create = { replication: 2, inSyncMin: 3 };
  expect(await problems({ driver: 'kafka', brokers: ['b:9092'], create })).toEqual([
    expect.stringMatching(/create\.inSyncMin: at most as many as replication/),
  ]);
  expect(kafka({ create: { ...create, inSyncMin: 2 } }).create?.inSyncMin).toBe(2);
});

test('every topic is handed to Kafka by its name on the broker', () => {
  const settings = kafkaSettings(
    kafka({ topics: { [TOPICS.anomalies]: 'soc.anomalies' } }),
    surroundings,
    {},
  );
  expect(settings.topics).toContain('soc.anomalies');
  expect(settings.topics).not.toContain(TOPICS.anomalies);
  expect(settings.topics).toHaveLength(Object.keys(TOPICS).length);
  expect(settings.create).toBeUndefined();
});

test('a password comes from a file or a variable, and an empty one is refused by name', () => {
  const file = path.join(folder.path, 'password');
  writeFileSync(file, 'from-file\n');
  const read = (given: object, env: NodeJS.ProcessEnv) =>
    kafkaSettings(kafka({ sasl: { ...sasl, ...given } }), surroundings, env).sasl?.password;
  expect(read({ passwordFile: file }, { KAFKA_PASSWORD: 'no' })).toBe('from-file');
  expect(read({}, { KAFKA_PASSWORD: 'from-env' })).toBe('from-env');
  expect(read({ passwordEnv: 'OURS' }, { OURS: 'other' })).toBe('other');
  expect(() => read({}, {})).toThrow(/variable KAFKA_PASSWORD is empty/);
  expect(() => read({ passwordFile: '/nowhere' }, {})).toThrow(/passwordFile: \/nowhere .*ENOENT/);
});

test('the check of a topology names missing files, an empty password and wrong names of topics', async () => {
  const bus = { driver: 'kafka', brokers: ['b:9092'] };
  const found = await problems({
    ...bus,
    tls: { ca: '/nowhere/ca.pem' },
    sasl: { ...sasl, passwordEnv: 'NOT_THERE_AT_ALL' },
    topics: { 'ai.anomaly.v1': 'x', [TOPICS.policy]: TOPICS.evidence },
  });
  expect(found).toEqual([
    expect.stringMatching(/bus\.config\.topics\.ai\.anomaly\.v1: no such topic; did you mean/),
    expect.stringMatching(/ai\.policy\.v1: ai\.evidence\.v1 is the name of ai\.evidence\.v1/),
    'bus.config.tls.ca: /nowhere/ca.pem cannot be read (ENOENT)',
    expect.stringMatching(/bus\.config\.sasl: the variable NOT_THERE_AT_ALL is empty/),
  ]);
  expect(await problems(bus)).toEqual([]);
  expect(await problems({ ...bus, brokers: ['b'] })).toEqual([
    'bus.config.brokers.0: expected host:port, got "b"',
  ]);
  expect(await problems({ ...bus, tls: { cert: 'c.pem' } })).toEqual([
    expect.stringMatching(/bus\.config\.tls: cert and key go together/),
  ]);
});
