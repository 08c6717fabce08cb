/**
 * What is normal for one address: exponentially weighted mean and covariance of the logarithms of its window
 * statistics (West 1979 for the recursion), learnt from winsorised values so that a burst moves them little.
 */

/** Statistics of a window, in this order: logarithms of counts, entropies in bits. */
export const DIMENSIONS = [
  'packets',
  'bytes',
  'flows',
  'distinctPeers',
  'distinctPorts',
  'unanswered',
  'entropyPeer',
  'entropyLength',
] as const;
export type Dimension = (typeof DIMENSIONS)[number];
export const D = DIMENSIONS.length;

export type Baseline = {
  samples: number;
  readonly mean: Float64Array;
  /** D x D, row-major, symmetric. */
  readonly covariance: Float64Array;
  /** Page's cumulative sums, one a dimension, in deviations. */
  readonly sums: Float64Array;
  lastMs: number;
  /** Capture time since which nothing is learnt; -1 = learning. */
  frozenSinceMs: number;
};

export const newBaseline = (): Baseline => ({
  samples: 0,
  mean: new Float64Array(D),
  covariance: new Float64Array(D * D),
  sums: new Float64Array(D),
  lastMs: 0,
  frozenSinceMs: -1,
});

/** Least standard deviation, in logarithms a factor of 1.35, in entropy 0.3 bits: nothing is steadier. */
const DEVIATION_MIN = 0.3;
/** Samples after which the past fades: an hour of a busy host is a minute of windows. */
const MEMORY_SAMPLES = 128;
/** Values further out than this are learnt as if they were here. */
const WINSOR_DEVIATIONS = 3;
/** Slack of the cumulative sums and the largest step of one sample (Page 1954; k = 0.5). */
const SLACK_DEVIATIONS = 0.5;
const STEP_DEVIATIONS_MAX = 4;
/** Share of the diagonal in the covariance (Ledoit and Wolf shrink towards it for the same reason). */
const SHRINKAGE = 0.2;

export const deviationOf = (baseline: Baseline, i: number): number =>
  Math.max(DEVIATION_MIN, Math.sqrt(Math.max(0, baseline.covariance[i * D + i] ?? 0)));

/** Signed distance of each value from the mean in standard deviations. */
export const deviations = (baseline: Baseline, values: Float64Array): Float64Array => {
  const z = new Float64Array(D);
  for (let i = 0; i < D; i += 1) {
    z[i] = ((values[i] ?? 0) - (baseline.mean[i] ?? 0)) / deviationOf(baseline, i);
  }
  return z;
};

/** Lets the cumulative sums follow: they grow under a lasting rise, however small, and fall otherwise. */
export const accumulate = (baseline: Baseline, z: Float64Array, sumMax: number): void => {
  for (let i = 0; i < D; i += 1) {
    const step = Math.min(STEP_DEVIATIONS_MAX, z[i] ?? 0) - SLACK_DEVIATIONS;
    baseline.sums[i] = Math.min(sumMax, Math.max(0, (baseline.sums[i] ?? 0) + step));
  }
};

export const learn = (baseline: Baseline, values: Float64Array, warmUpSamples: number): void => {
  const { mean, covariance } = baseline;
  baseline.samples += 1;
  const weight = 1 / Math.min(baseline.samples, MEMORY_SAMPLES);
  const delta = new Float64Array(D);
  for (let i = 0; i < D; i += 1) {
    const far = (values[i] ?? 0) - (mean[i] ?? 0);
    const bound =
      baseline.samples > warmUpSamples
        ? WINSOR_DEVIATIONS * deviationOf(baseline, i)
        : Number.POSITIVE_INFINITY;
    delta[i] = Math.min(bound, Math.max(-bound, far));
    mean[i] = (mean[i] ?? 0) + weight * (delta[i] ?? 0);
  }
  for (let i = 0; i < D; i += 1) {
    for (let j = 0; j < D; j += 1) {
      const at = i * D + j;
      const product = (1 - weight) * (delta[i] ?? 0) * (delta[j] ?? 0);
      covariance[at] = (1 - weight) * (covariance[at] ?? 0) + weight * product;
    }
  }
};

/**
 * Mahalanobis distance of `values`, on the shrunk covariance, by Cholesky: in deviations, D independent normal values
 * come out near the square root of D.
 */
export const mahalanobis = (baseline: Baseline, values: Float64Array): number => {
  const lower = new Float64Array(D * D);
  const solved = new Float64Array(D);
  let squared = 0;
  for (let i = 0; i < D; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      const raw = baseline.covariance[i * D + j] ?? 0;
      let sum = i === j ? deviationOf(baseline, i) ** 2 : (1 - SHRINKAGE) * raw;
      for (let k = 0; k < j; k += 1) sum -= (lower[i * D + k] ?? 0) * (lower[j * D + k] ?? 0);
      lower[i * D + j] = i === j ? Math.sqrt(Math.max(sum, 1e-9)) : sum / (lower[j * D + j] ?? 1);
    }
    let y = (values[i] ?? 0) - (baseline.mean[i] ?? 0);
    for (let k = 0; k < i; k += 1) y -= (lower[i * D + k] ?? 0) * (solved[k] ?? 0);
    solved[i] = y / (lower[i * D + i] ?? 1);
    squared += (solved[i] ?? 0) ** 2;
  }
  return Math.sqrt(squared);
};
