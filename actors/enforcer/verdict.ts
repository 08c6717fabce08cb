/**
 * Whether this agent obeys a PolicyUpdateEvent. It trusts the genesis file and nothing else: neither the
 * bus, nor the database, nor a single validator. Every refusal has a code that the acknowledgement carries.
 */
import { equal, hex } from '#proto/bytes.ts';
import { type Proven, provenPolicy } from '#proto/commit-proof.ts';
import type { Crypto, SignatureClaim } from '#proto/crypto.ts';
import { formatCidr, overlaps } from '#proto/ip.ts';
import type { ProofReader } from '#proto/known-anchors.ts';
import {
  checkGuardrails,
  type GuardrailLimits,
  type PolicyRule,
  parsePolicyRule,
  targetNetworks,
} from '#proto/policy.ts';
import { err, ok, type Result } from '#proto/result.ts';
import type { RoleBook } from '#proto/roles.ts';
import type { PolicyState } from '#proto/state.ts';
import { sizeProblem } from '#proto/wire/codec.ts';
import { verifyControl } from '#proto/wire/control.ts';
import { policyUpdateWire } from '#proto/wire/policy-update.ts';
import { anId } from '#proto/wire/structure.ts';
import { type CutOff, checkSurroundings, type Surroundings } from './neighbourhood.ts';
import { type Entry, inForce } from './registry.ts';

export type Trusted = {
  readonly crypto: Crypto;
  /** Against the pinned genesis. */
  readonly proven: ProofReader;
  readonly roles: RoleBook;
  readonly limits: GuardrailLimits;
  /** 0..1: of the peers seen lately, so many may be cut off. */
  readonly peersShareMax: number;
};

/** A signature that somebody has verified already, and what came of it. */
export type Checked = { readonly claim: SignatureClaim; readonly holds: boolean };

/** The answer is taken for exactly the bytes that it was found for; all others are verified here. */
const withChecked = (crypto: Crypto, checked: Checked | undefined): Crypto => {
  if (checked === undefined) return crypto;
  const { claim, holds } = checked;
  return {
    ...crypto,
    verify: (publicKey, message, signature) => {
      const isIt =
        equal(publicKey, claim.publicKey) &&
        equal(signature, claim.signature) &&
        equal(message, claim.message);
      return isIt ? holds : crypto.verify(publicKey, message, signature);
    },
  };
};

/** What the agent remembers and counts when it judges. */
export type Situation = {
  /** What was obeyed for the policy last. */
  readonly obeyed: (policyId: string) => Entry | undefined;
  readonly active: number;
  readonly lastMinute: number;
  /** In force already, or let through by a person: no cap speaks against it. */
  readonly isLetThrough: (policyId: string) => boolean;
  readonly around: Surroundings;
  readonly cut: CutOff;
};

export type Verdict =
  | { readonly kind: 'apply'; readonly entry: Entry }
  | { readonly kind: 'remove'; readonly entry: Entry }
  /** Beyond what the agent does by itself. */
  | { readonly kind: 'held'; readonly entry: Entry; readonly why: Cap }
  /** The same policy from another validator, or read again: nothing to do, nothing to say. */
  | { readonly kind: 'known'; readonly policyId: string };

/** What a person may lift for one policy; everything else nobody may. */
export type Cap = { readonly code: string; readonly reason: string };

const CAPS: ReadonlySet<string> = new Set(['too-many-active', 'too-many-a-minute']);

export type Refusal = {
  readonly policyId: string;
  readonly code: string;
  readonly reason: string;
  /** Hex; '' where not even the rule could be read. */
  readonly ruleHash: string;
};

const refusal = (
  policyId: string,
  code: string,
  reason: string,
  ruleHash = '',
): Result<never, Refusal> => err({ policyId, code, reason, ruleHash });

const entryOf = (proven: Proven, state: PolicyState, policyId: string): Entry | undefined => {
  const rule = parsePolicyRule(new TextEncoder().encode(state.rule));
  if (!rule.ok) return undefined;
  return {
    id: policyId,
    rule: rule.value,
    ruleHash: state.ruleHash,
    height: state.height,
    committedMs: state.committedMs,
    expiresMs: state.expiresMs,
    anomaly: state.anomaly,
    anchorHeight: proven.height,
    // Its certificate is proven to be that of the anchor's hash.
    anchorHash: proven.proof.anchor.anchorQc.blockHash,
    status: 'pending',
    reason: '',
    appliedAtMs: 0,
    endedAtMs: 0,
    turn: 0,
  };
};

/** Why a policy that was allowed once is not any more: never-block lists and the host itself may have changed. */
export const forbidden = (
  rule: PolicyRule,
  { limits }: Trusted,
  around: Surroundings,
): { readonly code: string; readonly reason: string } | undefined => {
  for (const network of targetNetworks(rule.target)) {
    const sacred = limits.neverBlock.find((one) => overlaps(one, network));
    if (sacred === undefined) continue;
    const reason = `${formatCidr(network)} touches ${formatCidr(sacred)}`;
    return { code: 'never-block', reason };
  }
  const local = checkSurroundings(rule, around, new Set(), 1);
  return local.ok ? undefined : local.error;
};

/** What the refusal of a message that is not believed can name; '' where not even that can be read. */
const claimedPolicy = (bytes: Uint8Array): string => {
  if (sizeProblem(bytes) !== undefined) return '';
  const { policyId } = policyUpdateWire.parse(bytes).message;
  return anId(policyId) === undefined ? policyId : '';
};

/** Bytes of the bus to a verdict. Never throws on received bytes. */
export const judge = (
  bytes: Uint8Array,
  trusted: Trusted,
  situation: Situation,
  atMs: number,
  checked?: Checked,
): Result<Verdict, Refusal> => {
  const { roles, limits } = trusted;
  const verified = verifyControl('policy-update', bytes, {
    crypto: withChecked(trusted.crypto, checked),
    roleOf: roles.roleOf,
  });
  if (!verified.ok) {
    const id = claimedPolicy(bytes);
    return refusal(id, verified.error.code, verified.error.detail);
  }
  const event = verified.value;
  const id = event.policyId;
  const ruleHash = hex(event.ruleHash);
  const proven = trusted.proven(event.commitProof, event);
  if (!proven.ok) {
    return refusal(id, `proof-${proven.error}`, 'the commit proof does not hold', ruleHash);
  }
  const state = provenPolicy(proven.value);
  const obeyed = situation.obeyed(id);
  const known = ok({ kind: 'known', policyId: id } as const);
  // Validators prove one value at different heights, in any order, and the bus gives records again.
  const isSame = obeyed?.height === state.height;
  if (obeyed !== undefined && proven.value.height <= obeyed.anchorHeight) {
    if (isSame || proven.value.height === obeyed.anchorHeight) return known;
    const reason = `anchor ${proven.value.height}, seen ${obeyed.anchorHeight}`;
    return refusal(id, 'proof-old', reason, ruleHash);
  }
  const entry = entryOf(proven.value, state, id);
  if (entry === undefined) return refusal(id, 'bad-rule', 'the rule does not parse', ruleHash);
  if (event.action === 'remove' || event.action === 'disable') return ok({ kind: 'remove', entry });
  if (entry.expiresMs <= atMs) {
    return isSame ? known : refusal(id, 'expired', 'its time is over', ruleHash);
  }
  if (isSame && inForce(obeyed)) return ok({ kind: 'apply', entry });
  // The chain has judged the evidence; the agent repeats what needs no evidence, with its own limits.
  const isLetThrough = situation.isLetThrough(id);
  const guarded = checkGuardrails(entry.rule, limits, {
    activePolicies: situation.active,
    policiesLastMinute: situation.lastMinute,
    spoofable: false,
  });
  const isCap = !guarded.ok && CAPS.has(guarded.error.code);
  if (!guarded.ok && !isCap) return refusal(id, guarded.error.code, guarded.error.reason, ruleHash);
  const sacred = forbidden(entry.rule, trusted, situation.around);
  if (sacred !== undefined) return refusal(id, sacred.code, sacred.reason, ruleHash);
  if (isLetThrough) return ok({ kind: 'apply', entry });
  const why = guarded.ok ? capOf(entry.rule, trusted, situation) : guarded.error;
  return why === undefined ? ok({ kind: 'apply', entry }) : ok({ kind: 'held', entry, why });
};

/** Of the caps that the chain cannot know. */
const capOf = (rule: PolicyRule, trusted: Trusted, { around, cut }: Situation): Cap | undefined => {
  if (rule.guardrails.approval_required === true) {
    return { code: 'approval-required', reason: 'the policy itself asks for approval' };
  }
  const local = checkSurroundings(rule, around, cut, trusted.peersShareMax);
  return local.ok ? undefined : local.error;
};
