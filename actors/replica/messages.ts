/** What the replica actor hears, keeps and asks of its io: the types that its files share. */
import type { Committee } from '#proto/consensus/committee.ts';
import type { GenesisCertificate } from '#proto/consensus/genesis-ready.ts';
import type { Header } from '#proto/consensus/header.ts';
import type { Message } from '#proto/consensus/messages.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import type { Crypto, Sign } from '#proto/crypto.ts';
import type { Answered, Effects, MessagesTo } from '#runtime/actor.ts';
import type { executor } from '../executor/protocol.ts';
import type { ingest } from '../ingest/protocol.ts';
import type { Ceremony } from './ceremony.ts';
import type { ReplicaConfig } from './config.ts';
import type { BuildRequest, Seq, StoredBlock, TimerId } from './machine/events.ts';
import type { DurableRecord } from './machine/record.ts';
import type { State as Machine } from './machine/state.ts';
import type { replica } from './protocol.ts';

export type Incoming = MessagesTo<typeof replica>;
export type Status = Extract<Incoming, { kind: 'status' }>;

/** What io knows at the start; all but the committed head, which the executor knows. */
export type Opened = {
  readonly id: HashHex;
  readonly sign: Sign;
  readonly committee: Committee;
  readonly genesis: Header;
  readonly configHash: HashHex;
  /** Of an earlier start, verified; null before the ceremony is over. */
  readonly certificate: GenesisCertificate | null;
  readonly acceptanceSkewMs: number;
  readonly blockTxMax: number;
  readonly blockBytesMax: number;
  readonly durable: DurableRecord | null;
  readonly blocks: readonly StoredBlock[];
};

export type Self =
  | Incoming
  | ({ readonly kind: 'opened' } & Opened)
  | { readonly kind: 'headKnown'; readonly result: Answered<typeof executor, 'head'> }
  | { readonly kind: 'headRead'; readonly result: Answered<typeof executor, 'read'> }
  | { readonly kind: 'askHead' }
  | { readonly kind: 'heard'; readonly from: HashHex; readonly message: Message }
  | { readonly kind: 'peer'; readonly id: HashHex; readonly connected: boolean }
  | { readonly kind: 'persisted'; readonly seq: Seq }
  | { readonly kind: 'ceremonyTick' }
  | { readonly kind: 'certificateKept' }
  | { readonly kind: 'timer'; readonly id: TimerId; readonly view: number }
  | {
      readonly kind: 'taken';
      readonly build: BuildRequest;
      readonly result: Answered<typeof ingest, 'take'>;
    }
  | {
      readonly kind: 'built';
      readonly request: number;
      readonly result: Answered<typeof executor, 'build'>;
    }
  | {
      readonly kind: 'executed';
      readonly hash: HashHex;
      readonly result: Answered<typeof executor, 'execute'>;
    }
  | {
      readonly kind: 'committed';
      readonly hash: HashHex;
      readonly result: Answered<typeof executor, 'commit'>;
    }
  | {
      readonly kind: 'served';
      readonly to: HashHex;
      readonly fromHeight: number;
      readonly blocksMax: number;
      readonly result: Answered<typeof executor, 'read'>;
    }
  | { readonly kind: 'toForward'; readonly result: Answered<typeof ingest, 'take'> };

export type Commands = {
  load: null;
  persist: {
    readonly seq: Seq;
    readonly record: DurableRecord;
    readonly block: StoredBlock | null;
  };
  keepCertificate: GenesisCertificate;
  /** `to` null: every peer. */
  send: { readonly to: HashHex | null; readonly frame: Uint8Array };
};

/** A frame that must not leave before its record is durable. */
export type Held = { readonly after: Seq; readonly to: HashHex | null; readonly frame: Uint8Array };

export type State = {
  readonly config: ReplicaConfig;
  readonly crypto: Crypto;
  opened: Opened | undefined;
  ceremony: Ceremony | undefined;
  machine: Machine | undefined;
  durableSeq: Seq;
  readonly held: Held[];
  readonly connected: Set<HashHex>;
  /** Own proposals on their way: block hash to when it was sent, for the commit latency. */
  readonly proposed: Map<HashHex, number>;
  pendingCount: number;
};

export type Fx = Effects<Self, Commands>;
