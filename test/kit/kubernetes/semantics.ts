/**
 * What a network plugin makes of NetworkPolicies, connection by connection (kubernetes.io, "Network Policies").
 * Addresses are compared by node:net, not by the code under test.
 */
import { BlockList, isIPv4 } from 'node:net';

export type Selector = {
  readonly matchLabels?: { readonly [key: string]: string } | undefined;
  readonly matchExpressions?: readonly Requirement[] | undefined;
};
type Requirement = {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[] | undefined;
};
type IpBlock = { readonly cidr: string; readonly except?: readonly string[] | undefined };
export type Peer = {
  readonly ipBlock?: IpBlock | undefined;
  readonly namespaceSelector?: Selector | undefined;
  readonly podSelector?: Selector | undefined;
};
export type Port = {
  readonly protocol?: string | undefined;
  readonly port?: number | string | undefined;
  readonly endPort?: number | undefined;
};
export type Rule = {
  readonly from?: readonly Peer[] | undefined;
  readonly to?: readonly Peer[] | undefined;
  readonly ports?: readonly Port[] | undefined;
};
export type Labels = { readonly [key: string]: string };
export type Policy = {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly podSelector: Selector;
    readonly policyTypes?: readonly string[] | undefined;
    readonly ingress?: readonly Rule[] | undefined;
    readonly egress?: readonly Rule[] | undefined;
  };
};

export type Pod = { readonly namespace: string; readonly labels: Labels };
export type Flow = {
  readonly pod: Pod;
  readonly direction: 'in' | 'out';
  /** An address outside of the cluster, or a pod of it (its namespace has no labels). */
  readonly peer: string | Pod;
  /** TCP, UDP, SCTP; ICMP has no port. */
  readonly protocol: string;
  readonly port: number;
};

const holds = ({ key, operator, values = [] }: Requirement, labels: Labels): boolean => {
  const value = labels[key];
  if (operator === 'In') return value !== undefined && values.includes(value);
  if (operator === 'NotIn') return value === undefined || !values.includes(value);
  if (operator === 'Exists') return value !== undefined;
  return value === undefined;
};

export const selects = (
  { matchLabels = {}, matchExpressions = [] }: Selector,
  labels: Labels,
): boolean =>
  Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
  matchExpressions.every((one) => holds(one, labels));

/** Lists are made once a block: there are thousands of exceptions. */
const lists = new WeakMap<IpBlock, { readonly within: BlockList; readonly except: BlockList }>();

const listOf = (cidrs: readonly string[]): BlockList => {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = '', prefix = ''] = cidr.split('/');
    list.addSubnet(address, Number(prefix), isIPv4(address) ? 'ipv4' : 'ipv6');
  }
  return list;
};

const inBlock = (block: IpBlock, address: string): boolean => {
  const family = isIPv4(address) ? 'ipv4' : 'ipv6';
  // To a BlockList an IPv4 address lies in ::/0, too.
  if (isIPv4(block.cidr.split('/')[0]!) !== isIPv4(address)) return false;
  const known = lists.get(block) ?? {
    within: listOf([block.cidr]),
    except: listOf(block.except ?? []),
  };
  lists.set(block, known);
  return known.within.check(address, family) && !known.except.check(address, family);
};

/** As a plugin does that leaves pods out of ipBlocks: the stricter of the two readings. */
const isPeer = (peer: Peer, flow: Flow): boolean => {
  const other = flow.peer;
  if (peer.ipBlock !== undefined) return typeof other === 'string' && inBlock(peer.ipBlock, other);
  if (typeof other === 'string') return false;
  if (peer.namespaceSelector === undefined && other.namespace !== flow.pod.namespace) return false;
  if (!selects(peer.namespaceSelector ?? {}, {})) return false;
  return selects(peer.podSelector ?? {}, other.labels);
};

const isPort = (one: Port, { protocol, port }: Flow): boolean => {
  if ((one.protocol ?? 'TCP') !== protocol) return false;
  if (one.port === undefined) return true;
  return port >= Number(one.port) && port <= (one.endPort ?? Number(one.port));
};

const lets = (rule: Rule, flow: Flow): boolean => {
  const peers = (flow.direction === 'in' ? rule.from : rule.to) ?? [];
  const ports = rule.ports ?? [];
  return (
    (peers.length === 0 || peers.some((peer) => isPeer(peer, flow))) &&
    (ports.length === 0 || ports.some((port) => isPort(port, flow)))
  );
};

const governs = ({ spec }: Policy, direction: Flow['direction']): boolean => {
  const types = spec.policyTypes ?? [
    'Ingress',
    ...((spec.egress ?? []).length > 0 ? ['Egress'] : []),
  ];
  return types.includes(direction === 'in' ? 'Ingress' : 'Egress');
};

/** True when the connection comes about. */
export const passes = (policies: readonly Policy[], flow: Flow): boolean => {
  const isolating = policies.filter(
    (policy) =>
      policy.metadata.namespace === flow.pod.namespace &&
      governs(policy, flow.direction) &&
      selects(policy.spec.podSelector, flow.pod.labels),
  );
  if (isolating.length === 0) return true;
  return isolating.some(({ spec }) =>
    ((flow.direction === 'in' ? spec.ingress : spec.egress) ?? []).some((rule) => lets(rule, flow)),
  );
};
