/** The sets of a firewall as the agent keeps them, against a firewall that is a map. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ipsetLayout, refuses } from '#actors/enforcer/backends/ipset-layout.ts';
import { nftLayout } from '#actors/enforcer/backends/nft-layout.ts';
import { claimsOf, rateOf } from '#actors/enforcer/claims.ts';
import { type Contents, demand, type Layout, type SetChange } from '#actors/enforcer/demand.ts';
import type { PolicyRule } from '#proto/policy.ts';

const ruleOf = (
  target: PolicyRule['target'],
  over: Partial<Pick<PolicyRule, 'action' | 'criteria'>> = {},
): PolicyRule => ({
  policy_id: 'p',
  rule_type: 'block',
  action: 'drop',
  target,
  guardrails: { ttl_seconds: 60 },
  ...over,
});

const claims = (target: PolicyRule['target']) => {
  const made = claimsOf(ruleOf(target));
  if (!made.ok) throw new Error(made.error);
  return made.value;
};

/** Takes changes as a kernel does: one that does not fit is an error. */
const kernel = () => {
  const sets = new Map<string, Contents>();
  const take = (changes: readonly SetChange[]): void => {
    for (const { set, gone, fresh } of changes) {
      const contents = sets.get(set.name) ?? new Map<string, number>();
      sets.set(set.name, contents);
      for (const key of gone)
        if (!contents.delete(key)) throw new Error(`no ${key} in ${set.name}`);
      for (const { key, expiresMs } of fresh) {
        if (contents.has(key)) throw new Error(`${key} is in ${set.name}`);
        contents.set(key, expiresMs);
      }
    }
  };
  const tick = (atMs: number): void => {
    for (const contents of sets.values()) {
      for (const [key, untilMs] of contents) if (untilMs <= atMs) contents.delete(key);
    }
  };
  return { sets, take, tick };
};

const target = fc.oneof(
  fc.nat(3).map((k) => ({ ips: [`10.0.0.${k}`] })),
  fc.constantFrom('10.0.0.0/30', '10.0.0.0/31', 'fd77::/126').map((one) => ({ cidrs: [one] })),
  fc.nat(2).map((k) => ({ ips: [`10.0.0.${k}`], ports: [{ from: k, to: k + 2 }, 9] })),
  fc.nat(2).map((k) => ({ ips: [`fd77::${k}`], protocols: ['icmp'] })),
);
type Act = { readonly id: string; readonly target?: PolicyRule['target']; readonly ms: number };
const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'd'),
    target,
    ms: fc.integer({ min: 1, max: 30 }),
  }),
  fc.record({ id: fc.constantFrom('a', 'b', 'c', 'd'), ms: fc.constant(1) }),
);

const layouts: readonly (readonly [string, Layout])[] = [
  ['nftables', nftLayout],
  ['ipset', ipsetLayout],
];

for (const [name, layout] of layouts) {
  test(`changes, one after the other, come to what everything at once comes to (${name})`, () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 25 }), (acts) => {
        const wanted = demand(layout);
        const held = new Map<string, Act>();
        const inside = kernel();
        let atMs = 0;
        for (const one of acts) {
          atMs += one.ms % 7;
          inside.tick(atMs);
          if (one.target === undefined) wanted.drop(one.id);
          else wanted.put(one.id, claims(one.target), atMs + one.ms);
          held.set(one.id, { ...one, ms: atMs + one.ms });
          inside.take(wanted.changes(atMs));
        }
        const whole = demand(layout);
        for (const { id, target: at, ms } of held.values()) {
          if (at !== undefined && ms > atMs) whole.put(id, claims(at), ms);
        }
        const fresh = kernel();
        fresh.take(whole.everything(atMs));
        const filled = [...inside.sets].filter(([, contents]) => contents.size > 0);
        expect(new Map(filled)).toEqual(fresh.sets);
      }),
    );
  });
}

test('a policy is in force only when each of its elements is there, with its own end', () => {
  const wanted = demand(nftLayout);
  const atMs = 1_000_000;
  wanted.put('a', claims({ ips: ['10.0.0.1', '10.0.0.2'] }), atMs + 60_000);
  wanted.put('b', claims({ cidrs: ['10.0.0.0/24'], direction: 'ingress' }), atMs + 60_000);
  const inside = kernel();
  inside.take(wanted.everything(atMs));
  const ids = () => [...wanted.compare(inside.sets, atMs).ids].sort();
  expect(ids()).toEqual(['a', 'b']);
  inside.sets.get('out4_drop_host')!.delete('10.0.0.2');
  expect(ids()).toEqual(['b']);
  inside.sets.get('in4_drop_net')!.set('10.0.0.0-10.0.0.255', atMs + 20_000);
  expect(ids()).toEqual([]);
  inside.sets.get('in4_drop_net')!.set('192.0.2.0-192.0.2.255', atMs + 60_000);
  expect(wanted.compare(inside.sets, atMs).foreign).toBe(1);
});

test('what a firewall of a host cannot do is refused by name', () => {
  const refused = (one: PolicyRule['target']) => {
    const made = claimsOf(ruleOf(one));
    return made.ok ? 'taken' : made.error;
  };
  expect(refused({ selectors: { app: 'web' } })).toMatch(/selectors/);
  expect(refused({ ips: ['10.0.0.1'], protocols: ['nonsense'] })).toMatch(/nonsense/);
  expect(refused({ ips: ['10.0.0.1'], protocols: ['icmp'], ports: [1] })).toMatch(/ports/);
  const wide = claims({ ips: ['10.0.0.1'], ports: [{ from: 0, to: 65_535 }] });
  expect(refuses(wide)).toMatch(/4096/);
  const dccp = claims({ ips: ['10.0.0.1'], protocols: ['dccp'], ports: [1] });
  expect(refuses(dccp)).toMatch(/33/);
});

test('a rate is said in whole packets of the shortest unit that fits', () => {
  const rate = (packets: number, windowS: number) =>
    rateOf({ action: 'rate_limit', dryRun: false, packets, windowS });
  expect(rate(100, 1)).toEqual({ rate: 100, unit: 'second' });
  expect(rate(10, 60)).toEqual({ rate: 10, unit: 'minute' });
  expect(rate(10, 7)).toEqual({ rate: Math.round((10 * 86_400) / 7), unit: 'day' });
  expect(rate(1, 1_000_000)).toEqual({ rate: 1, unit: 'day' });
});
