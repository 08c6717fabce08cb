/** Upper bounds of the buckets that histograms are shown with, by the unit that ends their names. */
const SECONDS_BOUNDS: readonly number[] = [
  0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];
const RATIO_BOUNDS: readonly number[] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
const BYTES_BOUNDS: readonly number[] = [
  256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
];

/** Those of a metric's name. */
export const boundsOf = (name: string): readonly number[] =>
  name.endsWith('_ratio') ? RATIO_BOUNDS : name.endsWith('_bytes') ? BYTES_BOUNDS : SECONDS_BOUNDS;
