/** The supervision tree as supervisors see it, and the orders that follow from it. Pure. */
import type { Backoff } from './backoff.ts';

export type Restart = 'permanent' | 'transient' | 'temporary';
export type Strategy = 'one_for_one' | 'one_for_all' | 'rest_for_one';
/**
 * OTP's auto_shutdown: whether a supervisor ends, with all its children, when one of its significant children has ended
 * by itself and stays away, or when the last of them has.
 */
export type AutoShutdown = 'never' | 'any_significant' | 'all_significant';

/** A path is unique in the tree; the root's is ''. */
export type Leaf = {
  readonly kind: 'actor';
  readonly path: string;
  readonly restart: Restart;
  /** Its end counts for the auto-shutdown of its supervisor. */
  readonly significant: boolean;
};

export type Supervisor = {
  readonly kind: 'supervisor';
  readonly path: string;
  /** What its own supervisor does when it has given up (a crash) or shut down (a normal end). */
  readonly restart: Restart;
  readonly significant: boolean;
  readonly strategy: Strategy;
  readonly autoShutdown: AutoShutdown;
  /** How long restarts of its children wait; the system's own unless it says otherwise. */
  readonly backoff?: Backoff;
  /** More than `restarts` within `periodS` seconds, and the supervisor itself gives up. */
  readonly intensity: { readonly restarts: number; readonly periodS: number };
  readonly children: readonly Child[];
};

export type Child = Leaf | Supervisor;

/** Actors at or below a child, in the order in which they start. */
export const startOrder = (child: Child): readonly Leaf[] =>
  child.kind === 'actor' ? [child] : child.children.flatMap(startOrder);

/** Actors in the order in which they stop: the reverse. */
export const stopOrder = (child: Child): readonly Leaf[] => [...startOrder(child)].reverse();

/** The supervisor that has `path` as a direct child; undefined for the root itself or an unknown path. */
export const parentOf = (tree: Supervisor, path: string): Supervisor | undefined => {
  for (const child of tree.children) {
    if (child.path === path) return tree;
    if (child.kind === 'actor') continue;
    const found = parentOf(child, path);
    if (found !== undefined) return found;
  }
  return undefined;
};
