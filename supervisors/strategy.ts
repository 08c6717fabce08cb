/** OTP's restart types and strategies: which children follow from which deaths. Pure. */
import { unreachable } from '#proto/result.ts';
import type { Child, Restart, Supervisor } from './tree.ts';

/**
 * How something ended. crash: an error, a kill, a start that failed; no-room: its disk is full or read-only, which is
 * not its fault and is mended from outside; normal: it said so; halt: it asks never to be started again.
 */
export type Reason = 'crash' | 'no-room' | 'normal' | 'halt';

/** Did it end against its will? */
export const isFailure = (reason: Reason): boolean => reason === 'crash' || reason === 'no-room';

/** Does a child of this type come back after such an end? */
export const comesBack = (restart: Restart, reason: Reason): boolean => {
  if (reason === 'halt') return false;
  switch (restart) {
    case 'permanent':
      return true;
    case 'transient':
      return isFailure(reason);
    case 'temporary':
      return false;
    default:
      return unreachable(restart);
  }
};

/** Children that are stopped and started anew when those of `dead` that come back do, in start order. */
export const affected = (supervisor: Supervisor, back: readonly Child[]): readonly Child[] => {
  const { children, strategy } = supervisor;
  switch (strategy) {
    case 'one_for_one':
      return children.filter((c) => back.includes(c));
    case 'one_for_all':
      return children;
    case 'rest_for_one':
      return children.slice(children.findIndex((c) => back.includes(c)));
    default:
      return unreachable(strategy);
  }
};

/**
 * Does the supervisor shut down because these children have ended by themselves? `ended`: every child of it that is away
 * by now, these included.
 */
export const shutsDown = (
  supervisor: Supervisor,
  left: readonly Child[],
  ended: readonly string[],
): boolean => {
  if (!left.some((c) => c.significant)) return false;
  switch (supervisor.autoShutdown) {
    case 'never':
      return false;
    case 'any_significant':
      return true;
    case 'all_significant':
      return supervisor.children.every((c) => !c.significant || ended.includes(c.path));
    default:
      return unreachable(supervisor.autoShutdown);
  }
};
