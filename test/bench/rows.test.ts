import { expect, test } from 'vitest';
import { interleave } from '../../bench/kit/rounds.ts';
import { compared, figure, medianOf, quantile, table } from '../../bench/kit/rows.ts';

const rate = { bench: 'b', name: 'r', unit: 'msg/s' } as const;
const time = { bench: 'b', name: 't', unit: 'us' } as const;

test('a ratio says how many times better, for rates and for times', () => {
  const faster = compared(rate, [30, 10, 20], [5, 4, 3], { gate: 5 }).row;
  expect(faster).toMatchObject({ median: 20, min: 10, max: 30, baseline: 4, ratio: 5, met: true });
  const shorter = compared(time, [50], [40], { gate: 1 }).row;
  expect(shorter).toMatchObject({ median: 50, baseline: 40, ratio: 0.8, target: 1, met: false });
});

test('a figure without a baseline meets a limit in its own unit', () => {
  expect(figure(time, [3, 1, 2], { gate: 2 }).row.met).toBe(true);
  expect(figure(time, [3], { gate: 2 }).row.met).toBe(false);
  expect(figure(rate, [3], { gate: 2 }).row.met).toBe(true);
  expect(figure(rate, [3]).row).toMatchObject({ target: null, met: null, ratio: null });
});

test('the table says of gate and stretch whether they are met', () => {
  const lines = table([compared(rate, [20], [4], { gate: 5, stretch: 6 })]).split('\n');
  expect(lines[2]).toBe('| b | r | msg/s | 20 | 20 | 20 | 4 | 5 | 5 met | 6 MISSED |');
});

test('medians and quantiles are those of the sorted values', () => {
  expect(medianOf([9, 1, 5])).toBe(5);
  expect(medianOf([4, 1, 2, 3])).toBe(2.5);
  expect(quantile([1, 2, 3, 4], 0.99)).toBe(4);
  expect(quantile([1, 2, 3, 4], 0.5)).toBe(3);
});

test('rounds are interleaved, and warm ones forgotten', async () => {
  const order: string[] = [];
  let n = 0;
  const party = (name: string) => ({
    name,
    measure: async () => {
      order.push(name);
      return { rate: n++ };
    },
  });
  const all = await interleave([party('a'), party('b')], 2, 1);
  expect(order).toEqual(['a', 'b', 'a', 'b', 'a', 'b']);
  expect(all.of('a')).toEqual([2, 4]);
  expect(all.has('c')).toBe(false);
  expect(() => all.of('a', 'p50')).toThrow('a has not measured p50');
});
