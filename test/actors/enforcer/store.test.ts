/** The agent's disk: no acknowledgement is lost, what has arrived leaves without a wait of its own, what came into force is remembered. */
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Ack } from '#actors/enforcer/acks.ts';
import type { Admission } from '#actors/enforcer/admissions.ts';
import { MINUTE_MS, REMEMBERED_MAX } from '#actors/enforcer/pace.ts';
import { openDisk } from '#actors/enforcer/store.ts';
import { openStore } from '#native/store.ts';
import { utf8 } from '#proto/bytes.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { until } from '#test/kit/system.ts';

let folder: ReturnType<typeof temporaryFolder>;
const file = (): string => path.join(folder.path, 'enforcer.sqlite');
const open: { close(): void }[] = [];
const begin = () => {
  const disk = openDisk(file());
  open.push(disk);
  return disk;
};
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => {
  for (const one of open.splice(0)) one.close();
  folder.remove();
});

const ackOf = (id: string): Ack => ({ id, policyId: `policy-${id}`, bytes: utf8(id) });
const nothing = { entries: [], forgotten: [], admitted: [], places: [] };
/** As whoever starts after a crash at this moment would find it. */
const found = (): readonly string[] => {
  const store = openStore(file(), { migrations: ['', ''] });
  try {
    const rows = store.statement<[], { id: string }>('SELECT id FROM outbox ORDER BY seq');
    return rows.all().map(({ id }) => id);
  } finally {
    store.close();
  }
};

test('what has arrived is there until the next save, and gone with it', () => {
  const disk = begin();
  disk.save({ ...nothing, acks: ['a', 'b', 'c'].map(ackOf) });
  disk.acked('a');
  disk.acked('c');
  expect(found()).toEqual(['a', 'b', 'c']);
  disk.save({ ...nothing, acks: [ackOf('d')] });
  expect(found()).toEqual(['b', 'd']);
});

test('a save that fails takes nothing off, the next one does', () => {
  const disk = begin();
  disk.save({ ...nothing, acks: [ackOf('a')] });
  disk.acked('a');
  const broken = { ...ackOf('b'), bytes: null as unknown as Uint8Array };
  expect(() => disk.save({ ...nothing, acks: [broken] })).toThrow(/NOT NULL/);
  expect(found()).toEqual(['a']);
  disk.save({ ...nothing, acks: [] });
  expect(found()).toEqual([]);
});

test('without another save what has arrived is gone soon, or when it is many', async () => {
  const disk = begin();
  const many = Array.from({ length: 5000 }, (_, k) => ackOf(`${k}`));
  disk.save({ ...nothing, acks: many });
  for (const { id } of many) disk.acked(id);
  expect(found()).toHaveLength(5000 - 4096);
  await until(() => found().length === 0);
});

test('what has arrived is gone at the close at the latest', () => {
  const disk = openDisk(file());
  disk.save({ ...nothing, acks: ['a', 'b'].map(ackOf) });
  disk.acked('b');
  disk.close();
  expect(found()).toEqual(['a']);
});

test('a fact that was said before and has arrived is said again when it comes about again', () => {
  const disk = begin();
  expect(disk.save({ ...nothing, acks: [ackOf('a')] })).toHaveLength(1);
  expect(disk.save({ ...nothing, acks: [ackOf('a')] })).toEqual([]);
  disk.acked('a');
  expect(disk.save({ ...nothing, acks: [ackOf('a')] })).toHaveLength(1);
  expect(found()).toEqual(['a']);
});

const admitted = (atMs: number): Admission => ({
  ...{ atMs, tenant: 'acme', region: '', target: `${atMs}` },
  ...{ passesPerS: Number.POSITIVE_INFINITY, ttlS: 600 },
});

test('what came into force is remembered in its order, and with what lets everything through', () => {
  const disk = begin();
  disk.save({ ...nothing, acks: [], admitted: [admitted(2), { ...admitted(2), passesPerS: 0.5 }] });
  disk.save({ ...nothing, acks: [], admitted: [admitted(3)] });
  const all = [admitted(2), { ...admitted(2), passesPerS: 0.5 }, admitted(3)];
  expect(begin().load().admitted).toEqual(all);
});

test('of what came into force the newest are kept, and all of the last minute', () => {
  const disk = begin();
  const many = Array.from({ length: REMEMBERED_MAX + 10 }, (_, k) => k);
  disk.save({ ...nothing, acks: [], admitted: many.map((k) => admitted(k * MINUTE_MS)) });
  expect(disk.load().admitted.map(({ atMs }) => atMs)).toEqual(
    many.slice(-REMEMBERED_MAX).map((k) => k * MINUTE_MS),
  );
  // A clock that was ahead for one of them keeps no other one.
  disk.save({ ...nothing, acks: [], admitted: [admitted(1e15)] });
  disk.save({ ...nothing, acks: [], admitted: many.map((k) => admitted(k * MINUTE_MS)) });
  expect(disk.load().admitted).toHaveLength(REMEMBERED_MAX);
  const nowMs = many.length * MINUTE_MS;
  disk.save({ ...nothing, acks: [], admitted: many.map(() => admitted(nowMs)) });
  expect(disk.load().admitted).toHaveLength(many.length);
});
