/**
 * The safety record: what a replica must remember to stay honest over a restart. Written as one, fsynced before
 * any signature that it covers leaves. A replica that has lost it needs a new key.
 */
import { concat, equal } from '#proto/bytes.ts';
import { encodeCanonical } from '#proto/cbor.ts';
import {
  BLOCK_ENCODED_BYTES_MAX,
  type Block,
  blockShape,
  blockToCbor,
} from '#proto/consensus/block.ts';
import {
  type Qc,
  qcShape,
  qcToCbor,
  type Tc,
  type Timeout,
  tcShape,
  tcToCbor,
  timeoutShape,
  timeoutToCbor,
  type Vote,
  voteShape,
  voteToCbor,
} from '#proto/consensus/certificate.ts';
import { CHAIN_ID_CHARACTERS_MAX } from '#proto/consensus/header.ts';
import {
  decodeShape,
  exactly,
  type HashHex,
  hash,
  hashBytes,
  mapped,
  nullable,
  type Parse,
  record,
  type ShapeError,
  signature,
  text,
  tuple,
  uint,
} from '#proto/consensus/shape.ts';
import type { Crypto } from '#proto/crypto.ts';
import { err, type Result } from '#proto/result.ts';
import type { StoredBlock } from './events.ts';

/** The own proposal of a view: with the block, stored beside, it can be sent again. */
export type ProposalRecord = {
  readonly view: number;
  readonly blockHash: HashHex;
  readonly qc: Qc;
  readonly tc: Tc | null;
  readonly signature: Uint8Array;
};

export type DurableRecord = {
  readonly chainId: string;
  readonly epoch: number;
  /** Highest view with an own vote or timeout: no vote at or below it, ever again. */
  readonly lastActedView: number;
  /** Highest QC view that an own vote was given on. */
  readonly lockedView: number;
  readonly lastVote: Vote | null;
  readonly lastTimeout: Timeout | null;
  readonly lastProposal: ProposalRecord | null;
  /** Never older than lockedView. */
  readonly highQc: Qc;
  readonly tc: Tc | null;
  /** The executor holds this height durably: stored blocks at or below it may go. */
  readonly committedHeight: number;
};

const VERSION = 1;
const DIGEST_BYTES = 32;
export const RECORD_BYTES_MAX = 256 * 1024;

const proposalShape: Parse<ProposalRecord> = mapped(
  tuple<[number, HashHex, Qc, Tc | null, Uint8Array]>(
    uint,
    hash,
    qcShape,
    nullable(tcShape),
    signature,
  ),
  ([view, blockHash, qc, tc, by]) => ({ view, blockHash, qc, tc, signature: by }),
);

const recordShape: Parse<DurableRecord> = mapped(
  record<DurableRecord & { readonly version: typeof VERSION }>({
    version: exactly(VERSION),
    chainId: text(CHAIN_ID_CHARACTERS_MAX),
    epoch: uint,
    lastActedView: uint,
    lockedView: uint,
    lastVote: nullable(voteShape),
    lastTimeout: nullable(timeoutShape),
    lastProposal: nullable(proposalShape),
    highQc: qcShape,
    tc: nullable(tcShape),
    committedHeight: uint,
  }),
  ({ version: _, ...durable }) => durable,
);

/** CBOR array, followed by its SHA-256: a torn write is not taken for a record. */
export const encodeRecord = (record: DurableRecord, crypto: Pick<Crypto, 'sha256'>): Uint8Array => {
  const { lastVote, lastTimeout, lastProposal: own, tc } = record;
  const payload = encodeCanonical([
    VERSION,
    record.chainId,
    record.epoch,
    record.lastActedView,
    record.lockedView,
    lastVote === null ? null : voteToCbor(lastVote),
    lastTimeout === null ? null : timeoutToCbor(lastTimeout),
    own === null
      ? null
      : [
          own.view,
          hashBytes(own.blockHash),
          qcToCbor(own.qc),
          own.tc === null ? null : tcToCbor(own.tc),
          own.signature,
        ],
    qcToCbor(record.highQc),
    tc === null ? null : tcToCbor(tc),
    record.committedHeight,
  ]);
  return concat(payload, crypto.sha256(payload));
};

export const decodeRecord = (
  bytes: Uint8Array,
  crypto: Pick<Crypto, 'sha256'>,
): Result<DurableRecord, ShapeError | 'torn'> => {
  if (bytes.length < DIGEST_BYTES) return err('torn');
  const payload = bytes.subarray(0, bytes.length - DIGEST_BYTES);
  if (!equal(crypto.sha256(payload), bytes.subarray(payload.length))) return err('torn');
  return decodeShape(payload, { bytesMax: RECORD_BYTES_MAX }, recordShape);
};

const storedShape: Parse<StoredBlock> = mapped(
  tuple<[Block, Qc]>(blockShape, qcShape),
  ([block, qc]) => ({ block, qc }),
);

/** CBOR [block, QC of its parent]. */
export const encodeStoredBlock = (stored: StoredBlock): Uint8Array =>
  encodeCanonical([blockToCbor(stored.block), qcToCbor(stored.qc)]);

export const decodeStoredBlock = (bytes: Uint8Array): Result<StoredBlock, ShapeError> =>
  decodeShape(bytes, { bytesMax: BLOCK_ENCODED_BYTES_MAX + RECORD_BYTES_MAX }, storedShape);
