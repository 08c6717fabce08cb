/**
 * Each check of a policy proof is needed: a verifier without it accepts a forgery that the whole one refuses (see
 * "a proof is refused by its check" in test/proto/commit-proof.test.ts, which fails with such a verifier).
 */
import { expect, test } from 'vitest';
import { commitProofVerifier, PROOF_CHECKS } from '#proto/commit-proof.ts';
import { FORGERIES, honest, trust } from '#test/kit/proof-forgeries.ts';

test.each(PROOF_CHECKS.map((check) => check.name))(
  'without the check %s a forgery passes',
  (name) => {
    const mutant = commitProofVerifier(PROOF_CHECKS.filter((check) => check.name !== name));
    const { bytes, claim } = FORGERIES[name];
    expect(mutant(bytes, trust, claim).ok).toBe(true);
  },
);

test.each(PROOF_CHECKS.map((check) => check.name))(
  'without the check %s every other forgery is still refused',
  (name) => {
    const mutant = commitProofVerifier(PROOF_CHECKS.filter((check) => check.name !== name));
    expect(mutant(honest.bytes, trust, honest.claim).ok).toBe(true);
    for (const { name: other } of PROOF_CHECKS) {
      if (other === name) continue;
      const { bytes, claim } = FORGERIES[other];
      expect(mutant(bytes, trust, claim)).toEqual({ ok: false, error: other });
    }
  },
);
