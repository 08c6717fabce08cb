/** Blocks, headers, anchors and Merkle proofs as the API shows them. */
import { hex } from '#proto/bytes.ts';
import { decodeAnchor } from '#proto/consensus/anchor.ts';
import { blockOf, type CommittedBlock } from '#proto/consensus/committed.ts';
import { blockHash } from '#proto/consensus/header.ts';
import { txId } from '#proto/consensus/transaction.ts';
import type { Crypto } from '#proto/crypto.ts';
import { decodeProof, type MerkleProof } from '#proto/merkle.ts';
import type { AnchorView, BlockSummary, BlockView, Cbor, MerkleView } from './views.ts';

const CHUNK = 0x8000;

/** RFC 4648 with padding. */
const base64 = (bytes: Uint8Array): string => {
  let binary = '';
  for (let at = 0; at < bytes.length; at += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  }
  return btoa(binary);
};

export const cborOf = (bytes: Uint8Array): Cbor => ({ encoding: 'cbor', base64: base64(bytes) });

/** Throws on bytes that our own executor cannot have written. */
export const anchorOf = (bytes: Uint8Array) => {
  const anchor = decodeAnchor(bytes);
  if (!anchor.ok) throw new Error(`the anchor of a committed block: ${anchor.error}`);
  return anchor.value;
};

export const anchorView = (bytes: Uint8Array, crypto: Crypto): AnchorView => {
  const { anchor, anchorQc } = anchorOf(bytes);
  return {
    ...cborOf(bytes),
    anchorHeight: anchor.height,
    anchorHash: blockHash(anchor, crypto),
    signers: anchorQc.signatures.map((one) => one.signer),
  };
};

export const blockSummary = (committed: CommittedBlock, crypto: Crypto): BlockSummary => {
  const { header } = blockOf(committed);
  const { height, view, proposerId, timeMs, txCount, payloadBytes, stateRoot } = header;
  const hash = blockHash(header, crypto);
  return { height, hash, view, proposerId, timeMs, txCount, payloadBytes, stateRoot };
};

export const blockView = (committed: CommittedBlock, crypto: Crypto): BlockView => {
  const { header, txs } = blockOf(committed);
  return {
    hash: blockHash(header, crypto),
    header,
    transactions: txs.map((tx) => ({
      id: txId(tx, crypto),
      kind: tx.kind,
      bytes: tx.bytes.length,
    })),
    receipts: committed.receipts,
    policies: committed.policies.map(({ key }) => key.slice(key.indexOf('/') + 1)),
    proof: anchorView(committed.proof, crypto),
  };
};

/** Throws on a proof that our own executor cannot have made. */
export const merkleOf = (bytes: Uint8Array): MerkleProof => {
  const proof = decodeProof(bytes);
  if (!proof.ok) throw new Error(`a Merkle proof of the executor: ${proof.error}`);
  return proof.value;
};

export const merkleView = (bytes: Uint8Array): MerkleView => {
  const { siblings, other } = merkleOf(bytes);
  return {
    siblings: siblings.map(hex),
    other: other === null ? null : { path: hex(other.path), valueHash: hex(other.valueHash) },
  };
};
