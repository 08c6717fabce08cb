/** Restarts that a supervisor grants beforehand, so that a crash need not wait for its decision. Pure. */
import { BACKOFF } from './backoff.ts';
import { decide, type History, type Plan, type Settings } from './decide.ts';
import type { Supervisor } from './tree.ts';

/** Nothing but this actor is started, at once. */
export const isAlone = (plan: Plan, path: string): boolean =>
  plan.start.length === 1 &&
  plan.start[0] === path &&
  plan.stop.length === 0 &&
  plan.delayMs === 0 &&
  plan.escalated.length === 0;

/**
 * Would this actor, if it crashed now, come back alone and at once? What is true now stays true until the history
 * changes: as time passes restarts are only forgotten.
 */
export const comesBackAlone = (
  tree: Supervisor,
  history: History,
  path: string,
  atMs: number,
  settings: Settings,
): boolean =>
  isAlone(decide(tree, history, { paths: [path], reason: 'crash', atMs }, settings), path);

/** When the next restart of the history is forgotten; undefined when none is left to forget. */
export const forgetsAtMs = (
  tree: Supervisor,
  history: History,
  atMs: number,
  settings: Settings,
): number | undefined => {
  const times: number[] = [];
  const look = (supervisor: Supervisor): void => {
    const { resetMs } = supervisor.backoff ?? settings.backoff ?? BACKOFF;
    const periodMs = supervisor.intensity.periodS * 1000;
    for (const ms of history.restarts[supervisor.path] ?? []) times.push(ms + periodMs);
    for (const child of supervisor.children) {
      const tried = history.attempts[child.path];
      if (tried !== undefined) times.push(tried.lastMs + resetMs + 1);
      if (child.kind === 'supervisor') look(child);
    }
  };
  look(tree);
  const later = times.filter((ms) => ms > atMs);
  return later.length === 0 ? undefined : Math.min(...later);
};
