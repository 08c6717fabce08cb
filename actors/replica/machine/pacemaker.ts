/**
 * How long a view may take. One that fails soon after a commit is taken for a bad leader and costs nothing; a row of
 * failures longer than faulty leaders explain says that the timeout is too short: it doubles. Every commit takes a
 * step back. Bounded both ways.
 */
export type Pacemaker = {
  readonly timeoutMs: number;
  /** Views that ended in a TC since the last commit. */
  readonly failedViews: number;
};

export type PacemakerLimits = {
  readonly viewTimeoutStartMs: number;
  readonly viewTimeoutMinMs: number;
  readonly viewTimeoutMaxMs: number;
};

const STEP_MS = 100;

export const pacemaker = (limits: PacemakerLimits): Pacemaker => ({
  timeoutMs: limits.viewTimeoutStartMs,
  failedViews: 0,
});

/** `faultyLeaders`: how many of them may follow each other, the f of the committee. */
export const onViewFailed = (
  now: Pacemaker,
  faultyLeaders: number,
  limits: PacemakerLimits,
): Pacemaker => {
  const failedViews = now.failedViews + 1;
  const timeoutMs =
    failedViews > faultyLeaders
      ? Math.min(now.timeoutMs * 2, limits.viewTimeoutMaxMs)
      : now.timeoutMs;
  return { timeoutMs, failedViews };
};

export const onCommit = (now: Pacemaker, limits: PacemakerLimits): Pacemaker => ({
  timeoutMs: Math.max(now.timeoutMs - STEP_MS, limits.viewTimeoutMinMs),
  failedViews: 0,
});

/** Until the timer of a view rings, or rings again: the n-th repetition (0 = the first) waits twice as long. */
export const delayMs = (now: Pacemaker, repetition: number, limits: PacemakerLimits): number =>
  Math.min(now.timeoutMs * 2 ** Math.min(repetition, 16), limits.viewTimeoutMaxMs);
