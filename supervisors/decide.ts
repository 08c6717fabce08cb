/**
 * Supervision as a function: (tree, history, exit) -> what to do. Nothing here starts or stops anything.
 *
 * Restarts are counted by the supervisor whose children they are; above its intensity it gives up, which is the crash of
 * a child one level higher. The root giving up is the end of the system. An end for want of room on a disk is not
 * counted: the child comes back after its back-off for as long as it takes.
 */
import { type Attempts, attempt, BACKOFF, type Backoff, delayMs, seedOf } from './backoff.ts';
import { affected, comesBack, type Reason, shutsDown } from './strategy.ts';
import { type Child, parentOf, type Supervisor, startOrder } from './tree.ts';

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
  /** Children never to be started again: halted or temporary, or below a supervisor that is. */
  readonly gone: readonly string[];
  /** Children (actors and supervisors) that ended, did not come back, and were not started again with their group. */
  readonly ended: readonly string[];
};

export const NO_HISTORY: History = { restarts: {}, attempts: {}, gone: [], ended: [] };

export type Plan = {
  /** Actors to stop first, in this order; the dead are not among them. */
  readonly stop: readonly string[];
  /** Actors that have ended for good, in start order. */
  readonly gone: readonly string[];
  /** Actors to start after `delayMs`, in this order. */
  readonly start: readonly string[];
  readonly delayMs: number;
  /** Supervisors that gave up. */
  readonly escalated: readonly string[];
  /** shutdown: the root shut down by its own rule; failed: the root gave up. */
  readonly system: 'goes on' | 'shutdown' | 'failed';
  readonly history: History;
};

export type Settings = { readonly seed: number; readonly backoff?: Backoff };

type Situation = {
  readonly tree: Supervisor;
  /** As it was at the exit: it tells what runs. */
  readonly before: History;
  /** As it is by now. */
  readonly history: History;
  readonly exit: Exit;
  readonly settings: Settings;
  readonly escalated: readonly string[];
};

const pathsOf = (children: readonly Child[]): string[] =>
  children.flatMap((c) => startOrder(c).map((leaf) => leaf.path));

/** The children, and all actors and supervisors below them. */
const allPaths = (children: readonly Child[]): string[] =>
  children.flatMap((c) => [c.path, ...(c.kind === 'actor' ? [] : allPaths(c.children))]);

const added = (list: readonly string[], more: readonly string[]): readonly string[] => [
  ...new Set([...list, ...more]),
];

/** These children have ended; `forGood`: and are never started again. */
const withEnded = (
  history: History,
  ended: readonly Child[],
  forGood: readonly Child[],
): History => ({
  ...history,
  gone: added(history.gone, allPaths(forGood)),
  ended: added(history.ended, allPaths(ended)),
});

const wasAway = ({ before }: Situation, path: string): boolean =>
  before.gone.includes(path) || before.ended.includes(path);

/** What runs of these, in reverse start order. */
const stops = (s: Situation, children: readonly Child[]): string[] =>
  pathsOf(children)
    .reverse()
    .filter((path) => !s.exit.paths.includes(path) && !wasAway(s, path));

/** What has not been known to be away before. */
const leaving = (s: Situation, children: readonly Child[]): string[] =>
  pathsOf(children).filter((path) => !wasAway(s, path));

const nothing = (s: Situation): Plan => ({
  stop: [],
  gone: [],
  start: [],
  delayMs: 0,
  escalated: s.escalated,
  system: 'goes on',
  history: s.history,
});

/** The whole tree ends. */
const over = (s: Situation, system: 'shutdown' | 'failed'): Plan => ({
  ...nothing(s),
  stop: stops(s, [s.tree]),
  gone: leaving(s, [s.tree]),
  system,
  history: withEnded(s.history, [s.tree], [s.tree]),
});

/** The supervisor ends with all its children: normally, or because it gave up. */
const ends = (s: Situation, supervisor: Supervisor, reason: Reason): Plan => {
  const parent = parentOf(s.tree, supervisor.path);
  if (supervisor === s.tree || parent === undefined) {
    return over(s, reason === 'crash' ? 'failed' : 'shutdown');
  }
  return handle(s, parent, [supervisor], reason);
};

const giveUp = (s: Situation, supervisor: Supervisor): Plan => {
  const escalated = [...s.escalated, supervisor.path];
  const restarts = { ...s.history.restarts, [supervisor.path]: [] };
  return ends({ ...s, history: { ...s.history, restarts }, escalated }, supervisor, 'crash');
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
  const backoff = supervisor.backoff ?? s.settings.backoff ?? BACKOFF;
  const key = back[0]!.path;
  const attempts = attempt(s.history.attempts[key], atMs, backoff);
  const group = affected(supervisor, back);
  // Temporary children that are stopped with the group do not come back, nor does what has gone before.
  const temporary = group.filter((c) => c.restart === 'temporary' && !back.includes(c));
  const before = { ...s.history, restarts, attempts: { ...s.history.attempts, [key]: attempts } };
  const marked = withEnded(before, temporary, temporary);
  const again = allPaths(group.filter((c) => !temporary.includes(c)));
  const history = {
    ...marked,
    ended: marked.ended.filter((p) => !again.includes(p) || marked.gone.includes(p)),
  };
  return {
    ...nothing(s),
    stop: stops(s, group),
    gone: leaving(s, temporary),
    start: pathsOf(group).filter((p) => !history.gone.includes(p)),
    delayMs: delayMs(attempts.count, seedOf(s.settings.seed, key), backoff),
    history,
  };
};

const handle = (
  s: Situation,
  supervisor: Supervisor,
  dead: readonly Child[],
  reason: Reason,
): Plan => {
  const back = dead.filter((c) => comesBack(c.restart, reason));
  const left = dead.filter((c) => !back.includes(c));
  // As in OTP, a transient child that ended normally stays known: a group restart starts it again.
  const never = left.filter((c) => reason === 'halt' || c.restart === 'temporary');
  const now = { ...s, history: withEnded(s.history, left, never) };
  if (shutsDown(supervisor, left, now.history.ended)) return ends(now, supervisor, 'normal');
  const plan = back.length === 0 ? nothing(now) : restart(now, supervisor, back);
  const started = new Set(plan.start);
  const order = pathsOf([s.tree]);
  const sorted = (paths: readonly string[]): string[] => order.filter((p) => paths.includes(p));
  return {
    ...plan,
    stop: sorted([...plan.stop, ...stops(s, left)]).reverse(),
    gone: sorted([...plan.gone, ...leaving(s, left)]).filter((p) => !started.has(p)),
  };
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
  const situation = { tree, before: history, history, exit, settings, escalated: [] };
  return handle(situation, supervisor, dead, exit.reason);
};
