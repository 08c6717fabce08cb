/** Proposals of others: judged, remembered, and, once executed, voted for. Votes: counted. */
import { type Qc, type Vote, verifyVote, voteBytes } from '#proto/consensus/certificate.ts';
import { verifySignedHeader } from '#proto/consensus/evidence.ts';
import { blockHash, type Header } from '#proto/consensus/header.ts';
import type { Proposal } from '#proto/consensus/messages.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import { recordHeader, recordProposal, recordVote } from './accountability.ts';
import { adoptQc, adoptTc, maximumOf, rememberQc, tcIsValid, verifiedQc } from './certificates.ts';
import type { Emit } from './events.ts';
import type { Ballot } from './rules.ts';
import {
  isQuorum,
  type Node,
  note,
  persist,
  publish,
  rejectFrom,
  type State,
  weightOf,
} from './state.ts';
import { insert, rememberHeader } from './tree.ts';

/** Proposals of views further back are of no use to anybody. */
const PROPOSAL_VIEWS_BACK = 4;
/** Votes further back convict nobody that still matters. */
const VOTE_VIEWS_BACK = 16;

/** Why a proposal is nobody's business here, from its header and sender alone. */
const foreign = (state: State, from: HashHex, header: Header): string | null => {
  const { committee } = state.params;
  if (header.epoch !== committee.epoch || header.chainId !== committee.chainId) return 'foreign';
  const leader = state.rules.leader(committee, header.view);
  return header.proposerId === from && from === leader ? null : 'not the leader';
};

/** The certificates of a proposal, verified and adopted; or what is wrong with them. */
const adoptJustification = (
  state: State,
  emit: Emit,
  { block, qc, tc }: Proposal,
): { readonly qc: Qc; readonly ballot: Ballot } | string => {
  const { header } = block;
  if (qc.view !== header.parentView || qc.blockHash !== header.parentHash) return 'foreign QC';
  if (tc !== null && qc.view + 1 === header.view) return 'QC and TC at once';
  const parentQc = verifiedQc(state, emit, qc);
  if (parentQc === null) return 'invalid QC';
  if (tc !== null && !tcIsValid(state, tc)) return 'invalid TC';
  adoptQc(state, parentQc);
  if (tc !== null) adoptTc(state, emit, tc);
  const ballot: Ballot = {
    view: header.view,
    qcView: parentQc.view,
    tc: tc === null ? null : { view: tc.view, maximum: maximumOf(state, tc) },
  };
  return { qc: parentQc, ballot };
};

export const onProposal = (
  state: State,
  emit: Emit,
  from: HashHex,
  proposal: Proposal,
  atMs: number,
): void => {
  const { block, signature } = proposal;
  const { header } = block;
  if (header.view + PROPOSAL_VIEWS_BACK < state.view) return;
  const reason = foreign(state, from, header);
  if (reason !== null) return rejectFrom(emit, from, reason);
  const hash = blockHash(header, state.params.crypto);
  if (state.candidate?.hash === hash) return;
  const signed = { header, signature };
  if (!verifySignedHeader(signed, hash, state.trust)) {
    return rejectFrom(emit, from, 'bad signature of a proposal');
  }
  const justified = adoptJustification(state, emit, proposal);
  if (typeof justified === 'string') return rejectFrom(emit, from, justified);
  if (header.view > state.view) return rejectFrom(emit, from, 'a view that nothing leads to');
  rememberHeader(state, hash, header);
  recordHeader(state, emit, hash);
  if (recordProposal(state, emit, hash, signed) === 'excess') return;
  const fits = insert(state, hash, block, justified.qc);
  if (header.view !== state.view) return; // late: if it was certified, it is fetched where it lacks
  if (!fits) return rejectFrom(emit, from, 'a block that does not fit its place');
  state.candidate = { hash, ballot: justified.ballot };
  if (!isTimely(state, header, atMs)) note(emit, { name: 'not-voted', hash, reason: 'clock' });
};

const isTimely = (state: State, header: Header, atMs: number): boolean =>
  Math.abs(header.timeMs - atMs) <= state.params.limits.acceptanceSkewMs;

/** Votes once the executor has found the same state root; the vote leaves when it is durable. */
export const tryVote = (state: State, emit: Emit, atMs: number): void => {
  const { candidate } = state;
  const node = candidate === null ? undefined : state.nodes.get(candidate.hash);
  if (candidate === null || node?.execution !== 'ok') return;
  if (state.lastVote?.blockHash === node.hash) return;
  if (!state.rules.mayVote(state.safety, candidate.ballot)) return;
  if (!isTimely(state, node.block.header, atMs)) return;
  const vote = castVote(state, node, candidate.ballot);
  const stored = node.qc === null ? null : { block: node.block, qc: node.qc };
  showVote(state, emit, vote, persist(state, emit, stored));
};

/** Signs, and changes what the next record will say. Nothing leaves before that record is durable. */
export const castVote = (state: State, node: Node, ballot: Ballot): Vote => {
  const { committee, self, sign } = state.params;
  const { epoch, chainId } = committee;
  const unsigned = { epoch, view: ballot.view, blockHash: node.hash };
  const vote: Vote = {
    ...unsigned,
    signer: self,
    signature: sign(voteBytes(chainId, unsigned)),
  };
  state.safety = state.rules.afterVote(state.safety, ballot);
  state.lastVote = vote;
  return vote;
};

export const showVote = (state: State, emit: Emit, vote: Vote, seq: number): void => {
  const message = { kind: 'vote', vote } as const;
  publish(state, emit, message, seq);
  state.own.push({ seq, message });
  note(emit, { name: 'voted', hash: vote.blockHash, view: vote.view });
};

export const onVote = (state: State, emit: Emit, from: HashHex, vote: Vote): void => {
  if (vote.signer !== from) return rejectFrom(emit, from, 'a vote of another');
  if (vote.view + VOTE_VIEWS_BACK < state.view) return;
  if (state.verified.get(vote.blockHash)?.view === vote.view) return;
  const isKnown = state.heard
    .get(from)
    ?.votes.some((known) => known.view === vote.view && known.blockHash === vote.blockHash);
  if (isKnown === true) return;
  if (!verifyVote(vote, state.trust).ok) return rejectFrom(emit, from, 'bad signature of a vote');
  acceptVote(state, emit, vote);
};

/** `vote` is verified, or our own and durable. */
export const acceptVote = (state: State, emit: Emit, vote: Vote): void => {
  if (!recordVote(state, emit, vote) || vote.view <= state.highQc.view) return;
  const { epoch, view, blockHash: hash } = vote;
  const signatures = [];
  let weight = 0;
  for (const [signer, { votes }] of state.heard) {
    const same = votes.find((known) => known.view === view && known.blockHash === hash);
    if (same === undefined) continue;
    signatures.push({ signer, signature: same.signature });
    weight += weightOf(state, signer);
  }
  if (!isQuorum(state, weight)) return;
  const qc: Qc = { epoch, view, blockHash: hash, signatures };
  rememberQc(state, qc);
  note(emit, { name: 'qc-formed', view });
  adoptQc(state, qc);
};
