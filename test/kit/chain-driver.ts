/** Drives an executor host as a replica would: builds, executes, commits. */
import { crypto } from '#native/crypto.ts';
import { fromHex } from '#proto/bytes.ts';
import { type Block, decodeBlock } from '#proto/consensus/block.ts';
import { blockHash, type Header } from '#proto/consensus/header.ts';
import { leaderOf } from '#proto/consensus/leader.ts';
import { encodeTransactions, type Transaction } from '#proto/consensus/transaction.ts';
import { genesisCommittee } from '#proto/genesis.ts';
import { anchorBytes } from './chain.ts';
import { GENESIS_TIME_MS, testGenesis } from './chain-genesis.ts';
import type { Answer, ExecutorHost } from './executor-host.ts';

const committee = genesisCommittee(testGenesis(), crypto);

export type Parent = {
  readonly hash: Uint8Array;
  readonly header: Pick<Header, 'height' | 'view' | 'timeMs'>;
};

export const headOf = (host: ExecutorHost) =>
  host.ask({ kind: 'head' }) as { height: number; hash: Uint8Array; stateRoot: Uint8Array };

export const genesisParent = (host: ExecutorHost): Parent => ({
  hash: headOf(host).hash,
  header: { height: 0, view: 0, timeMs: GENESIS_TIME_MS },
});

/** `skip` views are left out between the parent and the block. */
export const build = (
  host: ExecutorHost,
  parent: Parent,
  txs: readonly Transaction[],
  skip = 0,
  afterMs = 1000,
): Answer => {
  const view = parent.header.view + 1 + skip;
  const answer = host.ask({
    kind: 'build',
    parentHash: parent.hash,
    height: parent.header.height + 1,
    view,
    parentView: parent.header.view,
    epoch: 0,
    timeMs: parent.header.timeMs + afterMs,
    proposer: fromHex(leaderOf(committee, view)),
    candidates: encodeTransactions(txs),
  });
  if (answer === undefined) throw new Error('no answer');
  return answer;
};

export const blockIn = (answer: Answer): Block => {
  const block = decodeBlock(answer.block as Uint8Array);
  if (!block.ok) throw new Error(`${answer.reason}`);
  return block.value;
};

export const parentIn = (answer: Answer): Parent => {
  const { header } = blockIn(answer);
  return { hash: fromHex(blockHash(header, crypto)), header };
};

export const execute = (host: ExecutorHost, answer: Answer) =>
  host.ask({ kind: 'execute', hash: parentIn(answer).hash, block: answer.block });

/** Two blocks of consecutive views commit the first. */
export const commit = (host: ExecutorHost, first: Answer, second: Answer) =>
  host.ask({
    kind: 'commit',
    hash: parentIn(first).hash,
    proof: anchorBytes(blockIn(first).header, blockIn(second).header),
  });
