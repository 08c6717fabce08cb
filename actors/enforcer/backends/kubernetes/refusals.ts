/** What a policy asks that a NetworkPolicy can do, or why it cannot. Pure. */
import { type Cidr, formatCidr, overlaps } from '#proto/ip.ts';
import { targetNetworks } from '#proto/policy.ts';
import { err, ok, type Result } from '#proto/result.ts';
import { type Claim, claimsOf } from '../../claims.ts';
import type { Entry } from '../../registry.ts';
import { isKnownProtocol } from './pieces.ts';

export type Wish = {
  readonly entry: Entry;
  readonly claims: readonly Claim[];
  readonly networks: readonly Cidr[];
  /** Whose pods are kept from it. */
  readonly namespaces: readonly string[];
  /** Only ports are denied: what is neither TCP, UDP nor SCTP goes with them. */
  readonly isPartial: boolean;
};

/** Of one network; each takes an entry of its own. */
const PORTS_MAX = 64;
/** Networks times ports of one policy. */
const CLAIMS_MAX = 20_000;

/** The reason names what the rule asks for and whose limit it is. */
export const wishOf = (
  entry: Entry,
  served: readonly string[],
  cluster: readonly Cidr[],
): Result<Wish, string> => {
  const { rule } = entry;
  const { namespace, ...target } = rule.target;
  if (rule.action === 'rate_limit') {
    return err('a NetworkPolicy lets through or not: it knows no rates');
  }
  if (rule.action === 'reject') return err('a NetworkPolicy drops: it sends no refusal');
  if (Object.keys(target.selectors ?? {}).length > 0) {
    return err(
      'selectors name workloads; here addresses are denied to the pods of kubernetes.podLabels',
    );
  }
  const namespaces = namespace === undefined ? served : served.filter((one) => one === namespace);
  if (namespaces.length === 0) {
    return err(`namespace ${namespace} is not one of kubernetes.namespaces (${served.join(', ')})`);
  }
  const ports = (target.ports ?? []).length;
  if (ports > PORTS_MAX) return err(`more than ${PORTS_MAX} ports`);
  const networks = targetNetworks(target);
  if (networks.length * Math.max(1, ports) > CLAIMS_MAX) {
    return err(`more than ${CLAIMS_MAX} pairs of a network and a port`);
  }
  const claims = claimsOf({ ...rule, target });
  if (!claims.ok) return claims;
  const refusal = claims.value.map(claimRefusal).find((one) => one !== undefined);
  if (refusal !== undefined) return err(refusal);
  for (const network of networks) {
    const own = cluster.find((one) => overlaps(one, network));
    if (own === undefined) continue;
    return err(
      `${formatCidr(network)} touches ${formatCidr(own)} of kubernetes.clusterNetworks: pods and nodes pass an ipBlock`,
    );
  }
  const isPartial = claims.value.some(({ protocol }) => protocol !== undefined);
  return ok({ entry, claims: claims.value, networks, namespaces, isPartial });
};

const claimRefusal = ({ protocol, prefix }: Claim): string | undefined => {
  if (prefix === 0) return 'a whole address family cannot be denied';
  if (protocol === undefined || isKnownProtocol(protocol)) return undefined;
  return `a NetworkPolicy knows TCP, UDP and SCTP, not protocol ${protocol}`;
};
