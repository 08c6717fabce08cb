/**
 * The consensus machine of one replica: `init(params)`, then `step(state, event, emit, atMs)` for every event. It has
 * no clock, chance, await or I/O: `atMs` is integer milliseconds since 1970, consequences are data given to `emit` in the
 * order in which they are to happen. Rules of safety: rules.ts. Events and effects: events.ts.
 *
 * What its driver owes it:
 *
 * start      Once, first: the decoded safety record (null if none was ever written: then the executor must be at height
 *            0, else the machine halts), every stored block, the header of the executor's head with its proof. An unreadable
 *            record is not null: do not start. Nothing else is heard before `start` or after `halt`.
 * persist    Store `block` under its hash, then `record` (encodeRecord, encodeStoredBlock), atomically, fsynced, in
 *            order of seq. Then `persisted(seq)`, which covers all lower ones: writes may be joined, the last record
 *            stands for all, but every block is kept. Blocks at or below record.committedHeight may be deleted.
 * after      A `send` or `broadcast` with `after` leaves when persisted(after) has been reported, never before; one without
 *            leaves at once. Broadcast goes to every other validator. The sender's order need not be kept, and
 *            messages may be lost: the machine repeats what matters.
 * message    decodeMessage of what came, `from` = the validator whose authenticated channel it came by. Undecodable
 *            bytes never get here.
 * timers     One for each id ('view', 'fetch', 'heartbeat'); setting replaces. `timer` carries the view it was set with.
 * request-block  Candidates of the mempool, then executor.build; `built` with the request's number. A null block (with a
 *            reason) is asked for again at the next heartbeat. An empty mempool gives an empty block, not null.
 * execute    executor.execute on a fork of the parent's state; `executed` with the root that came out and the outcome ok |
 *            invalid (the block's own fault) | unavailable (a deadline, a restart, a parent that the executor does not
 *            know). Parents come first. One unavailable, or a block that cannot be built, has everything executed
 *            above the head asked for again at the next heartbeat: an executor may restart, or drop forks.
 * commit     Each block in turn to executor.commit with encodeAnchor(proof); `committed` when durable. invalid (it does
 *            not stand on the head, the proof is none) halts the replica; unavailable (deadline, queue full, block
 *            unknown after a restart) is retried.
 * count-pending  Emitted after commits: answer with `txs-ready`, the number of admitted transactions that no committed
 *            block includes. Tell `txs-ready` also whenever that number rises from 0, after `start`, and when it is 0
 *            again. A stale number above 0 keeps the view timer running, a missed rise delays a transaction.
 * forward-pending  The mempool's transactions once more to all peers, as a `forward` message.
 * forwarded  A peer's transactions, unverified, to the mempool.
 * serve-sync Committed blocks from `fromHeight` with their proofs, assembleSyncReply (sync-reply.ts), sent to the peer.
 * evidence   Verified: hand encodeEvidence(evidence) to the mempool as a transaction of kind 'misbehaviour'.
 * halt       Report it and stay down; a restart would break the same invariant again.
 * note       For metrics and logs alone.
 */

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
    case 'genesis-ready':
    case 'genesis-certificate':
      return; // the ceremony's, which is over before this machine starts: ../ceremony.ts
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
