/** What the machine notes, as counters, levels and log lines. */

import type { Note } from './machine/events.ts';
import type { Fx, State } from './messages.ts';

/** Own proposals whose commit is awaited; older ones are forgotten first. */
const PROPOSED_MAX = 256;
const MS_PER_S = 1000;

const committed = (
  state: State,
  note: Extract<Note, { name: 'committed' }>,
  fx: Fx,
  atMs: number,
) => {
  fx.gauge('consensus_height', note.height);
  fx.emit('consensus_blocks', 1);
  const sentAtMs = state.proposed.get(note.hash);
  if (sentAtMs === undefined) return;
  state.proposed.delete(note.hash);
  // The last, empty block of a burst is committed by the next burst: its wait is no latency of anybody's.
  if (note.txCount === 0) return;
  fx.emit('commit_latency_seconds', (atMs - sentAtMs) / MS_PER_S);
};

export const noteEffect = (state: State, note: Note, fx: Fx, atMs: number): void => {
  switch (note.name) {
    case 'proposed':
      state.proposed.set(note.hash, atMs);
      if (state.proposed.size > PROPOSED_MAX) {
        state.proposed.delete(state.proposed.keys().next().value!);
      }
      fx.emit('proposals', 1);
      return fx.gauge('consensus_view', note.view);
    case 'voted':
      fx.emit('votes', 1);
      return fx.gauge('consensus_view', note.view);
    case 'qc-formed':
      fx.emit('qcs_formed', 1);
      return fx.gauge('consensus_view', note.view);
    case 'view-change':
      fx.emit('consensus_view_changes', 1);
      return fx.gauge('consensus_view', note.view);
    case 'timed-out':
      return fx.emit('timeouts', 1);
    case 'committed':
      return committed(state, note, fx, atMs);
    case 'not-voted':
      fx.emit('not_voted', 1);
      return fx.log('info', 'no vote for a proposal', { hash: note.hash, reason: note.reason });
    case 'not-built':
      fx.emit('not_built', 1);
      return fx.log('warn', 'no block could be built', { view: note.view, reason: note.reason });
    case 'suspected':
      return fx.log('warn', 'a peer is silent', { peer: note.peer });
    case 'heard-again':
      return fx.log('info', 'a peer is heard again', { peer: note.peer });
    case 'rejected':
      fx.emit('messages_rejected', 1);
      return fx.log('warn', 'a peer sent what does not verify', {
        peer: note.from,
        reason: note.reason,
      });
  }
};
