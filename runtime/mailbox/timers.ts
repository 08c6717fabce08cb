/** The timers of one actor: delayed messages with keys, and one coarse timer for the deadlines of its questions. */
import { monotonicMs } from '#native/clock.ts';
import type { Ticket } from './own-messages.ts';

/** setTimeout fires at once above this. */
const DELAY_MAX_MS = 2 ** 31 - 1;
/** Deadlines are looked at no more often than this. */
const COARSE_MS = 5;

/** One timer, until its message has been handled. */
type Entry = Ticket & { timer: NodeJS.Timeout | undefined };

export class Timers {
  private readonly keyed = new Map<string, Entry>();
  private readonly running = new Set<Entry>();
  private readonly expire: () => void;
  private deadline: NodeJS.Timeout | undefined;
  private deadlineMs = Number.POSITIVE_INFINITY;

  constructor(expire: () => void) {
    this.expire = expire;
  }

  /** Timers that have not been handled. */
  get pending(): number {
    return this.running.size;
  }

  /** `fire` puts the message in line; with its ticket it can be taken out again. */
  after(delayMs: number, key: string | undefined, fire: (ticket: Ticket) => void): void {
    if (key !== undefined) this.cancel(key);
    const entry: Entry = {
      timer: undefined,
      withdrawn: false,
      begun: () => this.end(key, entry),
    };
    this.begin(key, entry);
    this.wait(entry, delayMs, () => fire(entry));
  }

  /** The pause to the next one begins when the last one has been handled. */
  every(periodMs: number, key: string, fire: (ticket: Ticket) => void): void {
    this.cancel(key);
    const again = (): void => this.wait(entry, periodMs, () => fire(entry));
    const entry: Entry = {
      timer: undefined,
      withdrawn: false,
      handled: () => {
        if (!entry.withdrawn) again();
      },
    };
    this.begin(key, entry);
    again();
  }

  cancel(key: string): void {
    const entry = this.keyed.get(key);
    if (entry === undefined) return;
    entry.withdrawn = true;
    clearTimeout(entry.timer);
    this.end(key, entry);
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
    for (const entry of this.running) {
      entry.withdrawn = true;
      clearTimeout(entry.timer);
    }
    this.running.clear();
    this.keyed.clear();
    clearTimeout(this.deadline);
    this.deadlineMs = Number.POSITIVE_INFINITY;
  }

  private begin(key: string | undefined, entry: Entry): void {
    this.running.add(entry);
    if (key !== undefined) this.keyed.set(key, entry);
  }

  private end(key: string | undefined, entry: Entry): void {
    this.running.delete(entry);
    if (key !== undefined && this.keyed.get(key) === entry) this.keyed.delete(key);
  }

  private wait(entry: Entry, delayMs: number, done: () => void): void {
    const nowMs = Math.min(delayMs, DELAY_MAX_MS);
    entry.timer = setTimeout(() => {
      entry.timer = undefined;
      if (delayMs > nowMs) this.wait(entry, delayMs - nowMs, done);
      else done();
    }, nowMs);
  }
}
