import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BusRecord, decodeRecords, encodeRecords } from '#runtime/bus/record.ts';
import { commitMark, done, onFetched, openCount, subscription } from '#runtime/bus/subscription.ts';
import { recorder } from '#runtime/recorder.ts';

const record = (partition: number, offset: number): BusRecord => ({
  partition,
  offset,
  timestampMs: 1,
  key: 'k',
  value: new Uint8Array([offset]),
  headers: {},
});
const answer = (records: BusRecord[], positions: number[]) => ({
  ok: true as const,
  value: { outcome: 'ok' as const, records: encodeRecords(records), positions },
});

test('records survive their encoding', () => {
  const bytes = fc.uint8Array({ maxLength: 50 });
  const records = fc.array(
    fc.record({
      partition: fc.nat(5),
      offset: fc.nat(),
      timestampMs: fc.nat(),
      key: fc.string({ unit: 'grapheme' }),
      value: bytes,
      headers: fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true }),
    }),
  );
  fc.assert(
    fc.property(records, (list) => {
      expect(decodeRecords(encodeRecords(list))).toEqual(list);
    }),
    { verbose: 1 },
  );
});

test('the mark moves only over a gapless prefix of finished records, in whatever order they finish', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([...Array(12).keys()]), (finished) => {
      const sub = subscription({ topic: 't', group: 'g' });
      onFetched(
        sub,
        answer(
          [...Array(12).keys()].map((n) => record(0, n)),
          [12],
        ),
      );
      for (const offset of finished) done(sub, 0, offset);
      let expected = 0;
      while (finished.includes(expected)) expected++;
      expect(sub.marks[0]).toBe(expected);
      expect(openCount(sub)).toBe(12 - finished.length);
    }),
    { verbose: 1 },
  );
});

test('a mark is told once, and only when it has moved', () => {
  const sub = subscription({ topic: 't', group: 'g' });
  const fx = recorder<{ kind: 'x' }>();
  onFetched(sub, answer([record(0, 7), record(1, 3)], [8, 4]));
  commitMark(sub, fx);
  expect(fx.take()).toEqual([]);
  done(sub, 1, 3);
  commitMark(sub, fx);
  commitMark(sub, fx);
  expect(fx.take()).toMatchObject([{ message: { kind: 'commit', positions: [7, 4] } }]);
});

test('a failed fetch is tried again with growing pauses that end at five seconds', () => {
  const sub = subscription({ topic: 't', group: 'g' });
  const pauses = [...Array(10)].map(() => onFetched(sub, { ok: false, error: 'timeout' }).retryMs);
  expect(pauses.slice(0, 3)).toEqual([50, 100, 200]);
  expect(pauses.at(-1)).toBe(5000);
});
