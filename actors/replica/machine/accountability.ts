/**
 * What each validator has signed lately, and the contradictions in it. Only verified votes and claims come in, those
 * inside certificates too: a liar's timeout reaches those whom it lies about in somebody's TC.
 */
import type { Qc, Tc, TimeoutClaim, Vote } from '#proto/consensus/certificate.ts';
import {
  type Evidence,
  forgets,
  offenceView,
  type SignedHeader,
  verifyEvidence,
} from '#proto/consensus/evidence.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import type { Emit } from './events.ts';
import { bound, type Heard, type State } from './state.ts';

/** Of each signer, for votes and for claims: the newest views. */
const HISTORY_MAX = 8;
const PROPOSALS_MAX = 8;
const PROPOSALS_OF_A_VIEW_MAX = 2;
/** Of each signer: further misbehaviour adds nothing. */
const CONVICTIONS_MAX = 8;

/** Verified once more, so that no mistake of ours names an honest validator. */
export const accuse = (state: State, emit: Emit, evidence: Evidence, tellOthers: boolean): void => {
  const verified = verifyEvidence(evidence, state.trust);
  if (!verified.ok) return;
  const offender = verified.value;
  const key = `${offender}:${evidence.kind}:${offenceView(evidence)}`;
  if (state.convicted.has(key)) return;
  let already = 0;
  for (const known of state.convicted) if (known.startsWith(offender)) already += 1;
  if (already >= CONVICTIONS_MAX) return;
  state.convicted.add(key);
  emit({ kind: 'evidence', offender, evidence });
  if (tellOthers) emit({ kind: 'broadcast', message: { kind: 'evidence', evidence } });
};

/** In: ascending by view, at most HISTORY_MAX; the oldest goes. */
const keep = <T extends { readonly view: number }>(history: T[], item: T): void => {
  history.push(item);
  history.sort((a, b) => a.view - b.view);
  if (history.length > HISTORY_MAX) history.shift();
};

const compareWithClaims = (state: State, emit: Emit, heard: Heard, vote: Vote): void => {
  const header = state.headers.get(vote.blockHash);
  if (header === undefined) return;
  for (const claim of heard.claims) {
    if (forgets(vote, header.parentView, claim)) {
      accuse(state, emit, { kind: 'amnesia', vote, header, claim }, true);
    }
  }
};

/** True: a vote that was not known and does not contradict a known one. */
export const recordVote = (state: State, emit: Emit, vote: Vote): boolean => {
  const heard = state.heard.get(vote.signer);
  if (heard === undefined) return false;
  const first = heard.votes.find((known) => known.view === vote.view);
  if (first !== undefined) {
    if (first.blockHash !== vote.blockHash) {
      accuse(state, emit, { kind: 'double-vote', first, second: vote }, true);
    }
    return false;
  }
  keep(heard.votes, vote);
  compareWithClaims(state, emit, heard, vote);
  return heard.votes.includes(vote);
};

export const recordClaim = (state: State, emit: Emit, claim: TimeoutClaim): void => {
  const heard = state.heard.get(claim.signer);
  if (heard === undefined) return;
  const isKnown = heard.claims.some(
    (known) => known.view === claim.view && known.highQcView === claim.highQcView,
  );
  if (isKnown) return;
  keep(heard.claims, claim);
  for (const vote of heard.votes) compareWithClaims(state, emit, heard, vote);
};

/** A header that was not known until now may be what somebody forgot. */
export const recordHeader = (state: State, emit: Emit, hash: HashHex): void => {
  for (const heard of state.heard.values()) {
    for (const vote of heard.votes) {
      if (vote.blockHash === hash) compareWithClaims(state, emit, heard, vote);
    }
  }
};

export const recordQc = (state: State, emit: Emit, qc: Qc): void => {
  const { epoch, view, blockHash } = qc;
  for (const { signer, signature } of qc.signatures) {
    recordVote(state, emit, { epoch, view, blockHash, signer, signature });
  }
};

export const recordTc = (state: State, emit: Emit, tc: Tc): void => {
  for (const claim of tc.claims) recordClaim(state, emit, claim);
};

/**
 * Which proposal of its view this is. A second one convicts the leader and is still looked at, since others may have
 * got it first; a third is not.
 */
export const recordProposal = (
  state: State,
  emit: Emit,
  hash: HashHex,
  signed: SignedHeader,
): 'welcome' | 'excess' => {
  const known = state.proposals.get(signed.header.view);
  if (known === undefined) {
    state.proposals.set(signed.header.view, { first: signed, hashes: [hash] });
    bound(state.proposals, PROPOSALS_MAX);
    return 'welcome';
  }
  if (known.hashes.includes(hash)) return 'welcome';
  const evidence = { kind: 'double-proposal', first: known.first, second: signed } as const;
  accuse(state, emit, evidence, true);
  if (known.hashes.length >= PROPOSALS_OF_A_VIEW_MAX) return 'excess';
  known.hashes.push(hash);
  return 'welcome';
};
