import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { captureReader } from '#actors/telemetry/capture/reader.ts';
import { flowReader } from '#actors/telemetry/flows/reader.ts';
import { BATCH_MAX } from '#proto/flow-batch.ts';
import { dataDir, flows, hasData } from '#test/kit/data.ts';

type Row = { readonly file: string; readonly packets: number };

const manifest = (): Row[] =>
  readFileSync(path.join(dataDir, 'pcap', 'manifest.csv'), 'utf8')
    .trim()
    .split(/\r?\n/)
    .slice(1)
    .map((line) => {
      const cells = line.match(/("[^"]*"|[^,]*)(,|$)/g) ?? [];
      const cell = (index: number): string => (cells[index] ?? '').replace(/,$/, '');
      return { file: cell(1), packets: Number(cell(5)) };
    });

test.skipIf(!hasData)(
  'every capture has the packets of the manifest (needs the data folder)',
  () => {
    const rows = manifest();
    expect(rows.length).toBeGreaterThan(40);
    const read = rows.map(({ file }) => {
      const reader = captureReader(0, BATCH_MAX);
      const bytes = gunzipSync(readFileSync(path.join(dataDir, 'pcap', file)));
      let records = 0;
      for (let at = 0; at < bytes.length; at += 65_536) {
        for (const batch of reader.push(bytes.subarray(at, at + 65_536))) records += batch.count;
      }
      const { batch, truncated } = reader.end();
      records += batch?.count ?? 0;
      const { packets, malformed, notIp } = reader.counts;
      expect({ file, truncated, sum: records + malformed + notIp }).toEqual({
        file,
        truncated: false,
        sum: packets,
      });
      return { file, packets };
    });
    expect(read).toEqual(rows.map(({ file, packets }) => ({ file, packets })));
  },
);

test.skipIf(!hasData).each([
  ['mon', 1_838],
  ['tue', 8_365],
  ['wed', 20_411],
  ['thu', 8_855],
] as const)(
  'every row of the labelled flows of %s is read (needs the data folder)',
  (day, count) => {
    const reader = flowReader(0, BATCH_MAX, []);
    const bytes = gunzipSync(readFileSync(flows(day)));
    const batches = reader.push(bytes);
    const last = reader.end();
    const read = [...batches, ...(last === undefined ? [] : [last])];
    expect(reader.fault()).toBeUndefined();
    expect(reader.counts).toEqual({ rows: count, malformed: 0 });
    expect(read.reduce((sum, batch) => sum + batch.count, 0)).toBe(count);
  },
);
