import { equal, hex } from '../bytes.ts';
import type { Crypto, SignatureClaim } from '../crypto.ts';
import { claimsOf, kindOfTopic } from './ai-message.ts';
import { sizeProblem } from './codec.ts';
import { parseSubject, shapeProblem } from './verification.ts';

/** What is signed in received bytes, to be verified in a batch elsewhere; none where the message
 * fails before its signature counts. */
export const signaturesOf = (topic: string, bytes: Uint8Array): SignatureClaim[] => {
  const kind = kindOfTopic(topic);
  if (kind === undefined || sizeProblem(bytes) !== undefined) return [];
  const { subject, problem } = parseSubject(kind, bytes);
  const unfit = problem ?? shapeProblem(subject, 'structure') ?? shapeProblem(subject, 'limits');
  return unfit === undefined ? claimsOf(subject) : [];
};

/** A Crypto that knows the answers of a batch; what it was not asked about it verifies itself. */
export const answeredCrypto = (
  crypto: Crypto,
  claims: readonly SignatureClaim[],
  answers: readonly boolean[],
): Crypto => {
  const known = new Map<string, { readonly claim: SignatureClaim; readonly answer: boolean }>();
  for (const [i, claim] of claims.entries()) {
    const answer = answers[i];
    if (answer !== undefined) known.set(hex(claim.signature), { claim, answer });
  }
  return {
    sha256: crypto.sha256,
    verify: (publicKey, message, signature) => {
      const hit = known.get(hex(signature));
      const same =
        hit !== undefined &&
        equal(hit.claim.publicKey, publicKey) &&
        equal(hit.claim.message, message);
      return same ? hit.answer : crypto.verify(publicKey, message, signature);
    },
  };
};
