/**
 * Proofs of misbehaviour that anybody can check with the committee alone. No honest validator can be named by one:
 *
 * - double-vote, double-proposal: it signs one block a view, and its safety record survives a restart;
 * - amnesia: it voted for b, whose header names the QC that b extends, and later (timeout of b.view or above: after
 *   a timeout nobody votes at or below it) signed that its newest QC is older than that one.
 */
import { concat, hex, utf8 } from '#proto/bytes.ts';
import { type CborValue, encodeCanonical } from '#proto/cbor.ts';
import type { Crypto } from '#proto/crypto.ts';
import { err, ok, type Result, unreachable } from '#proto/result.ts';
import {
  claimShape,
  claimToCbor,
  type TimeoutClaim,
  type Trust,
  type Vote,
  verifyClaim,
  verifyVote,
  voteShape,
  voteToCbor,
} from './certificate.ts';
import { validatorOf } from './committee.ts';
import { blockHash, type Header, headerShape, headerToCbor } from './header.ts';
import {
  decodeShape,
  exactly,
  type HashHex,
  hashBytes,
  mapped,
  type Parse,
  type ShapeError,
  signature,
  tuple,
} from './shape.ts';

export type SignedHeader = { readonly header: Header; readonly signature: Uint8Array };

export type Evidence =
  | { readonly kind: 'double-vote'; readonly first: Vote; readonly second: Vote }
  | {
      readonly kind: 'double-proposal';
      readonly first: SignedHeader;
      readonly second: SignedHeader;
    }
  | {
      readonly kind: 'amnesia';
      readonly vote: Vote;
      readonly header: Header;
      readonly claim: TimeoutClaim;
    };

export type EvidenceError = 'no-contradiction' | 'two-signers' | 'unverified';

export const EVIDENCE_BYTES_MAX = 4096;

const PROPOSAL = utf8('CONSENSUS_PROPOSAL_V1');
const EVIDENCE = utf8('CONSENSUS_EVIDENCE_V1');

/** What the leader of a view signs. */
export const proposalBytes = (header: Header, hashOfHeader: HashHex): Uint8Array =>
  concat(
    PROPOSAL,
    encodeCanonical([header.chainId, header.epoch, header.view, hashBytes(hashOfHeader)]),
  );

/** Signed by the proposer that its header names; says nothing about whose turn it was. */
export const verifySignedHeader = (
  { header, signature: by }: SignedHeader,
  hashOfHeader: HashHex,
  { committee, crypto }: Trust,
): boolean => {
  if (header.chainId !== committee.chainId || header.epoch !== committee.epoch) return false;
  const proposer = validatorOf(committee, header.proposerId);
  return (
    proposer !== undefined &&
    crypto.verify(proposer.publicKey, proposalBytes(header, hashOfHeader), by)
  );
};

const doubleProposal = (
  first: SignedHeader,
  second: SignedHeader,
  trust: Trust,
): Result<HashHex, EvidenceError> => {
  const hashes = [first, second].map(({ header }) => blockHash(header, trust.crypto));
  const [one, other] = hashes as [HashHex, HashHex];
  if (first.header.proposerId !== second.header.proposerId) return err('two-signers');
  if (first.header.view !== second.header.view || one === other) return err('no-contradiction');
  const verified =
    verifySignedHeader(first, one, trust) && verifySignedHeader(second, other, trust);
  return verified ? ok(first.header.proposerId) : err('unverified');
};

const doubleVote = (first: Vote, second: Vote, trust: Trust): Result<HashHex, EvidenceError> => {
  if (first.signer !== second.signer) return err('two-signers');
  const contradicts =
    first.epoch === second.epoch &&
    first.view === second.view &&
    first.blockHash !== second.blockHash;
  if (!contradicts) return err('no-contradiction');
  const verified = verifyVote(first, trust).ok && verifyVote(second, trust).ok;
  return verified ? ok(first.signer) : err('unverified');
};

/** Whether a claim denies the QC that a vote rests on. */
export const forgets = (
  vote: Pick<Vote, 'epoch' | 'view'>,
  parentView: number,
  claim: Pick<TimeoutClaim, 'epoch' | 'view' | 'highQcView'>,
): boolean =>
  vote.epoch === claim.epoch && claim.view >= vote.view && claim.highQcView < parentView;

const amnesia = (
  evidence: Extract<Evidence, { kind: 'amnesia' }>,
  trust: Trust,
): Result<HashHex, EvidenceError> => {
  const { vote, header, claim } = evidence;
  if (vote.signer !== claim.signer) return err('two-signers');
  const about = blockHash(header, trust.crypto) === vote.blockHash && header.view === vote.view;
  if (!about || !forgets(vote, header.parentView, claim)) return err('no-contradiction');
  const verified = verifyVote(vote, trust).ok && verifyClaim(claim, trust).ok;
  return verified ? ok(vote.signer) : err('unverified');
};

/** Whom it convicts. Pure and complete: needs nothing but the committee of its epoch. */
export const verifyEvidence = (
  evidence: Evidence,
  trust: Trust,
): Result<HashHex, EvidenceError> => {
  switch (evidence.kind) {
    case 'double-vote':
      return doubleVote(evidence.first, evidence.second, trust);
    case 'double-proposal':
      return doubleProposal(evidence.first, evidence.second, trust);
    case 'amnesia':
      return amnesia(evidence, trust);
    default:
      return unreachable(evidence);
  }
};

const signedHeaderToCbor = (signed: SignedHeader): CborValue => [
  headerToCbor(signed.header),
  signed.signature,
];

const signedHeaderShape: Parse<SignedHeader> = mapped(
  tuple<[Header, Uint8Array]>(headerShape, signature),
  ([header, by]) => ({ header, signature: by }),
);

/** [1, vote, vote] | [2, [header, signature], [header, signature]] | [3, vote, header, claim]. */
export const evidenceToCbor = (evidence: Evidence): CborValue => {
  switch (evidence.kind) {
    case 'double-vote':
      return [1, voteToCbor(evidence.first), voteToCbor(evidence.second)];
    case 'double-proposal':
      return [2, signedHeaderToCbor(evidence.first), signedHeaderToCbor(evidence.second)];
    case 'amnesia':
      return [
        3,
        voteToCbor(evidence.vote),
        headerToCbor(evidence.header),
        claimToCbor(evidence.claim),
      ];
    default:
      return unreachable(evidence);
  }
};

const twoVotes: Parse<Evidence> = mapped(
  tuple<[1, Vote, Vote]>(exactly(1), voteShape, voteShape),
  ([, first, second]) => ({ kind: 'double-vote', first, second }),
);
const twoProposals: Parse<Evidence> = mapped(
  tuple<[2, SignedHeader, SignedHeader]>(exactly(2), signedHeaderShape, signedHeaderShape),
  ([, first, second]) => ({ kind: 'double-proposal', first, second }),
);
const forgotten: Parse<Evidence> = mapped(
  tuple<[3, Vote, Header, TimeoutClaim]>(exactly(3), voteShape, headerShape, claimShape),
  ([, vote, header, claim]) => ({ kind: 'amnesia', vote, header, claim }),
);

export const evidenceShape: Parse<Evidence> = (value) =>
  twoVotes(value) ?? twoProposals(value) ?? forgotten(value);

/** The bytes of a transaction of kind 'misbehaviour'. */
export const encodeEvidence = (evidence: Evidence): Uint8Array =>
  encodeCanonical(evidenceToCbor(evidence));

export const decodeEvidence = (bytes: Uint8Array): Result<Evidence, ShapeError> =>
  decodeShape(bytes, { bytesMax: EVIDENCE_BYTES_MAX }, evidenceShape);

/** SHA-256("CONSENSUS_EVIDENCE_V1" || CBOR). */
export const evidenceId = (evidence: Evidence, crypto: Pick<Crypto, 'sha256'>): HashHex =>
  hex(crypto.sha256(concat(EVIDENCE, encodeEvidence(evidence))));

/** When it happened: one conviction for a signer, kind and view is enough. */
export const offenceView = (evidence: Evidence): number => {
  switch (evidence.kind) {
    case 'double-vote':
      return evidence.first.view;
    case 'double-proposal':
      return evidence.first.header.view;
    case 'amnesia':
      return evidence.claim.view;
    default:
      return unreachable(evidence);
  }
};
