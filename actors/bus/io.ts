/** The driver's commands; publishes that arrive together are appended in one transaction. */
import { join } from 'node:path';
import { TOPICS } from '#proto/wire/topics.ts';
import type { Io, IoPort } from '#runtime/actor.ts';
import type { Publish } from '#runtime/bus/driver.ts';
import { openEmbedded } from '#runtime/bus/embedded.ts';
import type { BusConfig } from './config.ts';
import type { Commands, Self } from './core.ts';

const BATCH_MAX = 512;

const headersOf = (text: string): { readonly [name: string]: string } =>
  text === '' ? {} : JSON.parse(text);

const deliver = (port: IoPort<Self>, message: Self): void => {
  // The bound of the actor's own mailbox is far above the open questions: this cannot happen in a sound system.
  if (!port.deliver(message)) throw new Error('the mailbox of the bus is full of its own results');
};

export const io: Io<BusConfig, Self, Commands> = (config, port) => {
  const renamed = (topic: string): string => config.topics[topic] ?? topic;
  const driver = openEmbedded({
    file: join(port.dataDir, 'bus.sqlite'),
    topics: Object.values(TOPICS).map(renamed),
    partitions: config.partitions,
    recordBytesMax: config.recordBytesMax,
    topicBytesMax: config.topicBytesMax,
    now: port.now,
    failed: (reason) => port.log('error', 'the bus cannot write: publishers wait', { reason }),
  });
  let batch: Commands['publish'][] = [];

  const flush = async (): Promise<void> => {
    const messages = batch;
    batch = [];
    const publishes: Publish[] = messages.map(({ topic, key, value, headers }) => ({
      topic: renamed(topic),
      key,
      value,
      headers: headersOf(headers),
    }));
    const outcomes = await driver.publish(publishes);
    for (const [k, { topic, replyTo }] of messages.entries()) {
      deliver(port, { kind: 'published', topic, replyTo, outcome: outcomes[k]! });
    }
  };

  let flushing: Promise<void> | undefined;
  const flushAll = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    while (batch.length > 0) await flush();
    flushing = undefined;
  };

  return {
    commands: {
      publish: (message) => {
        batch.push(message);
        if (batch.length >= BATCH_MAX) return flush();
        flushing ??= flushAll();
        return flushing;
      },
      fetch: async (poll) => {
        const { topic, group, positions, maxRecords } = poll;
        const outcome = await driver.fetch(renamed(topic), group, positions, maxRecords);
        deliver(port, { kind: 'fetched', poll, outcome });
      },
      commit: ({ topic, group, positions }) => driver.commit(renamed(topic), group, positions),
      ends: async ({ topic, group, replyTo }) => {
        deliver(port, { kind: 'endsRead', replyTo, ...(await driver.ends(renamed(topic), group)) });
      },
    },
    close: async () => {
      await flushing;
      await driver.close();
    },
  };
};
