import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readPrivateKey, writeKeyPair } from '#native/crypto.ts';
import { DiskFullError, DiskReadOnlyError, isDiskRefusal, writeWhole } from '#native/disk.ts';
import { openStore } from '#native/store.ts';
import { canMount, NEEDS_ROOT, type SmallDisk, smallDisk } from '#test/kit/small-disk.ts';

const MIGRATIONS = ['CREATE TABLE entry (key INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT'];
const DISK_BYTES = 1 << 20;
const VALUE = new Uint8Array(3000);

const thrownBy = (action: () => unknown): Error => {
  try {
    action();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('nothing was thrown');
};

describe.skipIf(!canMount)(`a full disk ${NEEDS_ROOT}`, () => {
  let disk: SmallDisk;
  beforeEach(() => {
    disk = smallDisk(DISK_BYTES);
  });
  afterEach(() => disk.remove());

  const entries = () => {
    const store = openStore(path.join(disk.path, 'data', 'a.db'), { migrations: MIGRATIONS });
    const put = store.statement<[number, Uint8Array]>('INSERT INTO entry VALUES (?, ?)');
    const count = store.statement<[], { n: number }>('SELECT count(*) AS n FROM entry');
    return { store, put, count: () => count.get()!.n };
  };

  test('a store that meets it names file and remedy, has all that it took and nothing of the rest', () => {
    const { store, put, count } = entries();
    let kept = 0;
    const fault = thrownBy(() => {
      for (; ; kept += 2) {
        store.transaction(() => {
          put.run(kept, VALUE);
          put.run(kept + 1, VALUE);
        });
      }
    });
    expect(fault).toBeInstanceOf(DiskFullError);
    expect(fault.message).toBe(
      `${disk.path}/data/a.db: the disk is full; make room on the disk that holds ${disk.path}/data`,
    );
    expect(kept).toBeGreaterThan(0);
    expect(count()).toBe(kept);
    expect(isDiskRefusal(thrownBy(() => put.run(kept, new Uint8Array(10_000))))).toBe(true);
    expect(count()).toBe(kept);
    store.close();
    const again = entries();
    expect(again.count()).toBe(kept);
    again.store.close();
  });

  test('with room it goes on where it was, without being opened anew', () => {
    const { store, put, count } = entries();
    put.run(0, VALUE);
    disk.fill();
    expect(isDiskRefusal(thrownBy(() => put.run(1, new Uint8Array(200_000))))).toBe(true);
    disk.free();
    put.run(1, new Uint8Array(200_000));
    expect(count()).toBe(2);
    store.close();
  });

  test('opening or making a store is refused as a full disk, never as damage; then it opens', () => {
    const { store, put } = entries();
    put.run(0, VALUE);
    store.close();
    disk.fill();
    const fresh = () => openStore(path.join(disk.path, 'b.db'), { migrations: MIGRATIONS });
    const write = () => {
      const { put: more, store: reopened } = entries();
      try {
        more.run(1, VALUE);
      } finally {
        reopened.close();
      }
    };
    expect(thrownBy(fresh)).toBeInstanceOf(DiskFullError);
    expect(thrownBy(write)).toBeInstanceOf(DiskFullError);
    disk.free();
    fresh().close();
    write();
  });

  test('a store on a read-only disk is named so, with what to do', () => {
    entries().store.close();
    disk.readOnly(true);
    for (const folder of ['data', 'other']) {
      const file = path.join(disk.path, folder, 'a.db');
      const fault = thrownBy(() => openStore(file, { migrations: [...MIGRATIONS, 'SELECT 1'] }));
      expect(fault).toBeInstanceOf(DiskReadOnlyError);
      expect(fault.message).toMatch(/a\.db: the disk is read-only; .*repair or remount the disk/);
    }
    disk.readOnly(false);
  });

  test('no half of a key or of a whole file stays behind, and the next attempt succeeds', () => {
    const key = path.join(disk.path, 'v1.pem');
    const file = path.join(disk.path, 'holder.id');
    writeFileSync(file, 'before');
    disk.fill();
    expect(thrownBy(() => writeKeyPair(key))).toBeInstanceOf(DiskFullError);
    expect(thrownBy(() => writeWhole(file, 'after'))).toBeInstanceOf(DiskFullError);
    expect(readdirSync(disk.path).toSorted()).toEqual(['ballast', 'holder.id']);
    expect(readFileSync(file, 'utf8')).toBe('before');
    disk.free();
    writeKeyPair(key);
    readPrivateKey(key);
    writeWhole(file, 'after');
    expect(readFileSync(file, 'utf8')).toBe('after');
    expect(existsSync(`${file}.new`)).toBe(false);
  });
});
