/** A finite source through the command line, as a user would: a fresh data folder, one run to its end, its disks. */
import path from 'node:path';
import type { AnomalyPayload } from '#proto/anomaly-payload.ts';
import type { Report } from '#runtime/metrics/report.ts';
import { type Fates, fatesOf, payloadsOf } from './fates.ts';
import { ownPorts } from './local-node.ts';
import { giveDatabase } from './new-database.ts';
import { cybermesh, temporaryFolder } from './processes.ts';
import { VALIDATORS } from './validators.ts';

export type LogLine = {
  readonly level: string;
  readonly actor: string;
  readonly msg: string;
  readonly [field: string]: unknown;
};

/** Counts of the reader of captures, from its line in the log. */
export type Read = {
  readonly packets: number;
  readonly notIp: number;
  readonly malformed: number;
};

export type SourceRun = {
  readonly exitCode: number | null;
  /** Of the whole process, start and stop included. */
  readonly tookMs: number;
  /** It ended by itself: all that the source caused was acknowledged. */
  readonly complete: boolean;
  readonly report: Report;
  /** Standard error, line by line; what is no JSON has level 'raw'. */
  readonly log: readonly LogLine[];
  /** Undefined for sources that are no capture. */
  readonly read: Read | undefined;
  readonly fates: Fates;
  readonly payloads: ReadonlyMap<string, AnomalyPayload>;
};

const parseLine = (line: string): LogLine => {
  if (line.startsWith('{')) return JSON.parse(line) as LogLine;
  return { level: 'raw', actor: '', msg: line };
};

const readOf = (log: readonly LogLine[]): Read | undefined =>
  log.find(({ msg }) => msg === 'capture read') as (LogLine & Read) | undefined;

export type SourceRunOptions = {
  /** The run ends after so long at the latest, s; default 60. */
  readonly forS?: number;
  /** Further `--set` lines. */
  readonly set?: readonly string[];
};

/** `source` as `--source` takes it, e.g. `pcap:/captures/scan.pcap`. Throws when there is no report. */
export const runSource = async (
  source: string,
  { forS = 60, set: more = [] }: SourceRunOptions = {},
): Promise<SourceRun> => {
  const made = temporaryFolder('cybermesh-run-');
  try {
    const { set } = await ownPorts();
    const dataDir = path.join(made.path, 'data');
    await giveDatabase(dataDir);
    const sets = [...set, `node.dataDir=${dataDir}`, ...more].flatMap((one) => ['--set', one]);
    const startedMs = performance.now();
    const done = await cybermesh(
      [
        'start',
        'config/local.yaml',
        ...sets,
        '--source',
        source,
        '--for',
        `${forS}s`,
        '-o',
        'json',
      ],
      { timeoutMs: (forS + 60) * 1000 },
    );
    const tookMs = performance.now() - startedMs;
    if (done.code !== 0) {
      const said = (done.stdout + done.stderr).slice(-2000);
      throw new Error(`${source} ended with ${done.code ?? done.signal}: ${said}`);
    }
    const log = done.stderr.split('\n').filter(Boolean).map(parseLine);
    return {
      exitCode: done.code,
      tookMs,
      complete: log.some(({ msg }) => msg.startsWith('stopping: the source has ended')),
      report: JSON.parse(done.stdout) as Report,
      log,
      read: readOf(log),
      fates: fatesOf(dataDir),
      payloads: payloadsOf(dataDir),
    };
  } finally {
    made.remove();
  }
};

const missingIn = (from: Iterable<string>, of: Iterable<string>): string[] => {
  const known = new Set(of);
  return [...from].filter((one) => !known.has(one));
};

const rootProblems = ({ report, fates }: SourceRun): string[] => {
  const stored = Object.entries(fates.heads);
  const heads = new Set(stored.map(([, { height, root }]) => `${height} ${root}`));
  const reported = Object.entries(report.stateRoots);
  const problems: string[] = [];
  if (stored.length !== VALIDATORS.length) problems.push(`${stored.length} chains on disk`);
  if (heads.size > 1) problems.push(`heads differ: ${[...heads].join(', ')}`);
  if (new Set(reported.map(([, root]) => root)).size !== 1) problems.push('reported roots differ');
  // An empty chain stands at the genesis, which is no block.
  for (const [name, { height, root }] of stored) {
    if (height > 0 && report.stateRoots[name] !== root)
      problems.push(`${name} reports another root`);
  }
  return problems;
};

/** Lines of the log that a user would ask about, with what they tell beside. */
export const warningsOf = ({ log }: SourceRun): readonly string[] =>
  log
    .filter(({ level }) => level !== 'info' && level !== 'debug')
    // Peers that hear each other late: the machine was busy, and not with this.
    .filter(({ msg }) => msg !== 'a peer is silent')
    .map(({ level, actor, msg, time: _, node: __, ...fields }) => {
      const beside = Object.keys(fields).length === 0 ? '' : ` ${JSON.stringify(fields)}`;
      return `${level} ${actor}: ${msg}${beside}`;
    });

/** What does not add up between the topic, the dead letters, the chains and the acks; [] when all does. */
export const discrepancies = (run: SourceRun): string[] => {
  const { fates, complete } = run;
  const { published, committed, rejected, open, policies, acks } = fates;
  const problems = rootProblems(run);
  const counted = (many: readonly unknown[], what: string): void => {
    if (many.length > 0) problems.push(`${many.length} ${what}`);
  };
  if (!complete) problems.push('it did not end by itself');
  counted(fates.forks, 'forks');
  counted(fates.twice, 'committed twice');
  counted(fates.invented, 'committed and never published');
  counted(open, 'published, neither committed nor rejected');
  counted(
    committed.filter((id) => rejected.has(id)),
    'both committed and rejected',
  );
  if (published.length !== committed.length + rejected.size + open.length) {
    problems.push(`${published.length} published do not add up`);
  }
  counted(acks.failed, 'policies failed at the enforcer');
  counted(missingIn(policies.keys(), acks.applied), 'policies without an ack');
  counted(missingIn(acks.applied, policies.keys()), 'acks without a policy');
  return problems;
};

/** The first anomaly of each incident; the others tell how it grew. */
export const incidentsOf = (run: SourceRun): readonly AnomalyPayload[] =>
  [...run.payloads.values()].filter(({ previous }) => previous === '');
