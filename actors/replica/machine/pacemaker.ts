/**
 * How long a view may take: additive increase, multiplicative decrease, bounded both ways. A view that fails says that
 * the time was short by a step, unless its leader has fallen silent: then the time was not the reason. Failures in a row
 * that are more than faulty leaders explain double the time. Every commit takes a twentieth back.
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

const INCREASE_MS = 500;
const DECREASE_PERCENT = 95;
const DOUBLINGS_MAX = 16;

export const pacemaker = (limits: PacemakerLimits): Pacemaker => ({
  timeoutMs: limits.viewTimeoutStartMs,
  failedViews: 0,
});

/** `faultyLeaders`: how many of them may follow each other, the f of the committee. */
export const onViewFailed = (
  now: Pacemaker,
  faultyLeaders: number,
  leaderIsSilent: boolean,
  limits: PacemakerLimits,
): Pacemaker => {
  const failedViews = now.failedViews + 1;
  const isRow = failedViews > faultyLeaders;
  const longer = leaderIsSilent ? now.timeoutMs : now.timeoutMs + INCREASE_MS;
  const wanted = isRow ? now.timeoutMs * 2 : longer;
  return { timeoutMs: Math.min(wanted, limits.viewTimeoutMaxMs), failedViews };
};

export const onCommit = (now: Pacemaker, limits: PacemakerLimits): Pacemaker => {
  const shorter = Math.floor((now.timeoutMs * DECREASE_PERCENT) / 100);
  return { timeoutMs: Math.max(shorter, limits.viewTimeoutMinMs), failedViews: 0 };
};

/** Until the timer of a view rings, or rings again: the n-th repetition (0 = the first) waits twice as long. */
export const delayMs = (now: Pacemaker, repetition: number, limits: PacemakerLimits): number =>
  Math.min(now.timeoutMs * 2 ** Math.min(repetition, DOUBLINGS_MAX), limits.viewTimeoutMaxMs);
