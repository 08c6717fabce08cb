/**
 * A block on its parent's state: pure, integer, in header time. `build` leaves out what is invalid or known;
 * `execute` is fail-closed: one invalid transaction makes the whole block invalid, so nobody votes for it.
 */
import { hex } from '#proto/bytes.ts';
import { type Block, encodeBlock } from '#proto/consensus/block.ts';
import type { PolicyWrite, Receipt } from '#proto/consensus/committed.ts';
import { blockHash, HEADER_VERSION, type Header } from '#proto/consensus/header.ts';
import { type HashHex, hashBytes } from '#proto/consensus/shape.ts';
import { payloadBytesOf, type Transaction, txIdBytes } from '#proto/consensus/transaction.ts';
import { listRoot, rootOf, update } from '#proto/merkle.ts';
import { err, ok, type Result } from '#proto/result.ts';
import { validatorKey } from '#proto/state.ts';
import { type Due, dueOfBytes, dueOrder } from './agenda.ts';
import { sweep } from './housekeeping.ts';
import type { Rules } from './rules.ts';
import { accept, changesOf, must, reject, type Scratch, scratch, write } from './scratch.ts';
import { applyTransaction, type Item, type Site } from './transaction.ts';
import type { Branch, Version } from './version.ts';

/** What a leader decides about a block before its transactions. */
export type Draft = Pick<
  Header,
  'epoch' | 'height' | 'view' | 'parentHash' | 'parentView' | 'proposerId' | 'timeMs'
>;

export type Verified = (txId: HashHex) => boolean;

export type Built = {
  readonly version: Version;
  /** Candidates that no block may carry as things stand, with the code. */
  readonly refused: readonly { readonly txId: HashHex; readonly reason: string }[];
  /** Candidates that the branch holds already, with the id of their message. */
  readonly skipped: readonly Receipt[];
};

/** What can be said of a header without its transactions; undefined where all is well. */
const draftProblem = (draft: Draft, parent: Header, rules: Rules): string | undefined => {
  if (draft.epoch !== rules.committee.epoch) return 'epoch';
  if (draft.height !== parent.height + 1) return 'height';
  if (draft.parentView !== parent.view || draft.view <= parent.view) return 'view';
  if (draft.timeMs <= parent.timeMs) return 'time';
  const known = rules.committee.validators.some((one) => one.id === draft.proposerId);
  return known ? undefined : 'proposer';
};

const headerProblem = (block: Block, rules: Rules, ids: readonly Uint8Array[]) => {
  const { header, txs } = block;
  const { parameters, genesis, crypto } = rules;
  if (header.chainId !== genesis.chainId) return 'chain';
  if (header.txCount !== txs.length || header.payloadBytes !== payloadBytesOf(txs)) return 'sums';
  if (header.txCount > parameters.blockTxMax) return 'too-many-transactions';
  if (header.payloadBytes > parameters.blockBytesMax) return 'too-many-bytes';
  return header.txRoot === hex(listRoot(ids, crypto)) ? undefined : 'tx-root';
};

/** The block below is final wherever this one is: its proposer is credited here. */
const creditProposers = (pad: Scratch, draft: Draft, parent: Header): void => {
  if (parent.height > 0) {
    const below = must(pad, validatorKey(parent.proposerId));
    write(pad, validatorKey(parent.proposerId), { ...below, committed: below.committed + 1 });
  }
  const own = must(pad, validatorKey(draft.proposerId));
  write(pad, validatorKey(draft.proposerId), { ...own, proposed: own.proposed + 1 });
  accept(pad);
};

const siteOf = (rules: Rules, branch: Branch, draft: Draft, verified: Verified): Site => {
  const pad = scratch(branch.parent.tree, rules.crypto);
  sweep(pad, branch, draft.timeMs);
  creditProposers(pad, draft, branch.parent.header);
  return { rules, branch, pad, height: draft.height, timeMs: draft.timeMs, verified };
};

type Outcome = Omit<Version, 'hash' | 'header' | 'block' | 'txIds' | 'parent'>;

const outcomeOf = ({ pad, rules }: Site, receipts: readonly Receipt[]): Outcome => {
  const changes = changesOf(pad);
  const dues: Due[] = [];
  const policies: PolicyWrite[] = [];
  for (const [key, value] of changes) {
    if (value === null) continue;
    const dueMs = dueOfBytes(key, value, rules.parameters);
    if (dueMs !== undefined) dues.push({ key, dueMs });
    if (key.startsWith('policies/')) policies.push({ key, value });
  }
  const tree = update(pad.base, changes, pad.crypto);
  return { tree, receipts, policies, changes, dues: dues.sort(dueOrder) };
};

const itemOf = (tx: Transaction, id: Uint8Array): Item => ({ tx, txId: hex(id) });

export const executeBlock = (
  rules: Rules,
  branch: Branch,
  block: Block,
  verified: Verified,
): Result<Version, string> => {
  const { parent } = branch;
  const { header, txs } = block;
  const txIds = txs.map((tx) => txIdBytes(tx, rules.crypto));
  const problem = draftProblem(header, parent.header, rules) ?? headerProblem(block, rules, txIds);
  if (problem !== undefined) return err(`header-${problem}`);
  const site = siteOf(rules, branch, header, verified);
  const receipts: Receipt[] = [];
  for (const [at, tx] of txs.entries()) {
    const applied = applyTransaction(site, itemOf(tx, txIds[at] as Uint8Array));
    if (!applied.ok) return err(`transaction-${at}-${applied.error}`);
    accept(site.pad);
    receipts.push(applied.value);
  }
  const outcome = outcomeOf(site, receipts);
  if (hex(rootOf(outcome.tree)) !== header.stateRoot) return err('state-root');
  const hash = blockHash(header, rules.crypto);
  return ok({ ...outcome, hash, header, block: encodeBlock(block), txIds, parent });
};

type Chosen = {
  readonly txs: Transaction[];
  readonly txIds: Uint8Array[];
  readonly receipts: Receipt[];
  readonly refused: { readonly txId: HashHex; readonly reason: string }[];
  readonly skipped: Receipt[];
};

const choose = (site: Site, candidates: readonly Transaction[]): Chosen => {
  const { blockTxMax, blockBytesMax } = site.rules.parameters;
  // What the uncommitted blocks below carry is most of what a busy mempool offers: left out without a look.
  const seen = new Set(
    site.branch.uncommitted.flatMap(({ receipts }) => receipts.map((one) => one.txId)),
  );
  const chosen: Chosen = { txs: [], txIds: [], receipts: [], refused: [], skipped: [] };
  let bytes = 0;
  for (const tx of candidates) {
    if (chosen.txs.length >= blockTxMax) break;
    if (bytes + tx.bytes.length > blockBytesMax) continue;
    const id = txIdBytes(tx, site.rules.crypto);
    const item = itemOf(tx, id);
    if (seen.has(item.txId)) continue;
    seen.add(item.txId);
    const applied = applyTransaction(site, item);
    if (applied.ok && applied.value.status === 'applied') {
      accept(site.pad);
      bytes += tx.bytes.length;
      chosen.txs.push(tx);
      chosen.txIds.push(id);
      chosen.receipts.push(applied.value);
    } else {
      reject(site.pad);
      if (applied.ok) chosen.skipped.push(applied.value);
      else chosen.refused.push({ txId: item.txId, reason: applied.error });
    }
  }
  return chosen;
};

export const buildBlock = (
  rules: Rules,
  branch: Branch,
  draft: Draft,
  candidates: readonly Transaction[],
  verified: Verified,
): Result<Built, string> => {
  const problem = draftProblem(draft, branch.parent.header, rules);
  if (problem !== undefined) return err(`header-${problem}`);
  const site = siteOf(rules, branch, draft, verified);
  const { txs, txIds, receipts, refused, skipped } = choose(site, candidates);
  const outcome = outcomeOf(site, receipts);
  const header: Header = {
    version: HEADER_VERSION,
    chainId: rules.genesis.chainId,
    ...draft,
    txRoot: hex(listRoot(txIds, rules.crypto)),
    stateRoot: hex(rootOf(outcome.tree)),
    txCount: txs.length,
    payloadBytes: payloadBytesOf(txs),
  };
  const hash = blockHash(header, rules.crypto);
  const block = encodeBlock({ header, txs });
  return ok({
    version: { ...outcome, hash, header, block, txIds, parent: branch.parent },
    refused,
    skipped,
  });
};

export const hashOf = (version: Version): Uint8Array => hashBytes(version.hash);
