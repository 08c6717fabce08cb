/**
 * What travels in shared memory between telemetry, features, the engines and the ensemble: packets,
 * flows (vector + columns) and windows. All times are capture time. Addresses are 16 bytes (IPv4 as
 * ::ffff:a.b.c.d). Every record is little-endian; see record-layout.ts.
 *
 *   const view = recordsOf(message.columns);
 *   FLOW.get.packets(view, row); FLOW.address.source(view, row); flowFirstMs(view, row)
 *   vectorAt(floatsOf(message.vectors), row)[F.syn_flag_cnt]
 */

import { layoutOf } from './record-layout.ts';

export {
  F,
  FEATURE_COUNT,
  FEATURE_NAMES,
  type FeatureName,
  isVector,
  vectorAt,
} from './features.ts';
export { bytesOf, floatsOf, recordsOf } from './record-layout.ts';

/** Most packets or flows in one batch. */
export const BATCH_MAX = 1_000;
/** Most windows in one batch: what fits the 512 KiB of a shared field. */
export const WINDOWS_MAX = 2_048;

/** One packet, telemetry -> features. */
export const PACKET = layoutOf({
  /** Capture time, whole microseconds since 1970. */
  timeUs: 'f64',
  /**
   * 1-based number of the packet in its file, as a reader of captures counts; synthetic: in the
   * run.
   */
  number: 'f64',
  source: 'address',
  destination: 'address',
  /** Place of the file in the sorted list of the source. */
  fileIndex: 'u32',
  /**
   * Length of the IP datagram from its own header (not the captured length, no Ethernet padding).
   */
  ipBytes: 'u32',
  /**
   * IP length - IP headers - L4 header. Of a non-first fragment: all that follows the IP headers.
   */
  payloadBytes: 'u32',
  /** TCP sequence and acknowledgement numbers; 0 without TCP. */
  tcpSequence: 'u32',
  tcpAcknowledgement: 'u32',
  /** 0 where there are none or a fragment hides them. */
  sourcePort: 'u16',
  destinationPort: 'u16',
  /** TCP data offset x 4, UDP 8, ICMP 0 (as CICFlowMeter counts it), others 0. */
  headerBytes: 'u16',
  /** TCP window field, unscaled. */
  windowBytes: 'u16',
  /**
   * Label of a generated or labelled packet (an index the source keeps). FOR EVALUATION ONLY: no
   * engine reads it.
   */
  labelIndex: 'u16',
  /** IANA: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6 ... */
  protocol: 'u8',
  /** Bits of TCP_FLAG. */
  tcpFlags: 'u8',
  /** Bits of PACKET_MARK. */
  marks: 'u8',
  icmpType: 'u8',
  icmpCode: 'u8',
  /** IPv4 TTL or IPv6 hop limit. */
  ttl: 'u8',
});

export const TCP_FLAG = {
  fin: 0x01,
  syn: 0x02,
  rst: 0x04,
  psh: 0x08,
  ack: 0x10,
  urg: 0x20,
  ece: 0x40,
  cwr: 0x80,
} as const;

export const PACKET_MARK = {
  ipv6: 0x01,
  /** Part of a fragmented datagram, the first part included. */
  fragment: 0x02,
  /** A later part: ports, flags and headers are unknown. */
  laterFragment: 0x04,
  /** The capture ended (snap length) inside the L4 header: what it hides is 0. */
  headerCut: 0x08,
} as const;

/**
 * How far the initiator (`source`) proved that it receives what it asked for. `syn`: its SYN was
 * seen. `complete`: it acknowledged a sequence number that only a receiver of the responder's
 * packets knows, so its address is not spoofed. `none`: neither (not TCP, or begun before the
 * capture).
 */
export const HANDSHAKES = ['none', 'syn', 'complete'] as const;
export type Handshake = (typeof HANDSHAKES)[number];

/**
 * Why a flow ended. `active` = 120 s flow timeout; `evicted` = least recently used of a full table;
 * `flush` = the source ended; `row` = it came as a finished flow.
 */
export const CLOSE_REASONS = ['fin', 'rst', 'active', 'evicted', 'flush', 'row', 'idle'] as const;
export type CloseReason = (typeof CLOSE_REASONS)[number];

/**
 * Side columns of one finished flow, beside its vector: row i of `columns` belongs to row i of
 * `vectors`.
 */
export const FLOW = layoutOf({
  /** Capture time of the first and last packet, whole microseconds since 1970 (see flowFirstMs). */
  firstUs: 'f64',
  lastUs: 'f64',
  /** Origin: number of the first packet (or row), 1-based, in file `fileIndex`. */
  originNumber: 'f64',
  /** Both directions, IP headers included (rows of a flow file: L4 header + payload). */
  bytes: 'f64',
  payloadBytes: 'f64',
  /** The initiator: sender of the first packet. */
  source: 'address',
  destination: 'address',
  /** Both directions. */
  packets: 'u32',
  forwardPackets: 'u32',
  fileIndex: 'u32',
  sourcePort: 'u16',
  destinationPort: 'u16',
  /**
   * Index in the label table of the source. FOR EVALUATION ONLY: no engine reads it. 0 = no label.
   */
  labelIndex: 'u16',
  protocol: 'u8',
  /** Index in HANDSHAKES. */
  handshake: 'u8',
  /** Index in CLOSE_REASONS. */
  closeReason: 'u8',
  /** Bits of FLOW_MARK. */
  marks: 'u8',
  icmpType: 'u8',
  icmpCode: 'u8',
});

export const FLOW_MARK = {
  ipv6: 0x01,
  /** At least one fragment among the packets. */
  fragments: 0x02,
  /** A row without addresses: source and destination are ::. */
  addressUnknown: 0x04,
  /** A row without a timestamp: firstUs is made up from the row number. */
  timeUnknown: 0x08,
} as const;

export const flowFirstMs = (view: DataView, row: number): number =>
  FLOW.get.firstUs(view, row) / 1000;
export const flowLastMs = (view: DataView, row: number): number =>
  FLOW.get.lastUs(view, row) / 1000;
export const flowHandshake = (view: DataView, row: number): Handshake =>
  HANDSHAKES[FLOW.get.handshake(view, row)] ?? 'none';
export const flowCloseReason = (view: DataView, row: number): CloseReason =>
  CLOSE_REASONS[FLOW.get.closeReason(view, row)] ?? 'flush';

export const WINDOW_SIDES = ['source', 'destination'] as const;
export type WindowSide = (typeof WINDOW_SIDES)[number];
/**
 * 1 s for floods, 10 s for what lasts, 60 s for what is slow (password guessing, careful scans).
 */
export const WINDOW_SPANS_MS = [1_000, 10_000, 60_000] as const;

/**
 * What one address sent (side source) or got (side destination) in one span of capture time.
 * Counters follow packets on packet sources, finished flows on flow sources. "Peer" is the other
 * address. Counters of connections are those that the address began (source) or that were begun
 * towards it (destination), answers included: synAck of a source are the answers that it got, of a
 * destination those that it gave. All counts are lower bounds: sketches and bounded tables forget,
 * never invent.
 */
export const WINDOW = layoutOf({
  /** Begin of the span, capture time, Unix ms. */
  startMs: 'f64',
  /** Capture time of the first and last packet counted, Unix ms. */
  firstMs: 'f64',
  lastMs: 'f64',
  /** IP bytes. */
  bytes: 'f64',
  udpBytes: 'f64',
  payloadBytes: 'f64',
  /** IP bytes of the reflected packets and of all later fragments. */
  reflectedBytes: 'f64',
  address: 'address',
  /** The peer with the most packets (heavy hitter). */
  topPeer: 'address',
  /** 1,000 or 10,000. */
  spanMs: 'u32',
  packets: 'u32',
  /** New flows (5-tuples) in the span, estimated where a sketch counts them. */
  flows: 'u32',
  distinctPeers: 'u32',
  /** Distinct destination ports of the counted packets. */
  distinctPorts: 'u32',
  /** TCP packets with SYN and without ACK. */
  synOnly: 'u32',
  /** TCP packets with SYN and ACK. */
  synAck: 'u32',
  rst: 'u32',
  fin: 'u32',
  /**
   * Connections completed in the span (see HANDSHAKES), with this address as their initiator
   * (source) or target.
   */
  handshakes: 'u32',
  tcpPackets: 'u32',
  udpPackets: 'u32',
  icmpPackets: 'u32',
  otherPackets: 'u32',
  /** Packets that are part of a fragmented datagram. */
  fragments: 'u32',
  /** Packets of topPeer, lower bound. */
  topPeerPackets: 'u32',
  /** UDP packets of conversations that the other side never answered. */
  unansweredUdp: 'u32',
  /**
   * UDP packets from the port of a service that reflects (DNS, NTP, IKE ...) that nobody had asked
   * for.
   */
  reflectedPackets: 'u32',
  /** Short finished sessions to a port where one logs in (21, 22, 3389 ...). */
  authSessions: 'u32',
  /**
   * Connections that their initiator reset without having sent a byte: what scanners leave behind.
   */
  probes: 'u32',
  /** Attempts without an answer so far, or refused: distinct (peer, port), peers and ports. */
  failedPairs: 'u32',
  failedPeers: 'u32',
  failedPorts: 'u32',
  /** The same of TCP alone. */
  failedTcpPairs: 'u32',
  failedTcpPorts: 'u32',
  /** Shannon entropy in bits: of peers, of destination ports, of IP lengths (in classes). */
  entropyPeer: 'f32',
  entropyPort: 'f32',
  entropyLength: 'f32',
  /** Share 0..1 of the newest packets (of initiators) that are topPeer's, go to topPort, come from topSourcePort. */
  topPeerShare: 'f32',
  topPortShare: 'f32',
  topSourcePortShare: 'f32',
  topPort: 'u16',
  topSourcePort: 'u16',
  /** Port of the newest of authSessions, 0 = none. */
  authPort: 'u16',
  /** Index in WINDOW_SIDES. */
  side: 'u8',
});

export const windowSide = (view: DataView, row: number): WindowSide =>
  WINDOW_SIDES[WINDOW.get.side(view, row)] ?? 'source';

/** What the meter learned from one packet, as bits. */
export const PACKET_FACT = {
  /** It began a flow. */
  newFlow: 0x01,
  /** It travels from the initiator to the responder. */
  forward: 0x02,
  /**
   * It completed the initiator's handshake (HANDSHAKES): the initiator is the sender. Once a flow.
   */
  handshake: 0x04,
} as const;
