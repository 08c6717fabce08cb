/**
 * Votes, timeouts and the certificates that quorums of them make.
 *
 * Signed bytes are domain || CBOR array and bind chain id, epoch and view. A certificate is a set of signatures,
 * ascending by signer, so that a signer counts once. Verification repeats every signature: a certificate is worth
 * nothing for who sent it.
 */
import { concat, utf8 } from '#proto/bytes.ts';
import { type CborValue, encodeCanonical } from '#proto/cbor.ts';
import type { Crypto } from '#proto/crypto.ts';
import { err, ok, type Result } from '#proto/result.ts';
import { type Committee, totalWeight, VALIDATORS_MAX, validatorOf } from './committee.ts';
import { quorum } from './quorum.ts';
import {
  type HashHex,
  hash,
  hashBytes,
  list,
  mapped,
  nullable,
  type Parse,
  signature,
  tuple,
  uint,
} from './shape.ts';

export type Vote = {
  readonly epoch: number;
  readonly view: number;
  readonly blockHash: HashHex;
  readonly signer: HashHex;
  readonly signature: Uint8Array;
};

export type SignedBy = { readonly signer: HashHex; readonly signature: Uint8Array };

/** A quorum of votes for one block of one view. View 0 is genesis: no signatures, known hash. */
export type Qc = {
  readonly epoch: number;
  readonly view: number;
  readonly blockHash: HashHex;
  readonly signatures: readonly SignedBy[];
};

/** The signed part of a timeout: "I gave up this view, and the newest QC that I know has view highQcView." */
export type TimeoutClaim = {
  readonly epoch: number;
  readonly view: number;
  readonly highQcView: number;
  readonly signer: HashHex;
  readonly signature: Uint8Array;
};

/** A quorum of timeouts of one view, and the newest QC among theirs in full. */
export type Tc = {
  readonly epoch: number;
  readonly view: number;
  readonly claims: readonly TimeoutClaim[];
  readonly highQc: Qc;
};

/** VIEWCHANGE of the seeds. It shows why its view was entered: highQc of view - 1, or else lastTc of view - 1. */
export type Timeout = {
  readonly claim: TimeoutClaim;
  readonly highQc: Qc;
  readonly lastTc: Tc | null;
};

export type CertificateError =
  | 'wrong-epoch'
  | 'wrong-view'
  | 'wrong-genesis'
  | 'unknown-signer'
  | 'repeated-signer'
  | 'no-quorum'
  | 'bad-signature'
  | 'wrong-maximum';

/** The two judgements that make a set of signatures a certificate; a record so that a test can get them wrong. */
export type CertificateRules = {
  quorum(totalWeight: number): number;
  distinct(signers: readonly HashHex[]): boolean;
  maximum(highQcViews: readonly number[]): number;
};

export const CERTIFICATE_RULES: CertificateRules = {
  quorum,
  distinct: (signers) =>
    signers.every((signer, at) => at === 0 || (signers[at - 1] as HashHex) < signer),
  maximum: (highQcViews) => highQcViews.reduce((most, view) => Math.max(most, view), 0),
};

export type Trust = {
  readonly committee: Committee;
  readonly crypto: Crypto;
  /** Without it no certificate of view 0 is valid. */
  readonly genesisHash?: HashHex;
  readonly rules?: CertificateRules;
};

const VOTE = utf8('CONSENSUS_VOTE_V1');
const VIEWCHANGE = utf8('CONSENSUS_VIEWCHANGE_V1');

export const voteBytes = (
  chainId: string,
  vote: Pick<Vote, 'epoch' | 'view' | 'blockHash'>,
): Uint8Array =>
  concat(VOTE, encodeCanonical([chainId, vote.epoch, vote.view, hashBytes(vote.blockHash)]));

export const timeoutBytes = (
  chainId: string,
  claim: Pick<TimeoutClaim, 'epoch' | 'view' | 'highQcView'>,
): Uint8Array =>
  concat(VIEWCHANGE, encodeCanonical([chainId, claim.epoch, claim.view, claim.highQcView]));

const signedBy = (signer: HashHex, message: Uint8Array, by: Uint8Array, trust: Trust): boolean => {
  const validator = validatorOf(trust.committee, signer);
  return validator !== undefined && trust.crypto.verify(validator.publicKey, message, by);
};

export const verifyVote = (vote: Vote, trust: Trust): Result<true, CertificateError> => {
  const { committee } = trust;
  if (vote.epoch !== committee.epoch) return err('wrong-epoch');
  if (validatorOf(committee, vote.signer) === undefined) return err('unknown-signer');
  const message = voteBytes(committee.chainId, vote);
  return signedBy(vote.signer, message, vote.signature, trust) ? ok(true) : err('bad-signature');
};

export const verifyClaim = (claim: TimeoutClaim, trust: Trust): Result<true, CertificateError> => {
  const { committee } = trust;
  if (claim.epoch !== committee.epoch) return err('wrong-epoch');
  if (validatorOf(committee, claim.signer) === undefined) return err('unknown-signer');
  const message = timeoutBytes(committee.chainId, claim);
  return signedBy(claim.signer, message, claim.signature, trust) ? ok(true) : err('bad-signature');
};

/** Distinct members of the committee, ascending, that are a quorum together. Their signatures are not looked at. */
export const checkSigners = (
  signers: readonly HashHex[],
  trust: Trust,
): Result<true, CertificateError> => {
  const { committee, rules = CERTIFICATE_RULES } = trust;
  if (!rules.distinct(signers)) return err('repeated-signer');
  let weight = 0;
  for (const signer of signers) {
    const validator = validatorOf(committee, signer);
    if (validator === undefined) return err('unknown-signer');
    weight += validator.weight;
  }
  return weight >= rules.quorum(totalWeight(committee)) ? ok(true) : err('no-quorum');
};

/** Every signature, distinct signers of the committee, their weight. Costs a signature check for each signer. */
export const verifyQc = (qc: Qc, trust: Trust): Result<true, CertificateError> => {
  const { committee } = trust;
  if (qc.epoch !== committee.epoch) return err('wrong-epoch');
  if (qc.view === 0) {
    return qc.blockHash === trust.genesisHash && qc.signatures.length === 0
      ? ok(true)
      : err('wrong-genesis');
  }
  const signers = checkSigners(
    qc.signatures.map((entry) => entry.signer),
    trust,
  );
  if (!signers.ok) return signers;
  const message = voteBytes(committee.chainId, qc);
  for (const entry of qc.signatures) {
    if (!signedBy(entry.signer, message, entry.signature, trust)) return err('bad-signature');
  }
  return ok(true);
};

/** The highest QC view that a signer of the TC claimed: no block may follow the TC on an older QC. */
export const tcMaximum = (tc: Tc, rules: CertificateRules = CERTIFICATE_RULES): number =>
  rules.maximum(tc.claims.map((claim) => claim.highQcView));

/** As for a QC, each signature over its own highQcView; and the QC attached is the highest claimed, and valid. */
export const verifyTc = (tc: Tc, trust: Trust): Result<true, CertificateError> => {
  if (tc.epoch !== trust.committee.epoch) return err('wrong-epoch');
  const signers = checkSigners(
    tc.claims.map((claim) => claim.signer),
    trust,
  );
  if (!signers.ok) return signers;
  for (const claim of tc.claims) {
    if (claim.view !== tc.view || claim.highQcView >= tc.view) return err('wrong-view');
    const verified = verifyClaim(claim, trust);
    if (!verified.ok) return verified;
  }
  if (tc.highQc.view !== tcMaximum(tc, trust.rules)) return err('wrong-maximum');
  return verifyQc(tc.highQc, trust);
};

/** The signed claim alone; its certificates are the receiver's to verify, if it does not know them. */
export const timeoutIsCoherent = ({ claim, highQc, lastTc }: Timeout): boolean => {
  if (claim.view < 1 || highQc.view >= claim.view || highQc.view !== claim.highQcView) return false;
  return highQc.view + 1 === claim.view
    ? lastTc === null
    : lastTc !== null && lastTc.view + 1 === claim.view;
};

export const voteToCbor = (vote: Vote): CborValue => [
  vote.epoch,
  vote.view,
  hashBytes(vote.blockHash),
  hashBytes(vote.signer),
  vote.signature,
];

export const voteShape: Parse<Vote> = mapped(
  tuple<[number, number, HashHex, HashHex, Uint8Array]>(uint, uint, hash, hash, signature),
  ([epoch, view, blockHash, signer, by]) => ({ epoch, view, blockHash, signer, signature: by }),
);

export const claimToCbor = (claim: TimeoutClaim): CborValue => [
  claim.epoch,
  claim.view,
  claim.highQcView,
  hashBytes(claim.signer),
  claim.signature,
];

export const claimShape: Parse<TimeoutClaim> = mapped(
  tuple<[number, number, number, HashHex, Uint8Array]>(uint, uint, uint, hash, signature),
  ([epoch, view, highQcView, signer, by]) => ({ epoch, view, highQcView, signer, signature: by }),
);

const signedByShape: Parse<SignedBy> = mapped(
  tuple<[HashHex, Uint8Array]>(hash, signature),
  ([signer, by]) => ({ signer, signature: by }),
);

export const qcToCbor = (qc: Qc): CborValue => [
  qc.epoch,
  qc.view,
  hashBytes(qc.blockHash),
  qc.signatures.map((entry) => [hashBytes(entry.signer), entry.signature]),
];

export const qcShape: Parse<Qc> = mapped(
  tuple<[number, number, HashHex, readonly SignedBy[]]>(
    uint,
    uint,
    hash,
    list(signedByShape, VALIDATORS_MAX),
  ),
  ([epoch, view, blockHash, signatures]) => ({ epoch, view, blockHash, signatures }),
);

export const tcToCbor = (tc: Tc): CborValue => [
  tc.epoch,
  tc.view,
  tc.claims.map(claimToCbor),
  qcToCbor(tc.highQc),
];

export const tcShape: Parse<Tc> = mapped(
  tuple<[number, number, readonly TimeoutClaim[], Qc]>(
    uint,
    uint,
    list(claimShape, VALIDATORS_MAX),
    qcShape,
  ),
  ([epoch, view, claims, highQc]) => ({ epoch, view, claims, highQc }),
);

export const timeoutToCbor = (timeout: Timeout): CborValue => [
  claimToCbor(timeout.claim),
  qcToCbor(timeout.highQc),
  timeout.lastTc === null ? null : tcToCbor(timeout.lastTc),
];

export const timeoutShape: Parse<Timeout> = mapped(
  tuple<[TimeoutClaim, Qc, Tc | null]>(claimShape, qcShape, nullable(tcShape)),
  ([claim, highQc, lastTc]) => ({ claim, highQc, lastTc }),
);
