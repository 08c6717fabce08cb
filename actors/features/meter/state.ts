/**
 * What the meter keeps of one flow: a row of doubles in one slab, so that a flow costs a fixed
 * amount of memory whatever it carries (means and variances are kept online: Welford 1962).
 */

/** A running statistic: count, mean, sum of squared deviations, maximum, minimum, total. */
const STATISTIC = 6;
const N = 0;
const MEAN = 1;
const M2 = 2;
const MAX = 3;
const MIN = 4;
const TOTAL = 5;

const names = <const T extends readonly string[]>(
  first: number,
  step: number,
  ...fields: T
): { readonly [K in T[number]]: number } =>
  Object.fromEntries(fields.map((name, index) => [name, first + index * step])) as {
    [K in T[number]]: number;
  };

/**
 * Begin of each statistic within a row. Lengths are of L4 payload, bytes; times are microseconds.
 */
export const STAT = names(
  0,
  STATISTIC,
  'fwdLength',
  'bwdLength',
  'length',
  'interval',
  'fwdInterval',
  'bwdInterval',
  'active',
  'idle',
);
const SCALARS = 8 * STATISTIC;

/** Index of each number within a row. */
export const S = names(
  SCALARS,
  1,
  'firstUs',
  'lastUs',
  'fwdLastUs',
  'bwdLastUs',
  'activeStartUs',
  'fin',
  'syn',
  'rst',
  'psh',
  'ack',
  'urg',
  'ece',
  'cwr',
  'fwdFin',
  'bwdFin',
  'fwdPsh',
  'bwdPsh',
  'fwdUrg',
  'bwdUrg',
  'fwdHeaderBytes',
  'bwdHeaderBytes',
  'fwdSegmentMin',
  'fwdWindow',
  'bwdWindow',
  'fwdDataPackets',
  'subflows',
  'ipBytes',
  'payloadBytes',
  'originNumber',
  'fileIndex',
  'labelIndex',
  'protocol',
  'marks',
  'icmpType',
  'icmpCode',
  /** Index in HANDSHAKES. */
  'handshake',
  /**
   * Sequence number that acknowledges all the responder sent; -1 = it sent nothing to acknowledge.
   */
  'bwdNextSequence',
  /** See PHASE. */
  'phase',
  /** 1 where the slot's key names the initiator second. */
  'reversed',
);

/** A bulk in one direction: what is kept of it, from its begin in a row. */
export const BULK = names(
  0,
  1,
  'bulks',
  'packets',
  'bytes',
  'durationUs',
  'runPackets',
  'runBytes',
  'runStartUs',
  'runLastUs',
);
const BULK_SIZE = 8;
export const FWD_BULK = SCALARS + Object.keys(S).length;
export const BWD_BULK = FWD_BULK + BULK_SIZE;
/** Doubles in a row. */
export const ROW = BWD_BULK + BULK_SIZE;

/** How far a TCP connection is on its way to its end. */
export const PHASE = { open: 0, firstFin: 1, bothFin: 2, closedByFin: 3, closedByRst: 4 } as const;

export const observe = (slab: Float64Array, at: number, value: number): void => {
  const n = slab[at + N]! + 1;
  slab[at + N] = n;
  const delta = value - slab[at + MEAN]!;
  const mean = slab[at + MEAN]! + delta / n;
  slab[at + MEAN] = mean;
  slab[at + M2] = slab[at + M2]! + delta * (value - mean);
  slab[at + TOTAL] = slab[at + TOTAL]! + value;
  if (n === 1 || value > slab[at + MAX]!) slab[at + MAX] = value;
  if (n === 1 || value < slab[at + MIN]!) slab[at + MIN] = value;
};

export const countOf = (slab: Float64Array, at: number): number => slab[at + N]!;
export const meanOf = (slab: Float64Array, at: number): number => slab[at + MEAN]!;
export const maxOf = (slab: Float64Array, at: number): number => slab[at + MAX]!;
export const minOf = (slab: Float64Array, at: number): number => slab[at + MIN]!;
export const totalOf = (slab: Float64Array, at: number): number => slab[at + TOTAL]!;
/** Sample variance (n-1); 0 below two values. */
export const varianceOf = (slab: Float64Array, at: number): number =>
  slab[at + N]! < 2 ? 0 : Math.max(0, slab[at + M2]! / (slab[at + N]! - 1));
export const deviationOf = (slab: Float64Array, at: number): number =>
  Math.sqrt(varianceOf(slab, at));
