/** How fast messages may come in: all together (a token bucket), and each producer (its quota a minute). */
export type Pace = {
  readonly perSecond: number;
  tokens: number;
  refilledMs: number;
  /** Minute that the counts belong to. */
  minute: number;
  readonly counts: Map<string, number>;
};

const SECOND_MS = 1000;
const MINUTE_MS = 60_000;

export const pace = (perSecond: number): Pace => ({
  perSecond,
  tokens: perSecond,
  refilledMs: 0,
  minute: 0,
  counts: new Map(),
});

/** Takes one admission out of both, or says which of them has none left and leaves both as they are. */
export const mayEnter = (
  one: Pace,
  producer: string,
  quotaPerMinute: number,
  atMs: number,
): 'yes' | 'rate' | 'quota' => {
  const elapsedMs = Math.max(0, atMs - one.refilledMs);
  one.tokens = Math.min(one.perSecond, one.tokens + (elapsedMs * one.perSecond) / SECOND_MS);
  one.refilledMs = atMs;
  const minute = Math.floor(atMs / MINUTE_MS);
  if (minute !== one.minute) {
    one.minute = minute;
    one.counts.clear();
  }
  const used = one.counts.get(producer) ?? 0;
  if (used >= quotaPerMinute) return 'quota';
  if (one.tokens < 1) return 'rate';
  one.tokens -= 1;
  one.counts.set(producer, used + 1);
  return 'yes';
};

/** Gives back what `mayEnter` took: there was no room after all. */
export const giveBack = (one: Pace, producer: string): void => {
  one.tokens += 1;
  one.counts.set(producer, Math.max(0, (one.counts.get(producer) ?? 1) - 1));
};
