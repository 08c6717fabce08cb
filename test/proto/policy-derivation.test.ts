import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crypto } from '#native/crypto.ts';
import type { AnomalyPayload } from '#proto/anomaly-payload.ts';
import {
  checkGuardrails,
  derivePolicy,
  encodePolicyRule,
  guardrailLimits,
  parsePolicyRule,
} from '#proto/policy.ts';
import { THREATS } from '#proto/threats.ts';
import { payload } from '#test/kit/wire-messages.ts';

const parameters = { ttlLadderS: [600, 3600], minConfidencePpm: 700_000 };

const derive = (changes: Partial<AnomalyPayload>, step = 0, id = 'anomaly-1') =>
  derivePolicy({ id, payload: { ...payload, ...changes } }, parameters, step, crypto);

const gist = (changes: Partial<AnomalyPayload>) => {
  const result = derive(changes);
  if (!result.ok) return result.error;
  const { action, target } = result.value;
  return `${action} ${target.direction} ${target.ips?.join()}`;
};

test.each([
  ['a scan over connections', { type: 'port_scan' }, 'drop ingress 198.51.100.7'],
  ['a brute force', { type: 'brute_force' }, 'drop ingress 198.51.100.7'],
  ['a flood over connections', { type: 'dos' }, 'drop ingress 198.51.100.7'],
  ['a spoofed flood', { type: 'dos', spoofable: true }, 'rate_limit ingress 203.0.113.9'],
  ['a spoofed ddos', { type: 'ddos', spoofable: true }, 'rate_limit ingress 203.0.113.9'],
  ['a flood from many', { type: 'ddos', src_ip: '' }, 'rate_limit ingress 203.0.113.9'],
  ['a SYN scan', { type: 'port_scan', spoofable: true }, 'rate_limit ingress 198.51.100.7'],
  ['command and control', { type: 'malware_c2' }, 'drop egress 203.0.113.9'],
  ['exfiltration', { type: 'data_exfil' }, 'no-template'],
  ['a mere anomaly', { type: 'anomaly' }, 'no-template'],
  ['a horizontal C2', { type: 'malware_c2', dst_ip: '' }, 'no-address'],
  ['a weak one', { severity: 2 }, 'low-severity'],
  ['an unsure one', { confidence: 0.699_999 }, 'low-confidence'],
  ['a mapped address', { src_ip: '::ffff:198.51.100.7' }, 'drop ingress 198.51.100.7'],
] as const)('%s', (_, changes, expected) => {
  expect(gist(changes)).toBe(expected);
});

test('the TTL climbs the ladder and stays on its last step', () => {
  const ttls = [0, 1, 2, 9].map((step) => {
    const result = derive({}, step);
    return result.ok && result.value.guardrails.ttl_seconds;
  });
  expect(ttls).toEqual([600, 3600, 3600, 3600]);
});

test('the policy id follows from target, action and anomaly alone', () => {
  const idOf = (changes: Partial<AnomalyPayload>, id?: string) => {
    const result = derive(changes, 0, id);
    return result.ok && result.value.policy_id;
  };
  expect(idOf({ flows: 1 })).toBe(idOf({ flows: 2 }));
  expect(idOf({})).not.toBe(idOf({}, 'anomaly-2'));
  expect(idOf({})).not.toBe(idOf({ src_ip: '198.51.100.8' }));
  expect(idOf({})).not.toBe(idOf({ spoofable: true }));
});

test('whatever is derived parses, and evidence that can be forged drops nothing', () => {
  const limits = guardrailLimits(
    {
      ...{ ttlLadderS: parameters.ttlLadderS, maxPrefixV4: 24, maxPrefixV6: 64 },
      ...{ activePoliciesMax: 1, policiesPerMinuteMax: 1 },
    },
    [],
  );
  const changes = fc.record({
    type: fc.constantFrom(...THREATS),
    spoofable: fc.boolean(),
    src_ip: fc.oneof(fc.ipV4(), fc.ipV6(), fc.constant('')),
    dst_ip: fc.oneof(fc.ipV4(), fc.ipV6(), fc.constant('')),
    dst_ports: fc.array(fc.nat(65_535), { maxLength: 20 }),
    protocol: fc.constantFrom('tcp', 'udp', ''),
  });
  fc.assert(
    fc.property(changes, (change) => {
      const result = derive(change);
      if (!result.ok) return;
      expect(parsePolicyRule(encodePolicyRule(result.value))).toEqual(result);
      const { spoofable } = change;
      const situation = { activePolicies: 0, policiesLastMinute: 0, spoofable };
      expect(checkGuardrails(result.value, limits, situation)).toEqual(result);
    }),
    { seed: 20_260_909, numRuns: 500 },
  );
});
