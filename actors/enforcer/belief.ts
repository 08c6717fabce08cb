/**
 * Whether a PolicyUpdateEvent is what the chain has agreed on: signed by a validator, and proven. The genesis is trusted
 * and nothing else: neither the bus, nor the database, nor a single validator. Depends on the bytes alone, so that any
 * thread can say it; whether the agent then obeys is another matter (verdict.ts). Every refusal has a code that the
 * acknowledgement carries.
 */
import { hex } from '#proto/bytes.ts';
import { provenPolicy } from '#proto/commit-proof.ts';
import type { Committee } from '#proto/consensus/committee.ts';
import type { Crypto } from '#proto/crypto.ts';
import type { Genesis } from '#proto/genesis.ts';
import { rememberingReader } from '#proto/known-anchors.ts';
import { type PolicyRule, parsePolicyRule } from '#proto/policy.ts';
import { err, ok, type Result } from '#proto/result.ts';
import { roleBook } from '#proto/roles.ts';
import { sizeProblem } from '#proto/wire/codec.ts';
import { verifyControl } from '#proto/wire/control.ts';
import { type PolicyUpdateAction, policyUpdateWire } from '#proto/wire/policy-update.ts';
import { anId } from '#proto/wire/structure.ts';
import type { Agreed } from './registry.ts';
import { remembered } from './remembered.ts';

/** Plain data: it goes from thread to thread. `ruleHash` is the message's. */
export type Believed = Agreed & {
  readonly action: PolicyUpdateAction;
  /** undefined where the agreed text is no rule that this release knows. */
  readonly rule: PolicyRule | undefined;
};

export type Refusal = {
  readonly policyId: string;
  readonly code: string;
  readonly reason: string;
  /** Hex; '' where not even the rule could be read. */
  readonly ruleHash: string;
};

export const refusal = (
  policyId: string,
  code: string,
  reason: string,
  ruleHash = '',
): Result<never, Refusal> => err({ policyId, code, reason, ruleHash });

/** Bytes of the bus to what is proven of them. Never throws on received bytes. */
export type Believe = (bytes: Uint8Array) => Result<Believed, Refusal>;

/** Blocks whose certificates are known by their bytes; some 1 KiB each. */
const ANCHORS_MAX = 64;
const encoder = new TextEncoder();

/** What the refusal of a message that is not believed can name; '' where not even that can be read. */
const claimedPolicy = (bytes: Uint8Array): string => {
  if (sizeProblem(bytes) !== undefined) return '';
  const { policyId } = policyUpdateWire.parse(bytes).message;
  return anId(policyId) === undefined ? policyId : '';
};

/** Remembers which signatures and certificates were found good; of this genesis alone. */
export const believing = (genesis: Genesis, committee: Committee, crypto: Crypto): Believe => {
  const { roleOf } = roleBook(genesis);
  const proofs = rememberingReader({ committee, crypto: remembered(crypto) }, ANCHORS_MAX);
  return (bytes) => {
    const verified = verifyControl('policy-update', bytes, { crypto, roleOf });
    if (!verified.ok) {
      const { code, detail } = verified.error;
      return refusal(claimedPolicy(bytes), code, detail);
    }
    const event = verified.value;
    const { policyId: id, action } = event;
    const ruleHash = hex(event.ruleHash);
    const proven = proofs(event.commitProof, event);
    if (!proven.ok) {
      return refusal(id, `proof-${proven.error}`, 'the commit proof does not hold', ruleHash);
    }
    const { height, committedMs, expiresMs, anomaly, rule: text } = provenPolicy(proven.value);
    const rule = parsePolicyRule(encoder.encode(text));
    return ok({
      ...{ id, action, ruleHash, height, committedMs, expiresMs, anomaly },
      rule: rule.ok ? rule.value : undefined,
      anchorHeight: proven.value.height,
      // Its certificate is proven to be that of the anchor's hash.
      anchorHash: proven.value.proof.anchor.anchorQc.blockHash,
    });
  };
};
