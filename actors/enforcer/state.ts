/** What the agent's core keeps, hears and asks of the world. */
import type { Committee } from '#proto/consensus/committee.ts';
import type { Crypto, KeyPair } from '#proto/crypto.ts';
import type { Genesis } from '#proto/genesis.ts';
import type { Result } from '#proto/result.ts';
import type { Answered, Effects, MessagesTo } from '#runtime/actor.ts';
import type { bus } from '#runtime/bus/protocol.ts';
import type { Subscription } from '#runtime/bus/subscription.ts';
import type { Ack, Outbox, Signer } from './acks.ts';
import type { Admission } from './admissions.ts';
import type { Applied, Brake, Census, Fault } from './backend.ts';
import type { Believe, Believed, Refusal } from './belief.ts';
import type { EnforcerConfig } from './config.ts';
import type { CutOff, Surroundings } from './neighbourhood.ts';
import type { Pace } from './pace.ts';
import type { enforcer } from './protocol.ts';
import type { Reconciled } from './reconciling.ts';
import type { Entry, Registry } from './registry.ts';
import type { Trusted } from './verdict.ts';

export type Place = { readonly partition: number; readonly offset: number };

/** What is proven of the messages of one fetch, in their order. */
export type Beliefs = readonly Result<Believed, Refusal>[];

/** One fetch of the bus that is not judged yet. */
export type Heard = {
  readonly id: number;
  readonly places: readonly Place[];
  /** undefined while the pool is at it. */
  beliefs: Beliefs | undefined;
  /** When the agent heard of it, Unix ms. */
  readonly sinceMs: number;
  /** In which what comes of it goes on; undefined: in that of its step. */
  readonly trace: string | undefined;
};

/** What one fetch, or the clock, asks of the backend. */
export type Batch = {
  readonly apply: readonly Entry[];
  readonly remove: readonly Entry[];
  /** In force already, on a newer proof. */
  readonly renewed: readonly Entry[];
  /** Beyond the caps; `refused` says why. */
  readonly held: readonly Entry[];
  readonly refused: readonly Refusal[];
  /** Of those in `apply` that are new in force here. */
  readonly admitted: readonly Admission[];
  readonly places: readonly Place[];
  /** When the agent heard of it, Unix ms. */
  readonly sinceMs: number;
};

/** What came of a hand on the brake. */
export type Handled = {
  readonly replyTo: MessagesOf<'brake'>['replyTo'];
  readonly outcome: 'done' | 'failed' | 'in-topology';
  /** Why not, in a sentence; '' when done. */
  readonly text: string;
};

export type Pull = {
  readonly lastsMs: number;
  readonly by: string;
  readonly reason: string;
  readonly replyTo: Handled['replyTo'];
};

type MessagesOf<K extends MessagesTo<typeof enforcer>['kind']> = Extract<
  MessagesTo<typeof enforcer>,
  { kind: K }
>;

export type Self =
  | MessagesTo<typeof enforcer>
  | {
      readonly kind: 'opened';
      readonly genesis: Genesis;
      readonly committee: Committee;
      readonly pair: KeyPair;
      readonly entries: readonly Entry[];
      readonly acks: readonly Ack[];
      /** Oldest first. */
      readonly admitted: readonly Admission[];
      readonly around: Surroundings;
    }
  | { readonly kind: 'fetched'; readonly result: Answered<typeof bus, 'fetch'> }
  | { readonly kind: 'believed'; readonly id: number; readonly beliefs: Beliefs }
  | { readonly kind: 'poll' }
  | { readonly kind: 'enforced'; readonly batch: Batch; readonly outcomes: readonly Applied[] }
  | { readonly kind: 'saved'; readonly places: readonly Place[]; readonly acks: readonly Ack[] }
  | { readonly kind: 'tick' }
  | { readonly kind: 'reconcile' }
  | {
      readonly kind: 'reconciled';
      readonly desired: readonly Entry[];
      readonly found: Reconciled;
    }
  /** The brake was pulled, or released: then `why` is undefined. */
  | { readonly kind: 'braked'; readonly why: Brake | undefined }
  | ({ readonly kind: 'handled' } & Handled)
  /** Who has approved which policies, by their ids. */
  | { readonly kind: 'approved'; readonly by: ReadonlyMap<string, string> }
  | { readonly kind: 'survey' }
  | { readonly kind: 'surveyed'; readonly around: Surroundings }
  | {
      readonly kind: 'published';
      readonly id: string;
      readonly result: Answered<typeof bus, 'publish'>;
    }
  | { readonly kind: 'send' };

export type Commands = {
  open: null;
  /** What is proven of many messages. */
  believe: { readonly id: number; readonly values: readonly Uint8Array[] };
  enforce: Batch;
  save: {
    readonly entries: readonly Entry[];
    readonly acks: readonly Ack[];
    readonly forgotten: readonly string[];
    readonly admitted: readonly Admission[];
    readonly places: readonly Place[];
  };
  acked: { readonly id: string };
  /** Everything that is to be in force, written whole, before anything else. */
  restore: readonly Entry[];
  /** Everything that is to be in force: the backend is made equal to it. */
  reconcile: readonly Entry[];
  pull: Pull;
  release: { readonly by: string; readonly replyTo: Handled['replyTo'] };
  /** Looks whether the brake is pulled, and what was approved. */
  look: null;
  survey: null;
};

export type State = {
  readonly config: EnforcerConfig;
  readonly crypto: Crypto;
  readonly updates: Subscription;
  /** Fetched and not judged, oldest first. */
  readonly heard: Heard[];
  heardCount: number;
  /** The policies of each batch that was judged and is not durable yet, oldest first. */
  readonly inHand: ReadonlySet<string>[];
  /** Peers that policies in force cut off; undefined when that must be counted anew. */
  cut: CutOff | undefined;
  registry: Registry;
  pace: Pace;
  outbox: Outbox;
  trusted: Trusted | undefined;
  believe: Believe | undefined;
  signer: Signer | undefined;
  around: Surroundings;
  /** In force of what is committed, 0..1, as the backend said last. */
  coverage: number;
  packets: Census['packets'];
  /** Why nothing is enforced. */
  brake: Brake | undefined;
  approved: ReadonlyMap<string, string>;
  /** Why the backend could not be read last; undefined when it could. */
  fault: Fault | undefined;
  /** When the last comparison was asked for, Unix ms, and how long it took with what stood before it. */
  comparedAtMs: number;
  comparingMs: number;
  /** A comparison is due because something was written. */
  readBackDue: boolean;
  /** The last comparison repaired something; another one soon says whether it holds, once in a row. */
  repaired: boolean;
  draining: boolean;
};

export type Fx = Effects<Self, Commands>;
