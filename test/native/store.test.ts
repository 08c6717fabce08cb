import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openStore, StoreError } from '#native/store.ts';

const folder = mkdtempSync(join(tmpdir(), 'cybermesh-store-'));
afterAll(() => rmSync(folder, { recursive: true }));

const FIRST = 'CREATE TABLE entry (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT';
const SECOND = 'ALTER TABLE entry ADD COLUMN at_ms INTEGER NOT NULL DEFAULT 0';
type Entry = { key: string; value: Uint8Array; at_ms: number };

const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (cause) {
    if (cause instanceof StoreError) return cause.code;
    throw cause;
  }
  return 'none';
};

test('what a transaction wrote is there after opening again, through later migrations', () => {
  const path = join(folder, 'deep', 'a.db');
  const first = openStore(path, { migrations: [FIRST] });
  const put = first.statement<[string, Uint8Array]>('INSERT INTO entry VALUES (?, ?)');
  first.transaction(() => put.run('k', Uint8Array.of(1, 2)));
  first.close();
  first.close();
  const second = openStore(path, { migrations: [FIRST, SECOND] });
  const get = second.statement<[string], Entry>('SELECT * FROM entry WHERE key = ?');
  expect(get.get('k')).toEqual({ key: 'k', value: Uint8Array.of(1, 2), at_ms: 0 });
  expect(get.get('absent')).toBeUndefined();
  expect([...get.each('k')]).toHaveLength(1);
  second.close();
});

test('a transaction that throws leaves nothing and throws on; transactions do not nest', () => {
  const store = openStore(':memory:', { migrations: [FIRST] });
  const put = store.statement<[string, Uint8Array]>('INSERT INTO entry VALUES (?, ?)');
  const count = store.statement<[], { n: number }>('SELECT count(*) AS n FROM entry');
  const failing = () =>
    store.transaction(() => {
      put.run('k', Uint8Array.of(1));
      throw new Error('no');
    });
  expect(failing).toThrow('no');
  expect(count.get()?.n).toBe(0);
  expect(() => store.transaction(() => store.transaction(() => 1))).toThrow('do not nest');
  expect(store.transaction(() => put.run('k', Uint8Array.of(1)).changes)).toBe(1);
  store.close();
});

test('the file is in WAL mode and every commit is synced', () => {
  const store = openStore(join(folder, 'wal.db'), { migrations: [] });
  const mode = store.statement<[], { journal_mode: string }>('PRAGMA journal_mode');
  const synchronous = store.statement<[], { synchronous: number }>('PRAGMA synchronous');
  expect(mode.get()?.journal_mode).toBe('wal');
  expect(synchronous.get()?.synchronous).toBe(2);
  store.close();
});

test('a damaged file, a newer schema and a broken migration are errors with names', () => {
  const path = join(folder, 'b.db');
  const store = openStore(path, { migrations: [FIRST, SECOND] });
  const put = store.statement<[string, Uint8Array, number]>('INSERT INTO entry VALUES (?, ?, ?)');
  for (let i = 0; i < 200; i += 1) put.run(`k${i}`, new Uint8Array(100), i);
  store.close();
  expect(codeOf(() => openStore(path, { migrations: [FIRST] }))).toBe('newer');
  expect(codeOf(() => openStore(path, { migrations: [FIRST, SECOND, 'NOT SQL'] }))).toBe(
    'migration',
  );
  const bytes = readFileSync(path);
  bytes.fill(0xff, 4096, 8192);
  writeFileSync(path, bytes);
  expect(codeOf(() => openStore(path, { migrations: [FIRST, SECOND] }))).toBe('damaged');
  writeFileSync(path, 'this is no database, whatever its name says'.repeat(100));
  expect(codeOf(() => openStore(path, { migrations: [] }))).toBe('damaged');
});
