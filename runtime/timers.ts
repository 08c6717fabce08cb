/** The timers of one actor: delayed messages with keys, and one coarse timer for the deadlines of its questions. */
import { monotonicMs } from '#native/clock.ts';

/** setTimeout fires at once above this. */
const DELAY_MAX_MS = 2 ** 31 - 1;
/** Deadlines are looked at no more often than this. */
const COARSE_MS = 5;

export class Timers {
  private readonly keyed = new Map<string, NodeJS.Timeout>();
  private readonly running = new Set<NodeJS.Timeout>();
  private readonly expire: () => void;
  private deadline: NodeJS.Timeout | undefined;
  private deadlineMs = Number.POSITIVE_INFINITY;

  constructor(expire: () => void) {
    this.expire = expire;
  }

  after(delayMs: number, key: string | undefined, fire: () => void): void {
    if (key !== undefined) this.cancel(key);
    const leftMs = Math.max(0, delayMs - DELAY_MAX_MS);
    const timer = setTimeout(
      () => {
        this.running.delete(timer);
        if (key !== undefined) this.keyed.delete(key);
        if (leftMs > 0) this.after(leftMs, key, fire);
        else fire();
      },
      Math.min(delayMs, DELAY_MAX_MS),
    );
    this.running.add(timer);
    if (key !== undefined) this.keyed.set(key, timer);
  }

  cancel(key: string): void {
    const timer = this.keyed.get(key);
    if (timer === undefined) return;
    clearTimeout(timer);
    this.keyed.delete(key);
    this.running.delete(timer);
  }

  /** Calls `expire` at this monotonic time or a little later. */
  wakeAt(dueMs: number): void {
    if (dueMs >= this.deadlineMs) return;
    clearTimeout(this.deadline);
    this.deadlineMs = dueMs;
    const delayMs = Math.max(COARSE_MS, dueMs - monotonicMs() + 1);
    this.deadline = setTimeout(
      () => {
        this.deadlineMs = Number.POSITIVE_INFINITY;
        this.expire();
      },
      Math.min(delayMs, DELAY_MAX_MS),
    );
  }

  clear(): void {
    for (const timer of this.running) clearTimeout(timer);
    this.running.clear();
    this.keyed.clear();
    clearTimeout(this.deadline);
    this.deadlineMs = Number.POSITIVE_INFINITY;
  }
}
