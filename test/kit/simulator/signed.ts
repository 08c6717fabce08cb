/** Validly signed messages of a small committee, for tests that need one and then break it. */
import { hex } from '#proto/bytes.ts';
import type { Block } from '#proto/consensus/block.ts';
import {
  type Qc,
  type Tc,
  type TimeoutClaim,
  type Trust,
  timeoutBytes,
  type Vote,
  voteBytes,
} from '#proto/consensus/certificate.ts';
import { committeeOf } from '#proto/consensus/committee.ts';
import { proposalBytes, type SignedHeader } from '#proto/consensus/evidence.ts';
import {
  type GenesisCertificate,
  type GenesisClaim,
  type GenesisReady,
  genesisCertificateBytes,
  peerSetHash,
  readyBytes,
} from '#proto/consensus/genesis-ready.ts';
import {
  blockHash,
  genesisHeader,
  HEADER_VERSION,
  type Header,
  ZERO_HASH,
} from '#proto/consensus/header.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import { payloadBytesOf, type Transaction, txRootOf } from '#proto/consensus/transaction.ts';
import { simulatedCrypto as crypto, type SimulatedKey, simulatedKey } from './signatures.ts';

export const CHAIN = 'simulated';

export const keys: readonly SimulatedKey[] = [0, 1, 2, 3].map(simulatedKey);
export const idOfKey = (key: SimulatedKey): HashHex => hex(crypto.sha256(key.publicKey));

export const committee = committeeOf(
  CHAIN,
  0,
  keys.map(({ publicKey }, index) => ({ name: `v${index + 1}`, publicKey, weight: 1 })),
  crypto,
);

export const genesis = genesisHeader({
  chainId: CHAIN,
  configHash: ZERO_HASH,
  stateRoot: ZERO_HASH,
  timeMs: 1_000,
});
export const genesisHash = blockHash(genesis, crypto);
export const trust: Trust = { committee, crypto, genesisHash };
export const genesisQc: Qc = { epoch: 0, view: 0, blockHash: genesisHash, signatures: [] };

/** The keys in the order of their ids. */
export const ordered = [...keys].sort((a, b) => (idOfKey(a) < idOfKey(b) ? -1 : 1));
export const keyOf = (id: HashHex): SimulatedKey =>
  keys.find((key) => idOfKey(key) === id) as SimulatedKey;

export const headerOn = (parent: Header, change: Partial<Header> = {}): Header => ({
  version: HEADER_VERSION,
  chainId: CHAIN,
  epoch: 0,
  height: parent.height + 1,
  view: parent.view + 1,
  parentHash: blockHash(parent, crypto),
  parentView: parent.view,
  txRoot: ZERO_HASH,
  stateRoot: parent.stateRoot,
  proposerId: committee.eligible[(change.view ?? parent.view + 1) % 4] as HashHex,
  timeMs: parent.timeMs + 10,
  txCount: 0,
  payloadBytes: 0,
  ...change,
});

export const blockOn = (
  parent: Header,
  txs: readonly Transaction[],
  change: Partial<Header> = {},
): Block => ({
  header: headerOn(parent, {
    txRoot: txRootOf(txs, crypto),
    txCount: txs.length,
    payloadBytes: payloadBytesOf(txs),
    ...change,
  }),
  txs,
});

export const voteBy = (key: SimulatedKey, header: Header): Vote => {
  const unsigned = { epoch: 0, view: header.view, blockHash: blockHash(header, crypto) };
  return { ...unsigned, signer: idOfKey(key), signature: key.sign(voteBytes(CHAIN, unsigned)) };
};

export const qcBy = (signers: readonly SimulatedKey[], header: Header): Qc => ({
  epoch: 0,
  view: header.view,
  blockHash: blockHash(header, crypto),
  signatures: signers.map((key) => {
    const { signer, signature } = voteBy(key, header);
    return { signer, signature };
  }),
});

export const claimBy = (key: SimulatedKey, view: number, highQcView: number): TimeoutClaim => {
  const unsigned = { epoch: 0, view, highQcView };
  return { ...unsigned, signer: idOfKey(key), signature: key.sign(timeoutBytes(CHAIN, unsigned)) };
};

export const tcBy = (
  signers: readonly SimulatedKey[],
  view: number,
  highQcViews: readonly number[],
  highQc: Qc,
): Tc => ({
  epoch: 0,
  view,
  claims: signers.map((key, at) => claimBy(key, view, highQcViews[at] ?? 0)),
  highQc,
});

export const signHeader = (key: SimulatedKey, header: Header): SignedHeader => ({
  header,
  signature: key.sign(proposalBytes(header, blockHash(header, crypto))),
});

/** What every validator of `committee` attests. */
export const genesisClaim: GenesisClaim = {
  chainId: CHAIN,
  configHash: ZERO_HASH,
  peerSetHash: peerSetHash(committee, crypto),
};

export const readyBy = (key: SimulatedKey, change: Partial<GenesisClaim> = {}): GenesisReady => {
  const claim = { ...genesisClaim, ...change };
  return { ...claim, signer: idOfKey(key), signature: key.sign(readyBytes(claim)) };
};

/** Gathered by the first of them, in the order in which they are given. */
export const genesisCertificateBy = (
  by: readonly SimulatedKey[],
  change: Partial<GenesisClaim> = {},
): GenesisCertificate => {
  const claim = { ...genesisClaim, ...change };
  const attestations = by.map((key) => {
    const { signer, signature } = readyBy(key, change);
    return { signer, signature };
  });
  const bytes = genesisCertificateBytes(
    claim,
    attestations.map((one) => one.signer),
  );
  const gatherer = by[0] as SimulatedKey;
  return {
    ...claim,
    attestations,
    gatherer: idOfKey(gatherer),
    signature: gatherer.sign(bytes),
  };
};
