import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PublishOutcome } from '#runtime/bus/driver.ts';
import {
  doubt,
  doubtedOf,
  type Entry,
  laneOf,
  nextBatch,
  renew,
  settleBatch,
  sizeOf,
  takeBack,
} from '#runtime/bus/kafka/lane.ts';

const producer = { producerId: '7', producerEpoch: 0 };
const message = (n: number) => ({
  topic: 't',
  key: 'k',
  value: new Uint8Array([n]),
  headers: {},
});
const entry = (n: number, outcomes: PublishOutcome[] = []): Entry => ({
  message: message(n),
  bytes: 100,
  settle: (outcome) => void outcomes.push(outcome),
  landedAt: undefined,
});
const numbers = (entries: readonly Entry[]): number[] =>
  entries.map((one) => one.message.value[0]!);

test('batches take the queue in order, within their bytes, and number its records without a gap', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 60 }), (sizes) => {
      const lane = laneOf('t', 0);
      lane.queue = sizes.map((bytes, n) => ({ ...entry(n), bytes }));
      const seen: number[] = [];
      for (let next = 0; ; ) {
        const batch = nextBatch(lane, producer, 256);
        if (batch === undefined) break;
        expect(batch.sequence).toBe(next);
        const bytes = batch.entries.reduce((sum, one) => sum + one.bytes, 0);
        expect(bytes <= 256 || batch.entries.length === 1).toBe(true);
        next += batch.entries.length;
        seen.push(...numbers(batch.entries));
      }
      expect(seen).toEqual([...sizes.keys()]);
    }),
    { verbose: 1 },
  );
});

test('what no broker has seen goes back to the front, without those who gave up, under the same number', () => {
  const lane = laneOf('t', 0);
  lane.queue = [1, 2, 3].map((n) => entry(n));
  const batch = nextBatch(lane, producer, 200)!;
  batch.entries[0]!.settle = undefined;
  takeBack(lane, batch);
  expect(numbers(lane.queue)).toEqual([2, 3]);
  expect(nextBatch(lane, producer, 1000)!.sequence).toBe(0);
});

test('a new identity begins its numbers at 0 and goes on after the batch in flight', () => {
  const lane = laneOf('t', 0);
  lane.queue = [1, 2, 3].map((n) => entry(n));
  nextBatch(lane, producer, 100);
  const batch = nextBatch(lane, producer, 100)!;
  expect(batch.sequence).toBe(1);
  const other = { producerId: '8', producerEpoch: 0 };
  renew(lane, batch, other);
  expect(batch).toMatchObject({ sequence: 0, producer: other });
  expect(nextBatch(lane, other, 100)!.sequence).toBe(1);
});

test('numbers go round after the last one that 31 bits hold', () => {
  const lane = laneOf('t', 0);
  lane.queue = [1, 2, 3, 4].map((n) => entry(n));
  lane.producer = producer;
  lane.sequence = 0x7fff_fffe;
  expect(nextBatch(lane, producer, 300)!.sequence).toBe(0x7fff_fffe);
  expect(nextBatch(lane, producer, 300)!.sequence).toBe(1);
});

test('a record whose publisher gave up and that landed after all is found again by what it is', () => {
  const outcomes: PublishOutcome[] = [];
  const lane = laneOf('t', 2);
  lane.queue = [entry(1, outcomes), entry(2, outcomes)];
  const batch = nextBatch(lane, producer, 1000)!;
  lane.flight = batch;
  const lost = batch.entries[1]!;
  lost.settle = undefined;
  doubt(lane, lost);
  settleBatch(lane, batch, 40, { outcome: 'unavailable' });
  expect(outcomes).toEqual([{ outcome: 'ok', partition: 2, offset: 40 }]);
  expect(doubtedOf(lane, message(3))).toBeUndefined();
  expect(doubtedOf(lane, message(2))).toMatchObject({ landedAt: 41 });
  expect(doubtedOf(lane, message(2))).toBeUndefined();
});

test('a doubtful record that did not land is forgotten: published again it is new', () => {
  const lane = laneOf('t', 0);
  lane.queue = [entry(1)];
  const batch = nextBatch(lane, producer, 1000)!;
  batch.entries[0]!.settle = undefined;
  doubt(lane, batch.entries[0]!);
  settleBatch(lane, batch, undefined, { outcome: 'too-large' });
  expect(doubtedOf(lane, message(1))).toBeUndefined();
});

test('headers count for the size of a record', () => {
  const plain = sizeOf(message(1));
  expect(sizeOf({ ...message(1), headers: { traceparent: 'x'.repeat(55) } })).toBeGreaterThan(
    plain + 66,
  );
});
