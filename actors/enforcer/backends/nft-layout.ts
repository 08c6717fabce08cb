/** The sets of the nftables backend: hosts and exact ports in hash sets, everything wider in interval sets. */
import { addressText, type Claim, effectName, type Family } from '../claims.ts';
import type { Layout, Place, SetSpec } from '../demand.ts';

type Shape = 'host' | 'net' | 'proto' | 'protos' | 'port' | 'ports';

const PORT_MAX = 65_535;

const shapeOf = ({ low, high, protocol, ports }: Claim): Shape => {
  const isHost = low === high;
  if (protocol === undefined) return isHost ? 'host' : 'net';
  if (ports === undefined) return isHost ? 'proto' : 'protos';
  return isHost && ports.from === ports.to ? 'port' : 'ports';
};

const setOf = (claim: Claim): SetSpec => {
  const { family, direction, effect } = claim;
  const shape = shapeOf(claim);
  return {
    name: `${direction}${family}_${effectName(effect)}_${shape}`,
    family,
    direction,
    effect,
    shape,
    ranged: shape === 'net' || shape === 'protos' || shape === 'ports',
  };
};

const rangeText = (family: Family, low: bigint, high: bigint): string =>
  low === high
    ? addressText(family, low)
    : `${addressText(family, low)}-${addressText(family, high)}`;

const place = (claim: Claim): readonly Place[] => {
  const set = setOf(claim);
  const { family, low, high, protocol, ports } = claim;
  const { from, to } = ports ?? { from: 0, to: PORT_MAX };
  if (set.ranged) return [{ set, box: { low, high, from, to }, lane: protocol ?? 0 }];
  const address = addressText(family, low);
  if (protocol === undefined) return [{ set, key: address }];
  const key =
    ports === undefined ? `${address} . ${protocol}` : `${address} . ${protocol} . ${from}`;
  return [{ set, key }];
};

export const nftLayout: Layout = {
  place,
  pieceText: ({ family, shape }, { low, high, from, to }, lane) => {
    const addresses = rangeText(family, low, high);
    if (shape === 'net') return addresses;
    if (shape === 'protos') return `${addresses} . ${lane}`;
    return `${addresses} . ${lane} . ${from === to ? from : `${from}-${to}`}`;
  },
};
