/**
 * The consumer's side of a topic, as plain data for a core: which records come next, which are finished,
 * and the low-water mark below which all are. Records finish in any order; the mark moves only over a
 * gapless prefix, so a crash reads every unfinished record again and loses none.
 */
import type { Answered, Effects, IoCommands, Resume as ResumeOf } from '../actor.ts';
import { bus } from './protocol.ts';
import { type BusRecord, decodeRecords } from './record.ts';

export type Subscription = {
  readonly topic: string;
  readonly group: string;
  readonly maxRecords: number;
  readonly waitMs: number;
  /** Next offset to fetch, by partition; empty until the first answer. */
  positions: readonly number[];
  /** Next offset below which everything is finished, by partition. */
  readonly marks: number[];
  /** Delivered and not finished, by partition, in ascending order. */
  readonly open: number[][];
  moved: boolean;
  polling: boolean;
  failures: number;
};

export const subscription = (
  settings: Pick<Subscription, 'topic' | 'group'> &
    Partial<Pick<Subscription, 'maxRecords' | 'waitMs'>>,
): Subscription => ({
  maxRecords: 256,
  // An append answers at once, and a bus that restarts ends the question: idle, only the waking costs.
  waitMs: 5000,
  ...settings,
  positions: [],
  marks: [],
  open: [],
  moved: false,
  polling: false,
  failures: 0,
});

type Resume = { readonly kind: string };
const ANSWER_MARGIN_MS = 2000;
const RETRY_FIRST_MS = 50;
const RETRY_LAST_MS = 5000;

/** Asks for the next records; one question is open at a time, further calls do nothing. */
export const poll = <Self extends Resume, Io extends IoCommands, const R extends Resume>(
  sub: Subscription,
  fx: Effects<Self, Io>,
  resume: ResumeOf<Self, R, Answered<typeof bus, 'fetch'>>,
): void => {
  if (sub.polling) return;
  sub.polling = true;
  const { topic, group, positions, maxRecords, waitMs } = sub;
  const question = { kind: 'fetch', topic, group, positions, maxRecords, waitMs } as const;
  // It waits for whatever comes next: no consequence of what came last.
  fx.under('', () => fx.ask(bus, question, resume, waitMs + ANSWER_MARGIN_MS));
};

/** The trace of the newest of these records, as its header has it; undefined where none has one. */
export const traceOf = (records: readonly BusRecord[]): string | undefined =>
  records.findLast(({ headers }) => headers.traceparent !== undefined)?.headers.traceparent;

/** What `body` says belongs to this trace; without one, to that of the step. */
export const followTrace = <Self extends Resume, Io extends IoCommands>(
  trace: string | undefined,
  fx: Effects<Self, Io>,
  body: () => void,
): void => {
  if (trace === undefined) body();
  else fx.under(trace, body);
};

/** A step that takes several records at once goes on in one of their traces: that of the newest. */
export const follow = <Self extends Resume, Io extends IoCommands>(
  records: readonly BusRecord[],
  fx: Effects<Self, Io>,
  body: () => void,
): void => followTrace(traceOf(records), fx, body);

/** `retryMs` > 0: the fetch failed; poll again after it (exponential, 50 ms to 5 s). */
export type Fetched = { readonly records: readonly BusRecord[]; readonly retryMs: number };

export const onFetched = (sub: Subscription, result: Answered<typeof bus, 'fetch'>): Fetched => {
  sub.polling = false;
  if (!result.ok || result.value.outcome !== 'ok') {
    const retryMs = Math.min(RETRY_FIRST_MS * 2 ** sub.failures, RETRY_LAST_MS);
    sub.failures = Math.min(sub.failures + 1, 16);
    return { records: [], retryMs };
  }
  sub.failures = 0;
  const records = decodeRecords(result.value.records);
  sub.positions = result.value.positions;
  for (let p = sub.marks.length; p < sub.positions.length; p++) {
    const first = records.find((record) => record.partition === p);
    sub.marks.push(first?.offset ?? sub.positions[p] ?? 0);
    sub.open.push([]);
  }
  for (const record of records) sub.open[record.partition]!.push(record.offset);
  return { records, retryMs: 0 };
};

/** One record is finished: it will not be needed again. */
export const done = (sub: Subscription, partition: number, offset: number): void => {
  const open = sub.open[partition];
  const at = open === undefined ? -1 : open.indexOf(offset);
  if (open === undefined || at < 0) return;
  open.splice(at, 1);
  const mark = open[0] ?? sub.positions[partition]!;
  if (mark > sub.marks[partition]!) {
    sub.marks[partition] = mark;
    sub.moved = true;
  }
};

/** How many records are delivered and not finished: the bound that a consumer keeps. */
export const openCount = (sub: Subscription): number =>
  sub.open.reduce((sum, open) => sum + open.length, 0);

/** Tells the bus the low-water mark when it has moved. */
export const commitMark = <Self extends Resume, Io extends IoCommands>(
  sub: Subscription,
  fx: Effects<Self, Io>,
): void => {
  if (!sub.moved) return;
  sub.moved = false;
  fx.tell(bus, {
    kind: 'commit',
    topic: sub.topic,
    group: sub.group,
    positions: [...sub.marks],
  });
};
