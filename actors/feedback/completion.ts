/**
 * When a finite run is complete: its source has ended, all that it caused has a final state and an acknowledgement,
 * and SQL has the blocks that say so.
 */
import type { Answered } from '#runtime/actor.ts';
import { persistence } from '../persistence/protocol.ts';
import type { Fx, State } from './core.ts';
import { unacked, unseenPolicies } from './ledger.ts';

const STATUS_DEADLINE_MS = 1000;

const isSettled = ({ drained, busCaughtUp, ledger }: State): boolean =>
  drained &&
  busCaughtUp &&
  ledger.open.size === 0 &&
  unacked(ledger) === 0 &&
  unseenPolicies(ledger) === 0;

const complete = (state: State, fx: Fx): void => {
  state.complete = true;
  fx.signal({ kind: 'complete' });
};

/** Called whenever something has changed, and by each sweep: a projector that is behind is asked again then. */
export const completeIfSettled = (state: State, fx: Fx, atMs: number): void => {
  if (state.complete || !isSettled(state)) return;
  if (state.config.projectionWaitMs === 0) return complete(state, fx);
  if (state.settledAtMs === 0) state.settledAtMs = atMs;
  if (state.asksProjector) return;
  state.asksProjector = true;
  fx.ask(persistence, { kind: 'status' }, { kind: 'projector' }, STATUS_DEADLINE_MS);
};

/** Newest height that f+1 validators have told. */
const newestHeight = ({ ledger }: State): number =>
  Math.max(0, ...[...ledger.heights.values()].filter((e) => e.policies >= 0).map((e) => e.height));

export const onProjector = (
  state: State,
  result: Answered<typeof persistence, 'status'>,
  fx: Fx,
  atMs: number,
): void => {
  state.asksProjector = false;
  if (state.complete || !isSettled(state)) return;
  const height = newestHeight(state);
  const isThere = result.ok ? result.value.height >= height : result.error === 'no-such-actor';
  if (!isThere && atMs - state.settledAtMs < state.config.projectionWaitMs) return;
  if (!isThere) {
    const text = 'the run ends before SQL has all of the chain; the rest follows at the next start';
    fx.log('warn', text, { chain: height, sql: result.ok ? result.value.height : result.error });
  }
  complete(state, fx);
};
