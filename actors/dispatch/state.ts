/** What dispatch has read of the chain and not yet carried to the bus. */
import type { executor } from '#actors/executor/protocol.ts';
import type { Committee } from '#proto/consensus/committee.ts';
import type { Crypto } from '#proto/crypto.ts';
import type { CommitEvent } from '#proto/wire/commit.ts';
import type { PolicyUpdateEvent } from '#proto/wire/policy-update.ts';
import type { Answered, Effects } from '#runtime/actor.ts';
import type { bus } from '#runtime/bus/protocol.ts';
import type { Subscription } from '#runtime/bus/subscription.ts';
import type { DispatchConfig } from './config.ts';

/** What is on disk: everything up to `height` is out, and of what is above these jobs. */
export type Progress = { readonly height: number; readonly done: readonly string[] };

type Seal = 'producerId' | 'signature' | 'pubkey' | 'alg';
export type CommitNotice = Omit<CommitEvent, Seal>;
export type PolicyNotice = Omit<PolicyUpdateEvent, Seal>;
export type Notice =
  | { readonly kind: 'commit'; readonly message: CommitNotice }
  | { readonly kind: 'policy-update'; readonly message: PolicyNotice };

export type Self =
  | { readonly kind: 'opened'; readonly publicKey: Uint8Array; readonly progress: Progress }
  | { readonly kind: 'inform' }
  | { readonly kind: 'informed'; readonly result: Answered<typeof executor, 'context'> }
  | { readonly kind: 'readOn' }
  | { readonly kind: 'blocks'; readonly result: Answered<typeof executor, 'read'> }
  | { readonly kind: 'due'; readonly job: string }
  | {
      readonly kind: 'proven';
      readonly job: string;
      readonly anchor: Uint8Array;
      readonly result: Answered<typeof executor, 'state'>;
    }
  | {
      readonly kind: 'newest';
      readonly job: string;
      readonly result: Answered<typeof executor, 'head'>;
    }
  | { readonly kind: 'signed'; readonly job: string; readonly value: Uint8Array }
  | {
      readonly kind: 'published';
      readonly job: string;
      readonly result: Answered<typeof bus, 'publish'>;
    }
  | { readonly kind: 'publish'; readonly job: string }
  | { readonly kind: 'watch' }
  | { readonly kind: 'watched'; readonly result: Answered<typeof bus, 'fetch'> }
  | { readonly kind: 'save' };

export type Commands = {
  open: Record<never, never>;
  /** Signs with the validator's key; delivers `signed`. */
  sign: { readonly job: string; readonly notice: Notice };
  save: Progress;
};

export type Fx = Effects<Self, Commands>;

/** One message for the bus. */
export type Job = {
  /** `commit@<height>` or `<policy id>@<height>`: what consumers dedupe by. */
  readonly id: string;
  readonly height: number;
  readonly topic: string;
  /** Key of the record. */
  readonly key: string;
  /** Of a policy: its state key, the value that the block wrote, and the anchor proof of that block. */
  readonly policy?: {
    readonly id: string;
    readonly stateKey: string;
    readonly value: Uint8Array;
    readonly anchor: Uint8Array;
  };
  /** Signed and encoded; empty before. */
  value: Uint8Array;
};

export type State = {
  readonly config: DispatchConfig;
  readonly crypto: Crypto;
  publicKey: Uint8Array | undefined;
  /** This validator's id, hex. */
  ownId: string;
  committee: Committee | undefined;
  /** Everything up to here is out. */
  cursor: number;
  /** The newest block that was read. */
  readHeight: number;
  reading: boolean;
  readonly jobs: Map<string, Job>;
  /** Jobs that are not done, by height, ascending. */
  readonly open: Map<number, Set<string>>;
  /** Jobs above the cursor that are done; on disk with it. */
  readonly done: Set<string>;
  /** Policies of others that stood on the topic before our chain was there. */
  readonly seen: Set<string>;
  readonly sub: Subscription;
  dirty: boolean;
};
