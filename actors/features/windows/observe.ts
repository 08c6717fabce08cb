/** What one packet adds to the windows: volume to its sender and receiver, connections to who began them. */
import { PACKET, PACKET_MARK, TCP_FLAG } from '#proto/flow-batch.ts';
import { follow, type Turn } from './connections.ts';
import { C, type Host, markFailure, unmarkFailure } from './host.ts';
import { type HostKey, keyOf } from './host-table.ts';
import { add, HISTOGRAM_BINS, hashAddress, mark, mix } from './sketch.ts';
import { advance, burst, open, plus, type Windows } from './windows.ts';

const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMP6 = 58;
const DHCP_SERVER = 67;

/** Where DHCP requests are counted, whoever they were sent to: the pool behind them is one. */
const BROADCAST = new DataView(
  Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255).buffer,
);
const BROADCAST_KEY = -1;

const V4_MAPPED = 0xffff;

/** 224.0.0.0/3 and ff00::/8 are nobody's victims. */
export const isGroup = (view: DataView, offset: number): boolean => {
  if (view.getUint8(offset) === 0xff) return true;
  const isV4 = view.getUint8(offset) === 0 && view.getUint16(offset + 10) === V4_MAPPED;
  return isV4 && view.getUint8(offset + 12) >= 224;
};

const countVolume = (host: Host, view: DataView, row: number): void => {
  const { get } = PACKET;
  const protocol = get.protocol(view, row);
  const bytes = get.ipBytes(view, row);
  plus(host, C.packets);
  plus(host, C.bytes, bytes);
  plus(host, C.payloadBytes, get.payloadBytes(view, row));
  if (protocol === TCP) {
    const flags = get.tcpFlags(view, row);
    plus(host, C.tcpPackets);
    if ((flags & TCP_FLAG.fin) !== 0) plus(host, C.fin);
    if ((flags & (TCP_FLAG.syn | TCP_FLAG.ack)) === TCP_FLAG.syn) plus(host, C.synOnly);
  } else if (protocol === UDP) {
    plus(host, C.udpPackets);
    plus(host, C.udpBytes, bytes);
  } else if (protocol !== ICMP && protocol !== ICMP6) {
    plus(host, C.otherPackets);
  }
  if ((get.marks(view, row) & PACKET_MARK.laterFragment) !== 0) {
    plus(host, C.fragments);
    plus(host, C.reflectedBytes, bytes);
  }
  const length = 2 * HISTOGRAM_BINS + Math.min(HISTOGRAM_BINS - 1, bytes >>> 6);
  host.bins[length] = (host.bins[length] ?? 0) + 1;
};

/** An answer of a service that amplifies, which nobody asked for. */
const isReflection = (windows: Windows): boolean => {
  const { protocol, sourcePort, payloadBytes } = windows.segment;
  const large = payloadBytes >= windows.settings.reflectedPayloadBytesMin;
  return protocol === UDP && large && windows.reflectorPorts.has(sourcePort);
};

const countUnasked = (
  windows: Windows,
  host: Host,
  view: DataView,
  row: number,
  turn: Turn,
): void => {
  const { get } = PACKET;
  const protocol = get.protocol(view, row);
  if (protocol === UDP && turn.unanswered) {
    plus(host, C.unansweredUdp);
    if (isReflection(windows)) {
      plus(host, C.reflectedPackets);
      plus(host, C.reflectedBytes, get.ipBytes(view, row));
    }
  } else if (protocol === ICMP || protocol === ICMP6) plus(host, C.icmpPackets);
};

/** Who talks to whom, and where: only of packets of the initiator. The peer's address is at `peerAt`. */
const countPeer = (
  windows: Windows,
  host: Host,
  view: DataView,
  peerAt: number,
  peerHash: number,
): void => {
  const { second, sourcePort, destinationPort } = windows.segment;
  const portHash = mix(destinationPort);
  mark(host.peers, peerHash, second);
  mark(host.ports, portHash, second);
  const peerBin = peerHash & (HISTOGRAM_BINS - 1);
  const portBin = HISTOGRAM_BINS + (portHash & (HISTOGRAM_BINS - 1));
  host.bins[peerBin] = (host.bins[peerBin] ?? 0) + 1;
  host.bins[portBin] = (host.bins[portBin] ?? 0) + 1;
  add(host.topPorts, destinationPort);
  add(host.topSourcePorts, sourcePort);
  const place = add(host.topPeers, peerHash);
  // A weight of exactly 1 has just come.
  if (place < 0 || host.topPeers.weights[place] !== 1) return;
  for (let i = 0; i < 16; i += 1) {
    host.topPeerAddresses[place * 16 + i] = view.getUint8(peerAt + i);
  }
};

/** What the packet did to its conversation, for the side that began it or that it was begun towards. */
const countTurn = (windows: Windows, host: Host, turn: Turn, servicePort: number): void => {
  const { settings } = windows;
  const rst = !turn.fromInitiator && (windows.segment.tcpFlags & TCP_FLAG.rst) !== 0;
  if (turn.began) plus(host, C.flows);
  if (turn.answered && windows.segment.protocol === TCP) plus(host, C.synAck);
  if (rst && windows.segment.protocol === TCP) plus(host, C.rst);
  if (turn.completed) plus(host, C.handshakes);
  if (turn.probed) plus(host, C.probes);
  const login =
    turn.closed &&
    turn.initiatorBytes > 0 &&
    turn.initiatorBytes <= settings.authSessionBytesMax &&
    turn.seconds <= settings.authSessionSecondsMax &&
    windows.authPorts.has(servicePort);
  if (login) {
    plus(host, C.authSessions);
    host.authPort = servicePort;
  }
};

/** An attempt counts as failed until it is answered for good. */
const countFailure = (
  windows: Windows,
  host: Host,
  turn: Turn,
  peerHash: number,
  port: number,
): void => {
  const { second, protocol } = windows.segment;
  const portHash = mix(port);
  // What a reflector is made to send is no attempt of its own.
  if ((turn.attempt && !isReflection(windows)) || turn.refused) {
    markFailure(host, peerHash, portHash, protocol === TCP, second);
  } else if (turn.completed || (turn.answered && (protocol !== TCP || turn.fromInitiator))) {
    unmarkFailure(host, peerHash, portHash, protocol === TCP);
  }
};

/** The two ends of the packet in hand: keys, and where their addresses stand in its record. */
type Ends = { readonly from: HostKey; readonly to: HostKey; readonly timeUs: number };
const { source: SOURCE_AT, destination: DESTINATION_AT } = PACKET.offset;

const segmentOf = (windows: Windows, view: DataView, row: number, timeUs: number): void => {
  const { get, offset, size } = PACKET;
  const p = windows.segment;
  const base = row * size;
  p.sourceHash = hashAddress(view, base + offset.source);
  p.destinationHash = hashAddress(view, base + offset.destination);
  p.sourcePort = get.sourcePort(view, row);
  p.destinationPort = get.destinationPort(view, row);
  p.protocol = get.protocol(view, row);
  p.tcpFlags = get.tcpFlags(view, row);
  p.sequence = get.tcpSequence(view, row);
  p.acknowledgement = get.tcpAcknowledgement(view, row);
  p.payloadBytes = get.payloadBytes(view, row);
  const type = get.icmpType(view, row);
  p.echoRequest = p.protocol === ICMP ? type === 8 : p.protocol === ICMP6 && type === 128;
  p.second = Math.floor(timeUs / 1e6);
};

/** An ICMP message about another packet (unreachable, time exceeded, redirect) begins nothing. */
const isReport = (windows: Windows, type: number): boolean => {
  const { protocol } = windows.segment;
  if (protocol === ICMP) return type !== 8 && type !== 0;
  return protocol === ICMP6 && type !== 128 && type !== 129;
};

/** The host that began the conversation, and the one that it was begun towards. */
type Parties = { readonly beginner: Host | undefined; readonly target: Host | undefined };

const countParties = (
  windows: Windows,
  view: DataView,
  row: number,
  { beginner, target }: Parties,
  turn: Turn,
): void => {
  const p = windows.segment;
  const ahead = turn.fromInitiator;
  const port = ahead ? p.destinationPort : p.sourcePort;
  const peerHash = ahead ? p.destinationHash : p.sourceHash;
  const base = row * PACKET.size;
  const responderAt = base + (ahead ? DESTINATION_AT : SOURCE_AT);
  const group = isGroup(view, responderAt);
  if (beginner !== undefined) {
    countTurn(windows, beginner, turn, port);
    if (!group) countFailure(windows, beginner, turn, peerHash, port);
    if (ahead) {
      countPeer(windows, beginner, view, responderAt, peerHash);
      if (!group) countUnasked(windows, beginner, view, row, turn);
    }
  }
  if (target === undefined) return;
  countTurn(windows, target, turn, port);
  if (ahead) {
    countPeer(windows, target, view, base + SOURCE_AT, p.sourceHash);
    countUnasked(windows, target, view, row, turn);
  }
};

const isEventful = (turn: Turn): boolean =>
  turn.began || turn.answered || turn.completed || turn.refused || turn.closed || turn.probed;

/** A packet of the responder speaks of a conversation that counts for the other side. */
const onAnswer = (windows: Windows, view: DataView, row: number, ends: Ends, turn: Turn): void => {
  if (!isEventful(turn)) return;
  const base = row * PACKET.size;
  const { from, to, timeUs } = ends;
  const beginner = open(windows, 'source', to, view, base + DESTINATION_AT, timeUs);
  const target = isGroup(view, base + SOURCE_AT)
    ? undefined
    : open(windows, 'destination', from, view, base + SOURCE_AT, timeUs);
  countParties(windows, view, row, { beginner, target }, turn);
};

const onDhcp = (
  windows: Windows,
  view: DataView,
  row: number,
  timeUs: number,
  turn: Turn,
): void => {
  const pool = open(windows, 'destination', BROADCAST_KEY, BROADCAST, 0, timeUs);
  if (pool === undefined) return;
  countVolume(pool, view, row);
  countTurn(windows, pool, turn, DHCP_SERVER);
  const clientAt = row * PACKET.size + SOURCE_AT;
  countPeer(windows, pool, view, clientAt, windows.segment.sourceHash);
  burst(windows, 'destination', pool);
};

/** Adds packet `row` of `view` (PACKET records, in the order of the source). */
export const observePacket = (windows: Windows, view: DataView, row: number): void => {
  const { get } = PACKET;
  const timeUs = get.timeUs(view, row);
  if (!advance(windows, timeUs)) return;
  const base = row * PACKET.size;
  const from = keyOf(view, base + SOURCE_AT);
  const to = keyOf(view, base + DESTINATION_AT);
  const sender = open(windows, 'source', from, view, base + SOURCE_AT, timeUs);
  const receiver = isGroup(view, base + DESTINATION_AT)
    ? undefined
    : open(windows, 'destination', to, view, base + DESTINATION_AT, timeUs);
  if (sender !== undefined) countVolume(sender, view, row);
  if (receiver !== undefined) countVolume(receiver, view, row);
  segmentOf(windows, view, row, timeUs);
  const fragment = (get.marks(view, row) & PACKET_MARK.laterFragment) !== 0;
  if (!fragment && !isReport(windows, get.icmpType(view, row))) {
    const turn = follow(windows.connections, windows.segment);
    if (turn.fromInitiator) {
      countParties(windows, view, row, { beginner: sender, target: receiver }, turn);
    } else onAnswer(windows, view, row, { from, to, timeUs }, turn);
    if (windows.segment.protocol === UDP && windows.segment.destinationPort === DHCP_SERVER) {
      onDhcp(windows, view, row, timeUs, turn);
    }
  }
  if (sender !== undefined) burst(windows, 'source', sender);
  if (receiver !== undefined) burst(windows, 'destination', receiver);
};
