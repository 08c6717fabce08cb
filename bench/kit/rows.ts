/**
 * What a benchmark says: one row a figure. A ratio is always "how many times better than the baseline", whichever way
 * the unit counts, and its target is a ratio, too; a row without a baseline has its target in its own unit.
 */
import { markdown } from './markdown.ts';

export type Row = {
  readonly bench: string;
  readonly name: string;
  readonly unit: Unit;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Median of the other side, measured in the same run. */
  readonly baseline: number | null;
  readonly ratio: number | null;
  readonly target: number | null;
  readonly met: boolean | null;
};

export type Unit = 'msg/s' | 'us' | 'ms' | '%' | 'MiB' | 'count';
/** Gate and, where there is one, stretch. */
export type Target = { readonly gate: number; readonly stretch?: number };
export type Measured = { readonly row: Row; readonly stretch?: number };

const isRate = (unit: Unit): boolean => unit === 'msg/s';

export const medianOf = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

/** The value below which a share `q` of the sorted values lies. */
export const quantile = (sorted: ArrayLike<number>, q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!;

const spread = (values: readonly number[]) => ({
  median: medianOf(values),
  min: Math.min(...values),
  max: Math.max(...values),
});

type What = { readonly bench: string; readonly name: string; readonly unit: Unit };

/** A figure by itself; with a target it is to be at most that (at least, for a rate). */
export const figure = (what: What, values: readonly number[], target?: Target): Measured => {
  const { median, min, max } = spread(values);
  const gate = target?.gate ?? null;
  const met = gate === null ? null : isRate(what.unit) ? median >= gate : median <= gate;
  const row = { ...what, median, min, max, baseline: null, ratio: null, target: gate, met };
  return target?.stretch === undefined ? { row } : { row, stretch: target.stretch };
};

/** A figure beside a baseline of the same rounds. */
export const compared = (
  what: What,
  values: readonly number[],
  others: readonly number[],
  target?: Target,
): Measured => {
  const { median, min, max } = spread(values);
  const baseline = medianOf(others);
  const ratio = isRate(what.unit) ? median / baseline : baseline / median;
  const gate = target?.gate ?? null;
  const met = gate === null ? null : ratio >= gate;
  const row = { ...what, median, min, max, baseline, ratio, target: gate, met };
  return target?.stretch === undefined ? { row } : { row, stretch: target.stretch };
};

const shown = (value: number | null): string => {
  if (value === null) return '-';
  const digits = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
};

const HEAD = ['bench', 'what', 'unit', 'median', 'min', 'max', 'baseline', 'x', 'gate', 'stretch'];

/** The rows as a table in Markdown; `met` stands behind the gate and the stretch. */
export const table = (rows: readonly Measured[]): string => {
  const reached = (row: Row, limit: number): boolean => {
    const value = row.ratio ?? row.median;
    return row.ratio !== null || isRate(row.unit) ? value >= limit : value <= limit;
  };
  const cell = (row: Row, limit: number | null | undefined): string =>
    limit === null || limit === undefined
      ? '-'
      : `${shown(limit)} ${reached(row, limit) ? 'met' : 'MISSED'}`;
  const lines = rows.map(({ row, stretch }) => [
    row.bench,
    row.name,
    row.unit,
    shown(row.median),
    shown(row.min),
    shown(row.max),
    shown(row.baseline),
    shown(row.ratio),
    cell(row, row.target),
    cell(row, stretch),
  ]);
  return markdown(HEAD, lines);
};
