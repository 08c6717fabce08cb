/**
 * An idempotent producer with acks=all. One batch a partition is in flight; it is sent again with the same sequence
 * until the broker has answered, so nothing is appended twice, and order within a partition holds.
 *
 * A publisher hears `unavailable` after `deliveryMs`. Where its record may have been written by then, the record stays
 * in flight, and the same bytes published again take its place instead of being written a second time.
 *
 * Bound: QUEUE_BYTES_MAX over all partitions; above it publishers hear `unavailable` at once.
 */
import { unreachable } from '#proto/result.ts';
import { type Publish, type PublishOutcome, partitionOf } from '../driver.ts';
import { kafkaTypeOf } from './faults.ts';
import { CONNECTION, type Health } from './health.ts';
import {
  type Batch,
  doubt,
  doubtedOf,
  type Entry,
  type Lane,
  laneOf,
  nextBatch,
  type ProducerId,
  renew,
  settleBatch,
  sizeOf,
  takeBack,
} from './lane.ts';
import type { Link } from './link.ts';
import type { KafkaSettings } from './settings.ts';
import { pause, within } from './waiting.ts';

export type Producer = {
  readonly publish: (batch: readonly Publish[]) => Promise<readonly PublishOutcome[]>;
  readonly close: () => Promise<void>;
};

const QUEUE_BYTES_MAX = 32 << 20;
const CLOSE_MS = 2000;
const RETRY_FIRST_MS = 20;
const RETRY_LAST_MS = 1000;

/** What an error says of the batch that met it. */
type Verdict = 'again' | 'landed' | 'too-large' | 'lost-identity';

const verdictOf = (error: unknown): Verdict => {
  switch (kafkaTypeOf(error)) {
    case 'DUPLICATE_SEQUENCE_NUMBER':
      return 'landed';
    case 'MESSAGE_TOO_LARGE':
    case 'RECORD_LIST_TOO_LARGE':
      return 'too-large';
    case 'OUT_OF_ORDER_SEQUENCE_NUMBER':
    case 'UNKNOWN_PRODUCER_ID':
    case 'INVALID_PRODUCER_EPOCH':
    case 'INVALID_PRODUCER_ID_MAPPING':
      return 'lost-identity';
    default:
      return 'again';
  }
};

/** A topic that can be read may refuse records all the same. */
const publishingTo = (topic: string): string => `publishing to ${topic}`;

/** Offset of a record that is there, but the broker no longer says where. */
const SOMEWHERE = -1;

type Desk = {
  readonly link: Link;
  readonly settings: KafkaSettings;
  readonly health: Health;
  readonly lanes: Map<string, Lane>;
  /** Records of topics whose partitions are not known yet, in order. */
  readonly unplaced: Map<string, Entry[]>;
  identity: Promise<ProducerId> | undefined;
  queuedBytes: number;
  closed: boolean;
};

const identify = (desk: Desk): Promise<ProducerId> => {
  desk.identity ??= desk.link
    .any()
    .then((broker) => broker.initProducerId({ transactionalId: null, transactionTimeout: 60_000 }))
    .then(({ producerId, producerEpoch }) => ({ producerId, producerEpoch }))
    .catch((error) => {
      desk.identity = undefined;
      throw error;
    });
  return desk.identity;
};

const buffer = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Resolves with the offset of the batch's first record. */
const send = async (desk: Desk, lane: Lane, batch: Batch): Promise<number> => {
  const { topic, partition } = lane;
  const leaders = await desk.link.place(topic);
  const leader = await desk.link.node(leaders[partition] ?? -1, 0);
  const messages = batch.entries.map(({ message: { key, value, headers } }) => ({
    key: Buffer.from(key),
    value: buffer(value),
    headers,
  }));
  batch.sent = true;
  const answer = await leader.produce({
    topicData: [{ topic, partitions: [{ partition, firstSequence: batch.sequence, messages }] }],
    acks: -1,
    timeout: desk.settings.requestMs,
    ...batch.producer,
  });
  return Number(answer.topics[0]!.partitions[0]!.baseOffset);
};

const split = (lane: Lane, batch: Batch): void => {
  lane.alone += batch.entries.length;
  takeBack(lane, batch);
};

const failed = async (desk: Desk, lane: Lane, batch: Batch, error: unknown): Promise<void> => {
  const { topic } = lane;
  const verdict = verdictOf(error);
  switch (verdict) {
    case 'landed':
      return settleBatch(lane, batch, SOMEWHERE, { outcome: 'unavailable' });
    case 'too-large':
      if (batch.entries.length > 1) return split(lane, batch);
      return settleBatch(lane, batch, undefined, { outcome: 'too-large' });
    case 'lost-identity': {
      desk.settings.say('warn', `the broker forgot our producer: ${topic} may hold repeats`, {
        partition: lane.partition,
        reason: kafkaTypeOf(error),
      });
      desk.identity = undefined;
      return renew(lane, batch, await identify(desk));
    }
    case 'again':
      desk.link.blame(topic, error);
      desk.health.failed(kafkaTypeOf(error) === '' ? CONNECTION : publishingTo(topic), error);
      if (!batch.sent) takeBack(lane, batch);
      return;
    default:
      return unreachable(verdict);
  }
};

/** One step of a lane: true when it went well. */
const attempt = async (desk: Desk, lane: Lane): Promise<boolean> => {
  try {
    // A queue that empties while we wait for an identity leaves nothing to do.
    const producer = lane.flight === undefined ? await identify(desk) : undefined;
    if (producer !== undefined) {
      lane.flight = nextBatch(lane, producer, desk.settings.recordBytesMax);
    }
  } catch (error) {
    desk.health.failed(CONNECTION, error);
    return false;
  }
  const batch = lane.flight;
  if (batch === undefined) return true;
  try {
    const offset = await send(desk, lane, batch);
    settleBatch(lane, batch, offset, { outcome: 'unavailable' });
    desk.health.worked(CONNECTION);
    desk.health.worked(publishingTo(lane.topic));
    return true;
  } catch (error) {
    try {
      await failed(desk, lane, batch, error);
    } catch (second) {
      desk.health.failed(CONNECTION, second);
    }
    return false;
  }
};

const run = async (desk: Desk, lane: Lane): Promise<void> => {
  if (lane.running) return;
  lane.running = true;
  let failures = 0;
  while (!desk.closed && (lane.flight !== undefined || lane.queue.length > 0)) {
    const worked = await attempt(desk, lane);
    failures = worked ? 0 : failures + 1;
    if (!worked) await pause(Math.min(RETRY_FIRST_MS * 2 ** failures, RETRY_LAST_MS));
  }
  lane.running = false;
};

const laneAt = (desk: Desk, topic: string, partition: number): Lane => {
  const name = `${topic} ${partition}`;
  const lane = desk.lanes.get(name) ?? laneOf(topic, partition);
  desk.lanes.set(name, lane);
  return lane;
};

/** To its partition, or to the record that it repeats. */
const place = (desk: Desk, entry: Entry, partitions: number): void => {
  const { message } = entry;
  const lane = laneAt(desk, message.topic, partitionOf(message.key, partitions));
  const same = doubtedOf(lane, message);
  if (same === undefined) {
    lane.queue.push(entry);
  } else if (same.landedAt === undefined) {
    same.settle = entry.settle;
  } else {
    const { partition } = lane;
    entry.settle?.({ outcome: 'ok', partition, offset: same.landedAt });
    return;
  }
  void run(desk, lane);
};

/** Finds out how many partitions the topic has, for as long as somebody waits for it. */
const findPlace = async (desk: Desk, topic: string): Promise<void> => {
  for (let failures = 0; !desk.closed && desk.unplaced.get(topic)!.length > 0; failures++) {
    try {
      const leaders = await desk.link.place(topic);
      for (const entry of desk.unplaced.get(topic)!) place(desk, entry, leaders.length);
      break;
    } catch (error) {
      desk.health.failed(kafkaTypeOf(error) === '' ? CONNECTION : publishingTo(topic), error);
      await pause(Math.min(RETRY_FIRST_MS * 2 ** failures, RETRY_LAST_MS));
    }
  }
  desk.unplaced.delete(topic);
};

type Settle = NonNullable<Entry['settle']>;

/** A publisher's time is over. Its record may by now be another entry: the one that it repeats. */
const giveUp = (desk: Desk, settle: Settle): void => {
  for (const lane of desk.lanes.values()) {
    const flying = lane.flight?.entries.find((one) => one.settle === settle);
    if (flying !== undefined) {
      flying.settle = undefined;
      doubt(lane, flying);
    }
    lane.queue = lane.queue.filter((one) => one.settle !== settle);
  }
  for (const [topic, entries] of desk.unplaced) {
    desk.unplaced.set(
      topic,
      entries.filter((one) => one.settle !== settle),
    );
  }
  settle({ outcome: 'unavailable' });
};

const accept = (desk: Desk, message: Publish): Promise<PublishOutcome> => {
  const { settings } = desk;
  if (!settings.topics.includes(message.topic))
    return Promise.resolve({ outcome: 'unknown-topic' });
  const bytes = sizeOf(message);
  if (bytes > settings.recordBytesMax) return Promise.resolve({ outcome: 'too-large' });
  if (desk.closed || desk.queuedBytes + bytes > QUEUE_BYTES_MAX) {
    return Promise.resolve({ outcome: 'unavailable' });
  }
  return new Promise((resolve) => {
    const timer = setTimeout(() => giveUp(desk, settle), settings.deliveryMs);
    const settle = (outcome: PublishOutcome): void => {
      clearTimeout(timer);
      desk.queuedBytes -= bytes;
      resolve(outcome);
    };
    desk.queuedBytes += bytes;
    const entry: Entry = { message, bytes, settle, landedAt: undefined };
    const waiting = desk.unplaced.get(message.topic);
    const partitions = desk.link.known(message.topic)?.length ?? 0;
    if (waiting !== undefined) waiting.push(entry);
    else if (partitions > 0) place(desk, entry, partitions);
    else {
      desk.unplaced.set(message.topic, [entry]);
      void findPlace(desk, message.topic);
    }
  });
};

const entriesOf = (desk: Desk): Entry[] => [
  ...[...desk.lanes.values()].flatMap((lane) => [...(lane.flight?.entries ?? []), ...lane.queue]),
  ...[...desk.unplaced.values()].flat(),
];

export const openProducer = (link: Link, settings: KafkaSettings, health: Health): Producer => {
  const desk: Desk = {
    link,
    settings,
    health,
    lanes: new Map(),
    unplaced: new Map(),
    identity: undefined,
    queuedBytes: 0,
    closed: false,
  };
  return {
    publish: (batch) => Promise.all(batch.map((message) => accept(desk, message))),
    close: async () => {
      const idle = async (): Promise<void> => {
        while (entriesOf(desk).length > 0) await pause(RETRY_FIRST_MS);
      };
      try {
        await within(CLOSE_MS, 'Kafka', idle());
      } catch {
        settings.say('warn', 'closing with records that no broker has confirmed', {
          records: entriesOf(desk).length,
        });
      }
      desk.closed = true;
      for (const { settle } of entriesOf(desk)) if (settle !== undefined) giveUp(desk, settle);
    },
  };
};
