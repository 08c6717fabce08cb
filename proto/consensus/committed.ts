/** A block as the chain store keeps it: what was agreed on, why it is final, and what came of it. */
import { encodeCanonical } from '#proto/cbor.ts';
import type { Result } from '#proto/result.ts';
import { BLOCK_ENCODED_BYTES_MAX, type Block, decodeBlock } from './block.ts';
import {
  decodeShape,
  type HashHex,
  hash,
  hashBytes,
  list,
  mapped,
  octets,
  type Parse,
  type ShapeError,
  text,
  tuple,
} from './shape.ts';
import { BLOCK_TX_MAX } from './transaction.ts';

/**
 * applied: it changed the state. replayed: its nonce with the same content is in the state. duplicate: its
 * content is there under another nonce. Both of these are skipped and change nothing.
 */
export const RECEIPT_STATUSES = ['applied', 'replayed', 'duplicate'] as const;
export type ReceiptStatus = (typeof RECEIPT_STATUSES)[number];

/** What became of one transaction, in block order. */
export type Receipt = {
  readonly txId: HashHex;
  /** The message's id: of the anomaly, the evidence or the policy; the transaction id of misbehaviour. */
  readonly id: string;
  readonly status: ReceiptStatus;
  /** The policy that came of it, or ''. */
  readonly policyId: string;
  /** Why an anomaly derived no policy (a code), or ''. */
  readonly suppressed: string;
};

/** A policy that this block wrote: key `policies/<id>` and the value under the block's state root. */
export type PolicyWrite = { readonly key: string; readonly value: Uint8Array };

export type CommittedBlock = {
  /** Encoded block (block.ts). */
  readonly block: Uint8Array;
  /** CBOR [header b0, QC b0, header b1, QC b1] with b0 at this height or above (anchor.ts). */
  readonly proof: Uint8Array;
  readonly receipts: readonly Receipt[];
  readonly policies: readonly PolicyWrite[];
  /** After this block; equals the header's. */
  readonly stateRoot: HashHex;
};

const PROOF_BYTES_MAX = 256 * 1024;
const ITEMS_MAX = 100_000;
export const COMMITTED_BYTES_MAX = BLOCK_ENCODED_BYTES_MAX + 8 * 1024 * 1024;
/** Blocks in one answer of `executor.read`. */
export const COMMITTED_LIST_MAX = 4096;

export const encodeCommitted = (committed: CommittedBlock): Uint8Array =>
  encodeCanonical([
    committed.block,
    committed.proof,
    committed.receipts.map((one) => [
      hashBytes(one.txId),
      one.id,
      RECEIPT_STATUSES.indexOf(one.status),
      one.policyId,
      one.suppressed,
    ]),
    committed.policies.map(({ key, value }) => [key, value]),
    hashBytes(committed.stateRoot),
  ]);

const status: Parse<ReceiptStatus> = (value) =>
  typeof value === 'number' ? RECEIPT_STATUSES[value] : undefined;

const receiptShape: Parse<Receipt> = mapped(
  tuple<[HashHex, string, ReceiptStatus, string, string]>(
    hash,
    text(128),
    status,
    text(128),
    text(128),
  ),
  ([txId, id, kind, policyId, suppressed]) => ({ txId, id, status: kind, policyId, suppressed }),
);

const policyShape: Parse<PolicyWrite> = mapped(
  tuple<[string, Uint8Array]>(text(512), octets(1, 1024 * 1024)),
  ([key, value]) => ({ key, value }),
);

const committedShape: Parse<CommittedBlock> = mapped(
  tuple<[Uint8Array, Uint8Array, readonly Receipt[], readonly PolicyWrite[], HashHex]>(
    octets(1, BLOCK_ENCODED_BYTES_MAX),
    octets(0, PROOF_BYTES_MAX),
    list(receiptShape, BLOCK_TX_MAX),
    list(policyShape, 2 * BLOCK_TX_MAX),
    hash,
  ),
  ([block, proof, receipts, policies, stateRoot]) => ({
    block,
    proof,
    receipts,
    policies,
    stateRoot,
  }),
);

export const decodeCommitted = (bytes: Uint8Array): Result<CommittedBlock, ShapeError> =>
  decodeShape(bytes, { bytesMax: COMMITTED_BYTES_MAX, itemsMax: ITEMS_MAX }, committedShape);

/** The answer of `executor.read`: a CBOR list of byte strings, each an encoded CommittedBlock. */
export const encodeCommittedList = (encoded: readonly Uint8Array[]): Uint8Array =>
  encodeCanonical([...encoded]);

/** Throws on bytes that our own executor cannot have written: a bug, not a peer's doing. */
export const decodeCommittedList = (bytes: Uint8Array): readonly CommittedBlock[] => {
  const items = decodeShape(
    bytes,
    { bytesMax: 2 * COMMITTED_BYTES_MAX },
    list(octets(1, COMMITTED_BYTES_MAX), COMMITTED_LIST_MAX),
  );
  if (!items.ok) throw new Error(`committed blocks: ${items.error}`);
  return items.value.map((item) => {
    const committed = decodeCommitted(item);
    if (!committed.ok) throw new Error(`committed block: ${committed.error}`);
    return committed.value;
  });
};

/** The block inside; throws like `decodeCommittedList`. */
export const blockOf = (committed: CommittedBlock): Block => {
  const block = decodeBlock(committed.block);
  if (!block.ok) throw new Error(`committed block: ${block.error}`);
  return block.value;
};
