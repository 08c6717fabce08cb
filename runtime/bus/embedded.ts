/**
 * The bus for one process: a durable log on node:sqlite. WAL with synchronous=FULL, so a record is on disk
 * when its publisher is told; a batch of publishes is one transaction and one fsync.
 *
 * Marks of groups are written with the next records, or after MARKS_MS: a crash before reads a little again, which is
 * what at-least-once means, and saves an fsync for each.
 *
 * Bounds: `topicBytesMax` a topic. At the bound the oldest records that every group has finished are
 * dropped; if that is not enough, publishing answers `unavailable` until a consumer moves on.
 */
import {
  type Bus,
  type FetchOutcome,
  type Publish,
  type PublishOutcome,
  partitionOf,
} from './driver.ts';
import { type EmbeddedLog, openLog } from './embedded-log.ts';
import type { BusRecord } from './record.ts';

export type EmbeddedSettings = {
  readonly file: string;
  readonly topics: readonly string[];
  readonly partitions: number;
  readonly recordBytesMax: number;
  readonly topicBytesMax: number;
  readonly now: () => number;
  /** The disk refuses: publishers are told `unavailable` from now on. Said once, with the next reason again. */
  readonly failed: (reason: string) => void;
  /** It takes what is published again. */
  readonly recovered: () => void;
};

/** What the log holds, without asking it: next offset of each partition, bytes, and marks not yet written. */
type Book = {
  readonly settings: EmbeddedSettings;
  readonly log: EmbeddedLog;
  readonly next: Map<string, number[]>;
  readonly used: Map<string, number>;
  readonly marks: Map<string, { topic: string; group: string; positions: number[] }>;
  /** Why the last batch was refused, '' when it was not. */
  fault: string;
};

const FETCH_BYTES_MAX = 4 << 20;
const MARKS_MS = 200;
const OVERHEAD_BYTES = 64;

const sizeOf = (message: Publish): number =>
  message.value.length + message.key.length + OVERHEAD_BYTES;

const trim = ({ log, used }: Book, topic: string): void => {
  log.drop(topic);
  used.set(topic, log.bytes(topic));
};

const append = (book: Book, message: Publish, atMs: number): PublishOutcome => {
  const { settings, log, next, used } = book;
  const ends = next.get(message.topic);
  if (ends === undefined) return { outcome: 'unknown-topic' };
  const { topic } = message;
  const bytes = sizeOf(message);
  if (bytes > settings.recordBytesMax) return { outcome: 'too-large' };
  if (used.get(topic)! + bytes > settings.topicBytesMax) trim(book, topic);
  if (used.get(topic)! + bytes > settings.topicBytesMax) return { outcome: 'unavailable' };
  const partition = partitionOf(message.key, settings.partitions);
  const offset = ends[partition]!;
  log.append({ ...message, partition, offset, atMs, bytes });
  ends[partition] = offset + 1;
  used.set(topic, used.get(topic)! + bytes);
  return { outcome: 'ok', partition, offset };
};

const writeMarks = ({ log, marks }: Book): void => {
  for (const { topic, group, positions } of marks.values()) log.mark(topic, group, positions);
};

/** Nothing of a failed transaction may stay in the book. */
const atomically = <T>(book: Book, work: () => T): T => {
  const before = [...book.next].map(([topic, ends]): [string, number[]] => [topic, [...ends]]);
  const sizes = [...book.used];
  try {
    const result = book.log.transaction(work);
    book.marks.clear();
    return result;
  } catch (error) {
    for (const [topic, ends] of before) book.next.set(topic, ends);
    for (const [topic, bytes] of sizes) book.used.set(topic, bytes);
    throw error;
  }
};

const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

const tell = (book: Book, fault: string): void => {
  if (fault === book.fault) return;
  book.fault = fault;
  if (fault === '') book.settings.recovered();
  else book.settings.failed(fault);
};

/** One transaction; a full disk or a failing one is an outcome, not a crash. */
const publish = (book: Book, batch: readonly Publish[]): readonly PublishOutcome[] => {
  try {
    const outcomes = atomically(book, () => {
      writeMarks(book);
      return batch.map((message) => append(book, message, book.settings.now()));
    });
    tell(book, '');
    return outcomes;
  } catch (error) {
    tell(book, reasonOf(error));
    return batch.map(() => ({ outcome: 'unavailable' }));
  }
};

const committed = ({ settings, log, marks }: Book, topic: string, group: string): number[] => {
  const written = log.marks(topic, group, settings.partitions);
  const newer = marks.get(`${topic} ${group}`)?.positions ?? [];
  return written.map((mark, part) => Math.max(mark, newer[part] ?? 0));
};

const fetch = (
  book: Book,
  topic: string,
  group: string,
  positions: readonly number[],
  recordsMax: number,
): FetchOutcome => {
  const ends = book.next.get(topic);
  if (ends === undefined) return { outcome: 'unknown-topic' };
  const { partitions } = book.settings;
  const after = positions.length === partitions ? [...positions] : committed(book, topic, group);
  const records: BusRecord[] = [];
  let bytes = 0;
  for (let part = 0; part < partitions; part++) {
    if (after[part]! >= ends[part]!) continue;
    for (const record of book.log.read(topic, part, after[part]!, recordsMax - records.length)) {
      if (bytes > FETCH_BYTES_MAX) break;
      bytes += record.value.length;
      records.push(record);
      after[part] = record.offset + 1;
    }
  }
  return { outcome: 'ok', records, positions: after };
};

const bookOf = (settings: EmbeddedSettings): Book => {
  const log = openLog(settings.file);
  const { topics, partitions } = settings;
  const next = new Map(topics.map((topic) => [topic, new Array<number>(partitions).fill(0)]));
  for (const { topic, partition, end } of log.ends()) {
    const known = next.get(topic);
    if (known !== undefined && partition < partitions) known[partition] = end;
  }
  const used = new Map(topics.map((topic) => [topic, log.bytes(topic)]));
  return { settings, log, next, used, marks: new Map(), fault: '' };
};

/** Opens (or creates) the log; throws when the file is no log of ours or cannot be written. */
export const openEmbedded = (settings: EmbeddedSettings): Bus => {
  const book = bookOf(settings);
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (book.marks.size > 0) publish(book, []);
  };
  return {
    publish: async (batch) => publish(book, batch),
    fetch: async (topic, group, positions, recordsMax) =>
      fetch(book, topic, group, positions, recordsMax),
    commit: async (topic, group, positions) => {
      if (!book.next.has(topic)) return;
      const known = book.marks.get(`${topic} ${group}`)?.positions ?? [];
      const newest = positions.map((mark, part) => Math.max(mark, known[part] ?? 0));
      book.marks.set(`${topic} ${group}`, { topic, group, positions: newest });
      timer ??= setTimeout(flush, MARKS_MS);
    },
    ends: async (topic, group) => ({
      ends: [...(book.next.get(topic) ?? [])],
      committed: book.next.has(topic) ? committed(book, topic, group) : [],
    }),
    close: async () => {
      flush();
      book.log.close();
    },
  };
};
