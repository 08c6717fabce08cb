/** The executor's state once its store has been read, and the commands of that store. */
import type { Header } from '#proto/consensus/header.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import type { Change } from '#proto/merkle.ts';
import type { MessagesTo } from '#runtime/actor.ts';
import type { ExecutorConfig } from './config.ts';
import type { Ledger } from './ledger.ts';
import type { executor } from './protocol.ts';
import type { Version } from './version.ts';

export type Ask<K extends MessagesTo<typeof executor>['kind']> = Extract<
  MessagesTo<typeof executor>,
  { kind: K }
>;

/** A read that the store carries out. */
export type ReadJob = {
  readonly fromHeight: number;
  readonly maxBlocks: number;
  readonly maxBytes: number;
  readonly replyTo: Ask<'read'>['replyTo'];
};

/** One block with all that a restart needs of it. */
export type BlockRow = {
  readonly height: number;
  readonly hash: HashHex;
  readonly header: Uint8Array;
  /** Encoded CommittedBlock. */
  readonly committed: Uint8Array;
  readonly proof: Uint8Array;
  readonly changes: readonly Change[];
  readonly undo: readonly Change[];
};

export type Commands = {
  load: Record<never, never>;
  /** Writes the state of a chain that has not begun. */
  begin: { readonly header: Header; readonly changes: readonly Change[] };
  /** One transaction; delivers `appended` when it is on disk. Undo rows below the horizon go. */
  append: { readonly blocks: readonly BlockRow[]; readonly horizonBlocks: number };
  read: ReadJob;
};

/** Commits whose blocks are on their way to the disk, with everybody who waits for them. */
export type Storing = {
  readonly line: readonly Version[];
  readonly proof: Uint8Array;
  readonly waiting: Ask<'commit'>[];
};

export type Chain = {
  readonly config: ExecutorConfig;
  readonly ledger: Ledger;
  /** The head and every executed block above it. */
  readonly executed: Map<HashHex, Version>;
  /** Transactions whose signatures need no second look; in order of arrival. */
  readonly verified: Set<HashHex>;
  storing: Storing | undefined;
  /** Commits that arrived while others are being stored. */
  commits: Ask<'commit'>[];
  /** Long polls that wait for the next block. */
  readonly reads: Map<number, ReadJob>;
  nextRead: number;
};
