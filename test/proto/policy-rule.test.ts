import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJsonBytes } from '#proto/json.ts';
import { encodePolicyRule, type PolicyRule, parsePolicyRule } from '#proto/policy.ts';
import { rule } from '#test/kit/wire-messages.ts';

/** Every field of the contract at once. */
const FULL: PolicyRule = {
  policy_id: 'p',
  rule_type: 'block',
  action: 'rate_limit',
  target: {
    ips: ['198.51.100.7', '2001:db8::7'],
    cidrs: ['198.51.100.0/24'],
    direction: 'egress',
    scope: 'namespace',
    selectors: { app: 'web' },
    namespace: 'prod',
    ports: [22, { from: 8000, to: 8080 }],
    protocols: ['tcp'],
    tenant: 't',
    region: 'r',
  },
  criteria: { min_confidence: 0.9, attempts_per_window: 10, window_s: 60 },
  guardrails: {
    ttl_seconds: 600,
    dry_run: true,
    max_targets: 3,
    cidr_max_prefix_len: 24,
    approval_required: false,
    max_active_policies: 100,
    max_policies_per_minute: 10,
    rate_limit: { window_s: 60, max_actions: 5 },
    rate_limit_per_tenant: 5,
    rate_limit_per_region: 5,
    escalation_cooldown_s: 30,
    canary_scope: true,
    rollback_if_no_commit_after_s: 600,
    pre_consensus_ttl_seconds: 60,
    fast_path_enabled: true,
    fast_path_ttl_seconds: 30,
    fast_path_signals_required: 2,
    fast_path_confidence_min: 0.95,
    allowlist: { ips: ['192.0.2.1'], cidrs: ['192.0.2.0/24'], namespaces: ['kube-system'] },
  },
  audit: { reason_code: 'dos', evidence_refs: ['e'] },
  tenant: 't',
  region: 'r',
};

const read = (data: unknown) => parsePolicyRule(canonicalJsonBytes(data));
const limits = (changes: object) => ({ ...rule, guardrails: { ...rule.guardrails, ...changes } });
const aimed = (target: object) => ({ ...rule, target });

test('every field of the contract reads back', () => {
  expect(parsePolicyRule(encodePolicyRule(FULL))).toEqual({ ok: true, value: FULL });
  const flat = limits({ allowlist: ['192.0.2.1', '192.0.2.0/24', 'ns:kube-system'] });
  expect(read(flat)).toEqual({ ok: true, value: flat });
});

test.each([
  ['no TTL', { ...rule, guardrails: { dry_run: true } }, 'missing-ttl', 'guardrails.ttl_seconds'],
  ['no guardrails', { ...rule, guardrails: undefined }, 'missing-ttl', 'guardrails'],
  ['a TTL of 0', limits({ ttl_seconds: 0 }), 'bad-field', 'guardrails.ttl_seconds'],
  ['an empty target', aimed({ direction: 'ingress', ips: [] }), 'no-target', 'target'],
  ['an unknown limit', limits({ max_packets: 1 }), 'unknown-field', 'guardrails'],
  ['another action', { ...rule, action: 'allow' }, 'bad-field', 'action'],
  ['another rule type', { ...rule, rule_type: 'allow' }, 'bad-field', 'rule_type'],
  ['no id', { ...rule, policy_id: '' }, 'bad-field', 'policy_id'],
  ['an id of 129 bytes', { ...rule, policy_id: 'é'.repeat(65) }, 'bad-field', 'policy_id'],
  ['a broken address', aimed({ ips: ['1.2.3'] }), 'bad-field', 'target.ips.0'],
  ['a broken network', aimed({ cidrs: ['1.2.3.4/40'] }), 'bad-field', 'target.cidrs.0'],
  ['port 65536', aimed({ ips: ['1.2.3.4'], ports: [65_536] }), 'bad-field', 'target.ports.0'],
  ['a prefix of 129', limits({ cidr_max_prefix_len: 129 }), 'bad-field', undefined],
  ['a window of 0', { ...rule, criteria: { window_s: 0 } }, 'bad-field', 'criteria.window_s'],
  ['confidence 1.1', limits({ fast_path_confidence_min: 1.1 }), 'bad-field', undefined],
  ['a broken allowlist', limits({ allowlist: ['nowhere'] }), 'bad-field', undefined],
  [
    'rollback beyond TTL',
    limits({ rollback_if_no_commit_after_s: 601 }),
    'contradiction',
    undefined,
  ],
  ['pre-consensus TTL', limits({ pre_consensus_ttl_seconds: 601 }), 'contradiction', undefined],
  ['a canary without scope', limits({ canary_scope: true }), 'contradiction', undefined],
  ['a list', [rule], 'not-json', ''],
] as const)('%s is refused by name', (_, data, code, field) => {
  const expected = { code, ...(field !== undefined && { field }) };
  expect(read(data)).toMatchObject({ ok: false, error: expected });
});

test('no JSON makes it throw', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      read(value);
      read({ ...rule, guardrails: value });
      read({ ...rule, target: value });
    }),
    { seed: 20_260_707, numRuns: 200 },
  );
});
