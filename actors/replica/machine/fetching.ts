/**
 * Missing blocks. The block of the newest QC, or an ancestor of it that is not here, is asked for by its hash from one of
 * those who voted for it; a peer that says it has committed more is asked for a range of committed blocks as well.
 * Whoever does not answer or lies is passed over for the next: what a reply contains proves itself.
 */
import type { Block } from '#proto/consensus/block.ts';
import type { Qc } from '#proto/consensus/certificate.ts';
import { blockHash } from '#proto/consensus/header.ts';
import { SYNC_BLOCKS_MAX, type SyncReply, type SyncRequest } from '#proto/consensus/messages.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import { recordHeader } from './accountability.ts';
import { adoptQc, rememberQc, verifiedQc } from './certificates.ts';
import type { Emit } from './events.ts';
import { halt, rejectFrom, type State } from './state.ts';
import { verifySyncReply } from './sync-reply.ts';
import { insert, pathTo } from './tree.ts';

/** Of one peer, within one heartbeat of ours. */
const SERVED_MAX = 64;

const nextPeer = (state: State): HashHex | undefined => {
  const { self } = state.params;
  const voters = state.highQc.signatures.map((entry) => entry.signer).filter((id) => id !== self);
  return voters[state.fetchAttempts % Math.max(voters.length, 1)];
};

export const fetchMissing = (state: State, emit: Emit): void => {
  const isBehind = state.highQc.view > state.head.header.view;
  const isDigesting = state.batch !== null || state.deciding.length > 0;
  if (!isBehind || isDigesting) return stop(state, emit);
  const path = pathTo(state, state.highQc.blockHash);
  if (path.kind !== 'gap') return stop(state, emit);
  if (state.fetch?.hash === path.missing) return;
  const peer = nextPeer(state);
  if (peer === undefined) return;
  const { height } = state.head.header;
  const { limits } = state.params;
  const fromHeight = height + 1;
  state.fetch = { hash: path.missing, peer, fromHeight };
  emit({ kind: 'send', to: peer, message: { kind: 'block-request', hash: path.missing } });
  if ((state.peers.get(peer)?.committedHeight ?? 0) > height) {
    const blocksMax = limits.syncBlocksMax;
    emit({ kind: 'send', to: peer, message: { kind: 'sync-request', fromHeight, blocksMax } });
  }
  emit({ kind: 'set-timer', id: 'fetch', delayMs: limits.fetchRetryMs, view: state.view });
};

const stop = (state: State, emit: Emit): void => {
  if (state.fetch === null) return;
  state.fetch = null;
  emit({ kind: 'cancel-timer', id: 'fetch' });
};

/** No answer in time, or a useless one: the next peer. */
export const fetchElsewhere = (state: State): void => {
  state.fetch = null;
  state.fetchAttempts += 1;
};

export const onBlockReply = (
  state: State,
  emit: Emit,
  from: HashHex,
  block: Block,
  qc: Qc,
): void => {
  const { header } = block;
  const hash = blockHash(header, state.params.crypto);
  if (state.fetch?.hash !== hash) return;
  const { head } = state;
  const besideHead = header.height === head.header.height + 1 && header.parentHash !== head.hash;
  if (header.height <= head.header.height || besideHead) {
    return halt(state, emit, `a certified block forks the chain: ${hash}`);
  }
  const parentQc = verifiedQc(state, emit, qc);
  const fits = qc.view === header.parentView && qc.blockHash === header.parentHash;
  if (parentQc === null || !fits || !insert(state, hash, block, parentQc)) {
    fetchElsewhere(state);
    return rejectFrom(emit, from, 'a useless block');
  }
  adoptQc(state, parentQc);
  recordHeader(state, emit, hash);
};

export const onSyncReply = (state: State, emit: Emit, from: HashHex, reply: SyncReply): void => {
  const asked = state.fetch;
  if (asked?.peer !== from || asked.fromHeight !== reply.fromHeight || state.batch) return;
  const verified = verifySyncReply(reply, state.head, state.trust, state.rules);
  if (!verified.ok) return refuse(state, emit, from, verified.error);
  const { blocks, proof } = verified.value;
  for (const { hash, block } of blocks) {
    if (!insert(state, hash, block, null)) {
      return refuse(state, emit, from, 'a block that does not fit its place');
    }
  }
  const last = blocks.at(-1);
  if (last === undefined) return;
  rememberQc(state, proof.anchorQc);
  rememberQc(state, proof.nextQc);
  adoptQc(state, proof.nextQc);
  state.batch = { hash: last.hash, proof };
};

/** What it sent and what it says of itself are not worth a second request before its next heartbeat. */
const refuse = (state: State, emit: Emit, from: HashHex, reason: string): void => {
  const peer = state.peers.get(from);
  if (peer !== undefined) peer.committedHeight = 0;
  fetchElsewhere(state);
  rejectFrom(emit, from, reason);
};

const mayServe = (state: State, from: HashHex): boolean => {
  const peer = state.peers.get(from);
  if (peer === undefined || peer.served >= SERVED_MAX) return false;
  peer.served += 1;
  return true;
};

export const onBlockRequest = (state: State, emit: Emit, from: HashHex, hash: HashHex): void => {
  const node = state.nodes.get(hash);
  if (node === undefined || node.qc === null || !mayServe(state, from)) return;
  const message = { kind: 'block-reply', block: node.block, qc: node.qc } as const;
  emit({ kind: 'send', to: from, message });
};

export const onSyncRequest = (
  state: State,
  emit: Emit,
  from: HashHex,
  { fromHeight, blocksMax }: SyncRequest,
): void => {
  if (fromHeight < 1 || fromHeight > state.committedHeight || !mayServe(state, from)) return;
  const bounded = Math.max(1, Math.min(blocksMax, SYNC_BLOCKS_MAX));
  emit({ kind: 'serve-sync', to: from, fromHeight, blocksMax: bounded });
};
