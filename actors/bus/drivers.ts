/** Opens what stands behind the bus, as its settings say. */
import { readFileSync } from 'node:fs';
import { TOPICS } from '#proto/wire/topics.ts';
import type { Bus } from '#runtime/bus/driver.ts';
import { openEmbedded } from '#runtime/bus/embedded.ts';
import type { KafkaSettings, Sasl, Say, Tls } from '#runtime/bus/kafka/settings.ts';
import type { BusConfig, EmbeddedConfig, KafkaConfig } from './config.ts';

/** The file of the embedded bus within the folder of its actor. */
export const EMBEDDED_FILE = 'bus.sqlite';

/** What a driver needs of its surroundings. Topics have their names on the broker here. */
export type Surroundings = {
  /** Absolute path of the embedded log. */
  readonly file: string;
  readonly now: () => number;
  readonly say: Say;
  readonly appended: (topic: string) => void;
  readonly lag: (topic: string, group: string, records: number) => void;
};

export const renamed = (config: BusConfig, topic: string): string => config.topics[topic] ?? topic;

const names = (config: BusConfig): string[] =>
  Object.values(TOPICS).map((topic) => renamed(config, topic));

const readText = (setting: string, file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (fault) {
    const { code } = fault as NodeJS.ErrnoException;
    throw new Error(`bus.${setting}: ${file} cannot be read (${code})`, { cause: fault });
  }
};

const tlsOf = (config: KafkaConfig): Tls | undefined => {
  if (config.tls === undefined) return undefined;
  const { ca, cert, key, servername } = config.tls;
  return {
    ...(ca === undefined ? {} : { ca: readText('tls.ca', ca) }),
    ...(cert === undefined ? {} : { cert: readText('tls.cert', cert) }),
    ...(key === undefined ? {} : { key: readText('tls.key', key) }),
    ...(servername === undefined ? {} : { servername }),
  };
};

/** The password comes from a file or a variable, never from the topology. */
const saslOf = (config: KafkaConfig, env: NodeJS.ProcessEnv): Sasl | undefined => {
  if (config.sasl === undefined) return undefined;
  const { mechanism, username, passwordFile, passwordEnv } = config.sasl;
  const password =
    passwordFile === undefined
      ? (env[passwordEnv] ?? '')
      : readText('sasl.passwordFile', passwordFile).replace(/\r?\n$/, '');
  if (password === '') {
    const where =
      passwordFile === undefined ? `the variable ${passwordEnv} is` : `${passwordFile} is`;
    throw new Error(`bus.sasl: ${where} empty; give the password of ${username} there`);
  }
  return { mechanism, username, password };
};

export const kafkaSettings = (
  config: KafkaConfig,
  { now, say, appended, lag }: Surroundings,
  env: NodeJS.ProcessEnv,
): KafkaSettings => ({
  brokers: config.brokers,
  clientId: config.clientId,
  tls: tlsOf(config),
  sasl: saslOf(config, env),
  topics: names(config),
  create: config.create,
  groupPrefix: config.groupPrefix,
  recordBytesMax: config.recordBytesMax,
  deliveryMs: config.deliveryMs,
  requestMs: config.requestMs,
  ...{ now, say, appended, lag },
});

const embedded = (config: EmbeddedConfig, { file, now, say }: Surroundings): Bus =>
  openEmbedded({
    file,
    topics: names(config),
    partitions: config.partitions,
    recordBytesMax: config.recordBytesMax,
    topicBytesMax: config.topicBytesMax,
    now,
    failed: (reason) => say('error', `the bus cannot write, publishers wait: ${reason}`),
    recovered: () => say('info', 'the bus writes again'),
  });

/** Loaded by those whose bus it is. */
const kafka = async (settings: KafkaSettings): Promise<Bus> =>
  (await import('#runtime/bus/kafka/driver.ts')).openKafka(settings);

/** Rejects with a sentence when waiting would not help. */
export const openDriver = async (
  config: BusConfig,
  surroundings: Surroundings,
  env: NodeJS.ProcessEnv,
): Promise<Bus> =>
  config.driver === 'kafka'
    ? kafka(kafkaSettings(config, surroundings, env))
    : embedded(config, surroundings);
