/**
 * Parity with the corrected CICFlowMeter on its own captures. Deviations of that tool, as the
 * data's README and the definitions in features.csv name them: a flow of one packet has -1 for both
 * rates (ours 0), and it divides by the number of gaps above 1 s where ours divides by the number
 * of subflows (gaps + 1).
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { FEATURE_NAMES, type FeatureName } from '#proto/flow-batch.ts';
import { dataDir, hasData } from '#test/kit/data.ts';
import { type MeteredFlow, meterFile } from '#test/kit/metering.ts';

const rowsOf = (file: string): Map<string, string>[] => {
  const [head = '', ...lines] = readFileSync(file, 'utf8').trim().split(/\r?\n/);
  const names = head.split(',');
  return lines.map((line) => {
    const cells = line.split(',');
    return new Map(names.map((name, index) => [name, cells[index] ?? '']));
  });
};

const columns = (): Map<FeatureName, { column: string; unit: string }> => {
  const lines = readFileSync(path.join(dataDir, 'features.csv'), 'utf8')
    .trim()
    .split(/\r?\n/)
    .slice(1);
  return new Map(
    lines.map((line, index) => {
      const column = line.slice(line.lastIndexOf(',') + 1);
      return [FEATURE_NAMES[index] as FeatureName, { column, unit: line.split(',')[2] ?? '' }];
    }),
  );
};

const keyOf = (row: Map<string, string>): string => {
  const [date = '', fraction = ''] = (row.get('Timestamp') ?? '').split('.');
  const firstUs = Date.parse(`${date.replace(' ', 'T')}Z`) * 1000 + Number(fraction.padEnd(6, '0'));
  const ends = ['Src IP', 'Src Port', 'Dst IP', 'Dst Port', 'Protocol'].map((name) =>
    row.get(name),
  );
  return [...ends, firstUs].join(' ');
};

const flowKey = (flow: MeteredFlow): string =>
  [
    flow.source,
    flow.sourcePort,
    flow.destination,
    flow.destinationPort,
    flow.protocol,
    flow.firstUs,
  ].join(' ');

const isSubflow = (name: FeatureName): boolean => name.startsWith('subflow_');

/** What ours must be where the tool is known to deviate; otherwise the tool's own value. */
const wanted = (name: FeatureName, theirs: number, flow: MeteredFlow): number => {
  const at = (feature: FeatureName): number => flow.vector[FEATURE_NAMES.indexOf(feature)] ?? 0;
  const isSingle = at('tot_fwd_pkts') + at('tot_bwd_pkts') === 1;
  if (isSingle && theirs === -1 && (name === 'flow_byts_s' || name === 'flow_pkts_s')) return 0;
  if (!isSubflow(name)) return theirs;
  const totals = {
    subflow_fwd_pkts: at('tot_fwd_pkts'),
    subflow_fwd_byts: at('totlen_fwd_pkts'),
    subflow_bwd_pkts: at('tot_bwd_pkts'),
    subflow_bwd_byts: at('totlen_bwd_pkts'),
  } as Partial<Record<FeatureName, number>>;
  const total = totals[name] ?? 0;
  const gaps = theirs === 0 ? 0 : Math.round(total / theirs);
  return theirs === 0 && total !== 0 ? total : total / (gaps + 1);
};

test.skipIf(!hasData).each([
  ['ping', 1],
  ['nmap-ss', 5],
  ['nmap-a-t4', 1098],
])(
  'every flow of %s has the features of the corrected CICFlowMeter (needs the data folder)',
  (name, count) => {
    const folder = path.join(dataDir, 'golden', name);
    const rows = rowsOf(path.join(folder, 'cicflowmeter.csv'));
    const { flows } = meterFile(path.join(folder, 'dump.pcap'));
    expect(rows).toHaveLength(count);
    expect(flows.map(flowKey).sort()).toEqual(rows.map(keyOf).sort());
    const theirs = new Map(rows.map((row) => [keyOf(row), row]));
    const wrong: string[] = [];
    for (const flow of flows) {
      const row = theirs.get(flowKey(flow));
      for (const [feature, { column }] of columns()) {
        const value = flow.vector[FEATURE_NAMES.indexOf(feature)] ?? Number.NaN;
        const expected = wanted(feature, Number(row?.get(column)), flow);
        const close = Math.abs(value - expected) <= 1e-6 * Math.abs(expected);
        if (!close) wrong.push(`${flowKey(flow)} ${feature}: ${value} instead of ${expected}`);
      }
    }
    expect(wrong).toEqual([]);
  },
);
