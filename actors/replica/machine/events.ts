/** What the consensus machine hears and says: plain data on both sides. `machine.ts` says who owes what to whom. */
import type { AnchorProof } from '#proto/consensus/anchor.ts';
import type { Block } from '#proto/consensus/block.ts';
import type { Qc } from '#proto/consensus/certificate.ts';
import type { Committee } from '#proto/consensus/committee.ts';
import type { Evidence } from '#proto/consensus/evidence.ts';
import type { Header } from '#proto/consensus/header.ts';
import type { Message } from '#proto/consensus/messages.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import type { Transaction } from '#proto/consensus/transaction.ts';
import type { Crypto, Sign } from '#proto/crypto.ts';
import type { DurableRecord } from './record.ts';

/** Counts persists from 1, ascending by 1. */
export type Seq = number;

export type TimerId = 'view' | 'fetch' | 'heartbeat';

/** A block with the QC of its parent: what a replica needs to go on from it. */
export type StoredBlock = { readonly block: Block; readonly qc: Qc };

/** What is known when the replica comes up. `durable` is null only on the first start with this key. */
export type Start = {
  readonly kind: 'start';
  readonly durable: DurableRecord | null;
  /** All that was stored with `persist`, in any order; those at or below the head are ignored. */
  readonly blocks: readonly StoredBlock[];
  /** Of the executor's committed head; at height 0 the genesis header. */
  readonly head: Header;
  /** The proof that the head was committed with; null at height 0. */
  readonly proof: AnchorProof | null;
};

/**
 * What a neighbour says of a piece of work. invalid: it is wrong, for good. unavailable: no judgement (a deadline, a full
 * queue, an executor that has restarted or dropped the fork); everything executed is asked for again.
 */
export type Outcome = 'ok' | 'invalid' | 'unavailable';

export type Event =
  | Start
  /** `from` is the validator whose authenticated channel it came by. */
  | { readonly kind: 'message'; readonly from: HashHex; readonly message: Message }
  | { readonly kind: 'timer'; readonly id: TimerId; readonly view: number }
  /** All records up to seq are on disk. */
  | { readonly kind: 'persisted'; readonly seq: Seq }
  /** How many admitted transactions the mempool holds that no committed block includes; 0 clears it. */
  | { readonly kind: 'txs-ready'; readonly count: number }
  | {
      readonly kind: 'built';
      readonly request: number;
      /** Executed already, on its parent. Null: `reason` says why not. */
      readonly block: Block | null;
      readonly reason: string;
    }
  | {
      readonly kind: 'executed';
      readonly hash: HashHex;
      readonly outcome: Outcome;
      readonly stateRoot: HashHex;
      readonly reason: string;
    }
  /** ok: this block and all before it are durable. invalid: the executor never will commit it. */
  | {
      readonly kind: 'committed';
      readonly hash: HashHex;
      readonly outcome: Outcome;
      readonly reason: string;
    };

/** A block to be built and executed on `parent`. Of an empty mempool it is an empty block. */
export type BuildRequest = {
  readonly request: number;
  readonly parentHash: HashHex;
  readonly parentView: number;
  readonly height: number;
  readonly view: number;
  readonly epoch: number;
  readonly timeMs: number;
  readonly proposerId: HashHex;
};

export type IdentifiedBlock = { readonly hash: HashHex; readonly block: Block };

/** What happened, for metrics and logs. Nothing depends on it. */
export type Note =
  | { readonly name: 'proposed' | 'voted'; readonly hash: HashHex; readonly view: number }
  | { readonly name: 'qc-formed' | 'view-change' | 'timed-out'; readonly view: number }
  | {
      readonly name: 'committed';
      readonly hash: HashHex;
      readonly height: number;
      readonly view: number;
      readonly txCount: number;
    }
  /** A proposal that gets no vote from here, and why. */
  | { readonly name: 'not-voted'; readonly hash: HashHex; readonly reason: string }
  | { readonly name: 'not-built'; readonly view: number; readonly reason: string }
  | { readonly name: 'suspected' | 'heard-again'; readonly peer: HashHex }
  | { readonly name: 'rejected'; readonly from: HashHex; readonly reason: string };

export type Effect =
  /** Stores block (if any), then record, atomically and fsynced; answered by `persisted`. */
  | {
      readonly kind: 'persist';
      readonly seq: Seq;
      readonly record: DurableRecord;
      readonly block: StoredBlock | null;
    }
  /** With `after`: not before persisted(after) was reported. */
  | {
      readonly kind: 'send';
      readonly to: HashHex;
      readonly message: Message;
      readonly after?: Seq;
    }
  | { readonly kind: 'broadcast'; readonly message: Message; readonly after?: Seq }
  /** Replaces a timer of the same id. */
  | {
      readonly kind: 'set-timer';
      readonly id: TimerId;
      readonly delayMs: number;
      readonly view: number;
    }
  | { readonly kind: 'cancel-timer'; readonly id: TimerId }
  | { readonly kind: 'request-block'; readonly build: BuildRequest }
  | { readonly kind: 'execute'; readonly hash: HashHex; readonly block: Block }
  /**
   * Oldest first; answered by `committed` for each, or for the last alone. The proof anchors the last of them or a
   * descendant. After a failure they are executed and committed again: harmless where it was done.
   */
  | {
      readonly kind: 'commit';
      readonly blocks: readonly IdentifiedBlock[];
      readonly proof: AnchorProof;
    }
  /** Answer the peer from the committed chain: see `sync-reply.ts`. */
  | {
      readonly kind: 'serve-sync';
      readonly to: HashHex;
      readonly fromHeight: number;
      readonly blocksMax: number;
    }
  /** Send the mempool's pending transactions to all peers again. */
  | { readonly kind: 'forward-pending' }
  /** A peer's transactions, unverified: for the mempool. */
  | {
      readonly kind: 'forwarded';
      readonly from: HashHex;
      readonly txs: readonly Transaction[];
    }
  /** Answer with `txs-ready`: blocks were committed, the count is out of date. */
  | { readonly kind: 'count-pending' }
  /** Verified misbehaviour, once for each case: for the mempool, as a transaction of kind misbehaviour. */
  | { readonly kind: 'evidence'; readonly offender: HashHex; readonly evidence: Evidence }
  /** The last effect ever: an invariant is broken. The replica stays down and says why. */
  | { readonly kind: 'halt'; readonly reason: string }
  | { readonly kind: 'note'; readonly note: Note };

export type Emit = (effect: Effect) => void;

export type Limits = {
  readonly viewTimeoutStartMs: number;
  readonly viewTimeoutMinMs: number;
  readonly viewTimeoutMaxMs: number;
  readonly heartbeatMs: number;
  /** Heartbeats missed in a row before a peer is suspected. */
  readonly heartbeatsMissedMax: number;
  /** Before a request for missing blocks goes to another peer. */
  readonly fetchRetryMs: number;
  /** Header time against the local clock, both ways: beyond it, no vote. */
  readonly acceptanceSkewMs: number;
  /** Blocks asked for at once. 1..256. */
  readonly syncBlocksMax: number;
};

export const LIMITS: Limits = {
  viewTimeoutStartMs: 1_000,
  viewTimeoutMinMs: 500,
  viewTimeoutMaxMs: 30_000,
  heartbeatMs: 500,
  heartbeatsMissedMax: 6,
  fetchRetryMs: 400,
  acceptanceSkewMs: 5_000,
  syncBlocksMax: 48,
};

export type Params = {
  /** Must be of the committee. */
  readonly self: HashHex;
  readonly committee: Committee;
  readonly genesis: Header;
  readonly crypto: Crypto;
  readonly sign: Sign;
  readonly limits: Limits;
};
