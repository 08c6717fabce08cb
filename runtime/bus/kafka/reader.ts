/**
 * Records for consumers that own their positions: plain fetch requests, no membership in a group, so nothing is ever
 * rebalanced. One request brings about FETCH_BYTES for all partitions; what a consumer did not ask for yet waits here
 * for its next question, at most that much a topic and group.
 */
import type { FetchedMessage, FetchedPartition } from 'kafkajs/src/broker/index.js';
import filterAbortedMessages from 'kafkajs/src/consumer/filterAbortedMessages.js';
import type { BusRecord } from '../record.ts';
import { kafkaTypeOf } from './faults.ts';
import type { Link } from './link.ts';
import { byLeader, EARLIEST, LATEST, offsetsOf, READ_COMMITTED } from './offsets.ts';
import type { KafkaSettings } from './settings.ts';
import { within } from './waiting.ts';

export const FETCH_BYTES = 1 << 20;

/** What a request brought: `after` is the next offset of each partition, `ends` its high-water mark. */
export type Page = {
  readonly records: readonly BusRecord[];
  readonly after: readonly number[];
  readonly ends: readonly number[];
};

type Shelf = {
  /** The positions that the waiting records continue. */
  readonly next: readonly number[];
  readonly page: Page;
};

const decoder = new TextDecoder();
const EMPTY = new Uint8Array(0);

const headersOf = (headers: FetchedMessage['headers']): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => {
      const last = Array.isArray(value) ? value.at(-1) : value;
      return [name, last === null || last === undefined ? '' : decoder.decode(last)];
    }),
  );

const recordOf = (partition: number, message: FetchedMessage): BusRecord => ({
  partition,
  offset: Number(message.offset),
  timestampMs: Number(message.timestamp),
  key: message.key === null ? '' : decoder.decode(message.key),
  value: message.value ?? EMPTY,
  headers: headersOf(message.headers),
});

/** A batch comes whole, so its first records may lie before what was asked for. */
const openPartition = (found: FetchedPartition, from: number) => {
  const { partition, messages, abortedTransactions } = found;
  const wanted = messages.filter((one) => Number(one.offset) >= from);
  const kept = filterAbortedMessages({ messages: wanted, abortedTransactions });
  const records = kept.filter((one) => !one.isControlRecord).map((one) => recordOf(partition, one));
  const last = wanted.at(-1);
  // Compaction can leave a batch whose remaining records all lie before: one step on.
  const stepped = messages.length > 0 ? from + 1 : from;
  return { records, after: last === undefined ? stepped : Number(last.offset) + 1 };
};

const request = async (
  link: Link,
  topic: string,
  positions: readonly number[],
  only: readonly number[],
): Promise<readonly FetchedPartition[]> => {
  const leaders = await link.place(topic);
  const maxBytes = Math.ceil(FETCH_BYTES / Math.max(1, leaders.length));
  const answers = [...byLeader(leaders)].map(async ([nodeId, all]) => {
    const partitions = all.filter((partition) => only.includes(partition));
    if (partitions.length === 0) return [];
    const broker = await link.node(nodeId, 1);
    const { responses } = await broker.fetch({
      isolationLevel: READ_COMMITTED,
      maxWaitTime: 0,
      minBytes: 1,
      maxBytes: FETCH_BYTES,
      topics: [
        {
          topic,
          partitions: partitions.map((partition) => ({
            partition,
            fetchOffset: String(positions[partition]),
            maxBytes,
          })),
        },
      ],
    });
    return responses.flatMap((one) => one.partitions);
  });
  return (await Promise.all(answers)).flat();
};

const read = async (link: Link, topic: string, positions: readonly number[]): Promise<Page> => {
  const found = await request(link, topic, positions, [...positions.keys()]);
  const after = [...positions];
  const ends = [...positions];
  const records: BusRecord[] = [];
  for (const one of found.toSorted((a, b) => a.partition - b.partition)) {
    const opened = openPartition(one, positions[one.partition]!);
    after[one.partition] = opened.after;
    ends[one.partition] = Math.max(Number(one.highWatermark), opened.after);
    records.push(...opened.records);
  }
  return { records, after, ends };
};

/** Positions that the topic no longer has, or does not have yet, become its beginning: said, never silent. */
const mended = async (
  link: Link,
  settings: KafkaSettings,
  topic: string,
  group: string,
  positions: readonly number[],
): Promise<readonly number[]> => {
  const first = await offsetsOf(link, topic, EARLIEST);
  const end = await offsetsOf(link, topic, LATEST);
  return positions.map((position, partition) => {
    const begin = first[partition] ?? 0;
    if (position >= begin && position <= (end[partition] ?? 0)) return position;
    const lost = position < begin;
    settings.say(
      'error',
      lost
        ? `${topic} dropped records that ${group} had not read`
        : `${topic} is shorter than what ${group} has read: it was made anew`,
      {
        partition,
        position,
        begin,
        ...(lost ? { records: begin - position } : {}),
        remedy: lost ? 'raise retention.ms of the topic' : 'it is read again from its beginning',
      },
    );
    return begin;
  });
};

const sameAs = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((one, k) => one === b[k]);

/** The first `recordsMax` of a page and what remains of it. */
const served = (page: Page, next: readonly number[], recordsMax: number) => {
  const records = page.records.slice(0, recordsMax);
  const rest = page.records.slice(recordsMax);
  const positions = [...page.after];
  for (const [partition] of positions.entries()) {
    if (!rest.some((one) => one.partition === partition)) continue;
    const last = records.findLast((one) => one.partition === partition);
    positions[partition] = last === undefined ? next[partition]! : last.offset + 1;
  }
  return { records, positions, rest: { ...page, records: rest } };
};

export type Reader = {
  readonly fetch: (
    topic: string,
    group: string,
    positions: readonly number[],
    recordsMax: number,
    waitMs: number,
  ) => Promise<{ readonly records: readonly BusRecord[]; readonly positions: readonly number[] }>;
};

export const openReader = (link: Link, settings: KafkaSettings): Reader => {
  const shelves = new Map<string, Shelf>();
  // A consumer that gave up on a slow broker asks the same again: it gets the answer to its first question, be it on
  // its way still or on the shelf.
  const asked = new Map<string, { next: readonly number[]; page: Promise<Page> }>();

  const turn = async (topic: string, group: string, from: readonly number[]): Promise<Page> => {
    try {
      return await read(link, topic, from);
    } catch (error) {
      link.blame(topic, error);
      if (kafkaTypeOf(error) !== 'OFFSET_OUT_OF_RANGE') throw error;
      return read(link, topic, await mended(link, settings, topic, group, from));
    }
  };
  const pageOf = (topic: string, group: string, from: readonly number[]): Promise<Page> => {
    const name = `${topic} ${group}`;
    const shelf = shelves.get(name);
    if (shelf !== undefined && sameAs(shelf.next, from)) return Promise.resolve(shelf.page);
    const open = asked.get(name);
    if (open !== undefined && sameAs(open.next, from)) return open.page;
    const page = turn(topic, group, from)
      .then((found) => {
        shelves.set(name, { next: from, page: found });
        return found;
      })
      .finally(() => asked.delete(name));
    asked.set(name, { next: from, page });
    return page;
  };
  return {
    fetch: async (topic, group, positions, recordsMax, waitMs) => {
      const name = `${topic} ${group}`;
      const page = await within(waitMs, 'the broker', pageOf(topic, group, positions));
      const { records, positions: next, rest } = served(page, positions, recordsMax);
      if (rest.records.length > 0) shelves.set(name, { next, page: rest });
      else shelves.delete(name);
      const behind = page.ends.reduce((sum, end, part) => sum + Math.max(0, end - next[part]!), 0);
      settings.lag(topic, group, behind);
      return { records, positions: next };
    },
  };
};
