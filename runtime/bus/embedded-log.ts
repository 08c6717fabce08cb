/** The tables of the embedded bus and their statements. */
import { openStore } from '#native/store.ts';
import type { Publish } from './driver.ts';
import type { BusRecord } from './record.ts';

const MIGRATIONS = [
  `CREATE TABLE records (
     topic TEXT NOT NULL, part INTEGER NOT NULL, offset INTEGER NOT NULL, at_ms INTEGER NOT NULL,
     key TEXT NOT NULL, headers TEXT NOT NULL, value BLOB NOT NULL, bytes INTEGER NOT NULL,
     PRIMARY KEY (topic, part, offset));
   CREATE TABLE ends (
     topic TEXT NOT NULL, part INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (topic, part));
   CREATE TABLE marks (
     topic TEXT NOT NULL, grp TEXT NOT NULL, part INTEGER NOT NULL, next INTEGER NOT NULL,
     PRIMARY KEY (topic, grp, part));`,
];

export type Appended = Publish & {
  readonly partition: number;
  readonly offset: number;
  readonly atMs: number;
  readonly bytes: number;
};

type Row = {
  part: number;
  offset: number;
  at_ms: number;
  key: string;
  headers: string;
  value: Uint8Array;
};

export type EmbeddedLog = ReturnType<typeof openLog>;

const recordOf = (row: Row): BusRecord => ({
  partition: row.part,
  offset: row.offset,
  timestampMs: row.at_ms,
  key: row.key,
  headers: JSON.parse(row.headers),
  value: row.value,
});

export const openLog = (file: string) => {
  const store = openStore(file, { migrations: MIGRATIONS });
  const insert = store.statement<
    [string, number, number, number, string, string, Uint8Array, number]
  >('INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
  const end = store.statement<[string, number, number]>(
    'INSERT INTO ends VALUES (?, ?, ?) ON CONFLICT (topic, part) DO UPDATE SET next = excluded.next',
  );
  const ends = store.statement<[], { topic: string; partition: number; end: number }>(
    'SELECT topic, part AS partition, next AS end FROM ends',
  );
  const page = store.statement<[string, number, number, number], Row>(
    `SELECT part, offset, at_ms, key, headers, value FROM records
     WHERE topic = ? AND part = ? AND offset >= ? ORDER BY offset LIMIT ?`,
  );
  const mark = store.statement<[string, string, number, number]>(
    `INSERT INTO marks VALUES (?, ?, ?, ?) ON CONFLICT (topic, grp, part)
     DO UPDATE SET next = max(next, excluded.next)`,
  );
  const marks = store.statement<[string, string], { part: number; next: number }>(
    'SELECT part, next FROM marks WHERE topic = ? AND grp = ?',
  );
  const floors = store.statement<[string], { part: number; floor: number }>(
    'SELECT part, min(next) AS floor FROM marks WHERE topic = ? GROUP BY part',
  );
  const bytes = store.statement<[string], { bytes: number }>(
    'SELECT coalesce(sum(bytes), 0) AS bytes FROM records WHERE topic = ?',
  );
  const drop = store.statement<[string, number, number]>(
    'DELETE FROM records WHERE topic = ? AND part = ? AND offset < ?',
  );
  return {
    append: ({ topic, partition, offset, atMs, key, headers, value, bytes: size }: Appended) => {
      insert.run(topic, partition, offset, atMs, key, JSON.stringify(headers), value, size);
      end.run(topic, partition, offset + 1);
    },
    ends: () => ends.all(),
    *read(topic: string, partition: number, from: number, limit: number): Generator<BusRecord> {
      for (const row of page.each(topic, partition, from, limit)) yield recordOf(row);
    },
    mark: (topic: string, group: string, positions: readonly number[]) => {
      for (const [part, next] of positions.entries()) mark.run(topic, group, part, next);
    },
    /** What is written of a group, by partition; 0 where nothing is. */
    marks: (topic: string, group: string, partitions: number): number[] => {
      const found = new Array<number>(partitions).fill(0);
      for (const { part, next } of marks.all(topic, group))
        if (part < partitions) found[part] = next;
      return found;
    },
    bytes: (topic: string): number => bytes.get(topic)!.bytes,
    /** Deletes what every group of the topic has finished. */
    drop: (topic: string) => {
      for (const { part, floor } of floors.all(topic)) drop.run(topic, part, floor);
    },
    transaction: <T>(work: () => T): T => store.transaction(work),
    close: () => store.close(),
  };
};
