/** How policies come into the state and leave it: derived from anomalies, or asked for by an operator. */

import { checkAnomalyPayload } from '#proto/anomaly-payload.ts';
import { hex } from '#proto/bytes.ts';
import { encodePolicyRule, type PolicyRule, parsePolicyRule } from '#proto/policy.ts';
import { derivePolicy } from '#proto/policy-derivation.ts';
import { checkGuardrails } from '#proto/policy-guardrails.ts';
import { err, ok, type Result } from '#proto/result.ts';
import {
  activeKey,
  minuteOf,
  offenceKey,
  type PolicyState,
  policyKey,
  TOTALS_KEY,
} from '#proto/state.ts';
import type { VerifiedMessage } from '#proto/wire/verification.ts';
import { must, read, type Scratch, write } from './scratch.ts';
import { targetsOf, targetText } from './targets.ts';
import type { Site } from './transaction.ts';

type Of<K extends VerifiedMessage['kind']> = Extract<VerifiedMessage, { kind: K }>;

/** The policy's id, or the code of why there is none. Never a reason to refuse the anomaly itself. */
export const policyFromAnomaly = (site: Site, verified: Of<'anomaly'>): Result<string, string> => {
  const { pad, rules, timeMs } = site;
  const { id, producerId } = verified.message;
  const payload = checkAnomalyPayload(verified.content);
  if (!payload.ok) return err('payload');
  const anomaly = { id, payload: payload.value };
  const derive = (step: number) => derivePolicy(anomaly, rules.parameters, step, rules.crypto);
  const first = derive(0);
  if (!first.ok) return first;
  const target = targetText(first.value, rules.crypto);
  const { action } = first.value;
  const inForce = read(pad, activeKey(target, action));
  if (inForce !== null && inForce.expiresMs > timeMs) return err('active');
  const offences = read(pad, offenceKey(target, action))?.count ?? 0;
  const rule = offences === 0 ? first : derive(offences);
  if (!rule.ok) return rule;
  const { spoofable } = payload.value;
  const allowed = checkGuardrails(rule.value, rules.limits, { ...situation(site), spoofable });
  if (!allowed.ok) return err(allowed.error.code);
  if (read(pad, policyKey(rule.value.policy_id)) !== null) return err('policy-exists');
  write(pad, offenceKey(target, action), { count: offences + 1, lastMs: timeMs });
  enact(site, rule.value, {
    ruleBytes: encodePolicyRule(rule.value),
    offence: offences + 1,
    anomaly: id,
    producer: hex(producerId),
  });
  return ok(rule.value.policy_id);
};

/** Any error keeps the transaction out of every block. */
export const policyFromOperator = (site: Site, verified: Of<'policy'>): Result<string, string> => {
  const { rules } = site;
  const { params, producerId } = verified.message;
  if (params.length > rules.parameters.policyBytesMax) return err('policy-too-large');
  const parsed = parsePolicyRule(params);
  if (!parsed.ok) return err(`policy-${parsed.error.code}`);
  const rule = parsed.value;
  const producer = hex(producerId);
  if (rule.action === 'remove') {
    // Genesis may let detectors propose blocks; to undo one takes a person.
    if (rules.roles.roleOf(producerId) !== 'operator') return err('removal-needs-operator');
    return removePolicy(site, rule, params, producer);
  }
  const allowed = checkGuardrails(rule, rules.limits, { ...situation(site), spoofable: false });
  if (!allowed.ok) return err(`guardrail-${allowed.error.code}`);
  if (read(site.pad, policyKey(rule.policy_id)) !== null) return err('policy-exists');
  enact(site, rule, { ruleBytes: params, offence: 0, anomaly: '', producer });
  return ok(rule.policy_id);
};

const situation = ({ pad, timeMs }: Site) => {
  const totals = must(pad, TOTALS_KEY);
  return {
    activePolicies: totals.active,
    policiesLastMinute: totals.minute === minuteOf(timeMs) ? totals.inMinute : 0,
  };
};

type Origin = Pick<PolicyState, 'offence' | 'anomaly' | 'producer'> & {
  readonly ruleBytes: Uint8Array;
};

const ruleFields = (pad: Scratch, ruleBytes: Uint8Array) => ({
  rule: new TextDecoder('utf-8', { ignoreBOM: true }).decode(ruleBytes),
  ruleHash: hex(pad.crypto.sha256(ruleBytes)),
});

const enact = (site: Site, rule: PolicyRule, origin: Origin): void => {
  const { pad, height, timeMs } = site;
  const { ruleBytes, ...rest } = origin;
  const { action, policy_id } = rule;
  const target = targetText(rule, pad.crypto);
  const expiresMs = timeMs + rule.guardrails.ttl_seconds * 1000;
  write(pad, policyKey(policy_id), {
    status: 'active',
    ...ruleFields(pad, ruleBytes),
    action,
    target,
    targets: targetsOf(rule),
    height,
    committedMs: timeMs,
    expiresMs,
    ...rest,
  });
  const inForce = read(pad, activeKey(target, action));
  if (inForce === null || inForce.expiresMs < expiresMs) {
    write(pad, activeKey(target, action), { policy: policy_id, expiresMs });
  }
  const totals = must(pad, TOTALS_KEY);
  const minute = minuteOf(timeMs);
  write(pad, TOTALS_KEY, {
    ...totals,
    policies: totals.policies + 1,
    active: totals.active + 1,
    minute,
    inMinute: (totals.minute === minute ? totals.inMinute : 0) + 1,
  });
};

/** Leaves a tombstone, so that the removal has a proof of its own; it is swept when the policy would have ended. */
const removePolicy = (
  { pad, height, timeMs }: Site,
  rule: PolicyRule,
  ruleBytes: Uint8Array,
  producer: string,
): Result<string, string> => {
  const key = policyKey(rule.policy_id);
  const policy = read(pad, key);
  if (policy?.status !== 'active' || policy.expiresMs <= timeMs) return err('no-such-policy');
  write(pad, key, {
    ...policy,
    status: 'removed',
    ...ruleFields(pad, ruleBytes),
    height,
    committedMs: timeMs,
    producer,
  });
  const inForce = activeKey(policy.target, policy.action);
  if (read(pad, inForce)?.policy === rule.policy_id) write(pad, inForce, null);
  const totals = must(pad, TOTALS_KEY);
  write(pad, TOTALS_KEY, { ...totals, active: totals.active - 1 });
  return ok(rule.policy_id);
};
