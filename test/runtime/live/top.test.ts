import { expect, test } from 'vitest';
import type { ActorTotals, Numbers } from '#runtime/live/top-numbers.ts';
import { topLines, topRows } from '#runtime/live/top-view.ts';
import { metricsBytes, readMetrics, writeMetrics } from '#runtime/metrics/metrics.ts';

/** Buckets of handling times in seconds. */
const handling = (...seconds: readonly number[]) => {
  const memory = new SharedArrayBuffer(metricsBytes());
  const writer = writeMetrics(memory);
  for (const one of seconds) writer.observe('x_seconds', one);
  return readMetrics(memory).distributions.x_seconds?.buckets ?? {};
};

const actor = (path: string, given: Partial<ActorTotals> = {}): ActorTotals => ({
  path,
  actor: path,
  thread: 0,
  state: 'running',
  suspended: false,
  restarts: 0,
  messages: 0,
  depth: 0,
  depthMax: 0,
  handling: {},
  ...given,
});

const numbers = (clockMs: number, actors: readonly ActorTotals[]): Numbers => ({
  atMs: clockMs,
  clockMs,
  actors,
  threads: [{ thread: 0, lagMs: 3, heapBytes: 30 << 20, arrayBufferBytes: 2 << 20 }],
  residentBytes: 100 << 20,
});

const WIDE = { columns: 200, rows: 50 };

test('rates and handling times are those between two readings', () => {
  const before = numbers(1000, [actor('a', { messages: 100, handling: handling(10, 10) })]);
  const now = numbers(3000, [
    actor('a', { messages: 300, handling: handling(10, 10, 0.001, 0.004) }),
  ]);
  const [row] = topRows(now, before, 'rate');
  expect(row).toMatchObject({ perSecond: 100, lagMs: 3, memoryBytes: 32 << 20 });
  expect(row!.p50Ms).toBeCloseTo(1, 0);
  expect(row!.p99Ms).toBeCloseTo(4, 0);
  // Nothing handled in between: what was since the start.
  expect(topRows(now, now, 'rate')[0]!.p99Ms).toBeGreaterThan(9000);
  expect(topRows(numbers(1, [actor('a')]), undefined, 'rate')[0]).toMatchObject({
    p50Ms: null,
    perSecond: 0,
  });
});

test('each key sorts by its column, the largest first, names by the alphabet', () => {
  const now = numbers(2000, [
    actor('b', { depth: 5, restarts: 1, messages: 10, handling: handling(0.001) }),
    actor('a', { depth: 9, messages: 30, handling: handling(0.5) }),
    actor('c', { restarts: 2 }),
  ]);
  const before = numbers(1000, [actor('b'), actor('a'), actor('c')]);
  const order = (key: Parameters<typeof topRows>[2]): string =>
    topRows(now, before, key)
      .map(({ path }) => path)
      .join('');
  expect(order('rate')).toBe('abc');
  expect(order('depth')).toBe('abc');
  expect(order('restarts')).toBe('cba');
  expect(order('p99')).toBe('abc');
  expect(order('name')).toBe('abc');
  expect(order('memory')).toBe('bac'); // all the same: the order of the tree
});

test('the table fits the terminal, and says how many actors it leaves out', () => {
  const actors = Array.from({ length: 20 }, (_, k) => actor(`v1.actor-number-${k}`));
  const lines = topLines(numbers(1000, actors), undefined, 'name', { columns: 60, rows: 10 });
  expect(lines).toHaveLength(10);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
  expect(lines.at(-1)).toBe('… 13 more');
});

test('an actor that an operator has suspended is shown as such, one that has failed, too', () => {
  const now = numbers(1, [actor('a', { suspended: true }), actor('b', { state: 'failed' })]);
  const lines = topLines(now, undefined, 'name', WIDE);
  expect(lines[0]).toBe('2 actors on 1 thread   0.0 msg/s   100 MiB resident   by name');
  expect(lines[2]).toMatch(/^a +suspended /);
  expect(lines[3]).toMatch(/^b +failed /);
});

test('a thread that has not told yet how it is has no lag and no memory', () => {
  const now = numbers(1, [actor('a'), actor('b', { thread: 1 })]);
  expect(topRows(now, undefined, 'lag').map(({ path }) => path)).toEqual(['a', 'b']);
  expect(topRows(now, undefined, 'name')[1]).toMatchObject({ lagMs: null, memoryBytes: null });
  const lines = topLines(now, undefined, 'name', WIDE);
  expect(lines[0]).toMatch(/^2 actors on 2 threads /);
  expect(lines[3]).toMatch(/ +1 +- +-$/);
});
