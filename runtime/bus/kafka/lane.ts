/** One partition as its publishers see it: what waits, the one batch in flight, and what became doubtful. */
import { crypto } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import type { Publish, PublishOutcome } from '../driver.ts';

/** A record on its way. `settle` is gone once its publisher has been answered. */
export type Entry = {
  readonly message: Publish;
  readonly bytes: number;
  settle: ((outcome: PublishOutcome) => void) | undefined;
  /** Where it lies, when that became known after its publisher had been told `unavailable`. */
  landedAt: number | undefined;
};

export type ProducerId = { readonly producerId: string; readonly producerEpoch: number };

/** Sent again with the same sequence until its fate is known: the broker recognises what it has already. */
export type Batch = {
  entries: Entry[];
  producer: ProducerId;
  sequence: number;
  /** The broker may have it. */
  sent: boolean;
};

export type Lane = {
  readonly topic: string;
  readonly partition: number;
  queue: Entry[];
  flight: Batch | undefined;
  producer: ProducerId | undefined;
  sequence: number;
  /** Records that may have been appended although their publisher heard `unavailable`, by what they are. */
  readonly doubted: Map<string, Entry>;
  /** The broker refused a batch for its size: so many records go alone. */
  alone: number;
  running: boolean;
};

export const BATCH_RECORDS_MAX = 500;
const DOUBTED_MAX = 4096;
const SEQUENCE_MAX = 0x7fff_ffff;
/** More than a record and its headers cost besides their texts. */
const RECORD_OVERHEAD_BYTES = 64;
const HEADER_OVERHEAD_BYTES = 8;

export const laneOf = (topic: string, partition: number): Lane => ({
  topic,
  partition,
  queue: [],
  flight: undefined,
  producer: undefined,
  sequence: 0,
  doubted: new Map(),
  alone: 0,
  running: false,
});

const encoder = new TextEncoder();

export const sizeOf = ({ key, value, headers }: Publish): number => {
  let bytes = value.length + encoder.encode(key).length + RECORD_OVERHEAD_BYTES;
  for (const [name, text] of Object.entries(headers)) {
    bytes += encoder.encode(name).length + encoder.encode(text).length + HEADER_OVERHEAD_BYTES;
  }
  return bytes;
};

const after = (sequence: number, records: number): number =>
  sequence > SEQUENCE_MAX - records ? records - (SEQUENCE_MAX - sequence) - 1 : sequence + records;

/** Takes the next batch off the queue; undefined when nothing waits. */
export const nextBatch = (
  lane: Lane,
  producer: ProducerId,
  bytesMax: number,
): Batch | undefined => {
  const entries: Entry[] = [];
  let bytes = 0;
  const countMax = lane.alone > 0 ? 1 : BATCH_RECORDS_MAX;
  for (const entry of lane.queue) {
    if (entries.length > 0 && (bytes + entry.bytes > bytesMax || entries.length >= countMax)) break;
    entries.push(entry);
    bytes += entry.bytes;
  }
  if (entries.length === 0) return undefined;
  lane.queue = lane.queue.slice(entries.length);
  if (lane.alone > 0) lane.alone--;
  if (lane.producer !== producer) {
    lane.producer = producer;
    lane.sequence = 0;
  }
  const batch = { entries, producer, sequence: lane.sequence, sent: false };
  lane.sequence = after(lane.sequence, entries.length);
  return batch;
};

/** What no broker has seen goes back to wait; whoever was answered meanwhile drops out. */
export const takeBack = (lane: Lane, batch: Batch): void => {
  lane.flight = undefined;
  lane.sequence = batch.sequence;
  lane.queue = [...batch.entries.filter((one) => one.settle !== undefined), ...lane.queue];
};

/** The batch begins anew with another identity: the broker has lost what it knew of the old one. */
export const renew = (lane: Lane, batch: Batch, producer: ProducerId): void => {
  batch.producer = producer;
  batch.sequence = 0;
  lane.producer = producer;
  lane.sequence = after(0, batch.entries.length);
};

const identityOf = ({ key, value }: Publish): string => `${hex(crypto.sha256(value))} ${key}`;

/** Its publisher has given up on a record that may be there: remembered, should it come again. */
export const doubt = (lane: Lane, entry: Entry): void => {
  lane.doubted.set(identityOf(entry.message), entry);
  if (lane.doubted.size <= DOUBTED_MAX) return;
  for (const oldest of lane.doubted.keys()) {
    lane.doubted.delete(oldest);
    break;
  }
};

/** The doubtful record that this message repeats, taken out of the doubtful ones. */
export const doubtedOf = (lane: Lane, message: Publish): Entry | undefined => {
  if (lane.doubted.size === 0) return undefined;
  const identity = identityOf(message);
  const entry = lane.doubted.get(identity);
  lane.doubted.delete(identity);
  return entry;
};

/** The fate of a batch is known. `baseOffset` undefined: it is not there. */
export const settleBatch = (
  lane: Lane,
  batch: Batch,
  baseOffset: number | undefined,
  otherwise: PublishOutcome,
): void => {
  lane.flight = undefined;
  for (const [k, entry] of batch.entries.entries()) {
    const offset = baseOffset === undefined ? undefined : baseOffset + k;
    if (entry.settle === undefined) {
      if (offset === undefined) doubtedOf(lane, entry.message);
      else entry.landedAt = offset;
      continue;
    }
    entry.settle(
      offset === undefined ? otherwise : { outcome: 'ok', partition: lane.partition, offset },
    );
    entry.settle = undefined;
  }
};
