/**
 * Claim: each capture goes through `start` from packets to acknowledged policies; the attacks end as committed
 * anomalies with four equal state roots, the benign ones publish nothing or nearly nothing, and with a scan spliced
 * into them they alert. Packets and flows equal what is counted over tshark's reading (kit/flow-count.ts), and the
 * fate of every anomaly is read from the topic, the dead letters and the four chains on disk.
 *
 *   node bench/captures.ts [part of a name ...] [-o json]
 *
 * Needs the data folder and tshark. One run after the other, 60 s each at most. Ends with 1 where something does not
 * add up.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { AnomalyPayload } from '#proto/anomaly-payload.ts';
import {
  discrepancies,
  incidentsOf,
  runSource,
  type SourceRun,
  warningsOf,
} from '#test/kit/capture-run.ts';
import { capture, dataDir, hasData } from '#test/kit/data.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import {
  between,
  type CapturedFrame,
  connectScan,
  framesOf,
  hostsOf,
  pcapng,
  splice,
} from '#test/kit/splice.ts';
import { hasTshark } from '#test/kit/tshark.ts';
import { countFlows, type FlowCount, SPLITS } from './kit/flow-count.ts';
import { markdown } from './kit/markdown.ts';
import { provenance } from './kit/provenance.ts';

const SCANNER = '198.51.100.66';
/** Where the carrier has no IPv4 host. */
const TARGET = '203.0.113.10';
/** A SYN scan of three hosts, 4,993 packets in 6 s. */
const REAL_SCAN = 'port_scan__pcaphunt__ps-tcp_syn';
const INCIDENTS_SHOWN = 3;

type Row = {
  readonly name: string;
  /** Class of the manifest, or what was spliced in. */
  readonly kind: string;
  readonly counted: FlowCount;
  readonly run: SourceRun;
  /** What is not as it should be. */
  readonly faults: readonly string[];
};

type Case = { readonly name: string; readonly kind: string; readonly file: string };

const manifest = (): readonly Case[] => {
  const text = readFileSync(path.join(dataDir, 'pcap', 'manifest.csv'), 'utf8');
  const known = new Map(
    text.split('\n').map((line) => line.split(',', 2).reverse() as [string, string]),
  );
  return readdirSync(path.join(dataDir, 'pcap'))
    .filter((file) => file.endsWith('.gz'))
    .map((file) => ({
      name: file.replace(/\.pcap(?:ng)?\.gz$/, ''),
      kind: known.get(file) ?? '',
      file: capture(file),
    }));
};

const countFaults = ({ read, report }: SourceRun, counted: FlowCount): string[] => {
  const faults: string[] = [];
  const same = (what: string, ours: number, theirs: number): void => {
    if (ours !== theirs) faults.push(`${what}: ${ours}, tshark ${theirs}`);
  };
  if (read === undefined) return ['no line about what was read'];
  same('packets', read.packets, counted.frames);
  same('no IP datagram', read.notIp + read.malformed, counted.frames - counted.ip);
  same('flows', report.stages.flows, counted.flows);
  return faults;
};

const SPOOFED_ACTIONS: readonly string[] = ['drop'];

/** A spoofable source is never dropped: who forges addresses would choose whom we cut off. */
const policyFaults = ({ fates, payloads }: SourceRun): string[] =>
  [...fates.policies.values()]
    .filter((state) => SPOOFED_ACTIONS.includes(state.action))
    .filter((state) => payloads.get(state.anomaly)?.spoofable === true)
    .map((state) => `${state.action} of ${state.target}, which may be forged`);

const alertFaults = (kind: string, run: SourceRun): string[] => {
  if (!kind.startsWith('with ')) return [];
  const isHeard = incidentsOf(run).some(
    (one) => one.type === 'port_scan' && (one.src_ip === SCANNER || one.src_ip === ''),
  );
  return isHeard ? [] : ['the scan raised nothing'];
};

const measure = async ({ name, kind, file }: Case): Promise<Row> => {
  const counted = countFlows(file);
  const run = await runSource(`pcap:${file}`);
  const faults = [
    ...discrepancies(run),
    ...countFaults(run, counted),
    ...policyFaults(run),
    ...alertFaults(kind, run),
  ];
  return { name, kind, counted, run, faults };
};

/** The capture with a real SYN scan, and with a scan by connect(), of its busiest host. */
const spliced = async (one: Case): Promise<Row[]> => {
  const made = temporaryFolder('cybermesh-spliced-');
  try {
    const carrier = framesOf(one.file);
    const target = hostsOf(carrier)[0] ?? TARGET;
    const real = framesOf(capture(REAL_SCAN));
    const scans: readonly (readonly [string, readonly CapturedFrame[]])[] = [
      ['with a SYN scan', between(real, SCANNER, target)],
      ['with a connect() scan', connectScan(SCANNER, target)],
    ];
    const rows: Row[] = [];
    for (const [kind, scan] of scans) {
      const file = path.join(made.path, `${one.name}.pcapng`);
      writeFileSync(file, pcapng(splice(carrier, scan)));
      rows.push(await measure({ name: one.name, kind, file }));
    }
    return rows;
  } finally {
    made.remove();
  }
};

const described = ({
  type,
  src_ip,
  dst_ip,
  spoofable,
  severity,
  engines,
}: AnomalyPayload): string => {
  const ends = `${src_ip || '*'} > ${dst_ip || '*'}`;
  const voices = engines.map(({ engine, score }) => `${engine} ${score.toFixed(2)}`).join(', ');
  return `${type} ${ends}, severity ${severity}${spoofable ? ', spoofable' : ''} (${voices})`;
};

const incidentsText = (run: SourceRun): string => {
  const incidents = incidentsOf(run);
  const more = incidents.length - INCIDENTS_SHOWN;
  const shown = incidents.slice(0, INCIDENTS_SHOWN).map(described);
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('; ') || '-';
};

/** What flows and conversations differ by; `reused`: tshark begins a stream anew at a SYN that we see repeated. */
const differences = ({ flows, conversations, others, splits }: FlowCount): string => {
  const named = SPLITS.map((name): readonly [string, number] => [name, splits[name]]);
  const more = others + named.reduce((sum, [, n]) => sum + n, 0);
  const parts = [
    ['neither TCP nor UDP', others],
    ...named,
    ['reused', flows - conversations - more],
  ];
  const signed = (n: number): string => (n > 0 ? `+${n}` : `${n}`);
  const texts = parts.flatMap(([name, n]) => (n === 0 ? [] : [`${signed(Number(n))} ${name}`]));
  return texts.join(', ') || '-';
};

const titleOf = ({ name, kind }: Pick<Row, 'name' | 'kind'>): string =>
  kind.startsWith('with ') ? `… ${kind}` : name;

const readingTable = (rows: readonly Row[]): string =>
  markdown(
    [
      'capture',
      'packets',
      'tshark',
      'not IP',
      'tshark',
      'flows',
      'counted',
      'conversations',
      'flows less conversations',
    ],
    rows.map((row) => {
      const { counted, run } = row;
      const { frames, ip, flows, conversations } = counted;
      const { packets, notIp, malformed } = run.read ?? { packets: '-', notIp: '-', malformed: 0 };
      const other = malformed === 0 ? notIp : `${notIp} + ${malformed} cut`;
      const ours = [titleOf(row), packets, frames, other, frames - ip];
      return [...ours, run.report.stages.flows, flows, conversations, differences(counted)];
    }),
  );

const actionsText = ({ fates }: SourceRun): string => {
  const counts = new Map<string, number>();
  for (const { action } of fates.policies.values()) {
    counts.set(action, (counts.get(action) ?? 0) + 1);
  }
  return [...counts].map(([action, n]) => `${n} ${action}`).join(', ') || '0';
};

const fatesTable = (rows: readonly Row[]): string =>
  markdown(
    [
      'capture',
      'published',
      'committed',
      'rejected',
      'timed out',
      'policies',
      'acked',
      'roots',
      's',
      'incidents',
      'faults',
    ],
    rows.map((row) => {
      const { run, faults } = row;
      const { fates } = run;
      const codes = [...new Set(fates.rejected.values())].join(', ');
      const rejected = fates.rejected.size === 0 ? '0' : `${fates.rejected.size} (${codes})`;
      const roots = new Set(Object.values(fates.heads).map(({ root }) => root));
      const equal = roots.size === 1 ? `${Object.keys(fates.heads).length} equal` : `${roots.size}`;
      return [
        titleOf(row),
        fates.published.length,
        fates.committed.length,
        rejected,
        fates.open.length,
        actionsText(run),
        fates.acks.applied.length,
        equal,
        (run.tookMs / 1000).toFixed(1),
        incidentsText(run),
        faults.join('; ') || '-',
      ];
    }),
  );

const plain = ({ name, kind, counted, run, faults }: Row) => ({
  name,
  kind,
  counted,
  read: run.read,
  tookMs: Math.round(run.tookMs),
  complete: run.complete,
  report: run.report,
  published: run.fates.published,
  committed: run.fates.committed,
  rejected: Object.fromEntries(run.fates.rejected),
  open: run.fates.open,
  heads: run.fates.heads,
  policies: Object.fromEntries(run.fates.policies),
  acks: run.fates.acks,
  incidents: incidentsOf(run),
  warnings: warningsOf(run),
  faults,
});

/** Each distinct warning of all runs, and in how many of them it stood. */
const warningsText = (rows: readonly Row[]): string => {
  const counts = new Map<string, number>();
  for (const { run } of rows) {
    for (const text of new Set(warningsOf(run))) counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  if (counts.size === 0) return 'No run warned of anything.';
  const lines = [...counts].map(([text, n]) => `- ${text} (${n} of ${rows.length} runs)`);
  return ['Warnings in the logs:', '', ...lines].join('\n');
};

const main = async (): Promise<void> => {
  if (!hasData) throw new Error(`no data in ${dataDir}: set CYBERMESH_DATA`);
  if (!hasTshark) throw new Error('no tshark: apt-get install tshark');
  const options = { o: { type: 'string', short: 'o' } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const rows: Row[] = [];
  const add = (...more: Row[]): void => {
    for (const row of more) {
      rows.push(row);
      const took = (row.run.tookMs / 1000).toFixed(1);
      console.error(
        `${row.faults.length === 0 ? 'ok  ' : 'FAIL'} ${titleOf(row)} (${took} s) ${row.faults.join('; ')}`,
      );
    }
  };
  const isWanted = ({ name }: Case): boolean =>
    positionals.length === 0 || positionals.some((part) => name.includes(part));
  for (const one of manifest().filter(isWanted)) {
    try {
      add(await measure(one));
      if (one.name.startsWith('benign')) add(...(await spliced(one)));
    } catch (fault) {
      // One run that fails is not all runs: it has no row, and the end says so.
      console.error(`FAIL ${one.name}: ${fault}`);
      process.exitCode = 1;
    }
  }
  if (values.o === 'json') console.log(JSON.stringify({ at: provenance(), rows: rows.map(plain) }));
  else {
    const parts = [provenance(), fatesTable(rows), readingTable(rows), warningsText(rows)];
    console.log(parts.join('\n\n'));
  }
  if (rows.some(({ faults }) => faults.length > 0)) process.exitCode = 1;
};

await main();
