/** The two clocks of the machine. */

/** Unix milliseconds: what a core sees as `atMs`. May jump when the machine's clock is set. */
export const unixMs = (): number => Date.now();

const SAMPLES = 16;

/**
 * From this thread's performance clock to the machine's monotonic clock. The thread may be interrupted between two
 * readings, so of several samples the one with the narrowest bracket counts.
 */
const measureOffset = (): number => {
  let narrowestMs = Number.POSITIVE_INFINITY;
  let offsetMs = 0;
  for (let k = 0; k < SAMPLES; k++) {
    const beforeMs = performance.now();
    const machineMs = Number(process.hrtime.bigint()) / 1e6;
    const bracketMs = performance.now() - beforeMs;
    if (bracketMs >= narrowestMs) continue;
    narrowestMs = bracketMs;
    offsetMs = machineMs - beforeMs - bracketMs / 2;
  }
  return offsetMs;
};
const offsetMs = measureOffset();

/** Milliseconds on the machine's monotonic clock, the same in every thread: deadlines that travel. */
export const monotonicMs = (): number => performance.now() + offsetMs;
