/** What is remembered of each policy that an agent let into force: when, whose it was, and how harsh it is. Pure. */
import { hex, utf8 } from '#proto/bytes.ts';
import type { Crypto } from '#proto/crypto.ts';
import { formatCidr } from '#proto/ip.ts';
import { canonicalJson } from '#proto/json.ts';
import { type PolicyRule, RATE_LIMIT_PACKETS, targetNetworks } from '#proto/policy.ts';
import { carriersOf, protocolsOf } from './claims.ts';

export type Admission = {
  /** Unix milliseconds. */
  readonly atMs: number;
  /** '' where the policy names none. */
  readonly tenant: string;
  readonly region: string;
  /** See `targetName`. */
  readonly target: string;
  /** See `passesPerS`. */
  readonly passesPerS: number;
  readonly ttlS: number;
};

const NAME_BYTES = 16;

/** Whose a policy is by its own word: that of the rule goes before that of its target. '' for nobody's. */
export const groupOf = (rule: PolicyRule, kind: 'tenant' | 'region'): string =>
  rule[kind] ?? rule.target[kind] ?? '';

/**
 * How many packets a second a policy lets through of what it names. **Harsher** is the policy that lets fewer through:
 * a dry run lets all of them through (Infinity), a rate_limit those of its criteria, drop and reject none.
 */
export const passesPerS = ({ action, criteria, guardrails }: PolicyRule): number => {
  if (guardrails.dry_run === true) return Number.POSITIVE_INFINITY;
  if (action !== 'rate_limit') return 0;
  return (criteria?.attempts_per_window ?? RATE_LIMIT_PACKETS) / (criteria?.window_s ?? 1);
};

type Ports = NonNullable<PolicyRule['target']['ports']>;

/** Ranges that meet are one, whatever their order. */
const portsOf = (ports: Ports): readonly (readonly [number, number])[] => {
  const ranges = ports
    .map((port): [number, number] =>
      typeof port === 'number' ? [port, port] : [port.from, port.to],
    )
    .sort(([a], [b]) => a - b);
  const joined: [number, number][] = [];
  for (const [from, to] of ranges) {
    const last = joined.at(-1);
    if (last === undefined || from > last[1] + 1) joined.push([from, to]);
    else last[1] = Math.max(last[1], to);
  }
  return joined;
};

/** Numbers, ascending; a rule that names one unknown has them as it spells them: no backend enforces it. */
const protocolNames = ({ protocols = [], ports = [] }: PolicyRule['target']) => {
  const known = protocolsOf(protocols);
  if (!known.ok) return protocols.toSorted();
  return (ports.length === 0 ? known.value : carriersOf(known.value)).toSorted((a, b) => a - b);
};

/**
 * Names what a policy is about: its addresses and networks, direction, ports, protocols, namespace and selectors.
 * Another spelling or order of the same has the same name; labels (scope, tenant, region) are no part of it.
 */
export const targetName = ({ target }: PolicyRule, crypto: Pick<Crypto, 'sha256'>): string => {
  const what = [
    [...new Set(targetNetworks(target).map(formatCidr))].sort(),
    target.direction ?? '',
    portsOf(target.ports ?? []),
    protocolNames(target),
    target.namespace ?? '',
    target.selectors ?? {},
  ];
  return hex(crypto.sha256(utf8(canonicalJson(what))).subarray(0, NAME_BYTES));
};

export const admissionOf = (
  rule: PolicyRule,
  crypto: Pick<Crypto, 'sha256'>,
  atMs: number,
): Admission => ({
  atMs,
  tenant: groupOf(rule, 'tenant'),
  region: groupOf(rule, 'region'),
  target: targetName(rule, crypto),
  passesPerS: passesPerS(rule),
  ttlS: rule.guardrails.ttl_seconds,
});
