/** Addresses that an agent must not cut off, and how much of its traffic it may: guardrails of the host. Pure. */
import { type Address, type Cidr, contains, formatCidr, formatIp, overlaps } from '#proto/ip.ts';
import { type PolicyRule, targetNetworks } from '#proto/policy.ts';
import { err, ok, type Result } from '#proto/result.ts';

export type Surroundings = {
  readonly own: readonly Cidr[];
  readonly gateways: readonly Cidr[];
  readonly resolvers: readonly Cidr[];
  /** Where those who are logged in by ssh come from. */
  readonly admins: readonly Cidr[];
  /** Hosts with an established connection within the last minutes, each once. */
  readonly peers: readonly Address[];
};

export const NOWHERE: Surroundings = {
  own: [],
  gateways: [],
  resolvers: [],
  admins: [],
  peers: [],
};

export type LocalCode =
  | 'own-address'
  | 'default-gateway'
  | 'dns-server'
  | 'admin-session'
  | 'too-many-peers';

/** With fewer peers a share says nothing. */
export const PEERS_MIN = 20;

/** Peers that policies in force cut off; grows with every policy that passes. */
export type CutOff = Set<string>;

const cuts = ({ action, guardrails }: PolicyRule): boolean =>
  (action === 'drop' || action === 'reject') && guardrails.dry_run !== true;

/** Which of the peers the rules cut off. */
export const cutOff = (rules: Iterable<PolicyRule>, { peers }: Surroundings): CutOff => {
  const cut: CutOff = new Set();
  if (peers.length < PEERS_MIN) return cut;
  for (const rule of rules) for (const peer of reached(rule, peers)) cut.add(peer);
  return cut;
};

const reached = (rule: PolicyRule, peers: readonly Address[]): readonly string[] => {
  if (!cuts(rule)) return [];
  const networks = targetNetworks(rule.target);
  return peers
    .filter((peer) => networks.some((network) => contains(network, peer)))
    .map((peer) => formatIp(peer));
};

/** A dry run harms nobody. A host may slow down what reaches its own address, not cut it off. */
export const checkSurroundings = (
  rule: PolicyRule,
  around: Surroundings,
  cut: CutOff,
  peersShareMax: number,
): Result<void, { readonly code: LocalCode; readonly reason: string }> => {
  if (rule.guardrails.dry_run === true || rule.action === 'remove') return ok(undefined);
  const slows = rule.action === 'rate_limit' && rule.target.direction === 'ingress';
  const sacred: readonly (readonly [LocalCode, readonly Cidr[]])[] = [
    ['own-address', slows ? [] : around.own],
    ['default-gateway', around.gateways],
    ['dns-server', around.resolvers],
    ['admin-session', around.admins],
  ];
  for (const network of targetNetworks(rule.target)) {
    for (const [code, list] of sacred) {
      const touched = list.find((one) => overlaps(one, network));
      if (touched !== undefined) {
        return err({ code, reason: `${formatCidr(network)} touches ${formatCidr(touched)}` });
      }
    }
  }
  const { peers } = around;
  if (peers.length < PEERS_MIN) return ok(undefined);
  const after = new Set([...cut, ...reached(rule, peers)]);
  if (after.size <= peers.length * peersShareMax || after.size === cut.size) return ok(undefined);
  const reason = `${after.size} of ${peers.length} recent peers would be cut off`;
  return err({ code: 'too-many-peers', reason });
};
