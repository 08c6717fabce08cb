/** The consensus machine of one replica: a pure function of its state, an event and the time. */

import type { Message } from '#proto/consensus/messages.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import { unreachable } from '#proto/result.ts';
import { accuse } from './accountability.ts';
import { keepTimer } from './activity.ts';
import { onCommitted, onExecuted, tryCommit } from './committing.ts';
import type { Emit, Event, Params, TimerId } from './events.ts';
import {
  fetchElsewhere,
  fetchMissing,
  onBlockReply,
  onBlockRequest,
  onSyncReply,
  onSyncRequest,
} from './fetching.ts';
import { onHeartbeat, onHeartbeatTimer } from './heartbeats.ts';
import { onBuilt, tryPropose } from './proposing.ts';
import { RULES, type Rules } from './rules.ts';
import { onStart } from './starting.ts';
import { halt, initialState, type State } from './state.ts';
import { acceptTimeout, onNewView, onTimeout, onViewTimer } from './timeouts.ts';
import { executeReady } from './tree.ts';
import { acceptVote, onProposal, onVote, tryVote } from './voting.ts';

export type { State } from './state.ts';

/** `rules` are for tests of what happens without them. */
export const init = (params: Params, rules: Rules = RULES): State => initialState(params, rules);

export const step = (state: State, event: Event, emit: Emit, atMs: number): void => {
  if (state.halted !== null) return;
  if (!state.started && event.kind !== 'start') return;
  handle(state, event, emit, atMs);
  settle(state, emit, atMs);
};

const handle = (state: State, event: Event, emit: Emit, atMs: number): void => {
  switch (event.kind) {
    case 'start':
      return onStart(state, emit, event);
    case 'message':
      return onMessage(state, emit, event.from, event.message, atMs);
    case 'timer':
      return onTimer(state, emit, event.id, event.view, atMs);
    case 'persisted':
      return onPersisted(state, emit, event.seq);
    case 'txs-ready':
      state.pendingCount = event.count;
      if (state.building !== null && event.count > 0) state.building.newsSince = true;
      return;
    case 'built':
      return onBuilt(state, emit, event);
    case 'executed':
      return onExecuted(state, emit, event);
    case 'committed':
      return onCommitted(state, emit, event);
    default:
      return unreachable(event);
  }
};

const onMessage = (
  state: State,
  emit: Emit,
  from: HashHex,
  message: Message,
  atMs: number,
): void => {
  if (!state.peers.has(from)) return;
  switch (message.kind) {
    case 'proposal':
      return onProposal(state, emit, from, message, atMs);
    case 'vote':
      return onVote(state, emit, from, message.vote);
    case 'timeout':
      return onTimeout(state, emit, from, message.timeout);
    case 'new-view':
      return onNewView(state, emit, from, message.tc);
    case 'heartbeat':
      return onHeartbeat(state, emit, from, message, atMs);
    case 'sync-request':
      return onSyncRequest(state, emit, from, message);
    case 'sync-reply':
      return onSyncReply(state, emit, from, message);
    case 'block-request':
      return onBlockRequest(state, emit, from, message.hash);
    case 'block-reply':
      return onBlockReply(state, emit, from, message.block, message.qc);
    case 'forward':
      return emit({ kind: 'forwarded', from, txs: message.txs });
    case 'evidence':
      return accuse(state, emit, message.evidence, false);
    default:
      return unreachable(message);
  }
};

const onTimer = (state: State, emit: Emit, id: TimerId, view: number, atMs: number): void => {
  switch (id) {
    case 'view':
      return onViewTimer(state, emit, view);
    case 'fetch':
      return fetchElsewhere(state);
    case 'heartbeat':
      return onHeartbeatTimer(state, emit, atMs);
    default:
      return unreachable(id);
  }
};

/** Up to `seq`. Own votes and timeouts count here as everywhere: when they are durable. */
const onPersisted = (state: State, emit: Emit, seq: number): void => {
  if (seq <= state.durableSeq || seq > state.seq) {
    return halt(state, emit, `records became durable out of order: ${seq}`);
  }
  state.durableSeq = seq;
  while (state.own[0] !== undefined && state.own[0].seq <= seq) {
    const { message } = state.own.shift() as (typeof state.own)[number];
    if (message.kind === 'vote') acceptVote(state, emit, message.vote);
    if (message.kind === 'timeout') acceptTimeout(state, emit, message.timeout);
  }
};

/** All that the state now allows, whichever event made it so: each of these does its work once. */
const settle = (state: State, emit: Emit, atMs: number): void => {
  const works = [
    () => tryCommit(state, emit),
    () => executeReady(state, emit),
    () => tryVote(state, emit, atMs),
    () => tryPropose(state, emit, atMs),
    () => fetchMissing(state, emit),
    () => keepTimer(state, emit),
  ];
  for (const work of works) if (state.halted === null) work();
};
