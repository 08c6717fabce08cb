/** A header with its transactions. CBOR [header, [tx...]]. */
import { type CborValue, encodeCanonical } from '#proto/cbor.ts';
import type { Crypto } from '#proto/crypto.ts';
import type { Result } from '#proto/result.ts';
import { HEADER_BYTES_MAX, type Header, headerShape, headerToCbor } from './header.ts';
import { decodeShape, mapped, type Parse, type ShapeError, tuple } from './shape.ts';
import {
  BLOCK_BYTES_MAX,
  payloadBytesOf,
  type Transaction,
  txRootOf,
  txsShape,
  txToCbor,
} from './transaction.ts';

export type Block = { readonly header: Header; readonly txs: readonly Transaction[] };

/** Payload, header, and at most 9 bytes of CBOR for each transaction. */
export const BLOCK_ENCODED_BYTES_MAX = BLOCK_BYTES_MAX + HEADER_BYTES_MAX + 64 * 1024;

export const blockToCbor = (block: Block): CborValue => [
  headerToCbor(block.header),
  block.txs.map(txToCbor),
];

export const blockShape: Parse<Block> = mapped(
  tuple<[Header, readonly Transaction[]]>(headerShape, txsShape),
  ([header, txs]) => ({ header, txs }),
);

export const encodeBlock = (block: Block): Uint8Array => encodeCanonical(blockToCbor(block));

export const decodeBlock = (bytes: Uint8Array): Result<Block, ShapeError> =>
  decodeShape(bytes, { bytesMax: BLOCK_ENCODED_BYTES_MAX }, blockShape);

/** Whether the transactions are those that the header commits to: a relay can swap them, its hash cannot tell. */
export const bodyMatches = (block: Block, crypto: Pick<Crypto, 'sha256'>): boolean =>
  block.header.txCount === block.txs.length &&
  block.header.payloadBytes === payloadBytesOf(block.txs) &&
  block.header.txRoot === txRootOf(block.txs, crypto);
