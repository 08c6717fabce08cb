import { expect, test } from 'vitest';
import { RULES } from '#actors/replica/machine/rules.ts';
import {
  assembleSyncReply,
  type CommittedWithProof,
  SYNC_REPLY_BYTES_MAX,
  verifySyncReply,
} from '#actors/replica/machine/sync-reply.ts';
import type { Block } from '#proto/consensus/block.ts';
import { blockOn, genesis, genesisHash, ordered, qcBy, trust } from '#test/kit/simulator/signed.ts';

const signers = ordered.slice(0, 3);
const head = { hash: genesisHash, header: genesis };
const codeOf = (result: { ok: boolean; error?: unknown }) => (result.ok ? 'ok' : result.error);

/** Ten blocks on genesis in consecutive views, and two more that certify the tenth. */
const blocks: Block[] = [];
for (let height = 1; height <= 12; height += 1) {
  const parent = blocks.at(-1)?.header ?? genesis;
  blocks.push(blockOn(parent, [{ kind: 'anomaly', bytes: Uint8Array.of(height) }]));
}
const proofAt = (height: number) => {
  const [anchor, next] = [blocks[height - 1]!.header, blocks[height]!.header];
  return { anchor, anchorQc: qcBy(signers, anchor), next, nextQc: qcBy(signers, next) };
};
/** Blocks 1..5 were committed together, with the anchor 5; the others one by one. */
const chain: CommittedWithProof[] = blocks
  .slice(0, 10)
  .map((block, at) => ({ block, proof: proofAt(at < 5 ? 5 : at + 1) }));

const verify = (reply: ReturnType<typeof assembleSyncReply>) =>
  verifySyncReply(reply, head, trust, RULES);

test('what is assembled is believed', () => {
  const reply = assembleSyncReply(1, chain, 10);
  expect(reply.blocks).toHaveLength(10);
  expect(reply.links).toEqual([]);
  expect(codeOf(verify(reply))).toBe('ok');
});

test('a batch that ends below its anchor brings the headers between', () => {
  const reply = assembleSyncReply(1, chain, 3);
  expect(reply.blocks).toHaveLength(3);
  expect(reply.links.map((link) => link.height)).toEqual([4, 5]);
  expect(codeOf(verify(reply))).toBe('ok');
});

test('a batch without the way to an anchor says that nothing is here', () => {
  const reply = assembleSyncReply(1, chain.slice(0, 4), 10);
  expect(reply).toEqual({ kind: 'sync-reply', fromHeight: 1, blocks: [], links: [], proof: null });
  expect(codeOf(verify(reply))).toBe('nothing sent');
});

test('a batch stays within its bytes, and one block always fits', () => {
  const big = blockOn(genesis, [{ kind: 'anomaly', bytes: new Uint8Array(1024 * 1024) }]);
  const heavy = { header: { ...big.header, payloadBytes: SYNC_REPLY_BYTES_MAX }, txs: big.txs };
  const proof = { ...proofAt(1), anchor: heavy.header };
  const other = { block: heavy, proof: { ...proof, anchor: { ...heavy.header, height: 2 } } };
  expect(assembleSyncReply(1, [{ block: heavy, proof }, other], 5).blocks).toHaveLength(1);
});

test('blocks that are known already are passed over', () => {
  const third = { hash: chain[3]!.block.header.parentHash, header: chain[2]!.block.header };
  const verified = verifySyncReply(assembleSyncReply(1, chain, 10), third, trust, RULES);
  expect(verified.ok && verified.value.blocks.map(({ block }) => block.header.height)).toEqual([
    4, 5, 6, 7, 8, 9, 10,
  ]);
});

test('gaps, foreign heads, other anchors and thin certificates are found out', () => {
  const good = assembleSyncReply(1, chain, 10);
  const { proof } = good;
  if (proof === null) throw new Error('no proof');
  const without = (at: number) => good.blocks.filter((_, index) => index !== at);
  expect(codeOf(verify({ ...good, blocks: without(4) }))).toBe('blocks are not linked');
  expect(codeOf(verify({ ...good, blocks: without(0) }))).toBe('blocks are not linked');
  expect(codeOf(verify({ ...good, blocks: without(9) }))).toBe('no anchor');
  expect(codeOf(verify({ ...good, proof: proofAt(9) }))).toBe('no anchor');
  const thin = { ...proof, nextQc: qcBy(signers.slice(1), proof.next) };
  expect(codeOf(verify({ ...good, proof: thin }))).toBe('invalid anchor: no-quorum');
  const fork = blockOn(genesis, [{ kind: 'anomaly', bytes: Uint8Array.of(99) }]);
  const other = { ...good, blocks: [fork, ...good.blocks.slice(1)] };
  expect(codeOf(verify(other))).toBe('blocks are not linked');
});
