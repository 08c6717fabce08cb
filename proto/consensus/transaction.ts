/** What a block carries: the original signed bytes of a message, with a code of its kind. */
import { concat, hex, utf8 } from '#proto/bytes.ts';
import { type CborValue, encodeCanonical } from '#proto/cbor.ts';
import type { Crypto } from '#proto/crypto.ts';
import { listRoot } from '#proto/merkle.ts';
import type { Result } from '#proto/result.ts';
import { decodeShape, type HashHex, list, octets, type Parse, type ShapeError } from './shape.ts';

export const TX_KINDS = ['anomaly', 'evidence', 'policy', 'misbehaviour'] as const;
export type TxKind = (typeof TX_KINDS)[number];

export type Transaction = {
  readonly kind: TxKind;
  /** The ai.* message as it was signed, or a proof of misbehaviour (evidence.ts). */
  readonly bytes: Uint8Array;
};

/** The size cap of every topic. */
export const TX_BYTES_MAX = 1024 * 1024;
/** Protocol maximum of a block; genesis parameters lie below. */
export const BLOCK_TX_MAX = 5_000;
export const BLOCK_BYTES_MAX = 16 * 1024 * 1024;

const DOMAIN = utf8('CYBERMESH_TX_V1');

/** 1..4, in the order of TX_KINDS. */
export const kindCode = (kind: TxKind): number => TX_KINDS.indexOf(kind) + 1;

export const txIdBytes = (tx: Transaction, crypto: Pick<Crypto, 'sha256'>): Uint8Array =>
  crypto.sha256(concat(DOMAIN, Uint8Array.of(kindCode(tx.kind)), tx.bytes));

export const txId = (tx: Transaction, crypto: Pick<Crypto, 'sha256'>): HashHex =>
  hex(txIdBytes(tx, crypto));

/** The header's txRoot: the list root (proto/merkle.ts) of the ids in block order. */
export const txRootOf = (txs: readonly Transaction[], crypto: Pick<Crypto, 'sha256'>): HashHex =>
  hex(
    listRoot(
      txs.map((tx) => txIdBytes(tx, crypto)),
      crypto,
    ),
  );

export const payloadBytesOf = (txs: readonly Transaction[]): number => {
  let total = 0;
  for (const tx of txs) total += tx.bytes.length;
  return total;
};

export const txToCbor = (tx: Transaction): CborValue => [kindCode(tx.kind), tx.bytes];

const txBytes = octets(1, TX_BYTES_MAX);

export const txShape: Parse<Transaction> = (value) => {
  if (!Array.isArray(value) || value.length !== 2) return undefined;
  const code = value[0];
  const kind = typeof code === 'number' ? TX_KINDS[code - 1] : undefined;
  const bytes = txBytes(value[1] as CborValue);
  return kind === undefined || bytes === undefined ? undefined : { kind, bytes };
};

export const txsShape = list(txShape, BLOCK_TX_MAX);

/** CBOR [[kindCode, bytes]...]: mempool candidates, forwarded transactions. */
export const encodeTransactions = (txs: readonly Transaction[]): Uint8Array =>
  encodeCanonical(txs.map(txToCbor));

/** At most BLOCK_TX_MAX transactions in BLOCK_BYTES_MAX. */
export const decodeTransactions = (bytes: Uint8Array): Result<readonly Transaction[], ShapeError> =>
  decodeShape(bytes, { bytesMax: BLOCK_BYTES_MAX }, txsShape);
