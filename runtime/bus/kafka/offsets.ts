/** Offsets of a topic: where its partitions begin and end. */
import type { Broker } from 'kafkajs/src/broker/index.js';
import type { Link } from './link.ts';

export const EARLIEST = -2;
export const LATEST = -1;
/** Aborted transactions of others are left out. */
export const READ_COMMITTED = 1;
const CONSUMER = -1;

/** Partitions by the node that leads them. */
export const byLeader = (leaders: readonly number[]): Map<number, number[]> => {
  const nodes = new Map<number, number[]>();
  for (const [partition, leader] of leaders.entries()) {
    nodes.set(leader, [...(nodes.get(leader) ?? []), partition]);
  }
  return nodes;
};

const ask = async (broker: Broker, topic: string, partitions: number[], timestamp: number) => {
  const { responses } = await broker.listOffsets({
    replicaId: CONSUMER,
    isolationLevel: READ_COMMITTED,
    topics: [{ topic, partitions: partitions.map((partition) => ({ partition, timestamp })) }],
  });
  return responses.flatMap((one) => one.partitions);
};

/** The first (EARLIEST) or next (LATEST) offset of each partition. */
export const offsetsOf = async (link: Link, topic: string, timestamp: number) => {
  const leaders = await link.place(topic);
  const offsets = new Array<number>(leaders.length).fill(0);
  const parts = [...byLeader(leaders)].map(async ([nodeId, partitions]) =>
    ask(await link.node(nodeId, 0), topic, partitions, timestamp),
  );
  for (const { partition, offset } of (await Promise.all(parts)).flat()) {
    offsets[partition] = Number(offset);
  }
  return offsets;
};
