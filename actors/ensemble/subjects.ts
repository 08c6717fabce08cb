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

export type Subject = {
  readonly kind: 'flow' | 'window';
  /** '' where there are many. */
  readonly source: string;
  readonly target: string;
  readonly ports: readonly number[];
  /** tcp, udp, icmp or ''. */
  readonly protocol: string;
  readonly spoofable: boolean;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly flows: number;
  readonly packets: number;
  readonly bytes: number;
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
    // Only a TCP handshake proves that the source is where it says.
    spoofable: flowHandshake(view, row) !== 'complete',
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

/**
 * Whether the source could be forged. Half of its conversations completed, a finished login or a connection that was
 * completed and reset in silence need a source that hears its target.
 */
const isSpoofable = (view: DataView, row: number, protocol: string): boolean => {
  const { get } = WINDOW;
  if (protocol !== 'tcp') return true;
  const heard = get.handshakes(view, row) * 2 >= Math.max(1, get.flows(view, row));
  return !(heard || get.authSessions(view, row) > 0 || get.probes(view, row) > 0);
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
    spoofable: isSpoofable(view, row, protocol),
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
