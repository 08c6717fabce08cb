/**
 * Supervision as a function: (tree, history, exit) -> what to do. Nothing here starts or stops anything.
 *
 * Restarts are counted by the supervisor whose children they are; above its intensity it gives up, which is the crash of
 * a permanent child one level higher. The root giving up is the end of the system. An end for want of room on a disk is
 * not counted: the child comes back after its back-off for as long as it takes.
 */
import { type Attempts, attempt, BACKOFF, type Backoff, delayMs } from './backoff.ts';
import { affected, comesBack, isFailure, type Reason, restartOf } from './strategy.ts';
import { type Child, parentOf, type Supervisor, startOrder, stopOrder } from './tree.ts';

/** Actors that died together: siblings (a thread takes all its actors along). */
export type Exit = {
  readonly paths: readonly string[];
  readonly reason: Reason;
  readonly atMs: number;
};

export type History = {
  /** Times of the restarts within the period, by supervisor. */
  readonly restarts: { readonly [supervisor: string]: readonly number[] };
  /** Restarts in a row, by the child that died. */
  readonly attempts: { readonly [path: string]: Attempts };
  /** Never to be started again: halted, temporary, or below a supervisor that shut down. */
  readonly gone: readonly string[];
};

export const NO_HISTORY: History = { restarts: {}, attempts: {}, gone: [] };

export type Plan = {
  /** Actors to stop first, in this order; the dead are not among them. */
  readonly stop: readonly string[];
  /** Actors that have ended for good. */
  readonly gone: readonly string[];
  /** Actors to start after `delayMs`, in this order. */
  readonly start: readonly string[];
  readonly delayMs: number;
  /** Supervisors that gave up. */
  readonly escalated: readonly string[];
  /** shutdown: a significant child of the root ended; failed: the root gave up. */
  readonly system: 'goes on' | 'shutdown' | 'failed';
  readonly history: History;
};

export type Settings = { readonly seed: number; readonly backoff?: Backoff };

type Situation = {
  readonly tree: Supervisor;
  readonly history: History;
  readonly exit: Exit;
  readonly settings: Settings;
  readonly escalated: readonly string[];
};

const paths = (children: readonly Child[]): string[] =>
  children.flatMap((c) => startOrder(c).map((leaf) => leaf.path));

const withGone = (history: History, gone: readonly string[]): History => ({
  ...history,
  gone: [...new Set([...history.gone, ...gone])],
});

/** Stops that leave out the dead and the gone, in reverse start order. */
const stops = (s: Situation, children: readonly Child[]): string[] =>
  [...children]
    .reverse()
    .flatMap((c) => stopOrder(c).map((leaf) => leaf.path))
    .filter((path) => !s.exit.paths.includes(path) && !s.history.gone.includes(path));

const nothing = (s: Situation): Plan => ({
  stop: [],
  gone: [],
  start: [],
  delayMs: 0,
  escalated: s.escalated,
  system: 'goes on',
  history: s.history,
});

/** A significant child ended: its supervisor ends, normally, with all its children. */
const shutDown = (s: Situation, supervisor: Supervisor): Plan => {
  const gone = paths([supervisor]);
  return {
    ...nothing(s),
    stop: stops(s, [supervisor]),
    gone,
    system: supervisor === s.tree ? 'shutdown' : 'goes on',
    history: withGone(s.history, gone),
  };
};

const giveUp = (s: Situation, supervisor: Supervisor): Plan => {
  const escalated = [...s.escalated, supervisor.path];
  const parent = parentOf(s.tree, supervisor.path);
  if (supervisor === s.tree || parent === undefined) {
    const all = paths([supervisor]);
    return {
      ...nothing({ ...s, escalated }),
      stop: stops(s, [supervisor]),
      gone: all,
      system: 'failed',
      history: withGone(s.history, all),
    };
  }
  const restarts = { ...s.history.restarts, [supervisor.path]: [] };
  const history = { ...s.history, restarts };
  return handle({ ...s, history, escalated }, parent, [supervisor], 'crash');
};

const restart = (s: Situation, supervisor: Supervisor, back: readonly Child[]): Plan => {
  const { atMs, reason } = s.exit;
  const { path, intensity } = supervisor;
  const sinceMs = atMs - intensity.periodS * 1000;
  const recent = (s.history.restarts[path] ?? []).filter((ms) => ms > sinceMs);
  const counted = reason === 'no-room' ? recent : [...recent, atMs];
  const restarts = { ...s.history.restarts, [path]: counted };
  if (counted.length > intensity.restarts) {
    return giveUp({ ...s, history: { ...s.history, restarts } }, supervisor);
  }
  const backoff = s.settings.backoff ?? BACKOFF;
  const key = back[0]!.path;
  const attempts = attempt(s.history.attempts[key], atMs, backoff);
  const group = affected(supervisor, back);
  // Temporary children that are stopped with the group do not come back, nor does what has gone before.
  const temporary = group.filter((c) => restartOf(c) === 'temporary' && !back.includes(c));
  const gone = paths(temporary).filter((p) => !s.history.gone.includes(p));
  const history = withGone(
    { ...s.history, restarts, attempts: { ...s.history.attempts, [key]: attempts } },
    gone,
  );
  return {
    ...nothing(s),
    stop: stops(s, group),
    gone,
    start: paths(group).filter((p) => !history.gone.includes(p)),
    delayMs: delayMs(attempts.count, s.settings.seed, backoff),
    history,
  };
};

const handle = (
  s: Situation,
  supervisor: Supervisor,
  dead: readonly Child[],
  reason: Reason,
): Plan => {
  const back = dead.filter((c) => comesBack(restartOf(c), reason));
  const left = dead.filter((c) => !back.includes(c));
  const significant = left.some((c) => c.kind === 'actor' && c.significant && !isFailure(reason));
  if (significant) return shutDown(s, supervisor);
  // As in OTP, a transient child that ended normally stays known: a group restart starts it again.
  const never = left.filter((c) => reason === 'halt' || restartOf(c) === 'temporary');
  const ended: Situation = { ...s, history: withGone(s.history, paths(never)) };
  const plan = back.length === 0 ? nothing(ended) : restart(ended, supervisor, back);
  const started = new Set(plan.start);
  const gone = [...paths(left), ...plan.gone].filter((p) => !started.has(p));
  return { ...plan, gone: [...new Set(gone)] };
};

/** What follows from an exit. Throws when its paths are not siblings in the tree: a bug of the caller. */
export const decide = (
  tree: Supervisor,
  history: History,
  exit: Exit,
  settings: Settings,
): Plan => {
  const supervisor = parentOf(tree, exit.paths[0] ?? '');
  const dead = supervisor?.children.filter((c) => exit.paths.includes(c.path)) ?? [];
  if (supervisor === undefined || dead.length !== exit.paths.length) {
    throw new Error(`not siblings: ${exit.paths.join(', ')}`);
  }
  return handle({ tree, history, exit, settings, escalated: [] }, supervisor, dead, exit.reason);
};
