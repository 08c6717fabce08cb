/**
 * One shell a thread: drains lanes, steps cores, carries out their effects at once, parks when there is nothing to do.
 * Supervision is seen first, then what was held, then data in quanta; one clock reading a pass; publishing in groups.
 */
import { unixMs } from '#native/clock.ts';
import type { Lane } from '#native/lanes/lane.ts';
import type { Register } from '#native/lanes/register.ts';
import type { SlabPool } from '#native/lanes/slab.ts';
import type { Wakers } from '#native/lanes/wakers.ts';
import type { Mailbox } from '../mailbox/mailbox.ts';
import type { Publishable } from '../mailbox/receipts.ts';

/** Messages of one drain before the event loop gets its turn, and of one lane before the next lane gets its. */
const BUDGET = 1024;
const QUANTUM = 64;
/** While it is not known how long a step takes. */
const QUANTUM_FIRST = 16;
/** The same as time, where steps are long: timers of the thread wait for no more than a few of these. */
const TURN_MS = 1;
/** A gap shorter than this is worth spinning for. */
const SHORT_GAP_MS = 0.2;
const LUCK_MAX = 16;
const LUCK_MIN = -4;
const PUBLISH_EVERY_MAX = 16;
/** While a thread is busy, every so many passes are timed. */
const TIMED_EVERY = 8;
/** Unix time is read again after so long. */
const UNIX_FRESH_MS = 0.5;
/** A thread that had work so lately is expected to have some again. */
const BUSY_MS = 2;
/** Looks at the lanes between two readings of the clock while spinning. */
const SPIN_LOOKS = 24;

export type ShellOptions = {
  readonly thread: number;
  readonly cores: number;
  readonly spinUs: number;
};

/** What the shell works with. */
export type Machine = {
  readonly wakers: Wakers;
  readonly register: Register;
  readonly pool: SlabPool;
};

export class Shell {
  readonly mailboxes: Mailbox[] = [];
  /** The mailbox whose step runs, for the report of a crash. */
  inHand: Mailbox | undefined;
  stopped = false;
  private readonly options: ShellOptions;
  private readonly machine: Machine;
  private readonly onEnding: (mailbox: Mailbox) => void;
  private readonly onCrash: (mailbox: Mailbox, error: unknown) => void;
  private readonly onWaking: (mailbox: Mailbox) => void;
  private readonly dirty: Publishable[] = [];
  private running = false;
  private queued = false;
  /** A wait is open that nobody has settled. */
  private waiting = false;
  private epoch = -1;
  private publishEvery = 1;
  private passMs = 0;
  /** Since the thread last slept. */
  private passes = 0;
  private stepUs = 20;
  private quantum = QUANTUM_FIRST;
  private atMs = 0;
  private unixAtMs = Number.NEGATIVE_INFINITY;
  private handled = 0;
  private luck = 0;
  private idleSinceMs = 0;

  constructor(
    options: ShellOptions,
    machine: Machine,
    on: {
      readonly ending: (mailbox: Mailbox) => void;
      readonly crash: (mailbox: Mailbox, error: unknown) => void;
      /** It sleeps, and a message has come. */
      readonly waking: (mailbox: Mailbox) => void;
    },
  ) {
    this.options = options;
    this.machine = machine;
    this.onEnding = on.ending;
    this.onCrash = on.crash;
    this.onWaking = on.waking;
  }

  touch(what: Publishable): void {
    if (what.dirty) return;
    what.dirty = true;
    this.dirty.push(what);
  }

  soon(): void {
    if (this.running || this.queued || this.stopped) return;
    this.queued = true;
    setImmediate(this.again);
  }

  add(mailbox: Mailbox): void {
    // A predecessor may have died between freeing room and saying so.
    for (const lane of mailbox.inputs) this.machine.wakers.wake(lane.from);
    this.mailboxes.push(mailbox);
    this.soon();
  }

  remove(mailbox: Mailbox): void {
    const at = this.mailboxes.indexOf(mailbox);
    if (at >= 0) this.mailboxes.splice(at, 1);
    mailbox.account.settle();
  }

  stop(): void {
    this.stopped = true;
  }

  /** Runs a part of a core outside the drain loop (start, drain), and makes its effects visible. */
  enter(mailbox: Mailbox, kind: string, part: () => void): void {
    mailbox.atMs = unixMs();
    this.inHand = mailbox;
    mailbox.run(kind, part);
    this.flush();
    if (mailbox.ending !== undefined) this.onEnding(mailbox);
    this.soon();
  }

  readonly run = (): void => {
    if (this.running || this.stopped || this.queued) return; // one drain loop only
    this.running = true;
    this.machine.wakers.disarm(this.options.thread); // run() may come from a timer while parked
    try {
      this.drain();
    } catch (error) {
      const fallen = this.inHand;
      if (fallen === undefined) throw error;
      this.inHand = undefined;
      this.onCrash(fallen, error);
      this.running = false;
      this.soon(); // the other actors of the thread go on
      return;
    }
    this.running = false;
  };

  private readonly woken = (): void => {
    this.waiting = false;
    this.run();
  };

  private readonly again = (): void => {
    this.queued = false;
    this.run();
  };

  private drain(): void {
    const { wakers } = this.machine;
    const { thread } = this.options;
    let budget = BUDGET;
    this.passes = 0;
    const beganMs = performance.now();
    while (!this.stopped) {
      const n = this.pass();
      if (n > 0) {
        budget -= n;
        if (budget > 0 && this.passMs - beganMs < TURN_MS) continue;
        this.queued = true;
        setImmediate(this.again);
        return;
      }
      if (this.spin()) continue;
      for (const mailbox of this.mailboxes) mailbox.account.settle();
      wakers.arm(thread);
      if (!this.idle()) {
        wakers.disarm(thread);
        continue;
      }
      // What else runs a parked thread (a timer, io) leaves its wait open: whoever wakes the thread settles that one.
      if (this.waiting) return;
      const wait = wakers.wait(thread);
      if (!wait.async) {
        wakers.disarm(thread);
        continue;
      }
      this.waiting = true;
      void wait.value.then(this.woken);
      return;
    }
  }

  /** Makes visible; a receiver that is awake sees it, one that sleeps is woken only by `flush`. */
  private publish(): void {
    for (const lane of this.dirty) lane.publish();
    if (this.machine.pool.unsettled) this.machine.pool.settle();
  }

  /** Makes everything visible and wakes whoever sleeps. */
  flush(): void {
    const { dirty } = this;
    for (let k = 0; k < dirty.length; k++) {
      const lane = dirty[k]!;
      lane.dirty = false;
      lane.publish();
      this.machine.wakers.wake(lane.to);
    }
    dirty.length = 0;
    if (this.machine.pool.unsettled) this.machine.pool.settle();
  }

  private group(): void {
    if (this.dirty.length === 0) return;
    if (this.publishEvery === 1) this.flush();
    else this.publish();
  }

  private drainLane(mailbox: Mailbox, lane: Lane): number {
    let n = 0;
    let since = 0;
    while (n < this.quantum) {
      const at = lane.peek();
      if (at < 0) break;
      mailbox.handle(lane, at);
      n++;
      if (++since >= this.publishEvery) {
        this.group();
        since = 0;
      }
      if (lane.late) lane.release();
      if (mailbox.interrupted) break;
    }
    if (n > 0) {
      if (this.dirty.length > 0) this.flush();
      lane.release();
    }
    return n;
  }

  private drainLocal(mailbox: Mailbox): number {
    let n = 0;
    let since = 0;
    const { local } = mailbox;
    while (local.length > 0 && n < this.quantum) {
      if (mailbox.held.length > 0 || mailbox.ending !== undefined) break;
      mailbox.stepLocal();
      n++;
      if (++since >= this.publishEvery) {
        this.group();
        since = 0;
      }
    }
    return n;
  }

  private drainMailbox(mailbox: Mailbox): number {
    if (mailbox.rest !== 'awake') {
      if (mailbox.wakes()) this.onWaking(mailbox);
      return 0;
    }
    if (mailbox.deliveries.pending > 0) mailbox.deliveries.pump();
    if (mailbox.held.length > 0) {
      let out = mailbox.held.flush();
      if (!out && mailbox.held.first()!.starved && mailbox.evacuation.run() > 0)
        out = mailbox.held.flush();
      if (this.dirty.length > 0) this.flush();
      if (!out) return 0;
    }
    if (mailbox.suspended) return 0;
    const { inputs } = mailbox;
    const first = mailbox.nextInput;
    let n = this.drainLocal(mailbox);
    let depth = 0;
    for (let c = 0; c < inputs.length; c++) {
      if (mailbox.interrupted) break;
      const lane = inputs[(first + c) % inputs.length]!;
      if (lane.peek() < 0) continue;
      depth += lane.depth();
      n += this.drainLane(mailbox, lane);
    }
    mailbox.nextInput = inputs.length === 0 ? 0 : (first + 1) % inputs.length;
    mailbox.account.waiting(depth);
    if (n === 0) mailbox.relieved = false;
    if (this.dirty.length > 0) this.flush();
    return n;
  }

  /** One pass over everything; how many messages were handled. */
  private pass(): number {
    let nowMs = performance.now();
    this.adapt(nowMs);
    this.passMs = nowMs;
    if (nowMs - this.unixAtMs >= UNIX_FRESH_MS) {
      this.unixAtMs = nowMs;
      this.atMs = unixMs();
      this.machine.wakers.work(this.options.thread, this.atMs);
    }
    const epoch = this.machine.register.epoch();
    const moved = epoch !== this.epoch;
    this.epoch = epoch;
    const isTimed = this.passes++ % TIMED_EVERY === 0;
    let total = 0;
    for (let k = 0; k < this.mailboxes.length; k++) {
      const mailbox = this.mailboxes[k]!;
      mailbox.atMs = this.atMs;
      this.inHand = mailbox;
      if (moved) mailbox.lives();
      const n = this.drainMailbox(mailbox);
      if (n > 0) {
        total += n;
        if (isTimed) {
          const thenMs = nowMs;
          nowMs = performance.now();
          mailbox.account.time(n, nowMs - thenMs);
        } else mailbox.account.count(n);
      }
      if (mailbox.ending !== undefined) this.onEnding(mailbox);
    }
    this.inHand = undefined;
    this.handled = total;
    this.judgeGap(total, this.passMs);
    return total;
  }

  /**
   * Long steps are made visible at once, short ones in groups. A pass that was interrupted looks long: only several
   * of them count.
   */
  private adapt(nowMs: number): void {
    if (this.handled === 0) return;
    const us = ((nowMs - this.passMs) * 1000) / this.handled;
    this.stepUs = us < this.stepUs ? us : this.stepUs + (us - this.stepUs) / 8;
    this.quantum = Math.max(1, Math.min(QUANTUM, Math.floor((TURN_MS * 1000) / this.stepUs)));
    this.publishEvery = this.stepUs < 2 ? PUBLISH_EVERY_MAX : this.stepUs < 20 ? 4 : 1;
  }

  /**
   * The gap between messages is judged, not the success of spinning: two threads that both park see each other's
   * wake-up time, find spinning useless, and would never start.
   */
  private judgeGap(handled: number, nowMs: number): void {
    if (handled === 0) {
      if (this.idleSinceMs === 0) this.idleSinceMs = nowMs;
      return;
    }
    if (this.idleSinceMs === 0) return;
    const short = nowMs - this.idleSinceMs < SHORT_GAP_MS;
    this.luck = short ? Math.min(LUCK_MAX, this.luck + 4) : Math.max(LUCK_MIN, this.luck - 2);
    this.idleSinceMs = 0;
  }

  private idle(): boolean {
    const { register, pool } = this.machine;
    if (register.epoch() !== this.epoch) return false;
    for (const mailbox of this.mailboxes) {
      if (mailbox.rest !== 'awake') {
        if (mailbox.wakes()) return false;
        continue;
      }
      if (mailbox.deliveries.pending > 0 && mailbox.deliveries.wants()) return false;
      const waits = mailbox.held.first();
      if (waits !== undefined) {
        // Whoever waits for a slab looks at what comes in as well: it may be what holds the slabs.
        if (waits.starved ? pool.starve() || mailbox.evacuation.possible() : waits.stall())
          return false;
        continue;
      }
      if (mailbox.suspended) continue;
      if (mailbox.local.length > 0) return false;
      for (const lane of mailbox.inputs) if (!lane.empty()) return false;
    }
    return true;
  }

  /** Spins only while the last gaps were short, and no more threads have work or are awake than there are cores. */
  private spin(): boolean {
    const { spinUs, cores } = this.options;
    if (spinUs === 0 || this.luck <= 0) return false;
    if (this.machine.wakers.busy(this.atMs, BUSY_MS) > cores) return false;
    for (const m of this.mailboxes) if (m.held.length > 0) return false; // half a lane is worth a sleep
    const untilMs = performance.now() + spinUs / 1000;
    do {
      if (this.machine.wakers.runnable() > cores) return false;
      for (let k = 0; k < SPIN_LOOKS; k++, Atomics.pause()) if (!this.idle()) return true;
    } while (performance.now() < untilMs);
    return false;
  }
}
