/** The live table of actors as lines of text. Pure: two readings, a sort key and a size in, lines out. */
import { bucketsSince, quantileOf } from '../metrics/metrics.ts';
import type { ActorTotals, Numbers } from './top-numbers.ts';

export const SORT_KEYS = [
  'rate',
  'depth',
  'p50',
  'p99',
  'restarts',
  'lag',
  'memory',
  'name',
] as const;
export type SortKey = (typeof SORT_KEYS)[number];

export type TopRow = {
  readonly path: string;
  readonly state: string;
  readonly perSecond: number;
  readonly depth: number;
  readonly depthMax: number;
  /** Handling between the two readings, ms; null where nothing was handled. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly restarts: number;
  readonly thread: number;
  /** Of the thread: how late its event loop is, and the memory that is its own; null before its first heartbeat. */
  readonly lagMs: number | null;
  readonly memoryBytes: number | null;
};

const quantileMs = (buckets: ActorTotals['handling'], q: number): number | null =>
  Object.values(buckets).some((n) => n > 0) ? quantileOf(buckets, q) * 1000 : null;

const isActive = (buckets: ActorTotals['handling']): boolean =>
  Object.values(buckets).some((n) => n > 0);

const rowOf = (now: Numbers, before: Numbers | undefined, actor: ActorTotals): TopRow => {
  const was = before?.actors.find((one) => one.path === actor.path);
  const seconds = before === undefined ? 0 : Math.max(0.001, (now.clockMs - before.clockMs) / 1000);
  const thread = now.threads.find((one) => one.thread === actor.thread);
  const fresh = bucketsSince(actor.handling, was?.handling ?? {});
  // Where nothing happened between the readings, what happened since the start.
  const handling = isActive(fresh) ? fresh : actor.handling;
  return {
    path: actor.path,
    state: actor.suspended ? 'suspended' : actor.state,
    perSecond: was === undefined ? 0 : Math.max(0, actor.messages - was.messages) / seconds,
    depth: actor.depth,
    depthMax: actor.depthMax,
    p50Ms: quantileMs(handling, 0.5),
    p99Ms: quantileMs(handling, 0.99),
    restarts: actor.restarts,
    thread: actor.thread,
    lagMs: thread === undefined ? null : thread.lagMs,
    memoryBytes: thread === undefined ? null : thread.heapBytes + thread.arrayBufferBytes,
  };
};

const ORDER: { readonly [K in SortKey]: (a: TopRow, b: TopRow) => number } = {
  rate: (a, b) => b.perSecond - a.perSecond,
  depth: (a, b) => b.depth - a.depth,
  p50: (a, b) => (b.p50Ms ?? -1) - (a.p50Ms ?? -1),
  p99: (a, b) => (b.p99Ms ?? -1) - (a.p99Ms ?? -1),
  restarts: (a, b) => b.restarts - a.restarts,
  lag: (a, b) => (b.lagMs ?? -1) - (a.lagMs ?? -1),
  memory: (a, b) => (b.memoryBytes ?? -1) - (a.memoryBytes ?? -1),
  name: (a, b) => (a.path < b.path ? -1 : 1),
};

/** Rows in order; equal ones keep the order of the tree. */
export const topRows = (now: Numbers, before: Numbers | undefined, sort: SortKey): TopRow[] =>
  now.actors.map((actor) => rowOf(now, before, actor)).sort(ORDER[sort]);

const three = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
const rate = (value: number): string =>
  value >= 100_000
    ? `${(value / 1000).toFixed(0)}k`
    : value >= 100
      ? value.toFixed(0)
      : value.toFixed(1);
const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
const maybe = (ms: number | null): string => (ms === null ? '-' : three(ms));

const HEAD = [
  'actor',
  'state',
  'msg/s',
  'depth',
  'max',
  'p50 ms',
  'p99 ms',
  'restarts',
  'thread',
  'lag ms',
  'MiB',
];

const cellsOf = (row: TopRow): string[] => [
  row.path,
  row.state,
  rate(row.perSecond),
  `${row.depth}`,
  `${row.depthMax}`,
  maybe(row.p50Ms),
  maybe(row.p99Ms),
  `${row.restarts}`,
  `${row.thread}`,
  maybe(row.lagMs),
  row.memoryBytes === null ? '-' : mebibytes(row.memoryBytes),
];

/** The table, at most so many lines of so many letters. */
export const topLines = (
  now: Numbers,
  before: Numbers | undefined,
  sort: SortKey,
  size: { readonly columns: number; readonly rows: number },
): string[] => {
  const rows = topRows(now, before, sort);
  const total = rows.reduce((sum, row) => sum + row.perSecond, 0);
  const cells = [HEAD, ...rows.map(cellsOf)];
  const widths = HEAD.map((_, k) => Math.max(...cells.map((row) => row[k]!.length)));
  const table = cells.map((row) =>
    row.map((cell, k) => (k < 2 ? cell.padEnd(widths[k]!) : cell.padStart(widths[k]!))).join('  '),
  );
  const threads = new Set(rows.map((row) => row.thread)).size;
  const head = `${counted(rows.length, 'actor')} on ${counted(threads, 'thread')}   ${rate(total)} msg/s   ${mebibytes(now.residentBytes)} MiB resident   by ${sort}`;
  const left = table.length + 1 - size.rows;
  const shown = left > 0 ? [...table.slice(0, -left - 1), `… ${left + 1} more`] : table;
  return [head, ...shown].map((line) =>
    line.length <= size.columns ? line : `${line.slice(0, size.columns - 1)}…`,
  );
};
