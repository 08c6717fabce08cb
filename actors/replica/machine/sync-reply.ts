/** Catch-up, both ends without their state: what a peer sends, and what makes it believed. */
import { type AnchorProof, verifyAnchor } from '#proto/consensus/anchor.ts';
import type { Block } from '#proto/consensus/block.ts';
import type { Trust } from '#proto/consensus/certificate.ts';
import { blockHash, type Header } from '#proto/consensus/header.ts';
import { SYNC_LINKS_MAX, type SyncReply } from '#proto/consensus/messages.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import { err, ok, type Result } from '#proto/result.ts';
import type { IdentifiedBlock } from './events.ts';
import type { Rules } from './rules.ts';

export type CommittedWithProof = { readonly block: Block; readonly proof: AnchorProof };

/** What one reply may weigh; the first block always fits. */
export const SYNC_REPLY_BYTES_MAX = 8 * 1024 * 1024;
const ENCODED_OVERHEAD_BYTES = 1024;

/**
 * The answer to a sync request, of committed blocks ascending from `fromHeight`. As many as fit; the last one's
 * anchor may lie higher, then the headers up to it follow as links. So read some more blocks than are asked for: a block
 * whose anchor is not among `committed` cannot be sent. Without any, the reply says that nothing is here.
 */
export const assembleSyncReply = (
  fromHeight: number,
  committed: readonly CommittedWithProof[],
  blocksMax: number,
): SyncReply => {
  const blocks: Block[] = [];
  let bytes = 0;
  let end = 0;
  for (const { block, proof } of committed.slice(0, blocksMax)) {
    bytes += block.header.payloadBytes + ENCODED_OVERHEAD_BYTES + 16 * block.txs.length;
    if (blocks.length > 0 && bytes > SYNC_REPLY_BYTES_MAX) break;
    blocks.push(block);
    const links = proof.anchor.height - block.header.height;
    if (links <= SYNC_LINKS_MAX && blocks.length + links <= committed.length) end = blocks.length;
  }
  const last = committed[end - 1];
  if (last === undefined) {
    return { kind: 'sync-reply', fromHeight, blocks: [], links: [], proof: null };
  }
  const linkCount = last.proof.anchor.height - last.block.header.height;
  const links = committed.slice(end, end + linkCount).map(({ block }) => block.header);
  return { kind: 'sync-reply', fromHeight, blocks: blocks.slice(0, end), links, proof: last.proof };
};

export type Batch = { readonly blocks: readonly IdentifiedBlock[]; readonly proof: AnchorProof };

/** The blocks above `head`, linked to it and to a valid anchor. Bodies are checked where they are inserted. */
export const verifySyncReply = (
  reply: SyncReply,
  head: { readonly hash: HashHex; readonly header: Header },
  trust: Trust,
  rules: Pick<Rules, 'commits'>,
): Result<Batch, string> => {
  const { proof } = reply;
  if (proof === null || reply.blocks.length === 0) return err('nothing sent');
  const fresh = reply.blocks.filter((block) => block.header.height > head.header.height);
  const blocks = fresh.map((block) => ({ hash: blockHash(block.header, trust.crypto), block }));
  if (blocks.length === 0) return err('nothing new');
  const { hash: top, header } = head;
  let parent = { hash: top, height: header.height, view: header.view };
  const links = reply.links.map((link) => ({ hash: blockHash(link, trust.crypto), header: link }));
  for (const { hash, header: child } of [
    ...blocks.map(({ hash: own, block }) => ({ hash: own, header: block.header })),
    ...links,
  ]) {
    const linked =
      child.parentHash === parent.hash &&
      child.height === parent.height + 1 &&
      child.parentView === parent.view;
    if (!linked) return err('blocks are not linked');
    parent = { hash, height: child.height, view: child.view };
  }
  if (blockHash(proof.anchor, trust.crypto) !== parent.hash) return err('no anchor');
  const anchored = verifyAnchor(proof, trust, (anchorView, nextView) =>
    rules.commits(
      { view: anchorView, height: proof.anchor.height },
      { view: nextView, height: proof.next.height },
    ),
  );
  return anchored.ok ? ok({ blocks, proof }) : err(`invalid anchor: ${anchored.error}`);
};
