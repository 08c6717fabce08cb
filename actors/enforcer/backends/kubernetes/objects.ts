/** NetworkPolicy objects that let everything through but what is denied. Pure but for a hash. */
import { crypto } from '#native/crypto.ts';
import { hex, utf8 } from '#proto/bytes.ts';
import { canonicalJson } from '#proto/json.ts';
import type { Claim, Direction } from '../../claims.ts';
import type { FailsafePorts } from '../../failsafe.ts';
import {
  type Network,
  networkText,
  type Piece,
  type PortSet,
  PROTOCOLS,
  type ProtocolName,
  piecesOf,
  remaining,
} from './pieces.ts';
import type { Selector } from './selectors.ts';
import { type Shard, shardsOf } from './shards.ts';

export type Labels = { readonly [key: string]: string };
export type Peer = {
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
  readonly namespaceSelector?: Selector;
  readonly podSelector?: Selector;
};
export type PortRule = {
  readonly protocol?: string;
  readonly port?: number | string;
  readonly endPort?: number;
};
/** Of ingress `from`, of egress `to`; without peers anybody, without ports any. */
export type Rule = {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly PortRule[];
};
export type Spec = {
  readonly podSelector: Selector;
  readonly policyTypes?: readonly string[];
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
};
/** As it is applied: nothing in it that we have no opinion about. */
export type Body = {
  readonly apiVersion: 'networking.k8s.io/v1';
  readonly kind: 'NetworkPolicy';
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Labels;
    readonly annotations: Labels;
  };
  readonly spec: Spec;
};

/** Whose pods, and who speaks for them. */
export type Site = {
  readonly owner: string;
  readonly podLabels: Labels;
  readonly failsafe: readonly FailsafePorts[];
};
/** The objects of one namespace and direction; all of them select the same pods. */
export type Group = { readonly namespace: string; readonly direction: Direction };

/** Exceptions of one object; it stays far below what etcd takes (1.5 MB). */
export const WEIGHT_MAX = 1000;

const MANAGED_BY = 'app.kubernetes.io/managed-by';
const MANAGER = 'cybermesh';
const AGENT = 'cybermesh/agent';
/** When the last of what it denies is over, RFC 3339: for people, should the agent be no more. */
const UNTIL = 'cybermesh/until';
const HASH_CHARS = 8;
const LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

const short = (text: string): string => hex(crypto.sha256(utf8(text))).slice(0, HASH_CHARS);

/** The label that says whose an object is: the agent's name where a label can be that. */
export const agentLabel = (owner: string): string =>
  LABEL.test(owner) ? owner : `agent-${short(owner)}`;

const labelsOf = ({ owner }: Pick<Site, 'owner'>): Labels => ({
  [MANAGED_BY]: MANAGER,
  [AGENT]: agentLabel(owner),
});

/** Of server-side apply; two agents are two managers. */
export const fieldManager = (owner: string): string => `${MANAGER}-${agentLabel(owner)}`;

export const namePrefix = (owner: string): string => `${MANAGER}-${short(owner)}-`;

/** Other pods make another group: an object never changes whom it selects. */
export const groupName = ({ podLabels }: Site, direction: Direction): string =>
  `${direction}-${short(canonicalJson(podLabels))}`;

/** Which group an object of ours is in, as its name says. */
export const groupIn = (name: string, owner: string): string =>
  name.slice(namePrefix(owner).length).split('-', 2).join('-');

export const baseName = (site: Site, group: string): string => `${namePrefix(site.owner)}${group}`;

const shardName = (base: string, { family, low, prefix }: Network): string =>
  `${base}-v${family}-${low.toString(16).padStart(family === 4 ? 8 : 32, '0')}-${prefix}`;

const bodyOf = (
  site: Site,
  { namespace, direction }: Group,
  name: string,
  rules: readonly Rule[],
  annotations: Labels = {},
): Body => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: {
    name,
    namespace,
    labels: labelsOf(site),
    annotations,
  },
  // As the API server gives it back: without what is empty.
  spec: {
    podSelector: Object.keys(site.podLabels).length === 0 ? {} : { matchLabels: site.podLabels },
    policyTypes: [direction === 'in' ? 'Ingress' : 'Egress'],
    ...(rules.length > 0 && (direction === 'in' ? { ingress: rules } : { egress: rules })),
  },
});

const withPeers = (direction: Direction, peers: readonly Peer[]): Rule =>
  direction === 'in' ? { from: peers } : { to: peers };

/** Lets everything through: what stands there while several objects come or go. */
export const openBody = (site: Site, group: Group): Body =>
  bodyOf(site, group, baseName(site, groupName(site, group.direction)), [{}]);

/** The block without what is denied in it; none where all of it is. */
const peersOf = ({ block, pieces, carved }: Shard): readonly Peer[] => {
  const cidr = networkText(block);
  const except = [...pieces, ...carved].map(networkText).sort();
  if (except.includes(cidr)) return [];
  return [{ ipBlock: except.length === 0 ? { cidr } : { cidr, except } }];
};

const openPorts = (denied: PortSet): readonly PortRule[] =>
  Object.values(PROTOCOLS).flatMap((protocol: ProtocolName) =>
    remaining(denied[protocol]).map(({ from, to }) =>
      from === to ? { protocol, port: from } : { protocol, port: from, endPort: to },
    ),
  );

/** Where only ports are denied the others stay open: one rule for all networks that are alike. */
const partialRules = (direction: Direction, pieces: readonly Piece[]): readonly Rule[] => {
  const alike = new Map<string, { readonly ports: readonly PortRule[]; readonly peers: Peer[] }>();
  for (const piece of pieces) {
    if (piece.ports === undefined) continue;
    const ports = openPorts(piece.ports);
    if (ports.length === 0) continue;
    const key = canonicalJson(ports);
    const found = alike.get(key) ?? { ports, peers: [] };
    found.peers.push({ ipBlock: { cidr: networkText(piece) } });
    alike.set(key, found);
  }
  return [...alike]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { ports, peers }]) => ({
      ...withPeers(direction, peers),
      ports,
    }));
};

const failsafeRules = (
  direction: Direction,
  failsafe: readonly FailsafePorts[],
): readonly Rule[] => {
  // Answers pass anyway: a NetworkPolicy judges connections, not packets.
  if (direction === 'out' || failsafe.length === 0) return [];
  const ports = failsafe.map(({ protocol, from, to }) => {
    const rule = { protocol: protocol.toUpperCase(), port: from };
    return from === to ? rule : { ...rule, endPort: to };
  });
  return [{ ports }];
};

/** Inner blocks first, the base last. None where nothing is denied: pods that nobody selects are open. */
export const bodiesOf = (
  site: Site,
  group: Group,
  claims: readonly Claim[],
  untilMs: number,
  weightMax: number = WEIGHT_MAX,
): readonly Body[] => {
  if (claims.length === 0) return [];
  const { direction } = group;
  const base = baseName(site, groupName(site, direction));
  const shards = ([4, 6] as const).map((family) =>
    shardsOf(family, piecesOf(claims, family), weightMax),
  );
  const inner = shards.flatMap((list) => list.slice(0, -1));
  const roots = shards.map((list) => list.at(-1)!);
  const bodies = inner.map((shard) => {
    const peers = peersOf(shard);
    const open = peers.length === 0 ? [] : [withPeers(direction, peers)];
    const rules = [...open, ...partialRules(direction, shard.pieces)];
    return bodyOf(site, group, shardName(base, shard.block), rules);
  });
  // Not every network plugin counts pods among the addresses of an ipBlock.
  const pods: Peer = { namespaceSelector: {} };
  const rules = [
    withPeers(direction, [pods, ...roots.flatMap(peersOf)]),
    ...roots.flatMap((root) => partialRules(direction, root.pieces)),
    ...failsafeRules(direction, site.failsafe),
  ];
  const until = { [UNTIL]: new Date(untilMs).toISOString() };
  return [...bodies, bodyOf(site, group, base, rules, until)];
};
