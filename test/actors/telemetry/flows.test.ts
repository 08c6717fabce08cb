import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cellsOf, putAddress, timeOf } from '#actors/telemetry/flows/cells.ts';
import { columnsOf } from '#actors/telemetry/flows/columns.ts';
import { flowReader, type LabelTable } from '#actors/telemetry/flows/reader.ts';
import {
  F,
  FEATURE_COUNT,
  FEATURE_NAMES,
  FLOW,
  FLOW_MARK,
  flowHandshake,
  recordsOf,
} from '#proto/flow-batch.ts';
import { addressText } from '#test/kit/metering.ts';

const SEED = 20_261_121;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const ROW: Partial<Record<keyof typeof F, number>> = {
  src_port: 40_000,
  dst_port: 22,
  protocol: 6,
  flow_duration: 2_500_000,
  tot_fwd_pkts: 5,
  tot_bwd_pkts: 4,
  totlen_fwd_pkts: 300,
  totlen_bwd_pkts: 700,
  fwd_header_len: 160,
  bwd_header_len: 128,
  syn_flag_cnt: 2,
  ack_flag_cnt: 8,
};
const numbers = (changes: Partial<Record<keyof typeof F, number | string>> = {}): string =>
  FEATURE_NAMES.map((name) => ({ ...ROW, ...changes })[name] ?? 0).join(',');
const SIDES = 'src_ip,dst_ip,timestamp,label';
const HEADER = `${SIDES},${FEATURE_NAMES.join(',')}`;
const row = (changes: Partial<Record<keyof typeof F, number | string>> = {}): string =>
  `192.0.2.7,2001:db8::9,2017-07-05 11:42:48.623825,BENIGN,${numbers(changes)}`;

const read = (text: string, batchMax = 1_000) => {
  const labels: LabelTable = [];
  const reader = flowReader(3, batchMax, labels);
  const batches = reader.push(bytes(text));
  const last = reader.end();
  return { reader, labels, batches: last === undefined ? batches : [...batches, last] };
};

test('a row becomes its vector and its columns; the label goes aside', () => {
  const { reader, labels, batches } = read(`${HEADER}\r\n${row()}\r\n`);
  expect(reader.fault()).toBeUndefined();
  const [batch] = batches;
  const view = recordsOf(batch?.columns ?? new Uint8Array(0));
  expect(batch?.count).toBe(1);
  expect(batch?.vectors).toHaveLength(FEATURE_COUNT);
  expect(batch?.vectors[F.flow_duration]).toBe(2_500_000);
  expect(addressText(FLOW.address.source(view, 0))).toBe('192.0.2.7');
  expect(addressText(FLOW.address.destination(view, 0))).toBe('2001:db8:0:0:0:0:0:9');
  expect(FLOW.get.firstUs(view, 0)).toBe(1_499_254_968_623_825);
  expect(FLOW.get.lastUs(view, 0)).toBe(1_499_254_971_123_825);
  expect(FLOW.get.packets(view, 0)).toBe(9);
  expect(FLOW.get.bytes(view, 0)).toBe(1_288);
  expect(FLOW.get.fileIndex(view, 0)).toBe(3);
  expect(flowHandshake(view, 0)).toBe('complete');
  expect(labels[FLOW.get.labelIndex(view, 0)]).toBe('BENIGN');
});

test('a SYN that nobody acknowledged is no completed handshake', () => {
  const { batches } = read(
    `${HEADER}\n${row({ ack_flag_cnt: 1, tot_bwd_pkts: 1, rst_flag_cnt: 1 })}`,
  );
  expect(flowHandshake(recordsOf(batches[0]?.columns ?? new Uint8Array(0)), 0)).toBe('syn');
});

test('batches hold at most what the setting says', () => {
  const { batches } = read([HEADER, ...Array.from({ length: 25 }, () => row())].join('\n'), 10);
  expect(batches.map(({ count }) => count)).toEqual([10, 10, 5]);
});

test('malformed rows are counted and skipped, and the others are kept', () => {
  const bad = [
    row().slice(0, 90),
    row({ flow_byts_s: 'Infinity' }),
    row({ flow_pkts_s: 'NaN' }),
    row({ dst_port: 70_000 }),
    row({ src_port: '' }),
    row().replace('192.0.2.7', '192.0.2.700'),
    row().replace('2017-07-05', 'yesterday'),
    '"never closed',
  ];
  const { reader, batches } = read([HEADER, row(), ...bad, row()].join('\n'));
  expect(reader.counts).toEqual({ rows: bad.length + 2, malformed: bad.length });
  expect(batches.map(({ count }) => count)).toEqual([2]);
});

test('missing columns are named in the words of CICFlowMeter', () => {
  const without = FEATURE_NAMES.filter((name) => name !== 'idle_min' && name !== 'fwd_header_len');
  const { reader } = read(`${without.join(',')}\n1,2\n`);
  expect(reader.fault()).toContain('2 of 79 columns are missing');
  expect(reader.fault()).toContain('fwd_header_len (fwd header length), idle_min (idle_min)');
});

test('JSON lines are read by the keys of the first object', () => {
  const object = {
    src_ip: '192.0.2.7',
    dst_ip: '198.51.100.1',
    timestamp: 1_499_254_968.5,
    ...Object.fromEntries(FEATURE_NAMES.map((name) => [name, ROW[name] ?? 0])),
  };
  const { reader, batches } = read(
    `${JSON.stringify(object)}\n{"broken\n${JSON.stringify(object)}\n`,
  );
  expect(reader.counts).toEqual({ rows: 3, malformed: 1 });
  const view = recordsOf(batches[0]?.columns ?? new Uint8Array(0));
  expect(FLOW.get.firstUs(view, 1)).toBe(1_499_254_968_500_000);
  expect(batches[0]?.vectors[F.dst_port]).toBe(22);
});

test('without addresses and times a row is marked as such', () => {
  const { batches } = read(`${FEATURE_NAMES.join(',')}\n${numbers()}\n`);
  const view = recordsOf(batches[0]?.columns ?? new Uint8Array(0));
  expect(FLOW.get.marks(view, 0)).toBe(FLOW_MARK.addressUnknown | FLOW_MARK.timeUnknown);
});

test('the headers of CIC-IDS2017 and CSE-CIC-IDS2018 are both understood', () => {
  const v3 = [
    'Flow ID, Source IP, Source Port, Destination IP, Destination Port, Protocol',
    ' Timestamp, Flow Duration, Total Fwd Packets, Total Backward Packets',
    'Total Length of Fwd Packets, Total Length of Bwd Packets, Fwd Packet Length Max',
    ' Fwd Packet Length Min, Fwd Packet Length Mean, Fwd Packet Length Std',
    'Bwd Packet Length Max, Bwd Packet Length Min, Bwd Packet Length Mean',
    ' Bwd Packet Length Std,Flow Bytes/s, Flow Packets/s, Flow IAT Mean, Flow IAT Std',
    ' Flow IAT Max, Flow IAT Min,Fwd IAT Total, Fwd IAT Mean, Fwd IAT Std, Fwd IAT Max',
    ' Fwd IAT Min,Bwd IAT Total, Bwd IAT Mean, Bwd IAT Std, Bwd IAT Max, Bwd IAT Min',
    'Fwd PSH Flags, Bwd PSH Flags, Fwd URG Flags, Bwd URG Flags, Fwd Header Length',
    ' Bwd Header Length,Fwd Packets/s, Bwd Packets/s, Min Packet Length',
    ' Max Packet Length, Packet Length Mean, Packet Length Std, Packet Length Variance',
    'FIN Flag Count, SYN Flag Count, RST Flag Count, PSH Flag Count, ACK Flag Count',
    ' URG Flag Count, CWE Flag Count, ECE Flag Count, Down/Up Ratio, Average Packet Size',
    ' Avg Fwd Segment Size, Avg Bwd Segment Size, Fwd Header Length,Fwd Avg Bytes/Bulk',
    ' Fwd Avg Packets/Bulk, Fwd Avg Bulk Rate, Bwd Avg Bytes/Bulk, Bwd Avg Packets/Bulk',
    'Bwd Avg Bulk Rate,Subflow Fwd Packets, Subflow Fwd Bytes, Subflow Bwd Packets',
    ' Subflow Bwd Bytes,Init_Win_bytes_forward, Init_Win_bytes_backward, act_data_pkt_fwd',
    ' min_seg_size_forward,Active Mean, Active Std, Active Max, Active Min,Idle Mean',
    ' Idle Std, Idle Max, Idle Min, Label',
  ].join(',');
  const v4 = [
    'Src IP,Src Port,Dst IP,Dst Port,Protocol,Timestamp,Flow Duration,Tot Fwd Pkts',
    'Tot Bwd Pkts,TotLen Fwd Pkts,TotLen Bwd Pkts,Fwd Pkt Len Max,Fwd Pkt Len Min',
    'Fwd Pkt Len Mean,Fwd Pkt Len Std,Bwd Pkt Len Max,Bwd Pkt Len Min,Bwd Pkt Len Mean',
    'Bwd Pkt Len Std,Flow Byts/s,Flow Pkts/s,Flow IAT Mean,Flow IAT Std,Flow IAT Max',
    'Flow IAT Min,Fwd IAT Tot,Fwd IAT Mean,Fwd IAT Std,Fwd IAT Max,Fwd IAT Min',
    'Bwd IAT Tot,Bwd IAT Mean,Bwd IAT Std,Bwd IAT Max,Bwd IAT Min,Fwd PSH Flags',
    'Bwd PSH Flags,Fwd URG Flags,Bwd URG Flags,Fwd Header Len,Bwd Header Len,Fwd Pkts/s',
    'Bwd Pkts/s,Pkt Len Min,Pkt Len Max,Pkt Len Mean,Pkt Len Std,Pkt Len Var,FIN Flag Cnt',
    'SYN Flag Cnt,RST Flag Cnt,PSH Flag Cnt,ACK Flag Cnt,URG Flag Cnt,CWE Flag Count',
    'ECE Flag Cnt,Down/Up Ratio,Pkt Size Avg,Fwd Seg Size Avg,Bwd Seg Size Avg',
    'Fwd Byts/b Avg,Fwd Pkts/b Avg,Fwd Blk Rate Avg,Bwd Byts/b Avg,Bwd Pkts/b Avg',
    'Bwd Blk Rate Avg,Subflow Fwd Pkts,Subflow Fwd Byts,Subflow Bwd Pkts,Subflow Bwd Byts',
    'Init Fwd Win Byts,Init Bwd Win Byts,Fwd Act Data Pkts,Fwd Seg Size Min,Active Mean',
    'Active Std,Active Max,Active Min,Idle Mean,Idle Std,Idle Max,Idle Min,Label',
  ].join(',');
  for (const header of [v3, v4]) {
    const columns = columnsOf(header.split(','));
    expect(columns.ok ? columns.value.features : columns.error).toHaveLength(FEATURE_COUNT);
    expect(columns.ok && columns.value.source >= 0 && columns.value.label >= 0).toBe(true);
  }
});

test.each([
  ['2017-07-05 11:42:48.623825', 1_499_254_968_623_825],
  ['2017-07-05T11:42:48Z', 1_499_254_968_000_000],
  ['05/07/2017 11:42:48 AM', 1_499_254_968_000_000],
  ['5/7/2017 1:42', 1_499_218_920_000_000],
  ['1499254968.5', 1_499_254_968_500_000],
  ['1499254968623', 1_499_254_968_623_000],
])('%s is a point in time', (text, us) => {
  expect(timeOf(text)).toBe(us);
});

test.each(['', 'soon', '2017-13', '99'])('%j is no point in time', (text) => {
  expect(timeOf(text)).toBeNaN();
});

test.each([
  ['10.1.2.3', '10.1.2.3'],
  ['::', '0:0:0:0:0:0:0:0'],
  ['::ffff:10.1.2.3', '10.1.2.3'],
  ['fe80::1', 'fe80:0:0:0:0:0:0:1'],
])('%s is an address', (text, written) => {
  const out = new Uint8Array(16);
  expect(putAddress(text, out)).toBe(true);
  expect(addressText(out)).toBe(written);
});

test.each(['', '10.1.2', '10.1.2.3.4', '1.2.3.256', ':', '1::2::3', '12345::', 'g::1'])(
  '%j is no address',
  (text) => {
    expect(putAddress(text, new Uint8Array(16))).toBe(false);
  },
);

test('quoted cells are read as RFC 4180 writes them', () => {
  expect(cellsOf('a,"b,c","d""e",,"f"')).toEqual(['a', 'b,c', 'd"e', '', 'f']);
});

test('no text makes the reader throw', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 60 }), { maxLength: 20 }), (lines) => {
      const { reader } = read([HEADER, ...lines].join('\n'));
      expect(reader.counts.malformed).toBe(reader.counts.rows);
    }),
    { seed: SEED, numRuns: 200 },
  );
});
