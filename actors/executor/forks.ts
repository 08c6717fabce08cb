/** Building and executing blocks on what has been executed so far. */

import { ingest } from '#actors/ingest/protocol.ts';
import { equal, fromHex, hex } from '#proto/bytes.ts';
import { type Block, decodeBlock } from '#proto/consensus/block.ts';
import { blockHash } from '#proto/consensus/header.ts';
import { type HashHex, hashBytes } from '#proto/consensus/shape.ts';
import { decodeTransactions } from '#proto/consensus/transaction.ts';
import { EMPTY_ROOT, get } from '#proto/merkle.ts';
import { err, ok, type Result } from '#proto/result.ts';
import { anomalyKey, evidenceKey } from '#proto/state.ts';
import type { Ask, Chain } from './chain.ts';
import type { Fx } from './core.ts';
import { type Built, buildBlock, executeBlock } from './execution.ts';
import { branchOf, descends, type Version } from './version.ts';

/** `list` fields carry at most 4,096 items. */
export const LIST_ITEMS_MAX = 4000;
const NOTHING = new Uint8Array(0);
/** Not a fault: the content is in the chain. */
const REASON_COMMITTED = 'committed';

const parentOf = (chain: Chain, hash: HashHex): Result<Version, string> => {
  const parent = chain.executed.get(hash);
  return parent === undefined ? err('unknown-parent') : ok(parent);
};

/**
 * At the bound the oldest block that the new one does not stand on is forgotten: whoever needs it again asks for its
 * execution again. Blocks that a long time without a commit leaves behind go this way.
 */
const keep = (chain: Chain, version: Version): void => {
  chain.executed.set(version.hash, version);
  if (chain.executed.size <= chain.config.forksMax) return;
  for (const one of chain.executed.values()) {
    if (descends(version, one)) continue;
    chain.executed.delete(one.hash);
    return;
  }
};

const isVerified =
  (chain: Chain) =>
  (txId: HashHex): boolean =>
    chain.verified.has(txId);

const built = (chain: Chain, message: Ask<'build'>): Result<Built, string> => {
  const parent = parentOf(chain, hex(message.parentHash));
  if (!parent.ok) return parent;
  const candidates = decodeTransactions(message.candidates);
  if (!candidates.ok) return err(`candidates-${candidates.error}`);
  const { rules, book } = chain.ledger;
  const { epoch, height, view, parentView, timeMs } = message;
  const draft = {
    epoch,
    height,
    view,
    parentHash: hex(message.parentHash),
    parentView,
    proposerId: hex(message.proposer),
    timeMs,
  };
  const branch = branchOf(parent.value, book);
  return buildBlock(rules, branch, draft, candidates.value, isVerified(chain));
};

/** Skipped for what is final, not for what an uncommitted block may yet lose: the mempool can let go of these. */
const committed = ({ ledger }: Chain, { skipped }: Built) => {
  const { tree } = ledger.head;
  const stands = (id: string): boolean =>
    [anomalyKey(id), evidenceKey(id)].some((key) => get(tree, key, ledger.rules.crypto) !== null);
  return skipped
    .filter(({ id }) => stands(id))
    .map(({ txId }) => ({ txId, reason: REASON_COMMITTED }));
};

export const buildOn = (chain: Chain, message: Ask<'build'>, fx: Fx): void => {
  const result = built(chain, message);
  if (!result.ok) {
    return fx.reply(message.replyTo, { ok: false, block: NOTHING, reason: result.error });
  }
  const { version } = result.value;
  const refused = [...result.value.refused, ...committed(chain, result.value)];
  keep(chain, version);
  fx.reply(message.replyTo, { ok: true, block: version.block, reason: '' });
  for (let at = 0; at < refused.length; at += LIST_ITEMS_MAX) {
    const some = refused.slice(at, at + LIST_ITEMS_MAX);
    fx.tell(ingest, {
      kind: 'refused',
      ids: some.map((one) => fromHex(one.txId)),
      reasons: some.map((one) => one.reason),
    });
  }
};

const parsed = (message: Ask<'execute'>, chain: Chain): Result<Block, string> => {
  const block = decodeBlock(message.block);
  if (!block.ok) return err(`block-${block.error}`);
  const hash = blockHash(block.value.header, chain.ledger.rules.crypto);
  return equal(hashBytes(hash), message.hash) ? block : err('block-hash');
};

const executed = (chain: Chain, message: Ask<'execute'>): Result<Version, string> => {
  const known = chain.executed.get(hex(message.hash));
  const block = parsed(message, chain);
  if (!block.ok) return block;
  // The hash covers the transactions through txRoot; another body under it fails execution, so it is not cached.
  if (known !== undefined && equal(known.block, message.block)) return ok(known);
  const parent = parentOf(chain, block.value.header.parentHash);
  if (!parent.ok) return parent;
  const { rules, book } = chain.ledger;
  return executeBlock(rules, branchOf(parent.value, book), block.value, isVerified(chain));
};

export const executeOn = (chain: Chain, message: Ask<'execute'>, fx: Fx): void => {
  const result = executed(chain, message);
  if (!result.ok) {
    fx.emit('blocks_refused', 1);
    fx.log('warn', 'a block does not execute', {
      hash: hex(message.hash),
      reason: result.error,
    });
    return fx.reply(message.replyTo, { ok: false, stateRoot: EMPTY_ROOT, reason: result.error });
  }
  const version = result.value;
  if (!chain.executed.has(version.hash)) keep(chain, version);
  fx.reply(message.replyTo, {
    ok: true,
    stateRoot: hashBytes(version.header.stateRoot),
    reason: '',
  });
};
