/** From a committed anomaly to at most one policy (CONSENSUS.md, "Where policies come from"). Pure
 * and integer where it decides, so that every validator derives the same bytes. */
import type { AnomalyPayload } from './anomaly-payload.ts';
import type { Crypto } from './crypto.ts';
import { formatIp, parseIp } from './ip.ts';
import { derivedPolicyId, type PolicyRule, type PolicyTarget } from './policy-rule.ts';
import { err, ok, type Result, unreachable } from './result.ts';

/** Weaker incidents stay alerts. */
export const POLICY_SEVERITY_MIN = 3;
/** What a rate_limit lets through: packets a second. */
export const RATE_LIMIT_PACKETS = 100;
const RATE_LIMIT_WINDOW_S = 1;
/** More ports than this and the rule speaks of the address as a whole. */
const RULE_PORTS_MAX = 16;

export type SuppressReason =
  | 'low-confidence'
  | 'low-severity'
  | 'no-template' // the threat calls for a person
  | 'no-address'; // the side that the template speaks of has many addresses, or none

export type DerivationParameters = {
  readonly ttlLadderS: readonly number[];
  readonly minConfidencePpm: number;
};

/** `ladderStep`: earlier offences of the same (target, action), 0 for the first. The caller still
 * asks `checkGuardrails`. */
export const derivePolicy = (
  anomaly: { readonly id: string; readonly payload: AnomalyPayload },
  parameters: DerivationParameters,
  ladderStep: number,
  crypto: Pick<Crypto, 'sha256'>,
): Result<PolicyRule, SuppressReason> => {
  const { id, payload } = anomaly;
  if (ppm(payload.confidence) < parameters.minConfidencePpm) return err('low-confidence');
  if (payload.severity < POLICY_SEVERITY_MIN) return err('low-severity');
  const template = templateFor(payload);
  if (template === undefined) return err('no-template');
  const target = targetFor(template, payload);
  if (target === undefined) return err('no-address');
  const ladder = parameters.ttlLadderS;
  const { action } = template;
  return ok({
    policy_id: derivedPolicyId({ action, target }, id, crypto),
    rule_type: 'block',
    action,
    target,
    ...(action === 'rate_limit' && {
      criteria: { attempts_per_window: RATE_LIMIT_PACKETS, window_s: RATE_LIMIT_WINDOW_S },
    }),
    guardrails: {
      ttl_seconds: ladder[Math.min(ladderStep, ladder.length - 1)]!,
      dry_run: false,
      max_targets: 1,
    },
    audit: { reason_code: payload.type, evidence_refs: [id] },
  });
};

/** Whose address the rule names, and what happens to its packets. */
type Template = { readonly action: 'drop' | 'rate_limit'; readonly side: 'source' | 'destination' };

/** An address that an attacker could have forged is never dropped: a flood from such addresses is
 * slowed at its destination, anything else at its source. */
const templateFor = (payload: AnomalyPayload): Template | undefined => {
  const { type, spoofable } = payload;
  switch (type) {
    case 'ddos':
    case 'dos':
      return spoofable || payload.src_ip === ''
        ? { action: 'rate_limit', side: 'destination' }
        : { action: 'drop', side: 'source' };
    case 'port_scan':
    case 'brute_force':
      return { action: spoofable ? 'rate_limit' : 'drop', side: 'source' };
    case 'malware_c2':
      return { action: spoofable ? 'rate_limit' : 'drop', side: 'destination' };
    case 'data_exfil':
    case 'anomaly':
      return undefined;
    default:
      return unreachable(type);
  }
};

const targetFor = (template: Template, payload: AnomalyPayload): PolicyTarget | undefined => {
  const source = template.side === 'source';
  const address = parseIp(source ? payload.src_ip : payload.dst_ip);
  if (address === undefined) return undefined;
  const protocol = payload.protocol.toLowerCase();
  const ports = payload.dst_ports.length <= RULE_PORTS_MAX ? payload.dst_ports : [];
  const narrow = template.action === 'rate_limit' && !source;
  return {
    ips: [formatIp(address)],
    direction: payload.type === 'malware_c2' ? 'egress' : 'ingress',
    ...(narrow && ports.length > 0 && { ports: [...ports].sort((a, b) => a - b) }),
    ...(narrow && protocol !== '' && { protocols: [protocol] }),
  };
};

/** Parts per million; the same on every machine, as IEEE 754 rounds alike. */
const ppm = (fraction: number): number => Math.round(fraction * 1_000_000);
