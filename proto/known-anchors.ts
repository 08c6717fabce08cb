/**
 * Proofs of many policies of one block rest on the same two certificates. What was verified of these is verified once,
 * and known again by its exact bytes: a proof that begins with other bytes, be it another signature of the same quorum,
 * is verified whole. Pure but for its memory, which belongs to one trust and holds only what that trust has accepted.
 */
import { equal } from './bytes.ts';
import {
  anchorHead,
  checkProof,
  commitProofVerifier,
  decodeBehind,
  type PolicyClaim,
  PROOF_CHECKS,
  type ProofCheck,
  type ProofFault,
  type Proven,
} from './commit-proof.ts';
import type { AnchorProof } from './consensus/anchor.ts';
import type { Trust } from './consensus/certificate.ts';
import type { Result } from './result.ts';

type Known = { readonly head: Uint8Array; readonly anchor: AnchorProof };

export type ProofReader = (bytes: Uint8Array, claim?: PolicyClaim) => Result<Proven, ProofFault>;

const beginsWith = (bytes: Uint8Array, head: Uint8Array): boolean =>
  equal(bytes.subarray(0, head.length), head);

/** As `commitProofVerifier(checks)` with this trust; `anchorsMax` blocks are known, the longest unused is forgotten. */
export const rememberingReader = (
  trust: Trust,
  anchorsMax: number,
  checks: readonly ProofCheck[] = PROOF_CHECKS,
): ProofReader => {
  const verify = commitProofVerifier(checks);
  const rest = checks.filter((check) => check.of === 'value');
  /** The last used one first. */
  const known: Known[] = [];

  const remember = ({ anchor }: Proven['proof'], bytes: Uint8Array): void => {
    const head = anchorHead(anchor);
    // Canonical bytes have one spelling; should they not, nothing is remembered.
    if (!beginsWith(bytes, head)) return;
    known.unshift({ head, anchor });
    if (known.length > anchorsMax) known.pop();
  };

  return (bytes, claim) => {
    const at = known.findIndex(({ head }) => beginsWith(bytes, head));
    if (at < 0) {
      const proven = verify(bytes, trust, claim);
      if (proven.ok) remember(proven.value.proof, bytes);
      return proven;
    }
    const [used] = known.splice(at, 1) as [Known];
    known.unshift(used);
    const decoded = decodeBehind(bytes, used.head, used.anchor);
    return decoded.ok ? checkProof(decoded.value, rest, trust, claim) : decoded;
  };
};
