/** What a flow or a window says of who did what to whom: the facts that an incident is made of. */
import {
  F,
  FEATURE_NAMES,
  FLOW,
  flowFirstMs,
  flowHandshake,
  flowLastMs,
  vectorAt,
  WINDOW,
  windowSide,
} from '#proto/flow-batch.ts';
import { formatIp } from '#proto/ip.ts';
import type { Json } from '#proto/json.ts';
import { unreachable } from '#proto/result.ts';
import type { Threat } from '#proto/threats.ts';

/** Of TCP; all 0 for what an attacker can send in anybody's name. */
export type Proof = {
  /** Share 0..1 of the conversations whose handshake was completed. */
  readonly handshakeShare: number;
  /** Connections completed and reset in silence. */
  readonly probes: number;
  /** Finished sessions where one logs in. */
  readonly authSessions: number;
};

export type Subject = {
  readonly kind: 'flow' | 'window';
  /** '' where there are many. */
  readonly source: string;
  readonly target: string;
  readonly ports: readonly number[];
  /** tcp, udp, icmp or ''. */
  readonly protocol: string;
  /** What only a source that hears its target can have done. */
  readonly proof: Proof;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly flows: number;
  readonly packets: number;
  readonly bytes: number;
};

const UNPROVEN: Proof = { handshakeShare: 0, probes: 0, authSessions: 0 };
const PROVEN: Proof = { handshakeShare: 1, probes: 1, authSessions: 1 };
/** A flood is of completed connections when all but so few are. */
const HANDSHAKE_SHARE_MIN = 0.9;

/**
 * Whether what is held against the source shows that nobody forged it. Its other business does not count: who talks
 * normally with half the net can still be the victim of a scan in its name.
 */
export const isProven = (threat: Threat, { proof }: Subject): boolean => {
  switch (threat) {
    case 'port_scan':
      return proof.probes > 0;
    case 'brute_force':
      return proof.authSessions > 0;
    case 'ddos':
    case 'dos':
    case 'malware_c2':
    case 'data_exfil':
    case 'anomaly':
      return proof.handshakeShare >= HANDSHAKE_SHARE_MIN;
    default:
      return unreachable(threat);
  }
};

const PROTOCOLS: { readonly [code: number]: string } = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmp',
};
/** A source that sent this share of what a target got is named as its source. */
const SOLE_SHARE = 0.9;

export const flowSubject = (view: DataView, row: number): Subject => {
  const { get, address } = FLOW;
  const protocol = get.protocol(view, row);
  return {
    kind: 'flow',
    source: formatIp(address.source(view, row)),
    target: formatIp(address.destination(view, row)),
    ports: [get.destinationPort(view, row)].filter((port) => port > 0),
    protocol: PROTOCOLS[protocol] ?? '',
    proof: flowHandshake(view, row) === 'complete' ? PROVEN : UNPROVEN,
    firstMs: flowFirstMs(view, row),
    lastMs: flowLastMs(view, row),
    flows: 1,
    packets: get.packets(view, row),
    bytes: get.bytes(view, row),
  };
};

/** 224.0.0.0/3 and ff00::/8 are nobody, nor is the unspecified address. */
const isNobody = (address: Uint8Array): boolean => {
  if (address[0] === 0xff) return true;
  if (address[10] === 0xff && address[0] === 0) return (address[12] ?? 0) >= 224;
  return address.every((byte) => byte === 0);
};

const protocolOf = (view: DataView, row: number): string => {
  const { get } = WINDOW;
  const most = Math.max(
    get.tcpPackets(view, row),
    get.udpPackets(view, row),
    get.icmpPackets(view, row),
  );
  if (most === 0) return '';
  if (get.tcpPackets(view, row) === most) return 'tcp';
  return get.udpPackets(view, row) === most ? 'udp' : 'icmp';
};

const proofOf = (view: DataView, row: number, protocol: string): Proof => {
  const { get } = WINDOW;
  if (protocol !== 'tcp') return UNPROVEN;
  return {
    handshakeShare: Math.min(1, get.handshakes(view, row) / Math.max(1, get.flows(view, row))),
    probes: get.probes(view, row),
    authSessions: get.authSessions(view, row),
  };
};

const portsOf = (view: DataView, row: number): number[] => {
  const { get } = WINDOW;
  const auth = get.authPort(view, row);
  if (get.authSessions(view, row) > 0 && auth > 0) return [auth];
  const top = get.topPort(view, row);
  return top > 0 && get.topPortShare(view, row) >= SOLE_SHARE ? [top] : [];
};

export const windowSubject = (view: DataView, row: number): Subject => {
  const { get, address } = WINDOW;
  const own = formatIp(address.address(view, row));
  const protocol = protocolOf(view, row);
  const peers = get.distinctPeers(view, row);
  const peer = address.topPeer(view, row);
  const sole = peers === 1 || (peers < 10 && get.topPeerShare(view, row) >= SOLE_SHARE);
  const other = sole && !isNobody(peer) ? formatIp(peer) : '';
  const isSource = windowSide(view, row) === 'source';
  return {
    kind: 'window',
    source: isSource ? own : other,
    target: isSource ? other : own,
    ports: portsOf(view, row),
    protocol,
    proof: proofOf(view, row, protocol),
    firstMs: get.firstMs(view, row),
    lastMs: get.lastMs(view, row),
    flows: get.flows(view, row),
    packets: get.packets(view, row),
    bytes: get.bytes(view, row),
  };
};

const figure = (value: number): number => (Number.isFinite(value) ? value : 0);

/** The record as it stood, for evidence. */
export const windowFacts = (view: DataView, row: number): { readonly [name: string]: Json } => ({
  ...Object.fromEntries(
    Object.entries(WINDOW.get).map(([name, of]) => [name, figure(of(view, row))]),
  ),
  side: windowSide(view, row),
  address: formatIp(WINDOW.address.address(view, row)),
  topPeer: formatIp(WINDOW.address.topPeer(view, row)),
});

/** The vector by the names of its features, and where the flow begins in its capture. */
export const flowFacts = (
  view: DataView,
  row: number,
  vectors: Float32Array,
): { readonly [name: string]: Json } => {
  const vector = vectorAt(vectors, row);
  return {
    source: formatIp(FLOW.address.source(view, row)),
    destination: formatIp(FLOW.address.destination(view, row)),
    firstUs: FLOW.get.firstUs(view, row),
    lastUs: FLOW.get.lastUs(view, row),
    handshake: flowHandshake(view, row),
    origin: {
      file: FLOW.get.fileIndex(view, row),
      number: FLOW.get.originNumber(view, row),
    },
    vector: Object.fromEntries(FEATURE_NAMES.map((name) => [name, figure(vector[F[name]] ?? 0)])),
  };
};
