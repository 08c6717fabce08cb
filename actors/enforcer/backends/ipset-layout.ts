/** The sets of the iptables backend. ipset itself copes with networks that overlap: the narrowest counts. */
import { addressText, type Claim, type Effect } from '../claims.ts';
import type { Layout, Place, SetSpec } from '../demand.ts';

/** Prefix of everything of ours that ipset holds; a name has at most 31 characters. */
export const SET_PREFIX = 'cybermesh_';
/** ipset has no ranges of ports: each port is an element. */
const PORTS_MAX = 4096;
const BASE = 36;
/** What hashlimit takes, and what keeps a name short enough. */
const LIMIT_PACKETS_MAX = 1_000_000;
const LIMIT_WINDOW_S_MAX = 1_000_000;
/** Protocols whose ports ipset can tell. */
const PORT_NAMES: ReadonlyMap<number, string> = new Map([
  [6, 'tcp'],
  [17, 'udp'],
  [132, 'sctp'],
  [136, 'udplite'],
]);

const effectCode = ({ action, dryRun, packets, windowS }: Effect): string => {
  const code =
    action === 'rate_limit'
      ? `l${packets.toString(BASE)}_${windowS.toString(BASE)}`
      : { drop: 'd', reject: 'r' }[action];
  return dryRun ? `y${code}` : code;
};

/** `net`, `port`, or `p<number>` for networks of one protocol. */
const shapeOf = ({ protocol, ports }: Claim): string => {
  if (ports !== undefined) return 'port';
  return protocol === undefined ? 'net' : `p${protocol}`;
};

const place = (claim: Claim): readonly Place[] => {
  const { family, direction, effect, low, high, prefix, protocol, ports } = claim;
  const shape = shapeOf(claim);
  const name = `${SET_PREFIX}${direction[0]}${family}${effectCode(effect)}_${shape}`;
  const set: SetSpec = { name, family, direction, effect, shape, ranged: false };
  const address = addressText(family, low);
  const network = low === high ? address : `${address}/${prefix}`;
  if (ports === undefined) return [{ set, key: network }];
  const carrier = PORT_NAMES.get(protocol ?? 0);
  return Array.from({ length: ports.to - ports.from + 1 }, (_, k) => ({
    set,
    key: `${network},${carrier}:${ports.from + k}`,
  }));
};

export const refuses = (claims: readonly Claim[]): string | undefined => {
  let count = 0;
  for (const { protocol, ports, effect } of claims) {
    if (effect.packets > LIMIT_PACKETS_MAX || effect.windowS > LIMIT_WINDOW_S_MAX) {
      return `at most ${LIMIT_PACKETS_MAX} packets in ${LIMIT_WINDOW_S_MAX} s can be told`;
    }
    if (ports === undefined) continue;
    if (!PORT_NAMES.has(protocol ?? 0)) return `ipset has no ports of protocol ${protocol}`;
    count += ports.to - ports.from + 1;
  }
  return count > PORTS_MAX ? `${count} ports in one policy, ipset takes ${PORTS_MAX}` : undefined;
};

export const ipsetLayout: Layout = {
  place,
  pieceText: () => {
    throw new Error('ipset has no ranged sets');
  },
};
