/** A chain that a real executor has committed, block by block, in a folder of its own. */
import { crypto } from '#native/crypto.ts';
import { fromHex } from '#proto/bytes.ts';
import { type Block, decodeBlock, encodeBlock } from '#proto/consensus/block.ts';
import { blockHash, type Header } from '#proto/consensus/header.ts';
import { leaderOf } from '#proto/consensus/leader.ts';
import {
  encodeTransactions,
  payloadBytesOf,
  type Transaction,
  txRootOf,
} from '#proto/consensus/transaction.ts';
import { type Genesis, genesisCommittee } from '#proto/genesis.ts';
import { anchorBytes } from './chain.ts';
import { type ExecutorHost, executorHost, freshFolder } from './executor-host.ts';

type Parent = Pick<Header, 'height' | 'view' | 'timeMs'> & { readonly hash: Uint8Array };

export type CommittedChain = {
  readonly host: ExecutorHost;
  readonly genesis: Genesis;
  /** The encoded list of `CommittedBlock` from this height on, as the executor answers `read`. */
  readonly read: (fromHeight: number, maxBlocks?: number) => Uint8Array;
  /** Commits one more block; `repeated` is what a leader adds that no honest one would: known messages. */
  readonly grow: (txs: readonly Transaction[], repeated?: readonly Transaction[]) => Block;
};

const build = (
  host: ExecutorHost,
  genesis: Genesis,
  parent: Parent,
  txs: readonly Transaction[],
) => {
  const view = parent.view + 1;
  const answer = host.ask({
    kind: 'build',
    parentHash: parent.hash,
    height: parent.height + 1,
    view,
    parentView: parent.view,
    epoch: 0,
    timeMs: parent.timeMs + 1000,
    proposer: fromHex(leaderOf(genesisCommittee(genesis, crypto), view)),
    candidates: encodeTransactions(txs),
  } as never);
  const block = decodeBlock(answer?.block as Uint8Array);
  if (!block.ok) throw new Error(`the block is not built: ${answer?.reason}`);
  return block.value;
};

/** The same block with more transactions, which must change nothing in the state. */
const withRepeated = (host: ExecutorHost, block: Block, more: readonly Transaction[]): Block => {
  if (more.length === 0) return block;
  const txs = [...block.txs, ...more];
  const txRoot = txRootOf(txs, crypto);
  const sizes = { txCount: txs.length, payloadBytes: payloadBytesOf(txs) };
  const repeated = { header: { ...block.header, ...sizes, txRoot }, txs };
  const hash = fromHex(blockHash(repeated.header, crypto));
  const done = host.ask({ kind: 'execute', hash, block: encodeBlock(repeated) } as never);
  if (done?.ok !== true) throw new Error(`the block is refused: ${done?.reason}`);
  return repeated;
};

/** Commits one block for each list of transactions. Close the host at the end. */
export const committedChain = async (
  genesis: Genesis,
  blocks: readonly (readonly Transaction[])[],
  folder = freshFolder(),
): Promise<CommittedChain> => {
  const host = await executorHost(folder, genesis);
  const head = host.ask({ kind: 'head' }) as { readonly hash: Uint8Array };
  let parent: Parent = { height: 0, view: 0, timeMs: genesis.timeMs, hash: head.hash };
  const grow: CommittedChain['grow'] = (txs, repeated = []) => {
    const block = withRepeated(host, build(host, genesis, parent, txs), repeated);
    const hash = fromHex(blockHash(block.header, crypto));
    parent = { ...block.header, hash };
    const next = build(host, genesis, parent, []);
    const proof = anchorBytes(block.header, next.header);
    const done = host.ask({ kind: 'commit', hash, proof } as never);
    if (done?.ok !== true) throw new Error(`the block is not committed: ${done?.reason}`);
    return block;
  };
  for (const txs of blocks) grow(txs);
  const read = (fromHeight: number, maxBlocks = 1000): Uint8Array => {
    const limits = { maxBlocks, maxBytes: 8 << 20, waitMs: 0 };
    return host.ask({ kind: 'read', fromHeight, ...limits } as never)?.blocks as Uint8Array;
  };
  return { host, genesis, read, grow };
};
