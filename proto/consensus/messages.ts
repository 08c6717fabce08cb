/** What replicas say to each other. On the wire CBOR [code, body], code 1..13 in the order of `Message`. */
import { concat, utf8 } from '#proto/bytes.ts';
import { type CborValue, encodeCanonical } from '#proto/cbor.ts';
import { err, type Result, unreachable } from '#proto/result.ts';
import { type AnchorProof, anchorShape, anchorToCbor } from './anchor.ts';
import { BLOCK_ENCODED_BYTES_MAX, type Block, blockShape, blockToCbor } from './block.ts';
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
} from './certificate.ts';
import { type Evidence, evidenceShape, evidenceToCbor } from './evidence.ts';
import {
  GENESIS_CERTIFICATE_BYTES_MAX,
  type GenesisCertificate,
  type GenesisReady,
  genesisCertificateShape,
  genesisCertificateToCbor,
  readyShape,
  readyToCbor,
} from './genesis-ready.ts';
import { type Header, headerShape, headerToCbor } from './header.ts';
import {
  decodeShape,
  exactly,
  type HashHex,
  hash,
  hashBytes,
  list,
  mapped,
  nullable,
  type Parse,
  type ShapeError,
  signature,
  tuple,
  uint,
} from './shape.ts';
import { type Transaction, txsShape, txToCbor } from './transaction.ts';

/** `tc` where `qc` is not of the view before the block's. The signature is the leader's, see evidence.ts. */
export type Proposal = {
  readonly kind: 'proposal';
  readonly block: Block;
  readonly qc: Qc;
  readonly tc: Tc | null;
  readonly signature: Uint8Array;
};

export type Heartbeat = {
  readonly kind: 'heartbeat';
  readonly epoch: number;
  readonly view: number;
  readonly highQc: Qc;
  /** Only while it is newer than highQc. */
  readonly tc: Tc | null;
  readonly committedHeight: number;
  readonly signer: HashHex;
  readonly signature: Uint8Array;
};

/** Committed blocks from a height upwards, at most `blocksMax`. */
export type SyncRequest = {
  readonly kind: 'sync-request';
  readonly fromHeight: number;
  readonly blocksMax: number;
};

/** Blocks, then the headers that link the last of them to the anchor of the proof. Null: has nothing there. */
export type SyncReply = {
  readonly kind: 'sync-reply';
  readonly fromHeight: number;
  readonly blocks: readonly Block[];
  readonly links: readonly Header[];
  readonly proof: AnchorProof | null;
};

/** The two of the genesis ceremony, before the first view: genesis-ready.ts. */
export type GenesisMessage =
  | { readonly kind: 'genesis-ready'; readonly ready: GenesisReady }
  | { readonly kind: 'genesis-certificate'; readonly certificate: GenesisCertificate };

export type Message =
  | Proposal
  | { readonly kind: 'vote'; readonly vote: Vote }
  | { readonly kind: 'timeout'; readonly timeout: Timeout }
  | { readonly kind: 'new-view'; readonly tc: Tc }
  | Heartbeat
  | SyncRequest
  | SyncReply
  | { readonly kind: 'block-request'; readonly hash: HashHex }
  | { readonly kind: 'block-reply'; readonly block: Block; readonly qc: Qc }
  | { readonly kind: 'forward'; readonly txs: readonly Transaction[] }
  | { readonly kind: 'evidence'; readonly evidence: Evidence }
  | GenesisMessage;

export type MessageKind = Message['kind'];

export const SYNC_BLOCKS_MAX = 256;
export const SYNC_LINKS_MAX = 1024;
const KiB = 1024;
const MiB = 1024 * KiB;
/** The largest message: a block of the protocol's maximum with its certificates. */
export const MESSAGE_BYTES_MAX = BLOCK_ENCODED_BYTES_MAX + MiB;

type Codec = {
  readonly kind: MessageKind;
  readonly bytesMax: number;
  readonly body: Parse<Message>;
};

const HEARTBEAT = utf8('CONSENSUS_HEARTBEAT_V1');

export const heartbeatBytes = (chainId: string, beat: Omit<Heartbeat, 'signature'>): Uint8Array =>
  concat(
    HEARTBEAT,
    encodeCanonical([
      chainId,
      beat.epoch,
      beat.view,
      beat.highQc.view,
      beat.tc?.view ?? 0,
      beat.committedHeight,
    ]),
  );

const proposal: Parse<Message> = mapped(
  tuple<[Block, Qc, Tc | null, Uint8Array]>(blockShape, qcShape, nullable(tcShape), signature),
  ([block, qc, tc, by]) => ({ kind: 'proposal', block, qc, tc, signature: by }),
);
const heartbeat: Parse<Message> = mapped(
  tuple<[number, number, Qc, Tc | null, number, HashHex, Uint8Array]>(
    uint,
    uint,
    qcShape,
    nullable(tcShape),
    uint,
    hash,
    signature,
  ),
  ([epoch, view, highQc, tc, committedHeight, signer, by]) => ({
    kind: 'heartbeat',
    epoch,
    view,
    highQc,
    tc,
    committedHeight,
    signer,
    signature: by,
  }),
);
const syncReply: Parse<Message> = mapped(
  tuple<[number, readonly Block[], readonly Header[], AnchorProof | null]>(
    uint,
    list(blockShape, SYNC_BLOCKS_MAX),
    list(headerShape, SYNC_LINKS_MAX),
    nullable(anchorShape),
  ),
  ([fromHeight, blocks, links, proof]) => ({
    kind: 'sync-reply',
    fromHeight,
    blocks,
    links,
    proof,
  }),
);

/** Its place is its code. */
const CODECS: readonly Codec[] = [
  { kind: 'proposal', bytesMax: MESSAGE_BYTES_MAX, body: proposal },
  {
    kind: 'vote',
    bytesMax: KiB,
    body: mapped(voteShape, (vote) => ({ kind: 'vote', vote })),
  },
  {
    kind: 'timeout',
    bytesMax: 64 * KiB,
    body: mapped(timeoutShape, (timeout) => ({ kind: 'timeout', timeout })),
  },
  {
    kind: 'new-view',
    bytesMax: 64 * KiB,
    body: mapped(tcShape, (tc) => ({ kind: 'new-view', tc })),
  },
  { kind: 'heartbeat', bytesMax: 64 * KiB, body: heartbeat },
  {
    kind: 'sync-request',
    bytesMax: KiB,
    body: mapped(tuple<[number, number]>(uint, uint), ([fromHeight, blocksMax]) => ({
      kind: 'sync-request',
      fromHeight,
      blocksMax,
    })),
  },
  { kind: 'sync-reply', bytesMax: MESSAGE_BYTES_MAX, body: syncReply },
  {
    kind: 'block-request',
    bytesMax: KiB,
    body: mapped(hash, (wanted) => ({ kind: 'block-request', hash: wanted })),
  },
  {
    kind: 'block-reply',
    bytesMax: MESSAGE_BYTES_MAX,
    body: mapped(tuple<[Block, Qc]>(blockShape, qcShape), ([block, qc]) => ({
      kind: 'block-reply',
      block,
      qc,
    })),
  },
  {
    kind: 'forward',
    bytesMax: MESSAGE_BYTES_MAX,
    body: mapped(txsShape, (txs) => ({ kind: 'forward', txs })),
  },
  {
    kind: 'evidence',
    bytesMax: 8 * KiB,
    body: mapped(evidenceShape, (evidence) => ({ kind: 'evidence', evidence })),
  },
  {
    kind: 'genesis-ready',
    bytesMax: KiB,
    body: mapped(readyShape, (ready) => ({ kind: 'genesis-ready', ready })),
  },
  {
    kind: 'genesis-certificate',
    bytesMax: GENESIS_CERTIFICATE_BYTES_MAX,
    body: mapped(genesisCertificateShape, (certificate) => ({
      kind: 'genesis-certificate',
      certificate,
    })),
  },
];

const CODE_OF = new Map(CODECS.map((codec, at) => [codec.kind, at + 1]));

const bodyToCbor = (message: Message): CborValue => {
  switch (message.kind) {
    case 'proposal':
      return [
        blockToCbor(message.block),
        qcToCbor(message.qc),
        message.tc === null ? null : tcToCbor(message.tc),
        message.signature,
      ];
    case 'vote':
      return voteToCbor(message.vote);
    case 'timeout':
      return timeoutToCbor(message.timeout);
    case 'new-view':
      return tcToCbor(message.tc);
    case 'heartbeat':
      return [
        message.epoch,
        message.view,
        qcToCbor(message.highQc),
        message.tc === null ? null : tcToCbor(message.tc),
        message.committedHeight,
        hashBytes(message.signer),
        message.signature,
      ];
    case 'sync-request':
      return [message.fromHeight, message.blocksMax];
    case 'sync-reply':
      return [
        message.fromHeight,
        message.blocks.map(blockToCbor),
        message.links.map(headerToCbor),
        message.proof === null ? null : anchorToCbor(message.proof),
      ];
    case 'block-request':
      return hashBytes(message.hash);
    case 'block-reply':
      return [blockToCbor(message.block), qcToCbor(message.qc)];
    case 'forward':
      return message.txs.map(txToCbor);
    case 'evidence':
      return evidenceToCbor(message.evidence);
    case 'genesis-ready':
      return readyToCbor(message.ready);
    case 'genesis-certificate':
      return genesisCertificateToCbor(message.certificate);
    default:
      return unreachable(message);
  }
};

export const encodeMessage = (message: Message): Uint8Array => {
  const code = CODE_OF.get(message.kind);
  if (code === undefined) throw new Error(`no code for ${message.kind}`);
  return encodeCanonical([code, bodyToCbor(message)]);
};

/** An array of two whose first item is a small integer: what lets the size be judged before decoding. */
const ARRAY_OF_TWO = 0x82;

/** Never throws. The limit is that of the kind: a vote of a megabyte is not parsed. */
export const decodeMessage = (bytes: Uint8Array): Result<Message, ShapeError> => {
  const codec = bytes[0] === ARRAY_OF_TWO ? CODECS[(bytes[1] ?? 0) - 1] : undefined;
  if (codec === undefined) return err('malformed');
  const code = CODE_OF.get(codec.kind) as number;
  return decodeShape(
    bytes,
    { bytesMax: codec.bytesMax },
    mapped(tuple<[number, Message]>(exactly(code), codec.body), ([, message]) => message),
  );
};
