/**
 * Notices that topics have grown, whoever published: one long fetch a node, over connections of its own (a broker answers
 * one request of a connection after the other). It only looks at the ends; records are read by those who want them.
 */
import type { FetchedPartition } from 'kafkajs/src/broker/index.js';
import { kafkaTypeOf } from './faults.ts';
import { CONNECTION, type Health } from './health.ts';
import type { Link } from './link.ts';
import { LATEST, offsetsOf } from './offsets.ts';
import type { KafkaSettings } from './settings.ts';
import { pause } from './waiting.ts';

export type Watch = {
  /** From now on `appended` tells of this topic. */
  readonly add: (topic: string) => void;
  readonly close: () => Promise<void>;
};

const WAIT_MS = 500;
const IDLE_MS = 50;
const RETRY_FIRST_MS = 50;
const RETRY_LAST_MS = 2000;

type Ends = Map<string, number[]>;

const look = async (
  link: Link,
  nodeId: number,
  topics: readonly { topic: string; partitions: readonly number[] }[],
  ends: Ends,
): Promise<readonly (readonly [string, FetchedPartition])[]> => {
  const broker = await link.node(nodeId, 1);
  const { responses } = await broker.fetch({
    isolationLevel: 0,
    maxWaitTime: WAIT_MS,
    minBytes: 1,
    maxBytes: 1,
    topics: topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map((partition) => ({
        partition,
        fetchOffset: String(ends.get(topic)![partition]),
        maxBytes: 1,
      })),
    })),
  });
  return responses.flatMap(({ topicName, partitions }) =>
    partitions.map((one) => [topicName, one] as const),
  );
};

type Post = {
  readonly link: Link;
  readonly settings: KafkaSettings;
  readonly health: Health;
  readonly wanted: Set<string>;
  readonly ends: Ends;
  /** One loop a node. */
  readonly loops: Map<number, Promise<void>>;
  closed: boolean;
};

/** What a node leads of the watched topics. */
const ledBy = ({ link, ends }: Post, nodeId: number) =>
  [...ends].flatMap(([topic, known]) => {
    const leaders = link.known(topic) ?? [];
    const partitions = [...known.keys()].filter((one) => leaders[one] === nodeId);
    return partitions.length === 0 ? [] : [{ topic, partitions }];
  });

const note = (
  { ends, settings }: Post,
  found: readonly (readonly [string, FetchedPartition])[],
): void => {
  const grown = new Set<string>();
  for (const [topic, { partition, highWatermark }] of found) {
    const known = ends.get(topic);
    const end = Number(highWatermark);
    if (known === undefined || end <= known[partition]!) continue;
    known[partition] = end;
    grown.add(topic);
  }
  for (const topic of grown) settings.appended(topic);
};

const backOff = (failures: number): Promise<void> =>
  pause(Math.min(RETRY_FIRST_MS * 2 ** failures, RETRY_LAST_MS));

/** What a topic is refused for is told by those who read it; here it would hide behind every other topic that works. */
const tell = ({ health, closed }: Post, error: unknown): void => {
  if (!closed && kafkaTypeOf(error) === '') health.failed(CONNECTION, error);
};

const loop = async (post: Post, nodeId: number): Promise<void> => {
  const { link, health, ends } = post;
  let failures = 0;
  while (!post.closed) {
    const topics = ledBy(post, nodeId);
    if (topics.length === 0) break;
    try {
      note(post, await look(link, nodeId, topics, ends));
      failures = 0;
      health.worked(CONNECTION);
    } catch (error) {
      if (post.closed) break;
      for (const { topic } of topics) {
        ends.delete(topic);
        link.blame(topic, error);
      }
      tell(post, error);
      await backOff(failures++);
    }
  }
  post.loops.delete(nodeId);
};

/** A topic is watched from its end; whoever read before that looks once more. */
const begin = async ({ link, settings, ends }: Post, topic: string): Promise<void> => {
  ends.set(topic, await offsetsOf(link, topic, LATEST));
  settings.appended(topic);
};

/** Begins with what is not watched yet; false where some of it cannot be. */
const beginAll = async (post: Post): Promise<boolean> => {
  let all = true;
  for (const topic of post.wanted) {
    if (post.closed || post.ends.has(topic)) continue;
    try {
      await begin(post, topic);
    } catch (error) {
      tell(post, error);
      post.link.doubt(topic);
      all = false;
      if (kafkaTypeOf(error) === '') break; // no broker: the others would only wait for it, too
    }
  }
  return all;
};

const keep = async (post: Post): Promise<void> => {
  const { link, ends, loops } = post;
  let failures = 0;
  while (!post.closed) {
    failures = (await beginAll(post)) ? 0 : failures + 1;
    if (failures > 0) await backOff(failures - 1);
    const nodes = [...ends.keys()].flatMap((topic) => link.known(topic) ?? []);
    for (const nodeId of new Set(nodes)) {
      if (!loops.has(nodeId)) loops.set(nodeId, loop(post, nodeId));
    }
    await pause(IDLE_MS);
  }
};

export const openWatch = (link: Link, settings: KafkaSettings, health: Health): Watch => {
  const post: Post = {
    ...{ link, settings, health },
    wanted: new Set(),
    ends: new Map(),
    loops: new Map(),
    closed: false,
  };
  const keeping = keep(post);
  return {
    add: (topic) => void post.wanted.add(topic),
    close: async () => {
      post.closed = true;
      await link.close();
      await Promise.all([keeping, ...post.loops.values()]);
    },
  };
};
