/**
 * The bus for one process: a durable log on node:sqlite. WAL with synchronous=FULL, so a record is on disk
 * when its publisher is told; a batch of publishes is one transaction and one fsync.
 *
 * Bounds: `topicBytesMax` a topic. At the bound the oldest records that every group has finished are
 * dropped; if that is not enough, publishing answers `unavailable` until a consumer moves on.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import {
  type Bus,
  type FetchOutcome,
  type Publish,
  type PublishOutcome,
  partitionOf,
} from './driver.ts';
import type { BusRecord } from './record.ts';

export type EmbeddedSettings = {
  readonly file: string;
  readonly topics: readonly string[];
  readonly partitions: number;
  readonly recordBytesMax: number;
  readonly topicBytesMax: number;
  readonly now: () => number;
  /** The disk refused a batch: its publishers are told `unavailable`. */
  readonly failed: (reason: string) => void;
};

const FETCH_BYTES_MAX = 4 << 20;
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS records (
    topic TEXT NOT NULL, part INTEGER NOT NULL, offset INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    key TEXT NOT NULL, headers TEXT NOT NULL, value BLOB NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (topic, part, offset));
  CREATE TABLE IF NOT EXISTS ends (
    topic TEXT NOT NULL, part INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (topic, part));
  CREATE TABLE IF NOT EXISTS marks (
    topic TEXT NOT NULL, grp TEXT NOT NULL, part INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (topic, grp, part));`;

const OVERHEAD_BYTES = 64;
const sizeOf = (message: Publish): number =>
  message.value.length + message.key.length + OVERHEAD_BYTES;

type Row = {
  part: number;
  offset: number;
  at_ms: number;
  key: string;
  headers: string;
  value: Uint8Array;
};

const recordOf = (row: Row): BusRecord => ({
  partition: row.part,
  offset: row.offset,
  timestampMs: row.at_ms,
  key: row.key,
  headers: JSON.parse(row.headers),
  value: row.value,
});

type Statements = { readonly [name: string]: StatementSync };
const prepare = (db: DatabaseSync): Statements => ({
  insert: db.prepare('INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)'),
  end: db.prepare(
    'INSERT INTO ends VALUES (?, ?, ?) ON CONFLICT (topic, part) DO UPDATE SET next = excluded.next',
  ),
  ends: db.prepare('SELECT topic, part, next FROM ends'),
  read: db.prepare(
    `SELECT part, offset, at_ms, key, headers, value FROM records
     WHERE topic = ? AND part = ? AND offset >= ? ORDER BY offset LIMIT ?`,
  ),
  first: db.prepare('SELECT min(offset) AS first FROM records WHERE topic = ? AND part = ?'),
  mark: db.prepare(
    `INSERT INTO marks VALUES (?, ?, ?, ?) ON CONFLICT (topic, grp, part)
     DO UPDATE SET next = max(next, excluded.next)`,
  ),
  marks: db.prepare('SELECT part, next FROM marks WHERE topic = ? AND grp = ?'),
  floor: db.prepare('SELECT min(next) AS floor FROM marks WHERE topic = ? AND part = ?'),
  bytes: db.prepare('SELECT coalesce(sum(bytes), 0) AS bytes FROM records WHERE topic = ?'),
  drop: db.prepare('DELETE FROM records WHERE topic = ? AND part = ? AND offset < ?'),
});

/** Opens (or creates) the log; throws when the file is no log of ours or cannot be written. */
export const openEmbedded = (settings: EmbeddedSettings): Bus => {
  const { topics, partitions, recordBytesMax, topicBytesMax } = settings;
  const db = new DatabaseSync(settings.file);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 2000;');
  db.exec(SCHEMA);
  const sql = prepare(db);
  const next = new Map(topics.map((topic) => [topic, new Array<number>(partitions).fill(0)]));
  for (const row of sql.ends!.all() as { topic: string; part: number; next: number }[]) {
    const known = next.get(row.topic);
    if (known !== undefined && row.part < partitions) known[row.part] = row.next;
  }
  const used = new Map(
    topics.map((topic) => [topic, (sql.bytes!.get(topic) as { bytes: number }).bytes]),
  );

  const trim = (topic: string): void => {
    for (let part = 0; part < partitions; part++) {
      const { floor } = sql.floor!.get(topic, part) as { floor: number | null };
      if (floor !== null) sql.drop!.run(topic, part, floor);
    }
    used.set(topic, (sql.bytes!.get(topic) as { bytes: number }).bytes);
  };

  const append = (message: Publish, atMs: number): PublishOutcome => {
    const ends = next.get(message.topic);
    if (ends === undefined) return { outcome: 'unknown-topic' };
    const bytes = sizeOf(message);
    if (bytes > recordBytesMax) return { outcome: 'too-large' };
    if (used.get(message.topic)! + bytes > topicBytesMax) trim(message.topic);
    if (used.get(message.topic)! + bytes > topicBytesMax) return { outcome: 'unavailable' };
    const partition = partitionOf(message.key, partitions);
    const offset = ends[partition]!;
    const { topic, key, value } = message;
    sql.insert!.run(
      topic,
      partition,
      offset,
      atMs,
      key,
      JSON.stringify(message.headers),
      value,
      bytes,
    );
    sql.end!.run(topic, partition, offset + 1);
    ends[partition] = offset + 1;
    used.set(topic, used.get(topic)! + bytes);
    return { outcome: 'ok', partition, offset };
  };

  /** Nothing of a failed transaction may stay in the memory of ends and sizes. */
  const atomically = <T>(work: () => T): T => {
    const before = [...next].map(([topic, ends]): [string, number[]] => [topic, [...ends]]);
    const sizes = [...used];
    db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      db.exec('COMMIT');
      return result;
    } catch (error) {
      db.exec('ROLLBACK');
      for (const [topic, ends] of before) next.set(topic, ends);
      for (const [topic, bytes] of sizes) used.set(topic, bytes);
      throw error;
    }
  };

  /** One transaction; a full disk or a failing one is an outcome, not a crash. */
  const publish = (batch: readonly Publish[]): readonly PublishOutcome[] => {
    try {
      return atomically(() => batch.map((message) => append(message, settings.now())));
    } catch (error) {
      settings.failed(error instanceof Error ? error.message : String(error));
      return batch.map(() => ({ outcome: 'unavailable' }));
    }
  };

  const committed = (topic: string, group: string): number[] => {
    const marks = new Array<number>(partitions).fill(0);
    for (const row of sql.marks!.all(topic, group) as { part: number; next: number }[]) {
      if (row.part < partitions) marks[row.part] = row.next;
    }
    return marks;
  };

  const fetch = (
    topic: string,
    group: string,
    positions: readonly number[],
    recordsMax: number,
  ): FetchOutcome => {
    if (!next.has(topic)) return { outcome: 'unknown-topic' };
    const after = positions.length === partitions ? [...positions] : committed(topic, group);
    const records: BusRecord[] = [];
    let bytes = 0;
    for (let part = 0; part < partitions; part++) {
      if (after[part]! >= next.get(topic)![part]!) continue;
      const limit = recordsMax - records.length;
      for (const row of sql.read!.iterate(topic, part, after[part]!, limit) as Iterable<Row>) {
        if (bytes > FETCH_BYTES_MAX) break;
        bytes += row.value.length;
        records.push(recordOf(row));
        after[part] = row.offset + 1;
      }
    }
    return { outcome: 'ok', records, positions: after };
  };

  return {
    publish: async (batch) => publish(batch),
    fetch: async (topic, group, positions, recordsMax) =>
      fetch(topic, group, positions, recordsMax),
    commit: async (topic, group, positions) => {
      if (next.has(topic)) {
        atomically(() => {
          for (const [part, mark] of positions.entries()) sql.mark!.run(topic, group, part, mark);
        });
      }
    },
    ends: async (topic, group) => ({
      ends: [...(next.get(topic) ?? [])],
      committed: next.has(topic) ? committed(topic, group) : [],
    }),
    close: async () => db.close(),
  };
};
