import { expect, test } from 'vitest';
import { type AnchorProof, verifyAnchor } from '#proto/consensus/anchor.ts';
import {
  type Qc,
  timeoutIsCoherent,
  verifyClaim,
  verifyQc,
  verifyTc,
  verifyVote,
} from '#proto/consensus/certificate.ts';
import { committeeOf } from '#proto/consensus/committee.ts';
import type { Header } from '#proto/consensus/header.ts';
import { simulatedCrypto, simulatedKey } from '#test/kit/simulator/signatures.ts';
import {
  claimBy,
  committee,
  genesis,
  genesisQc,
  headerOn,
  keys,
  ordered,
  qcBy,
  tcBy,
  trust,
  voteBy,
} from '#test/kit/simulator/signed.ts';

const [a, b, c, d] = ordered as [
  (typeof keys)[number],
  (typeof keys)[number],
  (typeof keys)[number],
  (typeof keys)[number],
];
const b1 = headerOn(genesis);
const b2 = headerOn(b1);
const codeOf = (result: { ok: boolean; error?: unknown }) => (result.ok ? 'ok' : result.error);

test('a quorum of distinct signers over one block of one view is a QC', () => {
  expect(codeOf(verifyQc(qcBy([a, b, c], b1), trust))).toBe('ok');
  expect(codeOf(verifyQc(qcBy([a, b, c, d], b1), trust))).toBe('ok');
});

test('two of four are no quorum', () => {
  expect(codeOf(verifyQc(qcBy([a, b], b1), trust))).toBe('no-quorum');
});

test('a signer counts once, whatever the order', () => {
  expect(codeOf(verifyQc(qcBy([a, a, b], b1), trust))).toBe('repeated-signer');
  expect(codeOf(verifyQc(qcBy([c, b, a], b1), trust))).toBe('repeated-signer');
});

test('every signature is checked, and over this view and block', () => {
  const good = qcBy([a, b, c], b1);
  const [first, second] = good.signatures;
  const wrong = {
    ...good,
    signatures: [first!, second!, { ...second!, signer: good.signatures[2]!.signer }],
  };
  expect(codeOf(verifyQc(wrong, trust))).toBe('bad-signature');
  expect(codeOf(verifyQc({ ...good, view: 2 }, trust))).toBe('bad-signature');
  expect(codeOf(verifyQc({ ...good, blockHash: 'ab'.repeat(32) }, trust))).toBe('bad-signature');
  expect(codeOf(verifyQc({ ...good, epoch: 1 }, trust))).toBe('wrong-epoch');
});

test('signatures bind the chain', () => {
  const elsewhere = { ...trust, committee: { ...committee, chainId: 'another' } };
  expect(codeOf(verifyQc(qcBy([a, b, c], b1), elsewhere))).toBe('bad-signature');
  expect(codeOf(verifyVote(voteBy(a, b1), elsewhere))).toBe('bad-signature');
  expect(codeOf(verifyClaim(claimBy(a, 1, 0), elsewhere))).toBe('bad-signature');
});

test('a signer outside the committee is refused by name', () => {
  const stranger = simulatedKey(77);
  const signers = [a, b, stranger].sort((x, y) =>
    voteBy(x, b1).signer < voteBy(y, b1).signer ? -1 : 1,
  );
  expect(codeOf(verifyQc(qcBy(signers, b1), trust))).toBe('unknown-signer');
});

test('weights count, not heads', () => {
  const heavy = committeeOf(
    'simulated',
    0,
    keys.map(({ publicKey }, index) => ({
      name: `v${index}`,
      publicKey,
      weight: index === 0 ? 10 : 1,
    })),
    simulatedCrypto,
  );
  const signers = ordered.filter((key) => key !== keys[0]);
  expect(codeOf(verifyQc(qcBy(signers, b1), { ...trust, committee: heavy }))).toBe('no-quorum');
  expect(codeOf(verifyQc(qcBy([keys[0]!], b1), { ...trust, committee: heavy }))).toBe('ok');
});

test('the QC of genesis has no signatures and the known hash', () => {
  expect(codeOf(verifyQc(genesisQc, trust))).toBe('ok');
  expect(codeOf(verifyQc({ ...genesisQc, blockHash: 'cd'.repeat(32) }, trust))).toBe(
    'wrong-genesis',
  );
  const { genesisHash: _, ...without } = trust;
  expect(codeOf(verifyQc(genesisQc, without))).toBe('wrong-genesis');
});

const qc1 = qcBy([a, b, c], b1);

test('a TC carries the highest QC that its signers claim', () => {
  expect(codeOf(verifyTc(tcBy([a, b, c], 3, [0, 1, 0], qc1), trust))).toBe('ok');
  expect(codeOf(verifyTc(tcBy([a, b, c], 3, [0, 1, 0], genesisQc), trust))).toBe('wrong-maximum');
  expect(codeOf(verifyTc(tcBy([a, b, c], 3, [0, 0, 0], qc1), trust))).toBe('wrong-maximum');
});

test('a TC needs a quorum of distinct signers, each over its own claim of this view', () => {
  expect(codeOf(verifyTc(tcBy([a, b], 3, [0, 1], qc1), trust))).toBe('no-quorum');
  expect(codeOf(verifyTc(tcBy([a, b, b], 3, [0, 1, 1], qc1), trust))).toBe('repeated-signer');
  const good = tcBy([a, b, c], 3, [0, 1, 0], qc1);
  expect(codeOf(verifyTc({ ...good, view: 4 }, trust))).toBe('wrong-view');
  const lie = good.claims.map((claim) => ({ ...claim, highQcView: 1 }));
  expect(codeOf(verifyTc({ ...good, claims: lie }, trust))).toBe('bad-signature');
  const forged: Qc = { ...qc1, signatures: qc1.signatures.slice(1) };
  expect(codeOf(verifyTc({ ...good, highQc: forged }, trust))).toBe('no-quorum');
});

test('a timeout shows why its view was entered', () => {
  const tc2 = tcBy([a, b, c], 2, [0, 1, 0], qc1);
  const timeout = (view: number, highQc: Qc, lastTc: typeof tc2 | null) =>
    timeoutIsCoherent({ claim: claimBy(a, view, highQc.view), highQc, lastTc });
  expect(timeout(2, qc1, null)).toBe(true);
  expect(timeout(3, qc1, tc2)).toBe(true);
  expect(timeout(3, qc1, null)).toBe(false);
  expect(timeout(4, qc1, tc2)).toBe(false);
  expect(timeout(1, qc1, null)).toBe(false);
  expect(timeoutIsCoherent({ claim: claimBy(a, 2, 0), highQc: qc1, lastTc: null })).toBe(false);
});

const anchored = (anchor: Header, next: Header): AnchorProof => ({
  anchor,
  anchorQc: qcBy([a, b, c], anchor),
  next,
  nextQc: qcBy([a, b, c], next),
});

test('two certified blocks in consecutive views, one on the other, anchor the first', () => {
  expect(codeOf(verifyAnchor(anchored(b1, b2), trust))).toBe('ok');
});

test('consecutive heights are not enough', () => {
  const later = headerOn(b1, { view: 3 });
  expect(codeOf(verifyAnchor(anchored(b1, later), trust))).toBe('views-apart');
});

test('an anchor of unlinked blocks, another chain or too few votes is refused', () => {
  const good = anchored(b1, b2);
  const sideways = headerOn(b1, { parentHash: 'ef'.repeat(32) });
  expect(codeOf(verifyAnchor(anchored(b1, sideways), trust))).toBe('not-linked');
  expect(codeOf(verifyAnchor({ ...good, anchorQc: good.nextQc }, trust))).toBe('not-linked');
  const foreign = headerOn(genesis, { chainId: 'another' });
  expect(codeOf(verifyAnchor(anchored(foreign, headerOn(foreign)), trust))).toBe('foreign-chain');
  expect(codeOf(verifyAnchor({ ...good, nextQc: qcBy([a, b], b2) }, trust))).toBe('no-quorum');
  expect(codeOf(verifyAnchor({ ...good, anchorQc: qcBy([a, b], b1) }, trust))).toBe('no-quorum');
});
