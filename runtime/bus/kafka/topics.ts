/** The topics that the bus needs: made with stated settings, or named with what to do when they are missing. */
import { KafkaRefusal, kafkaTypeOf, lacking, TOPIC_DENIED } from './faults.ts';
import type { Link } from './link.ts';
import type { KafkaSettings, NewTopics } from './settings.ts';
import { pause } from './waiting.ts';

const TOPIC_RESOURCE = 2;
const CREATE_MS = 10_000;
const LEADERS_MS = 10_000;
const LOOK_MS = 100;
/** Room for the header of a batch of one record, above the record itself. */
const BATCH_HEADER_BYTES = 1024;

/** With one copy of three a record that was confirmed could be lost with its broker. */
const inSyncOf = ({ replication, inSyncMin = replication > 2 ? 2 : 1 }: NewTopics): number =>
  inSyncMin;

/** The settings of a topic that we make; the rest is the broker's default. */
const configOf = (create: NewTopics, recordBytesMax: number) =>
  Object.entries({
    'cleanup.policy': 'delete',
    'retention.ms': String(create.retentionMs),
    'min.insync.replicas': String(inSyncOf(create)),
    'max.message.bytes': String(recordBytesMax + BATCH_HEADER_BYTES),
    'message.timestamp.type': 'LogAppendTime',
    'compression.type': 'uncompressed',
  }).map(([name, value]) => ({ name, value }));

/** Those that are not there. Rejects with the names of all that our user may not see. */
const missingOf = async (link: Link, topics: readonly string[]): Promise<string[]> => {
  const missing: string[] = [];
  const denied: string[] = [];
  for (const topic of topics) {
    link.doubt(topic);
    try {
      await link.place(topic);
    } catch (error) {
      const type = kafkaTypeOf(error);
      if (type === 'UNKNOWN_TOPIC_OR_PARTITION') missing.push(topic);
      else if (type === TOPIC_DENIED) denied.push(topic);
      else throw error;
    }
  }
  if (denied.length > 0) throw deniedTopics(denied, TOPIC_DENIED);
  return missing;
};

const deniedTopics = (topics: readonly string[], type: string, cause?: unknown): KafkaRefusal => {
  const many = topics.length > 1 ? 's' : '';
  return new KafkaRefusal(lacking(`the topic${many} ${topics.join(', ')}`, type), cause);
};

const refuseMissing = (missing: readonly string[], { recordBytesMax }: KafkaSettings): never => {
  const many = missing.length > 1;
  throw new KafkaRefusal({
    permanent: true,
    reason: `the topic${many ? 's' : ''} ${missing.join(', ')} ${many ? 'are' : 'is'} missing on the broker`,
    remedy: `make ${many ? 'them' : 'it'} (cleanup.policy=delete, max.message.bytes=${recordBytesMax + BATCH_HEADER_BYTES}), give bus.create, or name what is there in bus.topics`,
  });
};

/** A new topic has its leaders a moment later. */
const awaitLeaders = async (link: Link, topics: readonly string[], now: () => number) => {
  const untilMs = now() + LEADERS_MS;
  for (const topic of topics) {
    for (;;) {
      link.doubt(topic);
      try {
        await link.place(topic);
        break;
      } catch (error) {
        if (now() >= untilMs) throw error;
        await pause(LOOK_MS);
      }
    }
  }
};

const make = async (
  link: Link,
  settings: KafkaSettings,
  create: NewTopics,
  missing: readonly string[],
): Promise<void> => {
  const controller = await link.controller();
  try {
    await controller.createTopics({
      topics: missing.map((topic) => ({
        topic,
        numPartitions: create.partitions,
        replicationFactor: create.replication,
        configEntries: configOf(create, settings.recordBytesMax),
      })),
      timeout: CREATE_MS,
    });
  } catch (error) {
    const type = kafkaTypeOf(error);
    if (/AUTHORIZATION_FAILED/.test(type)) throw deniedTopics(missing, type, error);
    // Another node of ours was quicker.
    if (type !== 'TOPIC_ALREADY_EXISTS') throw error;
  }
  await awaitLeaders(link, missing, settings.now);
  settings.say('info', `made ${missing.length} topics`, { topics: missing, ...create });
};

/** What was there before us may be set otherwise: said, not changed. */
const inspect = async (link: Link, { topics, recordBytesMax, say }: KafkaSettings) => {
  const configNames = ['max.message.bytes', 'cleanup.policy'];
  const broker = await link.any();
  const { resources } = await broker.describeConfigs({
    resources: topics.map((name) => ({ type: TOPIC_RESOURCE, name, configNames })),
  });
  for (const { resourceName: topic, configEntries } of resources) {
    const settingOf = (name: string): string | undefined =>
      configEntries.find((one) => one.configName === name)?.configValue;
    const bytesMax = Number(settingOf('max.message.bytes') ?? Number.POSITIVE_INFINITY);
    if (bytesMax < recordBytesMax + BATCH_HEADER_BYTES) {
      const wanted = `set max.message.bytes=${recordBytesMax + BATCH_HEADER_BYTES} on it`;
      say('warn', `${topic} refuses the largest messages`, { bytesMax, remedy: wanted });
    }
    if (settingOf('cleanup.policy')?.includes('compact') === true) {
      const remedy = 'set cleanup.policy=delete on it';
      say('warn', `${topic} forgets all but the newest message of a key`, { remedy });
    }
  }
};

/** Every topic is there when this resolves. Rejects with a KafkaRefusal where some are missing and not to be made. */
export const prepareTopics = async (link: Link, settings: KafkaSettings): Promise<void> => {
  const missing = await missingOf(link, settings.topics);
  if (missing.length > 0) {
    if (settings.create === undefined) refuseMissing(missing, settings);
    else await make(link, settings, settings.create, missing);
  }
  try {
    await inspect(link, settings);
  } catch (error) {
    // Who may not see configurations, or meets a broker that has none to show, can still publish and read.
    if (!/AUTHORIZATION_FAILED|ServerDoesNotSupportApiKey/.test(`${kafkaTypeOf(error)} ${error}`)) {
      throw error;
    }
  }
};
