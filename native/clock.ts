/** The two clocks of the machine. */

/** Unix milliseconds: what a core sees as `atMs`. May jump when the machine's clock is set. */
export const unixMs = (): number => Date.now();

/** Between this thread's performance clock and the machine's monotonic clock. */
const offsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Milliseconds on the machine's monotonic clock, the same in every thread: deadlines that travel. */
export const monotonicMs = (): number => performance.now() + offsetMs;
