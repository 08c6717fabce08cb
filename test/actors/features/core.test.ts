import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { config } from '#actors/features/config.ts';
import { core, type Self, type State } from '#actors/features/core.ts';
import { type Batch, captureReader } from '#actors/telemetry/capture/reader.ts';
import { flowReader } from '#actors/telemetry/flows/reader.ts';
import {
  BATCH_MAX,
  bytesOf,
  FEATURE_COUNT,
  FEATURE_NAMES,
  FLOW,
  floatsOf,
  isVector,
  vectorAt,
  WINDOW,
  WINDOWS_MAX,
} from '#proto/flow-batch.ts';
import { type Recorded, recorder } from '#runtime/recorder.ts';
import { capture, hasData } from '#test/kit/data.ts';
import { type Captured, ethernet, ip4, pcap, tcp } from '#test/kit/packets.ts';

type Out = {
  readonly kind: 'batch';
  readonly epoch: number;
  readonly seq: number;
  readonly flows: number;
  readonly windows: number;
  readonly vectors: Uint8Array;
  readonly columns: Uint8Array;
  readonly aggregates: Uint8Array;
  readonly capture: string;
  readonly end: boolean;
};

const toldTo = (effects: readonly Recorded[], name: string): Out[] =>
  effects
    .filter(({ effect, to }) => effect === 'tell' && to === name)
    .map(({ message }) => message as Out);

const batchesOf = (bytes: Uint8Array, batchMax = BATCH_MAX): Batch[] => {
  const reader = captureReader(0, batchMax);
  const batches = reader.push(bytes);
  const { batch } = reader.end();
  return batch === undefined ? batches : [...batches, batch];
};

const packetsMessage = (batch: Batch, seq: number, end: boolean, epoch = 1): Self => ({
  kind: 'packets',
  epoch,
  seq,
  count: batch.count,
  packets: batch.bytes,
  capture: 'pcap:x.pcap',
  flush: end,
  end,
});

const messagesOf = (batches: readonly Batch[], epoch = 1): Self[] =>
  batches.map((batch, index) =>
    packetsMessage(batch, index + 1, index === batches.length - 1, epoch),
  );

const run = (messages: readonly Self[], state: State = core.init(config.parse({}))) => {
  const fx = recorder<Self>(true);
  for (const message of messages) core.step(state, message, fx, 0);
  return { effects: fx.take(), state };
};

const digest = (out: readonly Out[]): string[] =>
  out.map((batch) =>
    [
      batch.seq,
      batch.flows,
      batch.windows,
      batch.end,
      batch.vectors,
      batch.columns,
      batch.aggregates,
    ]
      .map((part) => (part instanceof Uint8Array ? Buffer.from(part).toString('base64') : part))
      .join(' '),
  );

const scan = (count: number): Captured[] =>
  Array.from({ length: count }, (_, i) => ({
    timeUs: 1_700_000_000_000_000 + i * 2_000,
    frame: ethernet(
      ip4('203.0.113.9', '10.0.0.2', 6, tcp({ from: 40_000, to: i + 1, flags: 'S' })),
    ),
  }));

test('ensemble and engines get the same batches, the ensemble first', () => {
  const { effects } = run(messagesOf(batchesOf(pcap(scan(2_500)))));
  const ensemble = digest(toldTo(effects, 'ensemble'));
  expect(ensemble.length).toBeGreaterThan(2);
  for (const engine of ['rules', 'math', 'ml']) {
    expect(digest(toldTo(effects, engine))).toEqual(ensemble);
  }
  const order = effects.filter(({ effect }) => effect === 'tell').map(({ to }) => to);
  expect(order.indexOf('ensemble')).toBeLessThan(order.indexOf('rules'));
  expect(toldTo(effects, 'ensemble')[0]?.capture).toBe('pcap:x.pcap');
});

test('vectors are n x 79, columns n records, aggregates m records, within the limits', () => {
  const { effects } = run(messagesOf(batchesOf(pcap(scan(2_500)))));
  for (const batch of toldTo(effects, 'ensemble')) {
    expect(batch.vectors).toHaveLength(batch.flows * FEATURE_COUNT * 4);
    expect(batch.columns).toHaveLength(batch.flows * FLOW.size);
    expect(batch.aggregates).toHaveLength(batch.windows * WINDOW.size);
    expect(batch.flows).toBeLessThanOrEqual(BATCH_MAX);
    expect(batch.windows).toBeLessThanOrEqual(WINDOWS_MAX);
    const floats = floatsOf(batch.vectors);
    for (let row = 0; row < batch.flows; row++) expect(isVector(vectorAt(floats, row))).toBe(true);
  }
});

test('every packet is in a flow at the end, and the last batch alone says that it is', () => {
  const { effects } = run(messagesOf(batchesOf(pcap(scan(2_500)))));
  const out = toldTo(effects, 'ensemble');
  expect(out.reduce((sum, { flows }) => sum + flows, 0)).toBe(2_500);
  expect(out.map(({ end }) => end)).toEqual(out.map((_, index) => index === out.length - 1));
  expect(out.map(({ seq }) => seq)).toEqual(out.map((_, index) => index + 1));
});

test('windows go out while a flood runs, before any of its flows has ended', () => {
  const [first] = messagesOf(batchesOf(pcap(scan(1_001))));
  const { effects } = run([first as Self]);
  const out = toldTo(effects, 'ensemble');
  expect(out.reduce((sum, { flows }) => sum + flows, 0)).toBe(0);
  expect(out.reduce((sum, { windows }) => sum + windows, 0)).toBeGreaterThan(0);
});

test('telemetry hears how far each input batch went', () => {
  const { effects } = run(messagesOf(batchesOf(pcap(scan(2_500)))));
  const passed = effects.filter(({ to }) => to === 'telemetry').map(({ message }) => message);
  const last = toldTo(effects, 'ensemble').at(-1)?.seq;
  expect(passed).toHaveLength(3);
  expect(passed.at(-1)).toEqual({ kind: 'passed', epoch: 1, seq: 3, lastSeq: last });
});

test('an end without packets still reaches everybody', () => {
  const { effects } = run([packetsMessage({ count: 0, bytes: new Uint8Array(0) }, 1, true)]);
  expect(toldTo(effects, 'math')).toMatchObject([{ flows: 0, windows: 0, end: true }]);
});

test('a new epoch begins anew and gives the same bytes again; an older one is dropped', () => {
  const batches = batchesOf(pcap(scan(2_500)));
  const whole = run(messagesOf(batches));
  const broken = run(messagesOf(batches).slice(0, 2));
  const again = run(messagesOf(batches, 2), broken.state);
  expect(digest(toldTo(again.effects, 'ml'))).toEqual(digest(toldTo(whole.effects, 'ml')));
  expect(toldTo(run(messagesOf(batches, 1), again.state).effects, 'ml')).toEqual([]);
});

test('rows pass through unchanged, and windows are made of them', () => {
  const header = `src_ip,dst_ip,timestamp,${FEATURE_NAMES.join(',')}`;
  const numbers = (port: number): string =>
    FEATURE_NAMES.map(
      (name) =>
        (
          ({
            src_port: 4_000,
            dst_port: port,
            protocol: 6,
            tot_fwd_pkts: 2,
            syn_flag_cnt: 2,
          }) as Record<string, number>
        )[name] ?? 0,
    ).join(',');
  const lines = Array.from(
    { length: 300 },
    (_, i) => `203.0.113.9,10.0.0.2,${1_700_000_000 + i / 100},${numbers(i + 1)}`,
  );
  const reader = flowReader(0, BATCH_MAX, []);
  reader.push(new TextEncoder().encode([header, ...lines].join('\n')));
  const rows = reader.end();
  if (rows === undefined) throw new Error('no rows');
  const message: Self = {
    kind: 'rows',
    epoch: 1,
    seq: 1,
    count: rows.count,
    vectors: bytesOf(rows.vectors),
    columns: rows.columns,
    capture: 'flows:x.csv',
    flush: true,
    end: true,
  };
  const out = toldTo(run([message]).effects, 'rules');
  const withFlows = out.filter(({ flows }) => flows > 0);
  expect(withFlows).toHaveLength(1);
  expect(withFlows[0]?.vectors).toEqual(bytesOf(rows.vectors));
  expect(withFlows[0]?.columns).toEqual(rows.columns);
  expect(out.reduce((sum, { windows }) => sum + windows, 0)).toBeGreaterThan(0);
});

test('a row that is not 79 finite numbers reaches nobody and is counted', () => {
  const vectors = new Float32Array(2 * FEATURE_COUNT);
  vectors[5] = Number.NaN;
  const { effects } = run([
    {
      kind: 'rows',
      epoch: 1,
      seq: 1,
      count: 2,
      vectors: bytesOf(vectors),
      columns: new Uint8Array(2 * FLOW.size),
      capture: 'flows:x.csv',
      flush: false,
      end: false,
    },
  ]);
  expect(toldTo(effects, 'ml')).toMatchObject([{ flows: 1 }]);
  expect(effects).toContainEqual({ effect: 'emit', name: 'vectors_refused', value: 1 });
});

test.skipIf(!hasData)(
  'a capture gives the same flows whatever the size of its batches (needs the data folder)',
  () => {
    const bytes = gunzipSync(readFileSync(capture('benign__ndpi__reddit')));
    const all = (batchMax: number): string => {
      const { effects } = run(messagesOf(batchesOf(bytes, batchMax)));
      return toldTo(effects, 'ml')
        .map(({ vectors }) => Buffer.from(vectors).toString('hex'))
        .join('');
    };
    expect(all(1_000)).toBe(all(97));
  },
);
