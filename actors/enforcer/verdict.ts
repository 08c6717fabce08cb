/** Whether this agent obeys what is proven: what it knows already, its own limits, and the host that it protects. */
import { formatCidr, overlaps } from '#proto/ip.ts';
import {
  checkGuardrails,
  type GuardrailLimits,
  type PolicyRule,
  targetNetworks,
} from '#proto/policy.ts';
import { ok, type Result } from '#proto/result.ts';
import { NOT_CANARY } from '#proto/wire/ack.ts';
import { type Believed, type Refusal, refusal } from './belief.ts';
import { type CutOff, checkSurroundings, type Surroundings } from './neighbourhood.ts';
import { type Entry, inForce } from './registry.ts';

export type Trusted = {
  readonly limits: GuardrailLimits;
  /** 0..1: of the peers seen lately, so many may be cut off. */
  readonly peersShareMax: number;
  /** Of policies for canaries those of these scopes are obeyed here. */
  readonly canaryScopes: ReadonlySet<string>;
};

/** What the agent remembers and counts when it judges. */
export type Situation = {
  /** What was obeyed for the policy last. */
  readonly obeyed: (policyId: string) => Entry | undefined;
  readonly active: number;
  readonly lastMinute: number;
  /** Why a policy comes too soon after others, by its own rule. */
  readonly tooSoon: (rule: PolicyRule) => Cap | undefined;
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

/** What nobody may lift. */
type Ban = { readonly code: string; readonly reason: string };

const CAPS: ReadonlySet<string> = new Set(['too-many-active', 'too-many-a-minute']);

const entryOf = (believed: Believed, rule: PolicyRule): Entry => {
  const { id, ruleHash, height, committedMs, expiresMs, anomaly } = believed;
  const { anchorHeight, anchorHash } = believed;
  return {
    ...{ id, rule, ruleHash, height, committedMs, expiresMs, anomaly, anchorHeight, anchorHash },
    ...{ status: 'pending', reason: '', appliedAtMs: 0, endedAtMs: 0, turn: 0 },
  };
};

/** A trial is for those who were chosen for it. */
const canaryProblem = (
  { guardrails, target: { scope } }: PolicyRule,
  { canaryScopes }: Trusted,
): Ban | undefined => {
  if (guardrails.canary_scope !== true) return undefined;
  if (scope !== undefined && canaryScopes.has(scope)) return undefined;
  const here = canaryScopes.size === 0 ? 'of nothing' : `of ${[...canaryScopes].join(', ')}`;
  return { code: NOT_CANARY, reason: `for canaries of ${scope}; this agent is one ${here}` };
};

/**
 * Why a policy that was allowed once is not any more: never-block lists, canary scopes and the host itself may have
 * changed.
 */
export const forbidden = (
  rule: PolicyRule,
  trusted: Trusted,
  around: Surroundings,
): Ban | undefined => {
  const elsewhere = canaryProblem(rule, trusted);
  if (elsewhere !== undefined) return elsewhere;
  const { limits } = trusted;
  for (const network of targetNetworks(rule.target)) {
    const sacred = limits.neverBlock.find((one) => overlaps(one, network));
    if (sacred === undefined) continue;
    const reason = `${formatCidr(network)} touches ${formatCidr(sacred)}`;
    return { code: 'never-block', reason };
  }
  const local = checkSurroundings(rule, around, new Set(), 1);
  return local.ok ? undefined : local.error;
};

/** What is proven to a verdict. */
export const judge = (
  believed: Believed,
  trusted: Trusted,
  situation: Situation,
  atMs: number,
): Result<Verdict, Refusal> => {
  const { limits } = trusted;
  const { id, ruleHash, action, rule } = believed;
  const obeyed = situation.obeyed(id);
  const known = ok({ kind: 'known', policyId: id } as const);
  // Validators prove one value at different heights, in any order, and the bus gives records again.
  const isSame = obeyed?.height === believed.height;
  if (obeyed !== undefined && believed.anchorHeight <= obeyed.anchorHeight) {
    if (isSame || believed.anchorHeight === obeyed.anchorHeight) return known;
    const reason = `anchor ${believed.anchorHeight}, seen ${obeyed.anchorHeight}`;
    return refusal(id, 'proof-old', reason, ruleHash);
  }
  if (rule === undefined) return refusal(id, 'bad-rule', 'the rule does not parse', ruleHash);
  const entry = entryOf(believed, rule);
  if (action === 'remove' || action === 'disable') return ok({ kind: 'remove', entry });
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
const capOf = (
  rule: PolicyRule,
  trusted: Trusted,
  { around, cut, tooSoon }: Situation,
): Cap | undefined => {
  if (rule.guardrails.approval_required === true) {
    return { code: 'approval-required', reason: 'the policy itself asks for approval' };
  }
  const soon = tooSoon(rule);
  if (soon !== undefined) return soon;
  const local = checkSurroundings(rule, around, cut, trusted.peersShareMax);
  return local.ok ? undefined : local.error;
};
