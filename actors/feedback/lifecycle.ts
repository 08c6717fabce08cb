/**
 * The life of an anomaly in seven states, as pure functions. A state
 * that validators report counts only when f+1 distinct ones say the same: one validator moves nothing.
 */
import type { LifecycleState } from './protocol.ts';

const NEXT: { readonly [S in LifecycleState]: readonly LifecycleState[] } = {
  DETECTED: ['PUBLISHED'],
  PUBLISHED: ['ADMITTED', 'REJECTED', 'TIMEOUT', 'EXPIRED'],
  ADMITTED: ['COMMITTED', 'REJECTED', 'EXPIRED'],
  COMMITTED: [],
  REJECTED: [],
  TIMEOUT: [],
  EXPIRED: [],
};

export const isTerminal = (state: LifecycleState): boolean => NEXT[state].length === 0;
export const mayFollow = (from: LifecycleState, to: LifecycleState): boolean =>
  NEXT[from].includes(to);

export type Transition = {
  readonly state: LifecycleState;
  readonly atMs: number;
  /** Why: 'bus', 'validators 2/4', a rejection code, 'deadline'. */
  readonly cause: string;
};

/** One anomaly as feedback keeps it. Sets of validators are arrays of ids, each id once. */
export type Anomaly = {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly srcIp: string;
  readonly dstIp: string;
  readonly severity: number;
  readonly confidence: number;
  readonly detectedAtMs: number;
  state: LifecycleState;
  readonly transitions: Transition[];
  readonly admittedBy: string[];
  readonly rejectedBy: { readonly validator: string; readonly reason: string }[];
  readonly committedBy: { readonly validator: string; readonly height: number }[];
  height: number;
};

/** What the API shows of one. */
export type AnomalyView = Omit<Anomaly, 'admittedBy' | 'rejectedBy' | 'committedBy'> & {
  readonly validators: {
    readonly admitted: number;
    readonly rejected: number;
    readonly committed: number;
  };
};

export const viewOf = (anomaly: Anomaly): AnomalyView => {
  const { admittedBy, rejectedBy, committedBy, ...rest } = anomaly;
  return {
    ...rest,
    validators: {
      admitted: admittedBy.length,
      rejected: rejectedBy.length,
      committed: committedBy.length,
    },
  };
};

/** Moves an anomaly; false (and nothing changes) when the transition is not legal. */
export const transition = (
  anomaly: Anomaly,
  state: LifecycleState,
  atMs: number,
  cause: string,
): boolean => {
  if (!mayFollow(anomaly.state, state)) return false;
  anomaly.state = state;
  anomaly.transitions.push({ state, atMs, cause });
  return true;
};

/** How many validators must agree before a report counts: f+1 of n, so at least one is honest. */
export const believersNeeded = (validators: number): number => Math.floor((validators - 1) / 3) + 1;

export type Report =
  | { readonly kind: 'admitted'; readonly validator: string }
  | { readonly kind: 'rejected'; readonly validator: string; readonly reason: string }
  | { readonly kind: 'committed'; readonly validator: string; readonly height: number };

const once = <T extends { readonly validator: string }>(list: T[], entry: T): void => {
  if (!list.some((known) => known.validator === entry.validator)) list.push(entry);
};

const count = (anomaly: Anomaly, report: Report): void => {
  if (report.kind === 'admitted') {
    if (!anomaly.admittedBy.includes(report.validator)) anomaly.admittedBy.push(report.validator);
  } else if (report.kind === 'rejected') once(anomaly.rejectedBy, report);
  else once(anomaly.committedBy, report);
};

/** Counts one validator's word and moves the anomaly as far as f+1 words carry it. Returns the new states. */
export const report = (
  anomaly: Anomaly,
  word: Report,
  validators: number,
  atMs: number,
): readonly LifecycleState[] => {
  if (isTerminal(anomaly.state)) return [];
  count(anomaly, word);
  const needed = believersNeeded(validators);
  const moved: LifecycleState[] = [];
  const move = (
    state: LifecycleState,
    words: number,
    cause = `validators ${words}/${validators}`,
  ) => {
    if (transition(anomaly, state, atMs, cause)) moved.push(state);
  };
  const height = word.kind === 'committed' ? word.height : 0;
  const commits = anomaly.committedBy.filter((c) => c.height === height).length;
  // What is committed was admitted, even where that word is still on its way.
  if (anomaly.admittedBy.length >= needed || (height > 0 && commits >= needed)) {
    move('ADMITTED', Math.max(anomaly.admittedBy.length, commits));
  }
  if (height > 0 && commits >= needed) {
    anomaly.height = height;
    move('COMMITTED', commits);
  }
  if (word.kind === 'rejected') {
    const same = anomaly.rejectedBy.filter((r) => r.reason === word.reason).length;
    if (same >= needed) move('REJECTED', same, word.reason);
  }
  return moved;
};

export type Deadlines = { readonly timeoutMs: number; readonly expiryMs: number };

/** What time does: PUBLISHED times out without an answer, both open states expire. */
export const elapse = (
  anomaly: Anomaly,
  deadlines: Deadlines,
  atMs: number,
): LifecycleState | undefined => {
  const since = anomaly.transitions.at(-1)?.atMs ?? anomaly.detectedAtMs;
  const age = atMs - since;
  const to: LifecycleState = age >= deadlines.expiryMs ? 'EXPIRED' : 'TIMEOUT';
  const due = to === 'EXPIRED' || (anomaly.state === 'PUBLISHED' && age >= deadlines.timeoutMs);
  return due && transition(anomaly, to, atMs, 'deadline') ? to : undefined;
};
