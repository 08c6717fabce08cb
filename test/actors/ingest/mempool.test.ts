import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  admit,
  adopt,
  best,
  type Entry,
  expire,
  type Mempool,
  mempool,
  type Place,
  remove,
} from '#actors/ingest/mempool.ts';

const SEED = 20_260_909;
const limits = { transactionsMax: 6, bytesMax: 600, severityStepMs: 1000 };
const place: Place = { topic: 't', partition: 0, offset: 0 };

const entryOf = (n: number, over: Partial<Entry> & { bytes?: number } = {}): Entry => {
  const { bytes = 10, ...rest } = over;
  return {
    txId: `tx${n}`,
    contentHash: `content${n}`,
    tx: { kind: 'anomaly', bytes: new Uint8Array(bytes) },
    key: '',
    severity: 5,
    tsMs: 1000,
    admittedMs: 1000,
    place,
    ...rest,
  };
};

const names = (pool: Mempool) => best(pool, 100, 1e9).map((entry) => entry.txId);

test('the more severe goes first, until the other has waited long enough', () => {
  const pool = mempool(limits);
  admit(pool, entryOf(1, { severity: 2, admittedMs: 1000 }));
  admit(pool, entryOf(2, { severity: 9, admittedMs: 2000 }));
  admit(pool, entryOf(3, { severity: 9, admittedMs: 9500 }));
  expect(names(pool)).toEqual(['tx2', 'tx1', 'tx3']);
});

test('the same content is there once, whatever carries it', () => {
  const pool = mempool(limits);
  admit(pool, entryOf(1));
  expect(admit(pool, entryOf(2, { contentHash: 'content1' })).outcome).toBe('present');
  expect(admit(pool, entryOf(1)).outcome).toBe('present');
  expect(pool.byTx.size).toBe(1);
});

test('an own transaction pushes out forwarded ones, last in rank first, and never an own one', () => {
  const pool = mempool(limits);
  for (const n of [1, 2, 3]) admit(pool, entryOf(n, { place: null, severity: n }));
  for (const n of [4, 5, 6]) admit(pool, entryOf(n));
  const admission = admit(pool, entryOf(7));
  expect(admission).toMatchObject({ outcome: 'admitted', evicted: [{ txId: 'tx1' }] });
  admit(pool, entryOf(8));
  admit(pool, entryOf(9));
  expect(admit(pool, entryOf(10)).outcome).toBe('full');
  expect(pool.byTx.size).toBe(6);
});

test('a forwarded transaction pushes out nobody', () => {
  const pool = mempool(limits);
  for (const n of [1, 2, 3, 4, 5, 6]) admit(pool, entryOf(n, { place: null }));
  expect(admit(pool, entryOf(7, { place: null, severity: 10 })).outcome).toBe('full');
});

test('an adopted transaction is not evicted any more', () => {
  const pool = mempool(limits);
  for (const n of [1, 2, 3, 4, 5, 6]) admit(pool, entryOf(n, { place: null }));
  adopt(pool, 'tx1', place, 'key');
  for (const n of [7, 8, 9, 10, 11]) expect(admit(pool, entryOf(n)).outcome).toBe('admitted');
  expect(pool.byTx.has('tx1')).toBe(true);
  expect(admit(pool, entryOf(12)).outcome).toBe('full');
});

test('what is best stays within both limits and skips what does not fit', () => {
  const pool = mempool(limits);
  admit(pool, entryOf(1, { bytes: 50, severity: 9 }));
  admit(pool, entryOf(2, { bytes: 500, severity: 8 }));
  admit(pool, entryOf(3, { bytes: 40, severity: 7 }));
  expect(best(pool, 10, 100).map((entry) => entry.txId)).toEqual(['tx1', 'tx3']);
  expect(best(pool, 1, 1000)).toHaveLength(1);
});

test('what is too old for any block leaves', () => {
  const pool = mempool(limits);
  admit(pool, entryOf(1, { tsMs: 100 }));
  admit(pool, entryOf(2, { tsMs: 200 }));
  expect(expire(pool, 150).map((entry) => entry.txId)).toEqual(['tx1']);
  expect(names(pool)).toEqual(['tx2']);
});

test('whatever happens, both limits hold and own transactions leave only by name', () => {
  const command = fc.record({
    n: fc.nat({ max: 15 }),
    own: fc.boolean(),
    bytes: fc.integer({ min: 1, max: 300 }),
    severity: fc.integer({ min: 1, max: 10 }),
    removes: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
      const pool = mempool(limits);
      const own = new Set<string>();
      for (const { n, removes, bytes, severity, ...rest } of commands) {
        if (removes) {
          remove(pool, `tx${n}`);
          own.delete(`tx${n}`);
          continue;
        }
        const entry = entryOf(n, { bytes, severity, place: rest.own ? place : null });
        if (admit(pool, entry).outcome === 'admitted' && rest.own) own.add(entry.txId);
        const entries = [...pool.byTx.values()];
        expect(entries.length).toBeLessThanOrEqual(limits.transactionsMax);
        const total = entries.reduce((sum, one) => sum + one.tx.bytes.length, 0);
        expect(pool.bytes).toBe(total);
        expect(total).toBeLessThanOrEqual(limits.bytesMax);
        expect(pool.byContent.size).toBe(pool.byTx.size);
        for (const name of own) expect(pool.byTx.has(name)).toBe(true);
      }
    }),
    { seed: SEED, numRuns: 200 },
  );
});
