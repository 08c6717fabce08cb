/** Every half second: what I know and have. It finds laggards and the silent; it never touches a view timer. */

import { validatorOf } from '#proto/consensus/committee.ts';
import { type Heartbeat, heartbeatBytes } from '#proto/consensus/messages.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import { adoptQc, adoptTc, tcIsValid, verifiedQc } from './certificates.ts';
import { retryExecutor } from './committing.ts';
import type { Emit } from './events.ts';
import { note, rejectFrom, type State } from './state.ts';

export const armHeartbeat = (state: State, emit: Emit): void => {
  const { heartbeatMs } = state.params.limits;
  emit({ kind: 'set-timer', id: 'heartbeat', delayMs: heartbeatMs, view: state.view });
};

/** The tick also retries what had no answer from the own executor. */
export const onHeartbeatTimer = (state: State, emit: Emit, atMs: number): void => {
  armHeartbeat(state, emit);
  const { committee, self, sign } = state.params;
  const unsigned: Omit<Heartbeat, 'signature'> = {
    kind: 'heartbeat',
    epoch: committee.epoch,
    view: state.view,
    highQc: state.highQc,
    tc: state.tc,
    committedHeight: state.committedHeight,
    signer: self,
  };
  const signature = sign(heartbeatBytes(committee.chainId, unsigned));
  emit({ kind: 'broadcast', message: { ...unsigned, signature } });
  retryExecutor(state, emit);
  if (state.building?.failed === true) state.building = null;
  watchPeers(state, emit, atMs);
};

const watchPeers = (state: State, emit: Emit, atMs: number): void => {
  const { heartbeatMs, heartbeatsMissedMax } = state.params.limits;
  for (const [id, peer] of state.peers) {
    peer.served = 0;
    if (peer.suspected || atMs - peer.heardAtMs <= heartbeatMs * heartbeatsMissedMax) continue;
    peer.suspected = true;
    note(emit, { name: 'suspected', peer: id });
  }
};

export const onHeartbeat = (
  state: State,
  emit: Emit,
  from: HashHex,
  beat: Heartbeat,
  atMs: number,
): void => {
  const peer = state.peers.get(from);
  const { committee, crypto } = state.params;
  const sender = validatorOf(committee, from);
  if (peer === undefined || sender === undefined || beat.signer !== from) return;
  const signed = heartbeatBytes(committee.chainId, beat);
  if (beat.epoch !== committee.epoch || !crypto.verify(sender.publicKey, signed, beat.signature)) {
    return rejectFrom(emit, from, 'invalid heartbeat');
  }
  if (peer.suspected) {
    peer.suspected = false;
    if (peer.heardAtMs > 0) note(emit, { name: 'heard-again', peer: from });
    repeatTo(state, emit, from);
  }
  peer.heardAtMs = atMs;
  peer.committedHeight = beat.committedHeight;
  if (beat.highQc.view > state.highQc.view) {
    const qc = verifiedQc(state, emit, beat.highQc);
    if (qc === null) return rejectFrom(emit, from, 'invalid QC in a heartbeat');
    adoptQc(state, qc);
  }
  if (beat.tc === null || beat.tc.view < state.view) return;
  if (!tcIsValid(state, beat.tc)) return rejectFrom(emit, from, 'invalid TC in a heartbeat');
  adoptTc(state, emit, beat.tc);
};

/** What a peer that was away has missed of the current view. */
const repeatTo = (state: State, emit: Emit, to: HashHex): void => {
  const wait = state.rules.after(state.seq);
  const after = wait === undefined ? {} : { after: wait };
  const { lastTimeout, lastVote, view } = state;
  if (lastTimeout?.claim.view === view) {
    emit({ kind: 'send', to, message: { kind: 'timeout', timeout: lastTimeout }, ...after });
  } else if (lastVote?.view === view) {
    emit({ kind: 'send', to, message: { kind: 'vote', vote: lastVote }, ...after });
  }
};
