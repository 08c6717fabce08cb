import fc from 'fast-check';
import { expect, test } from 'vitest';
import { metricsBytes, readMetrics, writeMetrics } from '#runtime/metrics/metrics.ts';
import { prometheusText } from '#runtime/metrics/prometheus.ts';
import { circleIn } from '#runtime/system/watchdog.ts';

const memory = (): SharedArrayBuffer => new SharedArrayBuffer(metricsBytes());

test('counters grow, gauges are replaced, names with a unit are distributions', () => {
  const m = memory();
  const w = writeMetrics(m);
  w.emit('stage_flows', 3);
  w.emit('stage_flows', 4);
  w.gauge('height', 9);
  w.gauge('height', 8);
  w.emit('lag_seconds', 0.5);
  const r = readMetrics(m);
  expect([r.counters, r.gauges]).toEqual([{ stage_flows: 7 }, { height: 8 }]);
  expect(r.distributions.lag_seconds).toMatchObject({ count: 1, sum: 0.5 });
});

test('a new writer goes on with what the old one counted', () => {
  const m = memory();
  writeMetrics(m).count('n', 1);
  const w = writeMetrics(m);
  w.count('n', 1);
  w.count('other', 1);
  expect(readMetrics(m).counters).toEqual({ n: 2, other: 1 });
});

test('quantiles are within a tenth of the true ones', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 1e-5, max: 1e4, noNaN: true }), {
        minLength: 1,
        size: 'max',
        maxLength: 300,
      }),
      (values) => {
        const m = memory();
        const w = writeMetrics(m);
        for (const v of values) w.emit('x_seconds', v);
        const d = readMetrics(m).distributions.x_seconds!;
        const sorted = [...values].sort((a, b) => a - b);
        const near = (got: number, q: number): void => {
          const want = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!;
          expect(Math.abs(got / want - 1)).toBeLessThan(0.1);
        };
        near(d.p50, 0.5);
        near(d.p99, 0.99);
        expect(d.atMost(1e9)).toBe(values.length);
      },
    ),
  );
});

test('zero and negative values count in the lowest bucket', () => {
  const m = memory();
  writeMetrics(m).emit('x_ratio', 0);
  writeMetrics(m).emit('x_ratio', -1);
  expect(readMetrics(m).distributions.x_ratio).toMatchObject({ count: 2, sum: -1, p50: 0 });
});

test('the number of names is bounded', () => {
  const w = writeMetrics(memory());
  for (let k = 0; k < 256; k++) w.count(`n${k}`, 1);
  expect(() => w.count('one more', 1)).toThrow('metric one more');
});

test('Prometheus text: types once, labels escaped, buckets cumulative', () => {
  const m = memory();
  const w = writeMetrics(m);
  w.emit('stage_flows', 2);
  w.emit('lag_seconds', 0.02);
  w.emit('lag_seconds', 2);
  const { counters, gauges, distributions } = readMetrics(m);
  const one = {
    actor: 'features',
    thread: 0,
    state: 'running',
    restarts: 1,
    messages: 5,
    depth: 0,
    depthMax: 2,
    suspended: false,
    handling: undefined,
    counters,
    gauges,
    distributions,
    deadLetters: {},
  } as const;
  const actors = [
    { ...one, path: 'detection.features' },
    { ...one, path: 'odd"name' },
  ];
  const text = prometheusText({
    actors,
    threads: [
      { thread: 3, lagMs: 2, heapBytes: 5, arrayBufferBytes: 6, suspended: [], openAsks: 1 },
    ],
    deadLetters: { total: 2, byReason: { expired: 2 }, newest: [] },
    sparesReady: 1,
    slabsFree: 7,
    runtime: [{ name: 'trace_spans', kind: 'counter', labels: { thread: '3' }, value: 7 }],
  });
  const lines = text.split('\n');
  expect(
    lines.filter((l) => l === '# TYPE cybermesh_features_stage_flows_total counter'),
  ).toHaveLength(1);
  expect(lines).toContain('cybermesh_features_stage_flows_total{actor="detection.features"} 2');
  expect(lines).toContain('cybermesh_features_stage_flows_total{actor="odd\\"name"} 2');
  expect(lines).toContain(
    'cybermesh_features_lag_seconds_bucket{actor="detection.features",le="0.05"} 1',
  );
  expect(lines).toContain(
    'cybermesh_features_lag_seconds_bucket{actor="detection.features",le="+Inf"} 2',
  );
  expect(lines).toContain('cybermesh_trace_spans_total{thread="3"} 7');
  expect(lines).toContain('cybermesh_actor_suspended{actor="detection.features"} 0');
  expect(lines).toContain('cybermesh_dead_letters_total{reason="expired"} 2');
  expect(lines).toContain('cybermesh_thread_lag_seconds{thread="3"} 0.002');
  expect(lines).toContain('cybermesh_spare_threads_ready 1');
  expect(lines).toContain('cybermesh_slabs_free 7');
});

test('a circle of actors that wait for each other is found, a chain is none', () => {
  expect(
    circleIn(
      new Map([
        [1, 2],
        [2, 3],
        [3, 4],
      ]),
    ),
  ).toEqual([]);
  expect(
    circleIn(
      new Map([
        [1, 2],
        [2, 3],
        [3, 2],
      ]),
    ),
  ).toEqual([2, 3]);
  expect(circleIn(new Map([[5, 5]]))).toEqual([5]);
});
