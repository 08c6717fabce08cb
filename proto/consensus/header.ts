/** The block header: what is hashed, voted for and anchored. CBOR array in the order of the type. */
import { concat, hex, utf8 } from '#proto/bytes.ts';
import { type CborValue, encodeCanonical } from '#proto/cbor.ts';
import type { Crypto } from '#proto/crypto.ts';
import type { Result } from '#proto/result.ts';
import {
  decodeShape,
  exactly,
  type HashHex,
  hash,
  hashBytes,
  type Parse,
  record,
  type ShapeError,
  text,
  uint,
} from './shape.ts';

export const HEADER_VERSION = 1;
export const HEADER_BYTES_MAX = 1024;
export const CHAIN_ID_CHARACTERS_MAX = 64;
export const ZERO_HASH: HashHex = '00'.repeat(32);

export type Header = {
  readonly version: typeof HEADER_VERSION;
  readonly chainId: string;
  readonly epoch: number;
  /** Genesis has 0. */
  readonly height: number;
  readonly view: number;
  readonly parentHash: HashHex;
  /** View of the QC that the block extends: the view of its parent. */
  readonly parentView: number;
  readonly txRoot: HashHex;
  /** State root after this very block. */
  readonly stateRoot: HashHex;
  readonly proposerId: HashHex;
  /** Milliseconds since 1970, later than the parent's. */
  readonly timeMs: number;
  readonly txCount: number;
  /** Sum of the lengths of the transactions' bytes. */
  readonly payloadBytes: number;
};

const DOMAIN = utf8('CONSENSUS_BLOCK_V1');

export const headerToCbor = (header: Header): CborValue => [
  header.version,
  header.chainId,
  header.epoch,
  header.height,
  header.view,
  hashBytes(header.parentHash),
  header.parentView,
  hashBytes(header.txRoot),
  hashBytes(header.stateRoot),
  hashBytes(header.proposerId),
  header.timeMs,
  header.txCount,
  header.payloadBytes,
];

export const headerShape: Parse<Header> = record({
  version: exactly(HEADER_VERSION),
  chainId: text(CHAIN_ID_CHARACTERS_MAX),
  epoch: uint,
  height: uint,
  view: uint,
  parentHash: hash,
  parentView: uint,
  txRoot: hash,
  stateRoot: hash,
  proposerId: hash,
  timeMs: uint,
  txCount: uint,
  payloadBytes: uint,
});

export const encodeHeader = (header: Header): Uint8Array => encodeCanonical(headerToCbor(header));

export const decodeHeader = (bytes: Uint8Array): Result<Header, ShapeError> =>
  decodeShape(bytes, { bytesMax: HEADER_BYTES_MAX }, headerShape);

/** SHA-256("CONSENSUS_BLOCK_V1" || CBOR of the header). */
export const blockHash = (header: Header, crypto: Pick<Crypto, 'sha256'>): HashHex =>
  hex(crypto.sha256(concat(DOMAIN, encodeHeader(header))));

/** Height 0: nobody signs it; its parent is the hash of the genesis file, its root that of the genesis state. */
export const genesisHeader = (genesis: {
  readonly chainId: string;
  readonly configHash: HashHex;
  readonly stateRoot: HashHex;
  readonly timeMs: number;
}): Header => ({
  version: HEADER_VERSION,
  chainId: genesis.chainId,
  epoch: 0,
  height: 0,
  view: 0,
  parentHash: genesis.configHash,
  parentView: 0,
  txRoot: ZERO_HASH,
  stateRoot: genesis.stateRoot,
  proposerId: ZERO_HASH,
  timeMs: genesis.timeMs,
  txCount: 0,
  payloadBytes: 0,
});
