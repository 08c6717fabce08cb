import fc from 'fast-check';
import { expect, test } from 'vitest';
import { contains, formatCidr, hostCidr, parseCidr, parseIp } from '#proto/ip.ts';
import { checkGuardrails, guardrailLimits, type PolicyRule } from '#proto/policy.ts';
import { rule } from '#test/kit/wire-messages.ts';

const parameters = {
  ttlLadderS: [600, 3600],
  maxPrefixV4: 24,
  maxPrefixV6: 64,
  activePoliciesMax: 10,
  policiesPerMinuteMax: 5,
};
const NEVER = ['10.0.0.0/8', '192.0.2.53/32', '2001:db8:1::/48'];
const limits = guardrailLimits(parameters, NEVER);
const calm = { activePolicies: 0, policiesLastMinute: 0, spoofable: false };

const outcome = (one: PolicyRule, situation = calm): string => {
  const result = checkGuardrails(one, limits, situation);
  return result.ok ? 'ok' : result.error.code;
};
const against = (target: PolicyRule['target'], more: Partial<PolicyRule['guardrails']> = {}) => ({
  ...rule,
  target,
  guardrails: { ...rule.guardrails, ...more },
});

test('an ordinary block passes', () => {
  expect(outcome(rule)).toBe('ok');
  expect(outcome(against({ cidrs: ['198.51.100.0/24', '2001:db8:2::/64'] }))).toBe('ok');
});

test.each<[string, PolicyRule['target']]>([
  ['a host inside a network', { ips: ['10.1.2.3'] }],
  ['a host in the mapped spelling', { ips: ['::ffff:10.1.2.3'] }],
  ['a network inside a network', { cidrs: ['10.1.2.0/24'] }],
  ['a network that holds a host', { cidrs: ['192.0.2.0/24'] }],
  ['a network in the mapped spelling', { cidrs: ['::ffff:192.0.2.0/120'] }],
  ['an IPv6 host', { ips: ['2001:db8:1::5'] }],
  ['an IPv6 network', { cidrs: ['2001:db8:1:2::/64'] }],
  ['one of many', { ips: ['198.51.100.7', '192.0.2.53'] }],
])('%s of the never-block list is refused', (_, target) => {
  expect(outcome(against(target))).toBe('never-block');
});

test('no policy that passes holds an address of the never-block list', () => {
  const target = fc.tuple(
    fc.oneof(fc.ipV4(), fc.constant('10.2.3.4')),
    fc.integer({ min: 20, max: 32 }),
  );
  fc.assert(
    fc.property(target, ([base, prefix]) => {
      const cidr = `${base}/${prefix}`;
      fc.pre(outcome(against({ cidrs: [cidr] })) === 'ok');
      for (const entry of NEVER) {
        expect(contains(parseCidr(cidr)!, parseCidr(entry)!.address)).toBe(false);
        expect(contains(parseCidr(entry)!, parseCidr(cidr)!.address)).toBe(false);
      }
    }),
    { seed: 20_260_808, numRuns: 500 },
  );
});

test('networks wider than the chain or the rule allows are refused, /0 first', () => {
  for (const cidr of ['0.0.0.0/0', '::/0', '198.51.100.0/23', '2001:db8:2::/63', '::fffe:0:0/95']) {
    expect(outcome(against({ cidrs: [cidr] }))).toBe('prefix-too-wide');
  }
  const narrow = { cidr_max_prefix_len: 28 };
  expect(outcome(against({ cidrs: ['198.51.100.0/27'] }, narrow))).toBe('prefix-too-wide');
  expect(outcome(against({ cidrs: ['198.51.100.0/28'] }, narrow))).toBe('ok');
  expect(outcome(against({ ips: ['198.51.100.1'] }, { cidr_max_prefix_len: 64 }))).toBe('ok');
});

test('a TTL lies within the ladder', () => {
  const ips = ['198.51.100.7'];
  expect(outcome(against({ ips }, { ttl_seconds: 3600 }))).toBe('ok');
  expect(outcome(against({ ips }, { ttl_seconds: 3601 }))).toBe('ttl');
  expect(outcome(against({ ips }, { ttl_seconds: 0 }))).toBe('ttl');
});

test('blast radius: targets, policies in force and policies a minute are capped', () => {
  const ips = ['198.51.100.7', '198.51.100.8'];
  expect(outcome(against({ ips }, { max_targets: 1 }))).toBe('too-many-targets');
  expect(outcome(rule, { ...calm, activePolicies: 9 })).toBe('ok');
  expect(outcome(rule, { ...calm, activePolicies: 10 })).toBe('too-many-active');
  expect(outcome(rule, { ...calm, policiesLastMinute: 5 })).toBe('too-many-a-minute');
  const own = against({ ips }, { max_active_policies: 2, max_policies_per_minute: 3 });
  expect(outcome(own, { ...calm, activePolicies: 2 })).toBe('too-many-active');
  expect(outcome(own, { ...calm, policiesLastMinute: 3 })).toBe('too-many-a-minute');
});

test('spoofable evidence never drops or rejects, but may slow down', () => {
  const spoofed = { ...calm, spoofable: true };
  expect(outcome({ ...rule, action: 'drop' }, spoofed)).toBe('spoofable');
  expect(outcome({ ...rule, action: 'reject' }, spoofed)).toBe('spoofable');
  expect(outcome({ ...rule, action: 'rate_limit' }, spoofed)).toBe('ok');
});

test('the allowlist of the rule wins over its target, flat or by kind', () => {
  const ips = ['198.51.100.7'];
  const flat = ['ns:prod', '198.51.100.0/24'];
  expect(outcome(against({ ips }, { allowlist: flat }))).toBe('allowlisted');
  expect(outcome(against({ ips }, { allowlist: { ips } }))).toBe('allowlisted');
  expect(outcome(against({ ips }, { allowlist: ['198.51.100.8'] }))).toBe('ok');
});

test('a namespace on the allowlist of the rule is left alone, flat or by kind', () => {
  const target = { ips: ['203.0.113.9'], namespace: 'kube-system' };
  expect(outcome(against(target, { allowlist: ['ns:kube-system'] }))).toBe('allowlisted');
  const byKind = { namespaces: ['kube-system'] };
  expect(outcome(against(target, { allowlist: byKind }))).toBe('allowlisted');
  expect(outcome(against(target, { allowlist: ['ns:shop'] }))).toBe('ok');
});

test('a removal passes whatever the caps say', () => {
  const full = { activePolicies: 99, policiesLastMinute: 99, spoofable: true };
  expect(outcome({ ...against({ ips: ['10.0.0.1'] }), action: 'remove' }, full)).toBe('ok');
});

test('a never-block list that is none is a bug, not a pass', () => {
  expect(() => guardrailLimits(parameters, ['everything'])).toThrow('everything');
  expect(formatCidr(hostCidr(parseIp('1.2.3.4')!))).toBe('1.2.3.4/32');
});
