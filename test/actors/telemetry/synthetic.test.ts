import { expect, test } from 'vitest';
import { config as featuresConfig } from '#actors/features/config.ts';
import { createMeter, type FlowBatch } from '#actors/features/meter/meter.ts';
import { config, type SyntheticConfig } from '#actors/telemetry/config.ts';
import { type Attack, LABELS } from '#actors/telemetry/synthetic/attacks.ts';
import { generator } from '#actors/telemetry/synthetic/generator.ts';
import { BATCH_MAX, FLOW, flowHandshake, PACKET, recordsOf } from '#proto/flow-batch.ts';
import { addressText } from '#test/kit/metering.ts';

const START_US = 1_800_000_000_000_000;

const settings = (changes: object = {}): SyntheticConfig =>
  config.parse({ source: { kind: 'synthetic', ...changes } }).source as SyntheticConfig;

type Taken = { readonly view: DataView; readonly count: number };

/** The traffic of the first `seconds`, in ticks of 100 ms. */
const traffic = (seconds: number, changes: object = {}): Taken[] => {
  const made = generator(settings(changes), START_US);
  const all: Taken[] = [];
  for (let tick = 1; tick <= seconds * 10; tick++) {
    for (;;) {
      const { bytes, count } = made.take(START_US + tick * 100_000, BATCH_MAX);
      all.push({ view: recordsOf(bytes), count });
      if (count < BATCH_MAX) break;
    }
  }
  return all;
};

const flowsIn = (taken: readonly Taken[]): FlowBatch[] => {
  const meter = createMeter(featuresConfig.parse({}));
  for (const { view, count } of taken) {
    for (let row = 0; row < count; row++) meter.packet(view, row);
  }
  meter.flush();
  return meter.take(true);
};

const rowsOf = (taken: readonly Taken[]): { view: DataView; row: number }[] =>
  taken.flatMap(({ view, count }) => Array.from({ length: count }, (_, row) => ({ view, row })));

test('the same seed gives the same bytes, another seed others', () => {
  const bytes = (seed: number): string =>
    traffic(8, { seed })
      .map(({ view }) => Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('hex'))
      .join('');
  expect(bytes(1)).toBe(bytes(1));
  expect(bytes(1)).not.toBe(bytes(2));
});

test('packets come in order of time, none of them later than it was asked for', () => {
  let lastUs = START_US;
  traffic(20).forEach(({ view, count }, tick) => {
    for (let row = 0; row < count; row++) {
      const timeUs = PACKET.get.timeUs(view, row);
      expect(timeUs).toBeGreaterThanOrEqual(lastUs);
      lastUs = timeUs;
    }
    expect(tick).toBeGreaterThanOrEqual(0);
  });
  expect(lastUs).toBeLessThanOrEqual(START_US + 20e6);
});

test('without attacks the rate is about what the setting says, and all of it is benign', () => {
  const rows = rowsOf(traffic(120, { attacks: false, ratePps: 300 }));
  expect(rows.length / 120).toBeGreaterThan(240);
  expect(rows.length / 120).toBeLessThan(360);
  const labels = new Set(rows.map(({ view, row }) => PACKET.get.labelIndex(view, row)));
  expect([...labels]).toEqual([LABELS.indexOf('benign')]);
});

test('a scan, password guessing and two floods have begun within 30 s', () => {
  const rows = rowsOf(traffic(30));
  const labels = new Set(rows.map(({ view, row }) => LABELS[PACKET.get.labelIndex(view, row)]));
  expect([...labels].sort()).toEqual([...LABELS].filter((label) => label !== '').sort());
});

test('the first scan and the first guesses come within 10 s', () => {
  const rows = rowsOf(traffic(10));
  const count = (attack: Attack): number =>
    rows.filter(({ view, row }) => PACKET.get.labelIndex(view, row) === LABELS.indexOf(attack))
      .length;
  expect(count('port_scan')).toBeGreaterThan(400);
  expect(count('brute_force')).toBeGreaterThan(100);
});

test('every source is one of documentation or of a private network', () => {
  for (const { view, row } of rowsOf(traffic(40))) {
    const source = addressText(PACKET.address.source(view, row));
    expect(source).toMatch(/^(10\.|192\.0\.2\.|198\.51\.100\.|203\.0\.113\.)/);
  }
});

test('guesses and the HTTP flood complete their handshakes, forged SYNs never do', () => {
  const seen: Record<string, Set<string>> = {};
  for (const { columns, count } of flowsIn(traffic(40))) {
    const view = recordsOf(columns);
    for (let row = 0; row < count; row++) {
      const label = LABELS[FLOW.get.labelIndex(view, row)] ?? '';
      const set = seen[label] ?? new Set();
      seen[label] = set.add(flowHandshake(view, row));
    }
  }
  expect([...(seen.brute_force ?? [])]).toEqual(['complete']);
  expect([...(seen.http_flood ?? [])]).toEqual(['complete']);
  expect([...(seen.syn_flood ?? [])]).toEqual(['syn']);
  expect([...(seen.port_scan ?? [])].sort()).toEqual(['complete', 'syn']);
});
