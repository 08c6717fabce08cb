/**
 * How a committee makes sure that it begins with one configuration: each validator attests what it has read
 * (GenesisReady), and a quorum of such attestations is the GenesisCertificate. The first block needs one.
 *
 * Signed bytes are domain || CBOR and bind chain id, epoch 0 and view 0. An attestation names its own chain, so that
 * one of another configuration still verifies, and can be refused by the name of who signed it.
 */
import { concat, hex, utf8 } from '#proto/bytes.ts';
import { type CborValue, encodeCanonical } from '#proto/cbor.ts';
import type { Crypto } from '#proto/crypto.ts';
import { err, ok, type Result } from '#proto/result.ts';
import { type CertificateError, checkSigners, type SignedBy, type Trust } from './certificate.ts';
import { type Committee, VALIDATORS_MAX, validatorOf } from './committee.ts';
import { CHAIN_ID_CHARACTERS_MAX } from './header.ts';
import {
  decodeShape,
  type HashHex,
  hash,
  hashBytes,
  list,
  mapped,
  type Parse,
  type ShapeError,
  signature,
  text,
  tuple,
} from './shape.ts';

/** What must be the same on all validators before they begin. */
export type GenesisClaim = {
  readonly chainId: string;
  /** SHA-256 of the genesis configuration. */
  readonly configHash: HashHex;
  /** `peerSetHash` of the validators that this one talks to, itself among them. */
  readonly peerSetHash: HashHex;
};

export type GenesisReady = GenesisClaim & {
  readonly signer: HashHex;
  readonly signature: Uint8Array;
};

/** Attestations of a quorum, ascending by signer, and who gathered them. */
export type GenesisCertificate = GenesisClaim & {
  readonly attestations: readonly SignedBy[];
  readonly gatherer: HashHex;
  /** The gatherer's, over the claim and the signers. */
  readonly signature: Uint8Array;
};

export type GenesisMismatch = 'config-hash' | 'peer-set';

const READY = utf8('CONSENSUS_GENESIS_READY_V1');
const CERTIFICATE = utf8('CONSENSUS_GENESIS_CERT_V1');
const PEER_SET = utf8('CYBERMESH_PEER_SET_V1');
const EPOCH = 0;
const VIEW = 0;

/** SHA-256 over the ids, names and voting powers of the committee: who is to be met, not where. */
export const peerSetHash = (
  committee: Pick<Committee, 'validators'>,
  crypto: Pick<Crypto, 'sha256'>,
): HashHex =>
  hex(
    crypto.sha256(
      concat(
        PEER_SET,
        encodeCanonical(
          committee.validators.map(({ id, name, weight }) => [hashBytes(id), name, weight]),
        ),
      ),
    ),
  );

const claimFields = ({ chainId, configHash, peerSetHash: peers }: GenesisClaim): CborValue[] => [
  chainId,
  EPOCH,
  VIEW,
  hashBytes(configHash),
  hashBytes(peers),
];

export const readyBytes = (claim: GenesisClaim): Uint8Array =>
  concat(READY, encodeCanonical(claimFields(claim)));

export const genesisCertificateBytes = (
  claim: GenesisClaim,
  signers: readonly HashHex[],
): Uint8Array =>
  concat(CERTIFICATE, encodeCanonical([...claimFields(claim), signers.map(hashBytes)]));

/** In what `theirs` differs from `own`; undefined when in nothing. */
export const mismatchOf = (
  theirs: GenesisClaim,
  own: GenesisClaim,
): GenesisMismatch | undefined => {
  if (theirs.chainId !== own.chainId || theirs.configHash !== own.configHash) return 'config-hash';
  return theirs.peerSetHash === own.peerSetHash ? undefined : 'peer-set';
};

/** Whether its signer, a member of the committee, signed it; what it says is not judged. */
export const verifyReady = (
  ready: GenesisReady,
  { committee, crypto }: Trust,
): Result<true, CertificateError> => {
  const validator = validatorOf(committee, ready.signer);
  if (validator === undefined) return err('unknown-signer');
  return crypto.verify(validator.publicKey, readyBytes(ready), ready.signature)
    ? ok(true)
    : err('bad-signature');
};

/** A quorum of the committee has attested exactly `own`, and a member gathered it. */
export const verifyGenesisCertificate = (
  certificate: GenesisCertificate,
  own: GenesisClaim,
  trust: Trust,
): Result<true, CertificateError | GenesisMismatch> => {
  const mismatch = mismatchOf(certificate, own);
  if (mismatch !== undefined) return err(mismatch);
  const { attestations, gatherer } = certificate;
  const ids = attestations.map((one) => one.signer);
  const signers = checkSigners(ids, trust);
  if (!signers.ok) return signers;
  const by = validatorOf(trust.committee, gatherer);
  if (by === undefined) return err('unknown-signer');
  const gathered = genesisCertificateBytes(certificate, ids);
  if (!trust.crypto.verify(by.publicKey, gathered, certificate.signature)) {
    return err('bad-signature');
  }
  for (const one of attestations) {
    const verified = verifyReady({ ...own, ...one }, trust);
    if (!verified.ok) return verified;
  }
  return ok(true);
};

const claimToCbor = ({ chainId, configHash, peerSetHash: peers }: GenesisClaim): CborValue[] => [
  chainId,
  hashBytes(configHash),
  hashBytes(peers),
];

export const readyToCbor = (ready: GenesisReady): CborValue => [
  ...claimToCbor(ready),
  hashBytes(ready.signer),
  ready.signature,
];

const chainId = text(CHAIN_ID_CHARACTERS_MAX);

export const readyShape: Parse<GenesisReady> = mapped(
  tuple<[string, HashHex, HashHex, HashHex, Uint8Array]>(chainId, hash, hash, hash, signature),
  ([chain, configHash, peers, signer, by]) => ({
    chainId: chain,
    configHash,
    peerSetHash: peers,
    signer,
    signature: by,
  }),
);

export const genesisCertificateToCbor = (certificate: GenesisCertificate): CborValue => [
  ...claimToCbor(certificate),
  certificate.attestations.map((one) => [hashBytes(one.signer), one.signature]),
  hashBytes(certificate.gatherer),
  certificate.signature,
];

const attestation: Parse<SignedBy> = mapped(
  tuple<[HashHex, Uint8Array]>(hash, signature),
  ([signer, by]) => ({ signer, signature: by }),
);

export const genesisCertificateShape: Parse<GenesisCertificate> = mapped(
  tuple<[string, HashHex, HashHex, readonly SignedBy[], HashHex, Uint8Array]>(
    chainId,
    hash,
    hash,
    list(attestation, VALIDATORS_MAX),
    hash,
    signature,
  ),
  ([chain, configHash, peers, attestations, gatherer, by]) => ({
    chainId: chain,
    configHash,
    peerSetHash: peers,
    attestations,
    gatherer,
    signature: by,
  }),
);

export const GENESIS_CERTIFICATE_BYTES_MAX = 16 * 1024;

/** As it is kept on disk. */
export const encodeGenesisCertificate = (certificate: GenesisCertificate): Uint8Array =>
  encodeCanonical(genesisCertificateToCbor(certificate));

export const decodeGenesisCertificate = (
  bytes: Uint8Array,
): Result<GenesisCertificate, ShapeError> =>
  decodeShape(bytes, { bytesMax: GENESIS_CERTIFICATE_BYTES_MAX }, genesisCertificateShape);
