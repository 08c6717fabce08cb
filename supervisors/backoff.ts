/** How long a restart waits. The first is immediate: most failures do not repeat. Pure. */

export type Backoff = {
  readonly firstMs: number;
  readonly mostMs: number;
  /** Part of the delay, to either side, that the seed decides. */
  readonly jitter: number;
  /** After so long without a restart the next is immediate again. */
  readonly resetMs: number;
};

export const BACKOFF: Backoff = { firstMs: 100, mostMs: 5000, jitter: 0.25, resetMs: 30_000 };

/** How often in a row something was restarted, and when last. */
export type Attempts = { readonly count: number; readonly lastMs: number };

/** A number in 0..1 from two integers (mulberry32). */
const unit = (seed: number, turn: number): number => {
  let x = (seed + Math.imul(turn, 0x6d2b79f5)) | 0;
  x = Math.imul(x ^ (x >>> 15), x | 1);
  x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
  return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
};

/** A seed for one path, so that those that fell together do not come back together. */
export const seedOf = (seed: number, path: string): number => {
  let mixed = seed | 0;
  for (let k = 0; k < path.length; k++) mixed = (Math.imul(mixed, 31) + path.charCodeAt(k)) | 0;
  return mixed;
};

/** Delay of the restart number `count` in a row (1 = the first), in milliseconds. */
export const delayMs = (count: number, seed: number, backoff: Backoff = BACKOFF): number => {
  if (count <= 1) return 0;
  const { firstMs, mostMs, jitter } = backoff;
  const plainMs = Math.min(mostMs, firstMs * 2 ** Math.min(count - 2, 30));
  return Math.round(plainMs * (1 + jitter * (2 * unit(seed, count) - 1)));
};

/** One more restart at `atMs`. */
export const attempt = (
  before: Attempts | undefined,
  atMs: number,
  backoff: Backoff = BACKOFF,
): Attempts => {
  const quiet = before === undefined || atMs - before.lastMs > backoff.resetMs;
  return { count: quiet ? 1 : before.count + 1, lastMs: atMs };
};
