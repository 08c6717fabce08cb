/**
 * What policies deny in one direction, as networks that do not overlap, each with all that is denied to it.
 * `ipBlock.except` takes networks only, and a network in two places would be let through by one of them. Pure.
 */
import { canonicalJson } from '#proto/json.ts';
import { addressText, type Claim, type Family } from '../../claims.ts';

/** Those that a NetworkPolicy can name, by their IANA numbers. */
export const PROTOCOLS = { 6: 'TCP', 17: 'UDP', 132: 'SCTP' } as const;
export type ProtocolName = (typeof PROTOCOLS)[keyof typeof PROTOCOLS];

export const isKnownProtocol = (number: number): number is keyof typeof PROTOCOLS =>
  number in PROTOCOLS;

/** Bits behind the prefix are 0. */
export type Network = {
  readonly family: Family;
  readonly low: bigint;
  /** Within the family. */
  readonly prefix: number;
};

/** Both ends included. */
export type PortRange = { readonly from: number; readonly to: number };
export type PortSet = { readonly [name in ProtocolName]: readonly PortRange[] };

export type Piece = Network & {
  /** Denied ports; undefined: everything is denied. */
  readonly ports: PortSet | undefined;
};

export const PORT_MAX = 65_535;
const BITS = { 4: 32, 6: 128 } as const;

export const networkText = ({ family, low, prefix }: Network): string =>
  `${addressText(family, low)}/${prefix}`;

export const sizeOf = ({ family, prefix }: Pick<Network, 'family' | 'prefix'>): bigint =>
  1n << BigInt(BITS[family] - prefix);

export const everything = (family: Family): Network => ({ family, low: 0n, prefix: 0 });

/** Sorted by address. */
export const piecesOf = (claims: readonly Claim[], family: Family): readonly Piece[] => {
  const edges = edgesOf(claims.filter((claim) => claim.family === family));
  const active = new Map<string, { readonly claim: Claim; count: number }>();
  const pieces: Piece[] = [];
  let run: { low: bigint; high: bigint; text: string; ports: PortSet | undefined } | undefined;
  const close = (): void => {
    if (run !== undefined) pieces.push(...networksOf(family, run.low, run.high, run.ports));
    run = undefined;
  };
  for (let k = 0; k < edges.length; ) {
    const low = edges[k]!.at;
    for (; k < edges.length && edges[k]!.at === low; k++) count(active, edges[k]!);
    if (active.size === 0 || k === edges.length) {
      close();
      continue;
    }
    const high = edges[k]!.at - 1n;
    const ports = deniedBy([...active.values()].map((one) => one.claim));
    const text = canonicalJson(ports ?? null);
    if (run?.text === text) run.high = high;
    else {
      close();
      run = { low, high, text, ports };
    }
  }
  close();
  return pieces;
};

type Edge = { readonly at: bigint; readonly claim: Claim; readonly by: 1 | -1 };

const edgesOf = (claims: readonly Claim[]): Edge[] =>
  claims
    .flatMap((claim): Edge[] => [
      { at: claim.low, claim, by: 1 },
      { at: claim.high + 1n, claim, by: -1 },
    ])
    .sort((a, b) => (a.at < b.at ? -1 : Number(a.at > b.at)));

const count = (
  active: Map<string, { readonly claim: Claim; count: number }>,
  { claim, by }: Edge,
): void => {
  const { protocol, ports } = claim;
  const key = `${protocol ?? '*'} ${ports === undefined ? '*' : `${ports.from}-${ports.to}`}`;
  const known = active.get(key) ?? { claim, count: 0 };
  known.count += by;
  if (known.count === 0) active.delete(key);
  else active.set(key, known);
};

const EVERY_PORT: PortRange = { from: 0, to: PORT_MAX };

const deniedBy = (claims: readonly Claim[]): PortSet | undefined => {
  const denied: Record<ProtocolName, PortRange[]> = { TCP: [], UDP: [], SCTP: [] };
  for (const { protocol, ports = EVERY_PORT } of claims) {
    // What a NetworkPolicy has no word for was refused before it came here.
    if (protocol === undefined || !isKnownProtocol(protocol)) return undefined;
    denied[PROTOCOLS[protocol]].push(ports);
  }
  return { TCP: joined(denied.TCP), UDP: joined(denied.UDP), SCTP: joined(denied.SCTP) };
};

/** Sorted, and neighbours are one. */
const joined = (ranges: readonly PortRange[]): readonly PortRange[] => {
  const done: { from: number; to: number }[] = [];
  for (const { from, to } of [...ranges].sort((a, b) => a.from - b.from)) {
    const last = done.at(-1);
    if (last !== undefined && from <= last.to + 1) last.to = Math.max(last.to, to);
    else done.push({ from, to });
  }
  return done;
};

/** What is left of 1..65535: a NetworkPolicy has no port 0. */
export const remaining = (denied: readonly PortRange[]): readonly PortRange[] => {
  const left: PortRange[] = [];
  let next = 1;
  for (const { from, to } of denied) {
    if (from > next) left.push({ from: next, to: from - 1 });
    next = Math.max(next, to + 1);
  }
  if (next <= PORT_MAX) left.push({ from: next, to: PORT_MAX });
  return left;
};

/** The fewest networks that cover low..high. */
const networksOf = (
  family: Family,
  low: bigint,
  high: bigint,
  ports: PortSet | undefined,
): readonly Piece[] => {
  const found: Piece[] = [];
  for (let at = low; at <= high; ) {
    let prefix: number = BITS[family];
    // Twice the size as long as it begins at its own border and does not reach too far.
    while (prefix > 0) {
      const size = sizeOf({ family, prefix: prefix - 1 });
      if (at % size !== 0n || at + size - 1n > high) break;
      prefix--;
    }
    found.push({ family, low: at, prefix, ports });
    at += sizeOf({ family, prefix });
  }
  return found;
};
