/**
 * The proof that a value of the state, a policy above all, was agreed on: two certified blocks of consecutive views
 * (the anchor and its successor) and a Merkle proof under the anchor's state root. Whoever holds the genesis file
 * can check it offline; who carried it does not matter.
 *
 * It says that the value stood in the state at the anchor's height. Whether it is too old to obey (anchor height,
 * expiry) is for the reader to remember and judge.
 */
import { concat, equal, utf8 } from './bytes.ts';
import { type CborValue, encodeCanonical } from './cbor.ts';
import {
  type AnchorProof,
  anchorShape,
  anchorToCbor,
  commits,
  encodeAnchor,
} from './consensus/anchor.ts';
import { type Trust, verifyQc } from './consensus/certificate.ts';
import { blockHash } from './consensus/header.ts';
import {
  decodeShape,
  hashBytes,
  mapped,
  nullable,
  octets,
  type Parse,
  text,
  tuple,
} from './consensus/shape.ts';
import {
  decodeProof,
  encodeProof,
  type MerkleProof,
  PROOF_BYTES_MAX,
  verifyProof,
} from './merkle.ts';
import { err, ok, type Result } from './result.ts';
import { decodeState, type PolicyState, policyKey } from './state.ts';

export type CommitProof = {
  readonly anchor: AnchorProof;
  readonly key: string;
  /** null: the key does not exist. */
  readonly value: Uint8Array | null;
  readonly merkle: MerkleProof;
};

/** What a PolicyUpdateEvent says of itself, to be held against the proof. */
export type PolicyClaim = {
  readonly policyId: string;
  /** add, update and enable need an active policy; remove and disable its tombstone. */
  readonly action: string;
  readonly ruleData: Uint8Array;
};

export const COMMIT_PROOF_BYTES_MAX = 1024 * 1024;
const VALUE_BYTES_MAX = 768 * 1024;

/** CBOR [[header b0, QC b0, header b1, QC b1], key, value or null, Merkle proof bytes]. */
export const encodeCommitProof = (proof: CommitProof): Uint8Array =>
  encodeCanonical([
    anchorToCbor(proof.anchor),
    proof.key,
    proof.value,
    encodeProof(proof.merkle),
  ] satisfies CborValue);

const merkleShape: Parse<MerkleProof> = mapped(octets(1, PROOF_BYTES_MAX), (bytes) => {
  const proof = decodeProof(bytes);
  return proof.ok ? proof.value : undefined;
});

const commitProofShape: Parse<CommitProof> = mapped(
  tuple<[AnchorProof, string, Uint8Array | null, MerkleProof]>(
    anchorShape,
    text(512),
    nullable(octets(0, VALUE_BYTES_MAX)),
    merkleShape,
  ),
  ([anchor, key, value, merkle]) => ({ anchor, key, value, merkle }),
);

export const decodeCommitProof = (
  bytes: Uint8Array,
): Result<CommitProof, 'too-large' | 'malformed'> =>
  decodeShape(bytes, { bytesMax: COMMIT_PROOF_BYTES_MAX }, commitProofShape);

/** [key, value or null, Merkle proof]: what stands behind the anchor. */
const standingShape: Parse<Omit<CommitProof, 'anchor'>> = mapped(
  tuple<[string, Uint8Array | null, MerkleProof]>(
    text(512),
    nullable(octets(0, VALUE_BYTES_MAX)),
    merkleShape,
  ),
  ([key, value, merkle]) => ({ key, value, merkle }),
);

const ARRAY_OF_FOUR = 0x84;
const ARRAY_OF_THREE = 0x83;

/** The bytes with which every proof under this anchor begins. */
export const anchorHead = (anchor: AnchorProof): Uint8Array =>
  concat(Uint8Array.of(ARRAY_OF_FOUR), encodeAnchor(anchor));

/** Of bytes that begin with the `head` of this anchor, the same as `decodeCommitProof`. */
export const decodeBehind = (
  bytes: Uint8Array,
  head: Uint8Array,
  anchor: AnchorProof,
): Result<CommitProof, 'too-large' | 'malformed'> => {
  if (bytes.length > COMMIT_PROOF_BYTES_MAX) return err('too-large');
  const rest = concat(Uint8Array.of(ARRAY_OF_THREE), bytes.subarray(head.length));
  const decoded = decodeShape(rest, { bytesMax: COMMIT_PROOF_BYTES_MAX }, standingShape);
  return decoded.ok ? ok({ anchor, ...decoded.value }) : decoded;
};

/** What the checks look at. Without a claim the checks about policies hold. */
export type ProofSubject = {
  readonly proof: CommitProof;
  readonly trust: Trust;
  readonly claim?: PolicyClaim;
  /** null where there is no claim about a policy or no value: other checks speak of that. */
  readonly policy: () => PolicyState | null;
};

export type ProofCheck = {
  /** Of the two blocks, whatever is proven under them; or of what is proven. */
  readonly of: 'anchor' | 'value';
  readonly name:
    | 'chain'
    | 'anchor-certificate'
    | 'next-certificate'
    | 'link'
    | 'consecutive-views'
    | 'anchor-quorum'
    | 'next-quorum'
    | 'merkle'
    | 'policy-key'
    | 'policy-exists'
    | 'policy-rule'
    | 'policy-status';
  readonly holds: (subject: ProofSubject) => boolean;
};

export type ProofFault = 'malformed' | 'too-large' | ProofCheck['name'];

const policyOf = (proof: CommitProof, claim?: PolicyClaim): PolicyState | null =>
  proof.value === null || claim === undefined ? null : decodeState(policyKey(''), proof.value);

/** The value is read once, and only when a check asks for it: then the Merkle proof has vouched for it. */
const subjectOf = (proof: CommitProof, trust: Trust, claim?: PolicyClaim): ProofSubject => {
  let policy: PolicyState | null | undefined;
  return {
    ...{ proof, trust },
    ...(claim !== undefined && { claim }),
    policy: () => {
      if (policy === undefined) policy = policyOf(proof, claim);
      return policy;
    },
  };
};

const sameRule = (policy: PolicyState, claim: PolicyClaim | undefined): boolean =>
  claim === undefined || equal(utf8(policy.rule), claim.ruleData);

const sameStatus = (policy: PolicyState, claim: PolicyClaim | undefined): boolean => {
  if (claim === undefined) return true;
  const ends = claim.action === 'remove' || claim.action === 'disable';
  return policy.status === (ends ? 'removed' : 'active');
};

/** In this order; the first that fails is the answer. Each is needed: test/mutants/proof.test.ts. */
export const PROOF_CHECKS: readonly ProofCheck[] = [
  {
    of: 'anchor',
    name: 'chain',
    holds: ({ proof: { anchor }, trust: { committee } }) =>
      [anchor.anchor, anchor.next].every(
        (header) => header.chainId === committee.chainId && header.epoch === committee.epoch,
      ),
  },
  {
    of: 'anchor',
    name: 'anchor-certificate',
    holds: ({ proof: { anchor }, trust }) =>
      anchor.anchorQc.blockHash === blockHash(anchor.anchor, trust.crypto) &&
      anchor.anchorQc.view === anchor.anchor.view,
  },
  {
    of: 'anchor',
    name: 'next-certificate',
    holds: ({ proof: { anchor }, trust }) =>
      anchor.nextQc.blockHash === blockHash(anchor.next, trust.crypto) &&
      anchor.nextQc.view === anchor.next.view,
  },
  {
    of: 'anchor',
    name: 'link',
    holds: ({ proof: { anchor }, trust }) =>
      anchor.next.parentHash === blockHash(anchor.anchor, trust.crypto) &&
      anchor.next.parentView === anchor.anchor.view &&
      anchor.next.height === anchor.anchor.height + 1,
  },
  {
    of: 'anchor',
    name: 'consecutive-views',
    holds: ({ proof: { anchor } }) => commits(anchor.anchor.view, anchor.next.view),
  },
  {
    of: 'anchor',
    name: 'anchor-quorum',
    holds: ({ proof, trust }) => verifyQc(proof.anchor.anchorQc, trust).ok,
  },
  {
    of: 'anchor',
    name: 'next-quorum',
    holds: ({ proof, trust }) => verifyQc(proof.anchor.nextQc, trust).ok,
  },
  {
    of: 'value',
    name: 'merkle',
    holds: ({ proof, trust: { crypto } }) =>
      verifyProof(
        hashBytes(proof.anchor.anchor.stateRoot),
        proof.key,
        proof.value,
        proof.merkle,
        crypto,
      ),
  },
  {
    of: 'value',
    name: 'policy-key',
    holds: ({ proof, claim }) => claim === undefined || proof.key === policyKey(claim.policyId),
  },
  {
    of: 'value',
    name: 'policy-exists',
    holds: ({ proof, claim }) => claim === undefined || proof.value !== null,
  },
  {
    of: 'value',
    name: 'policy-rule',
    holds: (subject) => {
      const policy = subject.policy();
      return policy === null || sameRule(policy, subject.claim);
    },
  },
  {
    of: 'value',
    name: 'policy-status',
    holds: (subject) => {
      const policy = subject.policy();
      return policy === null || sameStatus(policy, subject.claim);
    },
  },
];

/** What a valid proof gives: the block under whose root the value stands. */
export type Proven = {
  readonly proof: CommitProof;
  /** Height of the anchor: of two proofs of one policy the higher one is the newer. */
  readonly height: number;
  readonly timeMs: number;
  /** What was claimed, as the state has it; null without a claim. */
  readonly policy: PolicyState | null;
};

/** The first check that fails, in order, is the answer. */
export const checkProof = (
  proof: CommitProof,
  checks: readonly ProofCheck[],
  trust: Trust,
  claim?: PolicyClaim,
): Result<Proven, ProofFault> => {
  const subject = subjectOf(proof, trust, claim);
  for (const check of checks) if (!check.holds(subject)) return err(check.name);
  const { height, timeMs } = proof.anchor.anchor;
  return ok({ proof, height, timeMs, policy: subject.policy() });
};

/** A mutant is a verifier with a check left out. Never throws on received bytes. */
export const commitProofVerifier =
  (checks: readonly ProofCheck[] = PROOF_CHECKS) =>
  (bytes: Uint8Array, trust: Trust, claim?: PolicyClaim): Result<Proven, ProofFault> => {
    const decoded = decodeCommitProof(bytes);
    return decoded.ok ? checkProof(decoded.value, checks, trust, claim) : decoded;
  };

export const verifyCommitProof = commitProofVerifier();

/** The policy that a proof with a claim has proven. */
export const provenPolicy = ({ proof, policy }: Proven): PolicyState => {
  if (policy !== null) return policy;
  if (proof.value === null) throw new Error('a proof of absence holds no policy');
  return decodeState(policyKey(''), proof.value);
};
