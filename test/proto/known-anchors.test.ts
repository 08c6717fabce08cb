/** Certificates that are known again by their bytes: nothing is accepted that a whole verification would refuse. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crypto } from '#native/crypto.ts';
import { encodeCommitProof, PROOF_CHECKS, verifyCommitProof } from '#proto/commit-proof.ts';
import type { AnchorProof } from '#proto/consensus/anchor.ts';
import { genesisCommittee } from '#proto/genesis.ts';
import { rememberingReader } from '#proto/known-anchors.ts';
import { qcOf } from '#test/kit/chain.ts';
import { keys, testGenesis } from '#test/kit/chain-genesis.ts';
import { FORGERIES, flipped, headers, honest, proof, trust } from '#test/kit/proof-forgeries.ts';

const SEED = 20_261_120;
const QUORUM = 3;

/** A reader, and how many signatures it has verified. */
const counted = (anchorsMax = 8, of = trust) => {
  let verified = 0;
  const verify: typeof crypto.verify = (...claim) => {
    verified++;
    return crypto.verify(...claim);
  };
  const read = rememberingReader({ ...of, crypto: { ...crypto, verify } }, anchorsMax);
  return { read, verified: () => verified };
};

/** Has accepted the honest proof. */
const knowing = () => {
  const reader = counted();
  expect(reader.read(honest.bytes, honest.claim).ok).toBe(true);
  return reader;
};

const withAnchor = (over: Partial<AnchorProof>): Uint8Array =>
  encodeCommitProof({ ...proof, anchor: { ...proof.anchor, ...over } });

test('the signatures under two blocks are verified once, whatever is proven under them', () => {
  const { read, verified } = knowing();
  expect(verified()).toBe(2 * QUORUM);
  const again = read(honest.bytes, honest.claim);
  expect(again).toEqual(verifyCommitProof(honest.bytes, trust, honest.claim));
  const other = FORGERIES['policy-exists'];
  expect(read(other.bytes).ok).toBe(true);
  expect(verified()).toBe(2 * QUORUM);
});

test.each(PROOF_CHECKS.map((check) => check.name))(
  'a forgery is refused by its check beside a known anchor: %s',
  (name) => {
    const { read } = knowing();
    const { bytes, claim } = FORGERIES[name];
    expect(read(bytes, claim)).toEqual({ ok: false, error: name });
    expect(read(bytes, claim)).toEqual({ ok: false, error: name });
  },
);

test('another quorum for the same block is verified by itself', () => {
  const { read, verified } = knowing();
  const others = withAnchor({ anchorQc: qcOf(headers.anchor, [keys.v2, keys.v3, keys.v4]) });
  expect(read(others, honest.claim).ok).toBe(true);
  expect(verified()).toBe(4 * QUORUM);
});

test('a certificate of a known block with a signature that does not hold is refused', () => {
  const { read } = knowing();
  for (const name of ['anchorQc', 'nextQc'] as const) {
    const qc = proof.anchor[name];
    const signatures = qc.signatures.map((one, k) =>
      k === 1 ? { ...one, signature: one.signature.map((byte) => byte ^ 1) } : one,
    );
    const bytes = withAnchor({ [name]: { ...qc, signatures } });
    const error = name === 'anchorQc' ? 'anchor-quorum' : 'next-quorum';
    expect(read(bytes, honest.claim)).toEqual({ ok: false, error });
  }
});

test('what one genesis has proven is nothing to another one', () => {
  knowing();
  const members = trust.committee.validators.slice(1);
  const strangers = { ...trust, committee: { ...trust.committee, validators: members } };
  const { read } = counted(8, strangers);
  expect(read(honest.bytes, honest.claim)).toEqual({ ok: false, error: 'anchor-quorum' });
  const chainId = 'another';
  const committee = genesisCommittee({ ...testGenesis(), chainId }, crypto);
  const elsewhere = counted(8, { ...trust, committee });
  expect(elsewhere.read(honest.bytes, honest.claim)).toEqual({ ok: false, error: 'chain' });
});

test('what was refused is not known afterwards', () => {
  const { read, verified } = counted();
  const { bytes, claim } = FORGERIES.merkle;
  expect(read(bytes, claim).ok).toBe(false);
  const before = verified();
  expect(read(bytes, claim).ok).toBe(false);
  expect(verified() - before).toBe(before);
});

test('no change of a single byte of a proof is accepted beside the known one, and the fault is the same', () => {
  const { read } = knowing();
  const property = fc.property(flipped, (bytes) => {
    const answer = read(bytes, honest.claim);
    expect(answer.ok).toBe(false);
    expect(answer).toEqual(verifyCommitProof(bytes, trust, honest.claim));
  });
  fc.assert(property, { seed: SEED, numRuns: 500 });
});

test('a proof that is cut off or goes on behind its end is refused as by a whole verification', () => {
  const { read } = knowing();
  for (const length of [0, 1, 100, honest.bytes.length - 1]) {
    const bytes = honest.bytes.slice(0, length);
    expect(read(bytes, honest.claim)).toEqual({ ok: false, error: 'malformed' });
  }
  const longer = new Uint8Array([...honest.bytes, 0]);
  expect(read(longer, honest.claim)).toEqual({ ok: false, error: 'malformed' });
  const large = new Uint8Array(2 << 20);
  large.set(honest.bytes);
  expect(read(large, honest.claim)).toEqual({ ok: false, error: 'too-large' });
});

test('so many anchors are known and no more, the one longest unused gives way', () => {
  const others = withAnchor({ anchorQc: qcOf(headers.anchor, [keys.v2, keys.v3, keys.v4]) });
  const more = withAnchor({ nextQc: qcOf(headers.next, [keys.v2, keys.v3, keys.v4]) });
  const { read, verified } = counted(2);
  const cost = (bytes: Uint8Array): number => {
    const before = verified();
    expect(read(bytes, honest.claim).ok).toBe(true);
    return verified() - before;
  };
  const whole = 2 * QUORUM;
  expect([honest.bytes, others, honest.bytes, more].map(cost)).toEqual([whole, whole, 0, whole]);
  expect([honest.bytes, more, others].map(cost)).toEqual([0, 0, whole]);
});
