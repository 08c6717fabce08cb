import { expect, test } from 'vitest';
import { deviations, learn, mahalanobis, newBaseline } from '#actors/math/baseline.ts';
import { config } from '#actors/math/config.ts';
import { core, type Self } from '#actors/math/core.ts';
import { judge, newMemory, valuesOf } from '#actors/math/judge.ts';
import { scoreAt } from '#proto/threats.ts';
import { recorder } from '#runtime/recorder.ts';
import { ACK, type Packet, rowsOf, scan, session, synFlood, windowsOf } from '#test/kit/traffic.ts';

const A = '192.0.2.1';
const B = '192.0.2.2';
const NONE = new Uint8Array(0);
const settings = config.parse({});

/** A minute and more of a host that is visited three times a second. */
const calm = (seconds: number): Packet[] =>
  Array.from({ length: seconds * 3 }, (_, i) =>
    session(i * 333, A, 2_000 + (i % 5_000), B, 443, 400),
  ).flat();

const later = (packets: readonly Packet[], ms: number): Packet[] =>
  packets.map((packet) => ({ ...packet, atMs: packet.atMs + ms }));

const judgeAll = (aggregates: Uint8Array, memory = newMemory()) => ({
  rows: rowsOf(aggregates),
  ...judge(settings, memory, { flows: 0, windows: rowsOf(aggregates).length, aggregates }),
});

test('nothing is said before there is a baseline', () => {
  const { rows, scores } = judgeAll(windowsOf(scan(A, B, 20, 100)));
  expect(rows.length).toBeGreaterThan(0);
  for (const { row } of rows) expect(scoreAt(scores, row, 'port_scan')).toBeNaN();
});

test('traffic as before is no deviation, a flood is', () => {
  const flood = later(synFlood(B, 3_000, 1), 61_000);
  const { rows, scores } = judgeAll(windowsOf([...calm(60), ...flood]));
  const of = (fromS: number, toS: number): number[] =>
    rows
      .filter(({ side, address }) => side === 'destination' && address === B)
      .filter(({ of: field }) => {
        const s = (field('lastMs') - 1_735_689_600_000) / 1000;
        return s >= fromS && s < toS;
      })
      .map(({ row }) => scoreAt(scores, row, 'ddos'))
      .filter((score) => !Number.isNaN(score));
  expect(Math.max(...of(0, 60))).toBeLessThan(0.5);
  expect(Math.max(...of(61, 65))).toBeGreaterThan(0.9);
});

test('an attack teaches nothing: the baseline stays as it was before it', () => {
  const memory = newMemory();
  judgeAll(windowsOf(calm(60)), memory);
  const before = [...memory.hosts].map(([key, { mean }]) => [key, [...mean]]);
  judgeAll(windowsOf(later(synFlood(B, 5_000, 1), 61_000)), memory);
  const own = before.filter(([key]) => String(key).startsWith('d'));
  for (const [key, mean] of own) expect([...memory.hosts.get(String(key))!.mean]).toEqual(mean);
});

test('what was never answered is no baseline, though it was there from the first packet', () => {
  const memory = newMemory();
  judgeAll(windowsOf(synFlood(B, 60_000, 1)), memory);
  for (const [key, { samples }] of memory.hosts) {
    if (key.startsWith('d')) expect(samples).toBeLessThan(5);
  }
});

test('more traffic to the same place is no scan', () => {
  const busy = Array.from(
    { length: 2_000 },
    (_, i): Packet => ({
      atMs: 61_000 + i,
      from: A,
      to: B,
      fromPort: 9,
      toPort: 443,
      flags: ACK,
      payload: 1_000,
    }),
  );
  const { rows, scores } = judgeAll(windowsOf([...calm(60), ...busy]));
  for (const { row, side } of rows) {
    const score = scoreAt(scores, row, 'port_scan');
    if (side === 'source' && !Number.isNaN(score)) expect(score).toBeLessThan(0.5);
  }
});

test('baselines are bounded, the least recent host gives way', () => {
  const memory = newMemory();
  const few = { ...settings, hostsMax: 16 };
  const packets = Array.from({ length: 60 }, (_, i) =>
    later(scan(`10.0.0.${i}`, B, 30, 10), i * 1_000),
  ).flat();
  const aggregates = windowsOf(packets);
  judge(few, memory, { flows: 0, windows: rowsOf(aggregates).length, aggregates });
  expect(memory.hosts.size).toBeLessThanOrEqual(16);
});

test('a shift that stays is learnt anew after the longest freeze', () => {
  const memory = newMemory();
  const quick = { ...settings, frozenMaxS: 20 };
  const run = (packets: readonly Packet[]) => {
    const aggregates = windowsOf(packets);
    const windows = rowsOf(aggregates).length;
    return judge(quick, memory, { flows: 0, windows, aggregates });
  };
  run(calm(60));
  const loud = Array.from({ length: 90 * 60 }, (_, i) =>
    session(61_000 + i * 16, A, 2_000 + (i % 9_000), B, 443, 1_400),
  ).flat();
  const { scores } = run(loud);
  const tail = [...scores.slice(-7 * 4)].filter((score) => !Number.isNaN(score));
  expect(Math.max(0, ...tail)).toBeLessThan(0.5);
});

test('the distance of Mahalanobis knows what goes together', () => {
  const baseline = newBaseline();
  for (let i = 0; i < 400; i += 1) {
    const load = Math.sin(i) * 2;
    learn(baseline, Float64Array.of(5 + load, 10 + load, 2, 1, 1, 0, 1, 2), 30);
  }
  const together = mahalanobis(baseline, Float64Array.of(7, 12, 2, 1, 1, 0, 1, 2));
  const apart = mahalanobis(baseline, Float64Array.of(7, 8, 2, 1, 1, 0, 1, 2));
  expect(apart).toBeGreaterThan(2 * together);
  expect(deviations(baseline, Float64Array.of(5, 10, 2, 1, 1, 0, 1, 2))[2]).toBeCloseTo(0, 6);
});

test('values of a window are finite whatever is in it', () => {
  for (const { view, row } of rowsOf(windowsOf(scan(A, B, 60, 1)))) {
    for (const value of valuesOf(view, row)) expect(Number.isFinite(value)).toBe(true);
  }
});

test('a new epoch begins without a memory, and the same batches give the same bytes', () => {
  const state = core.init(settings);
  const fx = recorder<Self>();
  const aggregates = windowsOf([...calm(60), ...later(synFlood(B, 500, 1), 61_000)]);
  const windows = rowsOf(aggregates).length;
  const run = (epoch: number) => {
    const head = { kind: 'batch', epoch, seq: 1, flows: 0, windows } as const;
    core.step(state, { ...head, vectors: NONE, columns: NONE, aggregates, end: false }, fx, 0);
    const { scores, reasons } = fx.take()[0]!.message as {
      scores: Uint8Array;
      reasons: Uint8Array;
    };
    return [scores, reasons];
  };
  expect(run(2)).toEqual(run(3));
});
