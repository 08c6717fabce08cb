/**
 * What the main thread knows of the steps of all threads: it switches recording and live traces on and off, and reads the
 * rings. Everything is bounded: a ring a thread, a buffer a live trace, and both end by themselves.
 */
import { monotonicMs, unixMs } from '#native/clock.ts';
import { noActor } from '../control/actor-names.ts';
import type { Place } from '../system/directory.ts';
import { spanIdOf, traceIdOf } from './context.ts';
import { type Cause, type RawSpan, readSpans, ringBytes, unshownIn, writtenIn } from './ring.ts';
import { controlBytes, RECORDING, type SightMemory, SWITCHES, TAPPED, THRESHOLD } from './sight.ts';
import { RATE_MAX, type TapLine, type TapSpec } from './tap.ts';

const LINES_MAX = 1000;
const TAPS_MAX = 8;
/** A live trace that nobody reads for so long ends. */
const LEASE_MS = 10_000;
/** Spans of one answer. */
const SPANS_SHOWN_MAX = 10_000;

export type TraceSettings = {
  /** False: no context travels with messages. */
  readonly carried: boolean;
  /** Share of traces whose spans are recorded, 0..1. */
  readonly ratio: number;
};
export const TRACE_DEFAULTS: TraceSettings = { carried: true, ratio: 0 };

/** A step of an actor. Ids are hexadecimal; `parent` is '' where it began its trace; times are Unix milliseconds. */
export type Span = {
  readonly trace: string;
  readonly span: string;
  readonly parent: string;
  /** Path of the actor. */
  readonly actor: string;
  /** Path of the sender, '' for none. */
  readonly from: string;
  readonly kind: string;
  readonly cause: Cause;
  readonly startMs: number;
  readonly handledMs: number;
};

/** A recorded trace; `actor` and `kind` are those of its first step. */
export type TraceSummary = {
  readonly trace: string;
  readonly startMs: number;
  readonly elapsedMs: number;
  readonly spans: number;
  readonly actors: number;
  readonly actor: string;
  readonly kind: string;
};

/** What a live trace wants: parts that are left out match everything. Actors by path or by the end of one. */
export type TapWish = {
  readonly actor?: string;
  readonly from?: string;
  readonly to?: string;
  readonly kinds?: readonly string[];
  readonly trace?: string;
  readonly perSecondMax: number;
};

/** A message of a live trace; '' instead of a path: nobody's, a timer's or io's. */
export type Shown = Omit<TapLine, 'tap' | 'from' | 'to'> & {
  readonly from: string;
  readonly to: string;
};
export type TapReading = {
  readonly lines: readonly Shown[];
  /** Messages that matched and were not shown, since the live trace began. */
  readonly leftOut: number;
};

type Tap = {
  readonly spec: TapSpec;
  lines: Shown[];
  leftOut: number;
  /** Of the threads' own counts, what was there before. */
  readonly unshownBefore: number;
  second: number;
  inSecond: number;
  lease: NodeJS.Timeout;
};

const hexParent = ([a, b]: readonly [number, number]): string =>
  a === 0 && b === 0 ? '' : spanIdOf(a, b);

export class Sightings {
  private readonly places: readonly Place[];
  private readonly settings: TraceSettings;
  private readonly control = new SharedArrayBuffer(controlBytes());
  private readonly words = new Int32Array(this.control);
  private readonly rings: readonly SharedArrayBuffer[];
  private readonly install: (specs: readonly TapSpec[]) => void;
  private readonly taps = new Map<number, Tap>();
  private nextTap = 1;
  private ratio: number;
  private ends: NodeJS.Timeout | undefined;

  /** `install` gives every living thread the live traces in force. */
  constructor(
    places: readonly Place[],
    threads: number,
    settings: TraceSettings,
    install: (specs: readonly TapSpec[]) => void,
  ) {
    this.places = places;
    this.settings = settings;
    this.rings = Array.from({ length: threads }, () => new SharedArrayBuffer(ringBytes()));
    this.install = install;
    this.ratio = settings.carried ? settings.ratio : 0;
    this.switch();
  }

  memoryOf(thread: number): SightMemory {
    return { control: this.control, ring: this.rings[thread]!, carried: this.settings.carried };
  }

  /** Records this share of all traces for so long, then what the settings say. */
  record(ratio: number, forMs: number): void {
    if (!this.settings.carried)
      throw new RangeError('no trace context: node.trace.carried is false');
    if (!(ratio >= 0 && ratio <= 1)) throw new RangeError(`a share is 0 to 1, not ${ratio}`);
    this.ratio = ratio;
    clearTimeout(this.ends);
    this.ends = setTimeout(() => {
      this.ratio = this.settings.ratio;
      this.switch();
    }, forMs).unref();
    this.switch();
  }

  /** The share of traces that is recorded now. */
  recording(): number {
    return this.ratio;
  }

  /** Spans of the traces whose ids begin with these digits, oldest first, at most 10,000. */
  spansOf(prefix: string): readonly Span[] {
    const digits = prefix.slice(0, 8);
    const least = Number.parseInt(digits.padEnd(8, '0'), 16);
    const most = Number.parseInt(digits.padEnd(8, 'f'), 16);
    const found = this.rings.flatMap((ring) =>
      readSpans(ring, undefined, { least, most }).spans.filter(
        (span) => prefix.length <= 8 || traceIdOf(span.trace).startsWith(prefix),
      ),
    );
    return this.named(found).slice(-SPANS_SHOWN_MAX);
  }

  /** Recorded traces, those with the most actors first, then the newest. */
  traces(most: number): readonly TraceSummary[] {
    const byTrace = new Map<string, RawSpan[]>();
    for (const ring of this.rings) {
      for (const span of readSpans(ring).spans) {
        const key = span.trace.join(' ');
        const known = byTrace.get(key);
        if (known === undefined) byTrace.set(key, [span]);
        else known.push(span);
      }
    }
    const offsetMs = unixMs() - monotonicMs();
    return [...byTrace.values()]
      .map((spans) => ({ spans, actors: new Set(spans.map((span) => span.actor)).size }))
      .sort((a, b) => b.actors - a.actors || b.spans[0]!.startMs - a.spans[0]!.startMs)
      .slice(0, most)
      .map(({ spans, actors }) => this.summaryOf(spans, actors, offsetMs));
  }

  /** Spans written since the last call with the same marks, which are moved; and how many were overwritten unread. */
  spansSince(marks: number[]): { readonly spans: readonly Span[]; readonly lost: number } {
    const found: RawSpan[] = [];
    let lost = 0;
    for (const [thread, ring] of this.rings.entries()) {
      const reading = readSpans(ring, marks[thread] ?? writtenIn(ring));
      marks[thread] = reading.written;
      lost += reading.lost;
      found.push(...reading.spans);
    }
    return { spans: this.named(found), lost };
  }

  /** Spans that each thread has recorded since the start. */
  written(): readonly number[] {
    return this.rings.map(writtenIn);
  }

  openTap(wish: TapWish): number {
    if (this.taps.size >= TAPS_MAX)
      throw new RangeError(`${TAPS_MAX} live traces are open already`);
    const id = this.nextTap++;
    const spec: TapSpec = {
      id,
      actors: this.indicesOf(wish.actor),
      from: this.indicesOf(wish.from),
      to: this.indicesOf(wish.to),
      kinds: wish.kinds,
      trace: wish.trace,
      perSecondMax: Math.max(1, Math.min(RATE_MAX, Math.floor(wish.perSecondMax))),
    };
    this.taps.set(id, {
      spec,
      lines: [],
      leftOut: 0,
      unshownBefore: this.unshown(),
      second: 0,
      inSecond: 0,
      lease: this.lease(id),
    });
    this.renew();
    return id;
  }

  /** What came since the last reading. */
  readTap(id: number): TapReading {
    const tap = this.taps.get(id);
    if (tap === undefined)
      throw new RangeError('this live trace has ended: nobody read it for 10 s');
    clearTimeout(tap.lease);
    tap.lease = this.lease(id);
    // Threads post when they come to it: in the order of the steps where they were read together.
    const lines = tap.lines.sort((a, b) => a.atMs - b.atMs);
    tap.lines = [];
    // With several live traces open the threads' count is that of all of them: an upper bound.
    return { lines, leftOut: tap.leftOut + this.unshown() - tap.unshownBefore };
  }

  closeTap(id: number): void {
    clearTimeout(this.taps.get(id)?.lease);
    if (this.taps.delete(id)) this.renew();
  }

  /** From a thread. */
  tapped({ tap: id, from, to, ...line }: TapLine): void {
    const tap = this.taps.get(id);
    if (tap === undefined) return;
    const second = Math.floor(unixMs() / 1000);
    if (second !== tap.second) tap.inSecond = 0;
    tap.second = second;
    if (++tap.inSecond > tap.spec.perSecondMax || tap.lines.length >= LINES_MAX) tap.leftOut++;
    else tap.lines.push({ ...line, from: this.pathOf(from), to: this.pathOf(to) });
  }

  /** Live traces that a new thread has to be told. */
  specs(): readonly TapSpec[] {
    return [...this.taps.values()].map((tap) => tap.spec);
  }

  close(): void {
    clearTimeout(this.ends);
    for (const id of [...this.taps.keys()]) this.closeTap(id);
  }

  private summaryOf(spans: readonly RawSpan[], actors: number, offsetMs: number): TraceSummary {
    const first = spans.reduce((a, b) => (b.startMs < a.startMs ? b : a));
    const endMs = spans.reduce((latest, span) => Math.max(latest, span.endMs), 0);
    return {
      trace: traceIdOf(first.trace),
      startMs: first.startMs + offsetMs,
      elapsedMs: endMs - first.startMs,
      spans: spans.length,
      actors,
      actor: this.pathOf(first.actor),
      kind: first.kind,
    };
  }

  private lease(id: number): NodeJS.Timeout {
    return setTimeout(() => this.closeTap(id), LEASE_MS).unref();
  }

  private unshown(): number {
    return this.rings.reduce((sum, ring) => sum + unshownIn(ring), 0);
  }

  private renew(): void {
    this.install(this.specs());
    this.switch();
  }

  private switch(): void {
    const recorded = this.ratio > 0 ? RECORDING : 0;
    Atomics.store(this.words, THRESHOLD, Math.floor(this.ratio * 0xffffffff) | 0);
    Atomics.store(this.words, SWITCHES, recorded | (this.taps.size > 0 ? TAPPED : 0));
  }

  private indicesOf(name: string | undefined): readonly number[] | undefined {
    if (name === undefined) return undefined;
    const found = this.places.filter(
      ({ path, actor }) =>
        path === name || actor === name || path.startsWith(`${name}.`) || path.endsWith(`.${name}`),
    );
    if (found.length === 0) {
      const paths = this.places.map(({ path }) => path);
      throw noActor(name, paths, 'branches');
    }
    return found.map((place) => place.index);
  }

  private pathOf(index: number): string {
    return this.places[index]?.path ?? '';
  }

  private named(spans: readonly RawSpan[]): readonly Span[] {
    const offsetMs = unixMs() - monotonicMs();
    return spans
      .map(
        (raw): Span => ({
          trace: traceIdOf(raw.trace),
          span: spanIdOf(...raw.span),
          parent: hexParent(raw.parent),
          actor: this.pathOf(raw.actor),
          from: this.pathOf(raw.from),
          kind: raw.kind,
          cause: raw.cause,
          startMs: raw.startMs + offsetMs,
          handledMs: raw.endMs - raw.startMs,
        }),
      )
      .sort((a, b) => a.startMs - b.startMs);
  }
}
