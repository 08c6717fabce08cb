/**
 * The bus over Kafka. kafkajs gives the connections, the requests and their encoding; positions, batches, sequences and
 * deadlines are ours, so that the contract is the one of the embedded bus.
 *
 * While no broker answers, publishing and fetching say `unavailable`; the reason is logged once with what to do, and all
 * goes on by itself afterwards. What waiting cannot mend (a password, a certificate, a right, missing topics that are not
 * to be made) ends the opening with a KafkaRefusal.
 */
import type { Bus, FetchOutcome } from '../driver.ts';
import { faultOf, KafkaRefusal, kafkaTypeOf } from './faults.ts';
import { CONNECTION, type Health, openHealth } from './health.ts';
import { type Link, openLink } from './link.ts';
import { type Marks, openMarks } from './marks.ts';
import { LATEST, offsetsOf } from './offsets.ts';
import { openProducer } from './producer.ts';
import { openReader } from './reader.ts';
import type { KafkaSettings } from './settings.ts';
import { prepareTopics } from './topics.ts';
import { pause, within } from './waiting.ts';
import { openWatch } from './watch.ts';

const OPEN_MS = 15_000;
/** Consumers ask with two seconds to spare. */
const ANSWER_MS = 1500;
const AGAIN_MS = 50;
const PREPARE_AGAIN_MS = 1000;

/** Looks for the topics until they are there; the first try decides what cannot be mended by waiting. */
const prepare = async (
  link: Link,
  settings: KafkaSettings,
  health: Health,
  isClosed: () => boolean,
): Promise<void> => {
  const again = async (): Promise<void> => {
    while (!isClosed()) {
      await pause(PREPARE_AGAIN_MS);
      if (isClosed()) return;
      try {
        await prepareTopics(link, settings);
        health.worked(CONNECTION);
        return;
      } catch (error) {
        if (!isClosed()) health.failed(CONNECTION, error);
      }
    }
  };
  try {
    await within(OPEN_MS, settings.brokers.join(', '), prepareTopics(link, settings));
  } catch (error) {
    const fault = faultOf(error);
    if (fault.permanent) throw new KafkaRefusal(fault);
    health.failed(CONNECTION, error, true);
    void again();
  }
};

type Desk = {
  readonly settings: KafkaSettings;
  readonly health: Health;
  readonly link: Link;
  readonly marks: Marks;
  closed: boolean;
};

/** A leader or coordinator that has just changed is asked again, for as long as there is time to answer. */
const answered = async <T>(
  desk: Desk,
  topic: string,
  ask: (leftMs: number) => Promise<T>,
): Promise<T> => {
  const { settings, health, link } = desk;
  const untilMs = settings.now() + ANSWER_MS;
  for (;;) {
    const leftMs = Math.max(1, untilMs - settings.now());
    try {
      const answer = await within(leftMs, settings.brokers.join(', '), ask(leftMs));
      health.worked(CONNECTION);
      health.worked(topic);
      return answer;
    } catch (error) {
      link.blame(topic, error);
      const isConnection = kafkaTypeOf(error) === '';
      if (!desk.closed) health.failed(isConnection ? CONNECTION : topic, error);
      if (desk.closed || isConnection || settings.now() + AGAIN_MS > untilMs) throw error;
      await pause(AGAIN_MS);
    }
  }
};

/** The positions to read from: the consumer's own, or the group's mark. */
const beginAt = async (
  { link, marks }: Desk,
  topic: string,
  group: string,
  positions: readonly number[],
): Promise<readonly number[]> => {
  const partitions = (await link.place(topic)).length;
  if (positions.length === partitions) return positions;
  const begin = await marks.begin(topic, group);
  // The topic has got more partitions: what is known of the others stays.
  return positions.length < partitions
    ? begin.map((mark, partition) => positions[partition] ?? mark)
    : begin;
};

/** A link that has heard of every topic, or will by itself. */
const openLinks = async (settings: KafkaSettings, health: Health, isClosed: () => boolean) => {
  const [link, watchLink] = [openLink(settings), openLink(settings)];
  try {
    await prepare(link, settings, health, isClosed);
    return { link, watchLink };
  } catch (error) {
    await Promise.all([link.close(), watchLink.close()]);
    throw error;
  }
};

export const openKafka = async (settings: KafkaSettings): Promise<Bus> => {
  const health = openHealth(settings.say, settings.now);
  let closed = false;
  const { link, watchLink } = await openLinks(settings, health, () => closed);
  const producer = openProducer(link, settings, health);
  const reader = openReader(link, settings);
  const marks = openMarks(link, settings, health);
  const watch = openWatch(watchLink, settings, health);
  const desk: Desk = { settings, health, link, marks, closed: false };
  return {
    publish: producer.publish,
    fetch: async (topic, group, positions, recordsMax) => {
      if (!settings.topics.includes(topic)) return { outcome: 'unknown-topic' };
      watch.add(topic);
      try {
        return await answered(desk, topic, async (leftMs): Promise<FetchOutcome> => {
          const from = await beginAt(desk, topic, group, positions);
          return { outcome: 'ok', ...(await reader.fetch(topic, group, from, recordsMax, leftMs)) };
        });
      } catch {
        return { outcome: 'unavailable' }; // it has been said why
      }
    },
    commit: async (topic, group, positions) => {
      if (settings.topics.includes(topic)) marks.commit(topic, group, positions);
    },
    ends: async (topic, group) => {
      if (!settings.topics.includes(topic)) return { ends: [], committed: [] };
      const [ends, committed] = await answered(desk, topic, () =>
        Promise.all([offsetsOf(link, topic, LATEST), marks.begin(topic, group)]),
      );
      return { ends, committed };
    },
    close: async () => {
      await producer.close();
      await marks.close();
      closed = true;
      desk.closed = true;
      await watch.close();
      await link.close();
    },
  };
};
