/** What ingest knows and waits for. */

import type { executor } from '#actors/executor/protocol.ts';
import { fromHex } from '#proto/bytes.ts';
import type { ChainContext } from '#proto/chain-context.ts';
import type { Committee } from '#proto/consensus/committee.ts';
import { committeeOf } from '#proto/consensus/committee.ts';
import type { Transaction } from '#proto/consensus/transaction.ts';
import type { Crypto, SignatureClaim } from '#proto/crypto.ts';
import { type RoleBook, roleBook } from '#proto/roles.ts';
import type { EvidenceRequestEvent } from '#proto/wire/evidence-request.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import type { VerifiedMessage, Verify } from '#proto/wire/verification.ts';
import type { Answered, Effects, MessagesTo } from '#runtime/actor.ts';
import type { bus } from '#runtime/bus/protocol.ts';
import { type Subscription, subscription } from '#runtime/bus/subscription.ts';
import type { IngestConfig } from './config.ts';
import type { Item } from './intake.ts';
import { type Mempool, mempool, type Place } from './mempool.ts';
import { type Nonces, nonces, type SeenNonce } from './nonces.ts';
import { type Outbox, outbox } from './outbox.ts';
import { type Pace, pace } from './pace.ts';
import type { ingest } from './protocol.ts';

/** A validation result before it is signed. */
export type Report = Pick<
  EvidenceRequestEvent,
  | 'requestId'
  | 'anomalyId'
  | 'evidenceId'
  | 'evidenceAccepted'
  | 'rejectionReason'
  | 'timestamp'
  | 'blockHeight'
>;

export type SignedReport = { readonly key: string; readonly value: Uint8Array };

export type Self =
  | MessagesTo<typeof ingest>
  | { readonly kind: 'opened'; readonly publicKey: Uint8Array }
  | { readonly kind: 'informed'; readonly result: Answered<typeof executor, 'context'> }
  | { readonly kind: 'inform' }
  | {
      readonly kind: 'fetched';
      readonly topic: string;
      readonly result: Answered<typeof bus, 'fetch'>;
    }
  | { readonly kind: 'poll'; readonly topic: string }
  | {
      readonly kind: 'verifiedBatch';
      readonly batch: number;
      readonly results: readonly boolean[];
      /** Of each item what another process has seen of its nonce; left out where nothing is shared. */
      readonly sightings?: readonly (SeenNonce | null)[];
    }
  | {
      readonly kind: 'knownBatch';
      readonly batch: number;
      readonly result: Answered<typeof executor, 'known'>;
    }
  | { readonly kind: 'askKnown'; readonly batch: number }
  | {
      readonly kind: 'published';
      readonly parcel: number;
      readonly result: Answered<typeof bus, 'publish'>;
    }
  | { readonly kind: 'publishAgain' }
  | { readonly kind: 'signed'; readonly reports: readonly SignedReport[] }
  | { readonly kind: 'retry' }
  | { readonly kind: 'tick' }
  | {
      readonly kind: 'rechecked';
      readonly txIds: readonly string[];
      readonly result: Answered<typeof executor, 'known'>;
    };

/** A nonce that is about to be admitted, for those who share them. */
export type NonceClaim = {
  /** `nonceKey` of it. */
  readonly key: string;
  /** Hex. */
  readonly contentHash: string;
  readonly place: Place;
  readonly ttlMs: number;
};

export type Commands = {
  open: Record<never, never>;
  /** Delivers `verifiedBatch`. */
  verify: {
    readonly batch: number;
    readonly claims: readonly SignatureClaim[];
    /** Of each item of the batch, where nonces are shared; `signatures`: how many of `claims` are the item's. */
    readonly nonces?: readonly {
      readonly signatures: number;
      readonly claim: NonceClaim | null;
    }[];
  };
  /** Signs with the validator's key; delivers `signed`. */
  sign: { readonly reports: readonly Report[] };
};

export type Fx = Effects<Self, Commands>;

/** Verified, and not in the pool yet. */
export type Waiting = { readonly item: Item; readonly message: VerifiedMessage };

/** What keeps it out: room or rate, which concern everybody, or the quota of its producer alone. */
export type Held = Waiting & { readonly lacks: 'room' | 'quota' };

export type Lane = {
  readonly topic: string;
  readonly sub: Subscription;
  /** A batch of this topic is between fetch and admission. */
  busy: boolean;
  held: Held[];
};

export type Batch = {
  readonly id: number;
  /** Of a topic, or of a peer. */
  readonly lane: Lane | null;
  readonly items: readonly Item[];
  results: readonly boolean[];
  sightings: readonly (SeenNonce | null)[];
};

export type Forwarded = { readonly from: string; readonly transactions: Uint8Array };

/** What genesis says, ready for use. */
export type Chain = {
  readonly context: ChainContext;
  readonly roles: RoleBook;
  readonly committee: Committee;
  /** Messages a minute, by public key in hex. */
  readonly quotas: ReadonlyMap<string, number>;
};

export type State = {
  readonly config: IngestConfig;
  readonly crypto: Crypto;
  readonly verify: Verify;
  publicKey: Uint8Array | undefined;
  chain: Chain | undefined;
  height: number;
  readonly lanes: ReadonlyMap<string, Lane>;
  readonly pool: Mempool;
  readonly nonces: Nonces;
  readonly pace: Pace;
  readonly letters: Outbox;
  readonly reports: Outbox;
  /** Reports that wait for `opened` or for the end of the step. */
  unsigned: Report[];
  readonly batches: Map<number, Batch>;
  nextBatch: number;
  /** What peers forwarded and nobody has looked at. */
  peers: Forwarded[];
  peerBusy: boolean;
  /** Admitted in this step: for peers and for the executor. */
  fresh: { readonly tx: Transaction; readonly txId: Uint8Array; readonly own: boolean }[];
  /** Own transactions that no peer was sent yet, in the order of admission. */
  unforwarded: { readonly txId: string; readonly admittedMs: number }[];
  /** The last count that the replica was told. */
  told: number;
};

const READ_TOPICS = [TOPICS.anomalies, TOPICS.evidence, TOPICS.policy];

const laneOf = (topic: string, config: IngestConfig): Lane => ({
  topic,
  sub: subscription({
    topic,
    group: `validator-${config.name}`,
    maxRecords: config.batchRecords,
  }),
  busy: false,
  held: [],
});

export const initialState = (config: IngestConfig, crypto: Crypto, verify: Verify): State => ({
  config,
  crypto,
  verify,
  publicKey: undefined,
  chain: undefined,
  height: 0,
  lanes: new Map(READ_TOPICS.map((topic) => [topic, laneOf(topic, config)])),
  pool: mempool({
    transactionsMax: config.poolTransactionsMax,
    bytesMax: config.poolBytesMax,
    severityStepMs: config.severityStepMs,
  }),
  nonces: nonces(config.noncesMax),
  pace: pace(config.admissionsPerSecondMax),
  letters: outbox(config.lettersMax),
  reports: outbox(config.reportsMax),
  unsigned: [],
  batches: new Map(),
  nextBatch: 1,
  peers: [],
  peerBusy: false,
  fresh: [],
  unforwarded: [],
  told: 0,
});

export const chainOf = (context: ChainContext, crypto: Crypto): Chain => ({
  context,
  roles: roleBook(context),
  committee: committeeOf(
    context.chainId,
    0,
    context.validators.map((one) => ({ ...one, publicKey: fromHex(one.publicKey) })),
    crypto,
  ),
  quotas: new Map(context.producers.map((one) => [one.publicKey, one.quotaPerMinute])),
});
