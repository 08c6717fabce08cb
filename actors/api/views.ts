/**
 * The bodies of the API, one type a resource. Times are Unix milliseconds, hashes, keys and ids lower-case hex,
 * `base64` is RFC 4648 with padding.
 */

import type { Json, JsonObject } from '#proto/json.ts';
import type { TreeNode } from '#runtime/actor.ts';
import type { Stage } from '#runtime/metrics/snapshot.ts';

/** Canonical CBOR in text. */
export type Cbor = { readonly encoding: 'cbor'; readonly base64: string };

export type HealthView = { readonly status: 'ok'; readonly node: string };
/** `height` is null on a node without a chain. */
export type ReadyView = { readonly ready: true; readonly height: number | null };

/** A committed block in a list. */
export type BlockSummary = {
  readonly height: number;
  readonly hash: string;
  readonly view: number;
  readonly proposerId: string;
  readonly timeMs: number;
  readonly txCount: number;
  readonly payloadBytes: number;
  readonly stateRoot: string;
};

export type BlockPage = {
  /** Ascending by height. */
  readonly blocks: readonly BlockSummary[];
  /** Height of the newest committed block. */
  readonly head: number;
  /** Path of the next page; null at the head. */
  readonly next: string | null;
};

export type HeaderView = {
  readonly version: number;
  readonly chainId: string;
  readonly epoch: number;
  readonly height: number;
  readonly view: number;
  readonly parentHash: string;
  readonly parentView: number;
  readonly txRoot: string;
  readonly stateRoot: string;
  readonly proposerId: string;
  readonly timeMs: number;
  readonly txCount: number;
  readonly payloadBytes: number;
};

/** Why a block is final: [header b0, QC b0, header b1, QC b1], proto/consensus/anchor.ts. */
export type AnchorView = Cbor & {
  /** The anchor is this block or a descendant of it. */
  readonly anchorHeight: number;
  readonly anchorHash: string;
  /** Ids of the validators whose signatures certify the anchor. */
  readonly signers: readonly string[];
};

export type BlockView = {
  readonly hash: string;
  readonly header: HeaderView;
  /** In block order; their ids give the header's `txRoot`. */
  readonly transactions: readonly {
    readonly id: string;
    readonly kind: string;
    readonly bytes: number;
  }[];
  /** What became of each transaction, in block order. */
  readonly receipts: readonly {
    readonly txId: string;
    /** Id of the anomaly, evidence or policy. */
    readonly id: string;
    readonly status: string;
    /** The policy that came of it, or ''. */
    readonly policyId: string;
    /** Why it derived no policy, or ''. */
    readonly suppressed: string;
  }[];
  readonly policies: readonly string[];
  readonly proof: AnchorView;
};

export type RootView = {
  readonly height: number;
  readonly blockHash: string;
  readonly root: string;
  /** null at genesis, which nobody signs. */
  readonly proof: AnchorView | null;
};

/** A Merkle proof as proto/merkle.ts verifies it: an empty sibling is an empty subtree. */
export type MerkleView = {
  readonly siblings: readonly string[];
  readonly other: { readonly path: string; readonly valueHash: string } | null;
};

export type StateView = {
  readonly key: string;
  readonly height: number;
  readonly root: string;
  /** null where the bytes are no JSON. */
  readonly value: Json;
  /** The very bytes that the proof speaks of. */
  readonly valueHex: string;
  readonly proof: MerkleView;
};

export type ValidatorView = {
  readonly id: string;
  readonly name: string;
  readonly publicKey: string;
  readonly weight: number;
  readonly reputation: number;
  /** Blocks of this validator in the chain, and those among them that have a successor. */
  readonly proposed: number;
  readonly committed: number;
  /** Leads the view that the asked validator is in. */
  readonly leader: boolean;
  /** Whether the asked validator is connected to it. */
  readonly connected: boolean;
};

export type ValidatorList = {
  /** Of the state that the figures come from. */
  readonly height: number;
  readonly view: number;
  readonly validators: readonly ValidatorView[];
};

export type AnomalyList = {
  /** Newest first: AnomalyView of the feedback actor. */
  readonly anomalies: readonly Json[];
  /** How many match, pages before and after included. */
  readonly total: number;
  readonly next: string | null;
};

/** One entry of `AnomalyList.anomalies`. */
export type AnomalyDetail = JsonObject;

export type PolicyView = {
  readonly id: string;
  /** `rule_type` of the rule. */
  readonly type: string;
  readonly action: string;
  readonly targets: readonly string[];
  readonly ttlS: number;
  /** In force by the chain: not removed and not expired. */
  readonly active: boolean;
  readonly status: string;
  readonly offence: number;
  /** The anomaly that it answers, or ''. */
  readonly anomaly: string;
  readonly height: number;
  readonly committedMs: number;
  readonly expiresMs: number;
  /** What the enforcement agent of this node made of it; null where it does not know it. */
  readonly enforcement: Json;
};

export type PolicyList = {
  /** Of the state that the list is confirmed by. */
  readonly height: number;
  /** Newest first. */
  readonly policies: readonly PolicyView[];
  /** How many policies are in force by the state's totals. */
  readonly activeInState: number;
};

export type PolicyDetail = PolicyView & {
  /** The rule, byte for byte as it was agreed on. */
  readonly rule: string;
  readonly proof: {
    readonly key: string;
    readonly valueHex: string;
    readonly merkle: MerkleView;
    readonly anchor: AnchorView;
    /** All of it as one CommitProof, proto/commit-proof.ts: verifiable offline with the genesis file. */
    readonly commitProof: Cbor;
  };
};

export type ReplicaView = {
  readonly name: string;
  readonly height: number;
  readonly view: number;
  readonly highQcView: number;
  readonly viewChanges: number;
  readonly peers: number;
  readonly halted: boolean;
  /** `agreed`, or how far the ceremony is, with the validators that are refused and why. */
  readonly genesis: string;
};

export type ConsensusView = {
  readonly height: number;
  readonly view: number;
  readonly leader: string;
  readonly committee: readonly {
    readonly id: string;
    readonly name: string;
    readonly weight: number;
    readonly leader: boolean;
    readonly connected: boolean;
  }[];
  readonly totalWeight: number;
  readonly quorumWeight: number;
  /** Validators of this node that answered. */
  readonly replicas: readonly ReplicaView[];
  readonly silent: readonly string[];
};

export type NoticeView = {
  readonly atMs: number;
  readonly path: string;
  readonly topic: string;
  readonly text: string;
};

export type Stages = { readonly [S in Stage]: number };

/** How far SQL is behind the chain, in blocks. */
export type ProjectionView = {
  readonly height: number;
  readonly lag: number;
  readonly connected: boolean;
};

/** One answer for a dashboard. A part whose actor did not answer is null and named in `missing`. */
export type OverviewView = {
  readonly atMs: number;
  readonly node: string;
  /** What passed each stage of the pipeline since the start. */
  readonly stages: Stages;
  readonly restarts: number;
  readonly height: number | null;
  readonly stateRoot: string | null;
  readonly blocks: readonly BlockSummary[] | null;
  readonly consensus: ConsensusView | null;
  readonly policies: readonly Json[] | null;
  readonly enforcement: Json;
  readonly feedback: Json;
  readonly projection: ProjectionView | null;
  readonly notices: readonly NoticeView[];
  readonly missing: readonly string[];
};

/** Of the agents of this node; nothing of it is about other nodes. */
export type KillSwitchView = {
  readonly engaged: boolean;
  /** `panic` (command line or API) or `kill-switch` (topology). */
  readonly code: string | null;
  readonly reason: string | null;
  readonly by: string | null;
  readonly sinceMs: number | null;
  /** null: until somebody ends it. */
  readonly untilMs: number | null;
  readonly backend: string;
  /** In force of what is committed, 0..1. */
  readonly coverage: number;
};

export type View =
  | KillSwitchView
  | ReadyView
  | BlockPage
  | BlockView
  | RootView
  | StateView
  | ValidatorView
  | ValidatorList
  | AnomalyList
  | AnomalyDetail
  | PolicyList
  | PolicyDetail
  | ConsensusView
  | OverviewView;

export type TreeView = TreeNode;
