/**
 * The driver's commands. Publishes that arrive together go to the embedded log in one transaction; Kafka gets each at
 * once and makes batches by partition itself, so that one slow partition delays no other.
 */
import { join } from 'node:path';
import type { Io, IoPort } from '#runtime/actor.ts';
import type { Bus, Publish } from '#runtime/bus/driver.ts';
import type { BusConfig } from './config.ts';
import type { Commands, Self } from './core.ts';
import { EMBEDDED_FILE, openDriver, renamed } from './drivers.ts';
import { lagGauges } from './lag.ts';
import { serveBus } from './local-access.ts';

const BATCH_MAX = 512;

/** With the trace of the step that published, unless the message brought one (a dead letter that is published again). */
const headersOf = (text: string, traceparent: string): { readonly [name: string]: string } => ({
  ...(traceparent === '' ? {} : { traceparent }),
  ...(text === '' ? {} : JSON.parse(text)),
});

const deliver = (port: IoPort<Self>, message: Self, traceparent?: string): void => {
  // The bound of the actor's own mailbox is far above the open questions: this cannot happen in a sound system.
  if (!port.deliver(message, traceparent))
    throw new Error('the mailbox of the bus is full of its own results');
};

/** Topics by the names that their consumers know. */
const canonicalNames = (config: BusConfig) => {
  const names = new Map(Object.entries(config.topics).map(([own, name]) => [name, own]));
  return (topic: string): string => names.get(topic) ?? topic;
};

/** Each keeps its own trace, whoever else is in its batch. */
type Traced = Commands['publish'] & { readonly traceparent: string };

/** Gathers what is published in one turn of the event loop; `settled` resolves when nothing is on its way. */
const publisher = (driver: Bus, config: BusConfig, port: IoPort<Self>) => {
  let batch: Traced[] = [];
  let gathering: Promise<void> | undefined;
  const open = new Set<Promise<void>>();

  const publish = async (messages: readonly Traced[]): Promise<void> => {
    const publishes: Publish[] = messages.map(({ topic, key, value, headers, traceparent }) => ({
      topic: renamed(config, topic),
      key,
      value,
      headers: headersOf(headers, traceparent),
    }));
    const outcomes = await driver.publish(publishes);
    for (const [k, { topic, replyTo, traceparent }] of messages.entries()) {
      deliver(port, { kind: 'published', topic, replyTo, outcome: outcomes[k]! }, traceparent);
    }
  };
  const flush = async (): Promise<void> => {
    const messages = batch;
    batch = [];
    const parts = config.driver === 'kafka' ? messages.map((one) => [one]) : [messages];
    await Promise.all(parts.map(publish));
  };
  const tracked = (work: Promise<void>): Promise<void> => {
    const one = work.finally(() => open.delete(one));
    open.add(one);
    return one;
  };
  const gather = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    gathering = undefined;
    await flush();
  };
  return {
    take: (message: Commands['publish']): Promise<void> => {
      batch.push({ ...message, traceparent: port.traceparent() });
      if (batch.length >= BATCH_MAX) return tracked(flush());
      gathering ??= tracked(gather());
      return gathering;
    },
    settled: () => Promise.allSettled(open),
  };
};

/** A hint: when it does not fit, the polls that wait end at their own time. */
const hinting = (config: BusConfig, port: IoPort<Self>) => {
  const canonical = canonicalNames(config);
  return (topic: string): void => void port.deliver({ kind: 'appended', topic: canonical(topic) });
};

const open = (config: BusConfig, port: IoPort<Self>): Promise<Bus> => {
  const canonical = canonicalNames(config);
  const lag = lagGauges(port.gauge);
  return openDriver(
    config,
    {
      file: join(port.dataDir, EMBEDDED_FILE),
      now: port.now,
      say: port.log,
      appended: hinting(config, port),
      lag: (topic, group, records) => lag(canonical(topic), group, records),
    },
    process.env,
  );
};

export const io: Io<BusConfig, Self, Commands> = async (config, port) => {
  const driver = await open(config, port);
  const { take, settled } = publisher(driver, config, port);
  const access =
    config.driver === 'embedded'
      ? await serveBus(port.node.dataDir, driver, hinting(config, port)).catch(async (fault) => {
          await driver.close();
          throw fault;
        })
      : undefined;
  return {
    commands: {
      publish: take,
      fetch: async (poll) => {
        const { topic, group, positions, maxRecords } = poll;
        const outcome = await driver.fetch(renamed(config, topic), group, positions, maxRecords);
        deliver(port, { kind: 'fetched', poll, outcome });
      },
      commit: ({ topic, group, positions }) =>
        driver.commit(renamed(config, topic), group, positions),
      ends: async ({ topic, group, replyTo }) => {
        try {
          const read = await driver.ends(renamed(config, topic), group);
          deliver(port, { kind: 'endsRead', replyTo, ...read });
        } catch {
          // The driver has said what is wrong; whoever asked meets its own deadline and asks again.
          port.emit('ends_failed', 1);
        }
      },
    },
    close: async () => {
      await access?.close();
      await settled();
      await driver.close();
    },
  };
};
