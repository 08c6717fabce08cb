/** An executor as the machine sees it: forks in memory, a durable chain, state roots that depend on every transaction. */

import type { BuildRequest, IdentifiedBlock, Outcome } from '#actors/replica/machine/events.ts';
import type { CommittedWithProof } from '#actors/replica/machine/sync-reply.ts';
import { concat, hex } from '#proto/bytes.ts';
import type { AnchorProof } from '#proto/consensus/anchor.ts';
import type { Block } from '#proto/consensus/block.ts';
import { blockHash, HEADER_VERSION, type Header, ZERO_HASH } from '#proto/consensus/header.ts';
import { type HashHex, hashBytes } from '#proto/consensus/shape.ts';
import {
  payloadBytesOf,
  type Transaction,
  txId,
  txIdBytes,
  txRootOf,
} from '#proto/consensus/transaction.ts';
import { simulatedCrypto as crypto } from './signatures.ts';

/** What one transaction costs to hash, once for all replicas. */
const ids = new WeakMap<Transaction, HashHex>();
export const idOf = (tx: Transaction): HashHex => {
  const known = ids.get(tx);
  if (known !== undefined) return known;
  const id = txId(tx, crypto);
  ids.set(tx, id);
  return id;
};

const rootAfter = (root: HashHex, txs: readonly Transaction[]): HashHex => {
  if (txs.length === 0) return root;
  return hex(crypto.sha256(concat(hashBytes(root), ...txs.map((tx) => txIdBytes(tx, crypto)))));
};

type Executed = { readonly block: Block; readonly root: HashHex };

export type Ledger = {
  /** Survives a crash. */
  readonly chain: CommittedWithProof[];
  readonly included: Set<HashHex>;
  /** Does not. */
  readonly forks: Map<HashHex, Executed>;
  readonly genesis: Header;
};

export const ledger = (genesis: Header): Ledger => ({
  chain: [],
  included: new Set(),
  forks: new Map(),
  genesis,
});

export const headOf = (own: Ledger): Header => own.chain.at(-1)?.block.header ?? own.genesis;

const rootOn = (own: Ledger, parentHash: HashHex): HashHex | undefined => {
  const head = headOf(own);
  if (blockHash(head, crypto) === parentHash) return head.stateRoot;
  return own.forks.get(parentHash)?.root;
};

const branchHolds = (own: Ledger, parentHash: HashHex, id: HashHex): boolean => {
  if (own.included.has(id)) return true;
  let at: HashHex = parentHash;
  for (let fork = own.forks.get(at); fork !== undefined; fork = own.forks.get(at)) {
    if (fork.block.txs.some((tx) => idOf(tx) === id)) return true;
    at = fork.block.header.parentHash;
  }
  return false;
};

export const build = (
  own: Ledger,
  request: BuildRequest,
  candidates: readonly Transaction[],
  chainId: string,
): Block | null => {
  const root = rootOn(own, request.parentHash);
  if (root === undefined) return null;
  const txs = candidates.filter((tx) => !branchHolds(own, request.parentHash, idOf(tx)));
  const block: Block = {
    header: {
      version: HEADER_VERSION,
      chainId,
      epoch: request.epoch,
      height: request.height,
      view: request.view,
      parentHash: request.parentHash,
      parentView: request.parentView,
      txRoot: txRootOf(txs, crypto),
      stateRoot: rootAfter(root, txs),
      proposerId: request.proposerId,
      timeMs: request.timeMs,
      txCount: txs.length,
      payloadBytes: payloadBytesOf(txs),
    },
    txs,
  };
  own.forks.set(blockHash(block.header, crypto), { block, root: block.header.stateRoot });
  return block;
};

/** As the executor does: a parent that it does not know (any more) is no judgement. */
export const execute = (
  own: Ledger,
  hash: HashHex,
  block: Block,
): { readonly outcome: Outcome; readonly root: HashHex } => {
  const parentRoot = rootOn(own, block.header.parentHash);
  if (parentRoot === undefined) return { outcome: 'unavailable', root: ZERO_HASH };
  const root = rootAfter(parentRoot, block.txs);
  const repeated = block.txs.some((tx) => branchHolds(own, block.header.parentHash, idOf(tx)));
  if (repeated || root !== block.header.stateRoot) return { outcome: 'invalid', root };
  own.forks.set(hash, { block, root });
  return { outcome: 'ok', root };
};

export const commit = (
  own: Ledger,
  { hash, block }: IdentifiedBlock,
  proof: AnchorProof,
): Outcome => {
  const done = own.chain[block.header.height - 1]?.block.header;
  if (done !== undefined) return blockHash(done, crypto) === hash ? 'ok' : 'invalid';
  if (!own.forks.has(hash)) return 'unavailable';
  if (blockHash(headOf(own), crypto) !== block.header.parentHash) return 'invalid';
  own.chain.push({ block, proof });
  for (const tx of block.txs) own.included.add(idOf(tx));
  own.forks.delete(hash);
  for (const [other, fork] of own.forks) {
    if (fork.block.header.height <= block.header.height) own.forks.delete(other);
  }
  return 'ok';
};
