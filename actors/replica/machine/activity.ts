/** Whether there is anything to agree on. An idle network makes no views: it has no view timer and no proposals. */
import type { Emit } from './events.ts';
import { delayMs } from './pacemaker.ts';
import type { State } from './state.ts';
import { pathTo } from './tree.ts';

/**
 * Admitted transactions wait; or a block with transactions is under way: proposed in this view, or certified and
 * not yet committed. Empty blocks follow it until it is. Where the newest QC's block is missing, the fetch timer
 * is what runs.
 */
export const isBusy = (state: State): boolean => {
  if (state.pendingCount > 0) return true;
  for (const { block } of state.nodes.values()) {
    if (block.txs.length > 0 && block.header.view >= state.view) return true;
  }
  if (state.highQc.view <= state.head.header.view) return false;
  const path = pathTo(state, state.highQc.blockHash);
  return path.kind === 'whole' && path.nodes.some((node) => node.block.txs.length > 0);
};

/**
 * Of a timeout in a view that nothing waits for any more. Others may wait, and need it: whoever was away gets it when
 * it is heard again (heartbeats.ts).
 */
const IDLE_REPETITIONS_MAX = 4;

const isGivingUp = ({ lastTimeout, view, repetitions }: State): boolean =>
  lastTimeout?.claim.view === view && repetitions <= IDLE_REPETITIONS_MAX;

/** Starts, moves or stops the view timer. A timeout is repeated until its view ends. */
export const keepTimer = (state: State, emit: Emit): void => {
  const { view, timer } = state;
  const wanted = isBusy(state) || isGivingUp(state);
  if (wanted && timer?.view !== view) {
    const wait = delayMs(state.pacemaker, state.repetitions, state.params.limits);
    emit({ kind: 'set-timer', id: 'view', delayMs: wait, view });
    state.timer = { view };
  }
  if (!wanted && timer !== null) {
    emit({ kind: 'cancel-timer', id: 'view' });
    state.timer = null;
  }
};
