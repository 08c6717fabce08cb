/** The safety rules for enforcement that every validator repeats (ENFORCEMENT.md, "Safety"). For a
 * policy of an operator they decide whether it may stand in a block; for a policy that is derived
 * from an anomaly, whether it comes to be. Of a rule's own guardrails these are the ones that the state can answer; its
 * rate limits, cooldown and canary scope are each agent's business (actors/enforcer/pace-caps.ts, verdict.ts). */
import {
  type Cidr,
  familyOf,
  formatCidr,
  holdsAllV4,
  hostCidr,
  overlaps,
  parseCidr,
  parseIp,
} from './ip.ts';
import type { PolicyRule, PolicyTarget } from './policy-rule.ts';
import { err, ok, type Result } from './result.ts';

export type GuardrailParameters = {
  /** Seconds, ascending; the last is the longest TTL of any policy. */
  readonly ttlLadderS: readonly number[];
  /** The shortest prefix that a policy may name. */
  readonly maxPrefixV4: number;
  readonly maxPrefixV6: number;
  readonly activePoliciesMax: number;
  readonly policiesPerMinuteMax: number;
};

export type GuardrailLimits = GuardrailParameters & { readonly neverBlock: readonly Cidr[] };

/** Throws on a never-block entry that is no CIDR: genesis was checked before. */
export const guardrailLimits = (
  parameters: GuardrailParameters,
  neverBlock: readonly string[],
): GuardrailLimits => ({ ...parameters, neverBlock: neverBlock.map(knownCidr) });

/** What the rule itself does not say. */
export type GuardrailSituation = {
  /** In force before this one. */
  readonly activePolicies: number;
  /** New ones within the last minute of header time. */
  readonly policiesLastMinute: number;
  /** The evidence lets an attacker choose the address; false where a person decided. */
  readonly spoofable: boolean;
};

export type GuardrailCode =
  | 'never-block'
  | 'prefix-too-wide'
  | 'ttl'
  | 'too-many-targets'
  | 'too-many-active'
  | 'too-many-a-minute'
  | 'spoofable'
  | 'allowlisted';

export type GuardrailError = { readonly code: GuardrailCode; readonly reason: string };

/** A removal passes always: undoing a block harms nobody. */
export const checkGuardrails = (
  rule: PolicyRule,
  limits: GuardrailLimits,
  situation: GuardrailSituation,
): Result<PolicyRule, GuardrailError> => {
  if (rule.action === 'remove') return ok(rule);
  const problem =
    spoofingProblem(rule, situation) ??
    ttlProblem(rule, limits) ??
    targetProblem(rule, limits) ??
    countProblem(rule, limits, situation);
  return problem === undefined ? ok(rule) : err(problem);
};

/** Hosts as networks of one address. */
export const targetNetworks = (target: Pick<PolicyTarget, 'ips' | 'cidrs'>): readonly Cidr[] => [
  ...(target.ips ?? []).map(knownHost),
  ...(target.cidrs ?? []).map(knownCidr),
];

const spoofingProblem = (rule: PolicyRule, { spoofable }: GuardrailSituation) =>
  spoofable && (rule.action === 'drop' || rule.action === 'reject')
    ? broken('spoofable', `${rule.action} on evidence whose source address can be forged`)
    : undefined;

const ttlProblem = (rule: PolicyRule, limits: GuardrailLimits) => {
  const longest = Math.max(...limits.ttlLadderS);
  const ttl = rule.guardrails.ttl_seconds;
  return ttl > 0 && ttl <= longest ? undefined : broken('ttl', `${ttl} s is not 1..${longest} s`);
};

const targetProblem = (rule: PolicyRule, limits: GuardrailLimits) => {
  const { namespace } = rule.target;
  if (namespace !== undefined && allowedNamespaces(rule).includes(namespace)) {
    return broken('allowlisted', `the namespace ${namespace} is on the list of the rule itself`);
  }
  const networks = targetNetworks(rule.target);
  const max = rule.guardrails.max_targets ?? Number.POSITIVE_INFINITY;
  if (networks.length > max) {
    return broken('too-many-targets', `${networks.length} of at most ${max}`);
  }
  const allowed = allowedNetworks(rule);
  for (const network of networks) {
    const shortest = shortestPrefix(network, rule, limits);
    if (familyOf(network).prefix < shortest || holdsAllV4(network)) {
      return broken('prefix-too-wide', `${formatCidr(network)} is wider than /${shortest}`);
    }
    const sacred = limits.neverBlock.find((entry) => overlaps(entry, network));
    if (sacred !== undefined) {
      return broken('never-block', `${formatCidr(network)} touches ${formatCidr(sacred)}`);
    }
    const excused = allowed.find((entry) => overlaps(entry, network));
    if (excused !== undefined) {
      return broken('allowlisted', `${formatCidr(network)} touches ${formatCidr(excused)}`);
    }
  }
  return undefined;
};

/** `cidr_max_prefix_len` narrows further; like the chain's parameter it bounds width. */
const shortestPrefix = (network: Cidr, rule: PolicyRule, limits: GuardrailLimits): number => {
  const { family } = familyOf(network);
  const own = rule.guardrails.cidr_max_prefix_len ?? 0;
  const widest = family === 4 ? limits.maxPrefixV4 : limits.maxPrefixV6;
  return Math.max(widest, Math.min(own, family === 4 ? 32 : 128));
};

const NAMESPACE_MARK = 'ns:';

const allowedNamespaces = ({ guardrails }: PolicyRule): readonly string[] => {
  const list = guardrails.allowlist ?? [];
  if (!Array.isArray(list)) return list.namespaces ?? [];
  const entries = list.filter((entry) => entry.startsWith(NAMESPACE_MARK));
  return entries.map((entry) => entry.slice(NAMESPACE_MARK.length));
};

const allowedNetworks = ({ guardrails }: PolicyRule): readonly Cidr[] => {
  const list = guardrails.allowlist;
  if (list === undefined) return [];
  if (!Array.isArray(list)) return targetNetworks(list);
  const entries = list.filter((entry) => !entry.startsWith(NAMESPACE_MARK));
  return entries.map((entry) => parseCidr(entry) ?? knownHost(entry));
};

const countProblem = (
  { guardrails }: PolicyRule,
  limits: GuardrailLimits,
  situation: GuardrailSituation,
) => {
  const active = Math.min(limits.activePoliciesMax, guardrails.max_active_policies ?? Infinity);
  if (situation.activePolicies >= active) {
    return broken('too-many-active', `${situation.activePolicies} of at most ${active}`);
  }
  const minute = Math.min(
    limits.policiesPerMinuteMax,
    guardrails.max_policies_per_minute ?? Infinity,
  );
  return situation.policiesLastMinute >= minute
    ? broken('too-many-a-minute', `${situation.policiesLastMinute} of at most ${minute}`)
    : undefined;
};

const broken = (code: GuardrailCode, reason: string): GuardrailError => ({ code, reason });

const knownHost = (text: string): Cidr => {
  const address = parseIp(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return hostCidr(address);
};

const knownCidr = (text: string): Cidr => {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new Error(`not a network: ${text}`);
  return cidr;
};
