/** Policies of others that select the same pods: each of them takes the meaning from ours, or ours from it. Pure. */
import { type Cidr, overlaps, parseCidr } from '#proto/ip.ts';
import type { Direction } from '../../claims.ts';
import type { Labels, Peer, Rule, Spec } from './objects.ts';
import { canMeet } from './selectors.ts';
import type { Seen } from './steps.ts';

const WORD = { in: 'ingress', out: 'egress' } as const;

/** `policyTypes` as the API server fills it in. */
const typesOf = ({ policyTypes, egress }: Spec): readonly string[] =>
  policyTypes ?? ['Ingress', ...((egress ?? []).length > 0 ? ['Egress'] : [])];

export const governs = ({ spec }: Seen, direction: Direction): boolean =>
  typesOf(spec).includes(direction === 'in' ? 'Ingress' : 'Egress');

/** The first policy of somebody else that may select a pod that we select, in that direction. */
export const rivalOf = (
  others: readonly Seen[],
  podLabels: Labels,
  direction: Direction,
): Seen | undefined =>
  others.find(
    (seen) =>
      governs(seen, direction) && canMeet(seen.spec.podSelector, { matchLabels: podLabels }),
  );

/** Why nothing can be denied beside it. */
export const rivalReason = (
  rival: Seen,
  direction: Direction,
  networks: readonly Cidr[],
): string => {
  const name = `NetworkPolicy ${rival.namespace}/${rival.name}`;
  const word = WORD[direction];
  return lets(rival.spec, direction, networks)
    ? `${name} lets the address through to the same pods (${word}), and policies add up; narrow its podSelector or kubernetes.podLabels`
    : `${name} has closed the same pods (${word}), and a policy of ours would open them; narrow its podSelector or kubernetes.podLabels`;
};

/** Whether it lets something of these networks through, as far as its addresses tell. */
const lets = (spec: Spec, direction: Direction, networks: readonly Cidr[]): boolean => {
  const rules = (direction === 'in' ? spec.ingress : spec.egress) ?? [];
  return rules.some((rule) => {
    const peers = peersOf(rule, direction);
    return peers.length === 0 || peers.some((peer) => meets(peer, networks));
  });
};

const peersOf = (rule: Rule, direction: Direction): readonly Peer[] =>
  (direction === 'in' ? rule.from : rule.to) ?? [];

const meets = ({ ipBlock }: Peer, networks: readonly Cidr[]): boolean => {
  const block = parseCidr(ipBlock?.cidr ?? '');
  if (block === undefined) return false;
  const except = (ipBlock?.except ?? []).flatMap((text) => parseCidr(text) ?? []);
  return networks.some(
    (one) =>
      overlaps(block, one) && !except.some((hole) => hole.bits <= one.bits && overlaps(hole, one)),
  );
};
