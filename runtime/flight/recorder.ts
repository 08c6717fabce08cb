/**
 * The flight recorder of one actor: references to its last messages, and now and then a copy of its state, so that at a
 * crash the state before the message in hand can be made again by running the messages since that copy. A copy is
 * taken when the log is full, and only while all copies together cost less than one percent of the time.
 */
import type { Actor } from '../actor.ts';
import type { Message } from '../mailbox/asks.ts';
import { recorder } from '../recorder.ts';
import { cloneState, hidesState, type Uncloneable } from './clone.ts';

const LIMITS = { valuesMax: 100_000, bytesMax: 4 << 20 };
/** A copy may cost this part of the time since the last one. */
const COST_FACTOR = 100;
/** What making the state again may take at a crash. */
const REMAKE_MS = 500;
const PAGE = 32;

export type Phase = 'start' | 'step' | 'drain';
export type Kept = { readonly phase: Phase; readonly message: Message; readonly atMs: number };

/** The state that the message in hand met, or why it is not known. */
export type Before =
  | { readonly known: true; readonly state: unknown }
  | { readonly known: false; readonly why: string };

/** Told apart by identity: they are no messages of the actor. */
const PHASES: { readonly [P in 'start' | 'drain']: Message } = {
  start: { kind: 'start' },
  drain: { kind: 'drain' },
};

const phaseOf = (message: Message): Phase =>
  message === PHASES.start ? 'start' : message === PHASES.drain ? 'drain' : 'step';

export class FlightRecorder {
  private readonly actor: Actor;
  private readonly config: unknown;
  private readonly capacity: number;
  private readonly now: () => number;
  private readonly pageMask: number;
  private readonly pages: Message[][];
  private readonly times: Float64Array;
  private page: Message[] = [];
  /** Of the page in `pages`, and of its first time in `times`. */
  private turned = -1;
  private timesAt = 0;
  /** Messages kept so far, and how many of them the copy of the state has behind it. */
  private total = 0;
  private base = 0;
  private copy: { readonly state: unknown } | undefined;
  /** At this many messages a copy is due. */
  private due: number;
  /** The newest message referred to memory that is gone by now; one before it did, and no copy was taken since. */
  private isPassing = false;
  private isBroken = false;
  private costMs = 0;
  private copiedMs = 0;
  private hides: boolean | undefined;
  private uncloneable: Uncloneable | undefined;

  /** `messages`: how many are kept, 0 for none; rounded up to a power of two. `now`: milliseconds. */
  constructor(actor: Actor, config: unknown, messages: number, now = () => performance.now()) {
    this.now = now;
    this.actor = actor;
    this.config = config;
    this.capacity = messages === 0 ? 0 : 2 ** Math.ceil(Math.log2(messages));
    const pageSize = Math.min(PAGE, this.capacity);
    this.pageMask = pageSize - 1;
    // One more than are needed: the oldest is given up while the newest fills.
    this.pages = Array.from(
      { length: pageSize === 0 ? 0 : this.capacity / pageSize + 1 },
      () => [],
    );
    this.times = new Float64Array(this.pages.length * pageSize);
    this.due = this.capacity;
  }

  /** The next step's message; `isPassing`: it refers to memory that is taken back after the step. */
  keep(message: Message, state: unknown, atMs: number, isPassing: boolean): void {
    if (this.capacity === 0) return;
    if (this.total >= this.due) this.copyState(state);
    if (this.isPassing) this.isBroken = true;
    this.isPassing = isPassing;
    const at = this.total & this.pageMask;
    if (at === 0) this.turn();
    this.page[at] = message;
    this.times[this.timesAt + at] = atMs;
    this.total++;
    if (isPassing) this.due = Math.min(this.due, this.total);
  }

  /** Start and drain are part of the way to a state, too. */
  keepPhase(phase: 'start' | 'drain', state: unknown, atMs: number): void {
    this.keep(PHASES[phase], state, atMs, false);
  }

  /** What is kept, oldest first, the message in hand last. */
  kept(): Kept[] {
    const count = Math.min(this.total, this.capacity);
    const size = this.pageMask + 1;
    return Array.from({ length: count }, (_, k) => {
      const index = this.total - count + k;
      const page = Math.floor(index / size) % this.pages.length;
      const at = index & this.pageMask;
      const message = this.pages[page]![at]!;
      return { phase: phaseOf(message), message, atMs: this.times[page * size + at]! };
    });
  }

  /** A page is young memory: to keep a message there costs a store, in an old array it would cost ten. */
  private turn(): void {
    this.turned = (this.turned + 1) % this.pages.length;
    this.timesAt = this.turned * (this.pageMask + 1);
    this.page = new Array<Message>(this.pageMask + 1);
    this.pages[this.turned] = this.page;
  }

  /** The state that the message in hand met, made again. */
  before(): Before {
    if (this.capacity === 0)
      return { known: false, why: 'nothing is kept (node.flight.messages is 0)' };
    const since = this.total - 1 - this.base;
    if (since < 0) return { known: false, why: 'no message was in hand' };
    if (since < this.capacity && !this.isBroken) return this.remake(since);
    const why =
      this.uncloneable === undefined
        ? 'more messages since its last copy than are kept'
        : `it cannot be copied: ${this.uncloneable}`;
    return { known: false, why };
  }

  private remake(since: number): Before {
    const state = this.copy?.state ?? this.actor.core.init(this.config);
    const fx = recorder();
    const untilMs = this.now() + REMAKE_MS;
    const kept = this.kept();
    for (const { phase, message, atMs } of kept.slice(kept.length - 1 - since, -1)) {
      if (this.now() > untilMs) return { known: false, why: 'making it again takes too long' };
      try {
        if (phase === 'step') this.actor.core.step(state, message, fx, atMs);
        else this.actor.core[phase]?.(state, fx, atMs);
      } catch (error) {
        return { known: false, why: `making it again failed: ${String(error)}` };
      }
      fx.take();
    }
    return { known: true, state };
  }

  private copyState(state: unknown): void {
    const { core } = this.actor;
    this.hides ??= hidesState(core.init(this.config), core.init(this.config));
    const startMs = this.now();
    this.due = this.total + Math.max(1, this.capacity >> 2);
    if (startMs - this.copiedMs < COST_FACTOR * this.costMs) return;
    const cloned = this.hides
      ? ({ ok: false, why: 'hidden in functions' } as const)
      : cloneState(state, LIMITS);
    this.copiedMs = this.now();
    this.costMs = this.copiedMs - startMs;
    if (!cloned.ok) {
      this.uncloneable = cloned.why;
      return;
    }
    this.uncloneable = undefined;
    this.copy = { state: cloned.value };
    this.isPassing = false;
    this.isBroken = false;
    this.base = this.total;
    this.due = this.total + this.capacity;
  }
}
