/**
 * A process of its own that reads a table of flows: a line for each batch (first and last row, SHA-256 of its
 * bytes) and one for each durable position. Arguments: data folder, URL, table, rows of a segment.
 */
import { createHash } from 'node:crypto';
import { FLOW } from '#proto/flow-batch.ts';
import { telemetryReader } from './telemetry-reader.ts';

const [dataDir, url, table, segmentRows] = process.argv.slice(2);
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

const source = {
  ...{ kind: 'postgres', url, table, pollMs: 0, segmentRows: Number(segmentRows) },
};
const reader = await telemetryReader(dataDir!, source, () => say({ settled: true }));
await reader.read(({ batch }) => {
  if (batch.shape !== 'rows' || batch.count === 0) return 'on';
  const view = new DataView(batch.columns.buffer, batch.columns.byteOffset);
  const sha = createHash('sha256').update(batch.vectors).update(batch.columns).digest('hex');
  const number = (row: number): number => FLOW.get.originNumber(view, row);
  say({ from: number(0), to: number(batch.count - 1), sha });
  return 'on';
});
await reader.adapter.close?.();
say({ end: true, rssBytes: process.memoryUsage().rss });
