import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeCommitProof,
  encodeCommitProof,
  PROOF_CHECKS,
  provenPolicy,
  verifyCommitProof,
} from '#proto/commit-proof.ts';
import { FORGERIES, flipped, headers, honest, proof, trust } from '#test/kit/proof-forgeries.ts';

const SEED = 20_260_518;

test('an honest proof is proven from the genesis alone', () => {
  const proven = verifyCommitProof(honest.bytes, trust, honest.claim);
  if (!proven.ok) throw new Error(proven.error);
  expect([proven.value.height, proven.value.timeMs]).toEqual([1, headers.anchor.timeMs]);
  expect(provenPolicy(proven.value)).toMatchObject({ status: 'active', action: 'drop' });
});

test('a value of the state that is no policy is proven without a claim', () => {
  expect(verifyCommitProof(honest.bytes, trust).ok).toBe(true);
});

test.each(PROOF_CHECKS.map((check) => check.name))(
  'a proof is refused by its check: %s',
  (name) => {
    const { bytes, claim } = FORGERIES[name];
    expect(verifyCommitProof(bytes, trust, claim)).toEqual({ ok: false, error: name });
  },
);

test('a proof of another committee is refused', () => {
  const members = trust.committee.validators.slice(1);
  const committee = { ...trust.committee, validators: members };
  const result = verifyCommitProof(honest.bytes, { ...trust, committee }, honest.claim);
  expect(result).toEqual({ ok: false, error: 'anchor-quorum' });
});

test('the encoding gives back what went in', () => {
  expect(decodeCommitProof(encodeCommitProof(proof))).toEqual({ ok: true, value: proof });
});

test('no change of a single byte of a proof is accepted', () => {
  const property = fc.property(flipped, (bytes) => {
    expect(verifyCommitProof(bytes, trust, honest.claim).ok).toBe(false);
  });
  fc.assert(property, { seed: SEED, numRuns: 300 });
});

test('bytes that are no proof are refused without a throw', () => {
  const property = fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    expect(verifyCommitProof(bytes, trust, honest.claim)).toEqual({
      ok: false,
      error: 'malformed',
    });
  });
  fc.assert(property, { seed: SEED, numRuns: 200 });
  const large = verifyCommitProof(new Uint8Array(2 << 20), trust, honest.claim);
  expect(large).toEqual({ ok: false, error: 'too-large' });
});
