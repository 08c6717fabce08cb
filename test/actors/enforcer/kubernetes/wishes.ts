/** Random policies and what they deny, told by node:net from the rules themselves. */
import { BlockList, isIPv4 } from 'node:net';
import fc from 'fast-check';
import type { Site } from '#actors/enforcer/backends/kubernetes/objects.ts';
import { claimsOf } from '#actors/enforcer/claims.ts';
import type { Flow } from '#test/kit/kubernetes/semantics.ts';
import { entryOf, type Wish } from '../../../integration/firewall/backends.ts';

export const SITE: Site = {
  owner: 'agent-1',
  podLabels: { app: 'web' },
  failsafe: [{ protocol: 'tcp', from: 2222, to: 2222 }],
};
export const POD = { namespace: 'web', labels: { app: 'web', tier: 'front' } };

type Target = Wish['target'];

/** Few addresses, so that they meet: in one /26, at the ends of the space, far away. */
const ip = fc.oneof(
  fc.nat(63).map((k) => `10.9.0.${k}`),
  fc.nat(15).map((k) => `2001:db8::${k.toString(16)}`),
  fc.constantFrom('0.0.0.0', '255.255.255.255', '203.0.113.9', '::', 'ffff::1'),
);
const cidr = fc.oneof(
  fc.tuple(fc.nat(63), fc.integer({ min: 22, max: 31 })).map(([k, n]) => `10.9.0.${k}/${n}`),
  fc.tuple(fc.nat(15), fc.integer({ min: 120, max: 127 })).map(([k, n]) => `2001:db8::${k}/${n}`),
  fc.constantFrom('8.0.0.0/5', '128.0.0.0/1', '2000::/3'),
);
const port = fc.oneof(
  fc.constantFrom(22, 53, 80, 443, 65_535),
  fc.constantFrom({ from: 50, to: 90 }, { from: 0, to: 22 }, { from: 400, to: 65_535 }),
);
const shape: fc.Arbitrary<Pick<Target, 'ports' | 'protocols'>> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  fc.array(port, { minLength: 1, maxLength: 3 }).map((ports) => ({ ports })),
  fc.constantFrom('tcp', 'sctp').map((one) => ({ protocols: [one, 'udp'] })),
  fc.constant('tcp').map((one) => ({ protocols: [one] })),
  fc.array(port, { minLength: 1, maxLength: 2 }).map((ports) => ({ ports, protocols: ['udp'] })),
);
export const target: fc.Arbitrary<Target> = fc
  .tuple(
    fc.oneof(
      fc.array(ip, { minLength: 1, maxLength: 3 }).map((ips) => ({ ips })),
      fc.array(cidr, { minLength: 1, maxLength: 2 }).map((cidrs) => ({ cidrs })),
    ),
    shape,
    fc.constantFrom({}, { direction: 'ingress' as const }, { direction: 'egress' as const }),
  )
  .map(([addresses, ports, direction]) => ({ ...addresses, ...ports, ...direction }));

export const claimsFor = (targets: readonly Target[]) =>
  targets.flatMap((one) => {
    const made = claimsOf(entryOf({ target: one }).rule);
    if (!made.ok) throw new Error(made.error);
    return made.value;
  });

const WITH_PORTS = ['TCP', 'UDP'];

const isWithin = ({ ips = [], cidrs = [] }: Target, address: string): boolean => {
  const list = new BlockList();
  const familyOf = (text: string) => (isIPv4(text) ? 'ipv4' : 'ipv6');
  for (const one of ips) list.addAddress(one, familyOf(one));
  for (const one of cidrs) {
    const [low = '', prefix] = one.split('/');
    list.addSubnet(low, Number(prefix), familyOf(low));
  }
  return list.check(address, familyOf(address));
};

/** Whether one of the policies denies the flow to an address. */
export const isDenied = (targets: readonly Target[], flow: Flow & { peer: string }): boolean =>
  targets.some((one) => {
    const direction =
      one.direction === undefined ? flow.direction : one.direction === 'ingress' ? 'in' : 'out';
    if (direction !== flow.direction || !isWithin(one, flow.peer)) return false;
    const protocols = one.protocols?.map((name) => name.toUpperCase());
    if (one.ports === undefined) return protocols?.includes(flow.protocol) ?? true;
    if (!(protocols ?? WITH_PORTS).includes(flow.protocol)) return false;
    return one.ports.some((at) =>
      typeof at === 'number' ? at === flow.port : flow.port >= at.from && flow.port <= at.to,
    );
  });

const EDGES = ['0.0.0.0', '10.8.255.255', '10.9.0.63', '10.9.0.64', '10.9.4.0', '127.255.255.255'];
const EDGES_2 = ['128.0.0.0', '203.0.113.9', '255.255.255.255', '::', '1fff::', '2001:db8::f'];
const addresses = [...EDGES, ...EDGES_2, '2001:db8::10', '4000::', 'ffff::1', 'ffff::2'];

/** Of flows to and from addresses, those that could go wrong. */
export const flow: fc.Arbitrary<Flow & { peer: string }> = fc.record({
  pod: fc.constant(POD),
  direction: fc.constantFrom('in' as const, 'out' as const),
  peer: fc.oneof(ip, fc.constantFrom(...addresses)),
  protocol: fc.constantFrom('TCP', 'UDP', 'SCTP'),
  port: fc.constantFrom(1, 21, 22, 23, 53, 80, 91, 443, 2222, 65_535),
});

export const isFailsafe = ({ direction, protocol, port: at }: Flow): boolean =>
  direction === 'in' && protocol === 'TCP' && at === 2222;
