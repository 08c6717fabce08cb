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
export const BROADCAST = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255);
const BROADCAST_KEY = -1;

/** 224.0.0.0/4, 255.255.255.255 and ff00::/8 are nobody's victims. */
export const isGroup = (address: Uint8Array): boolean => {
  if (address[0] === 0xff) return true;
  return address[0] === 0 && address[10] === 0xff && (address[12] ?? 0) >= 224;
};

const countVolume = (windows: Windows, host: Host, view: DataView, row: number): void => {
  const { get } = PACKET;
  const protocol = get.protocol(view, row);
  const bytes = get.ipBytes(view, row);
  plus(windows, host, C.packets);
  plus(windows, host, C.bytes, bytes);
  plus(windows, host, C.payloadBytes, get.payloadBytes(view, row));
  if (protocol === TCP) {
    const flags = get.tcpFlags(view, row);
    plus(windows, host, C.tcpPackets);
    if ((flags & TCP_FLAG.fin) !== 0) plus(windows, host, C.fin);
    if ((flags & (TCP_FLAG.syn | TCP_FLAG.ack)) === TCP_FLAG.syn) plus(windows, host, C.synOnly);
  } else if (protocol === UDP) {
    plus(windows, host, C.udpPackets);
    plus(windows, host, C.udpBytes, bytes);
  } else if (protocol !== ICMP && protocol !== ICMP6) {
    plus(windows, host, C.otherPackets);
  }
  if ((get.marks(view, row) & PACKET_MARK.laterFragment) !== 0) {
    plus(windows, host, C.fragments);
    plus(windows, host, C.reflectedBytes, bytes);
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
    plus(windows, host, C.unansweredUdp);
    if (isReflection(windows)) {
      plus(windows, host, C.reflectedPackets);
      plus(windows, host, C.reflectedBytes, get.ipBytes(view, row));
    }
  } else if (protocol === ICMP || protocol === ICMP6) plus(windows, host, C.icmpPackets);
};

/** Who talks to whom, and where: only of packets of the initiator. */
const countPeer = (
  windows: Windows,
  host: Host,
  view: DataView,
  row: number,
  peer: Uint8Array,
  peerHash: number,
): void => {
  const port = PACKET.get.destinationPort(view, row);
  const second = windows.segment.second;
  mark(host.peers, peerHash, second);
  mark(host.ports, mix(port), second);
  const peerBin = peerHash & (HISTOGRAM_BINS - 1);
  const portBin = HISTOGRAM_BINS + (mix(port) & (HISTOGRAM_BINS - 1));
  host.bins[peerBin] = (host.bins[peerBin] ?? 0) + 1;
  host.bins[portBin] = (host.bins[portBin] ?? 0) + 1;
  add(host.topPorts, port);
  add(host.topSourcePorts, PACKET.get.sourcePort(view, row));
  const at = add(host.topPeers, peerHash);
  if (at >= 0) host.topPeerAddresses.set(peer, at * 16);
};

/** What the packet did to its conversation, for the side that began it or that it was begun towards. */
const countTurn = (windows: Windows, host: Host, turn: Turn, servicePort: number): void => {
  const { settings } = windows;
  const rst = !turn.fromInitiator && (windows.segment.tcpFlags & TCP_FLAG.rst) !== 0;
  if (turn.began) plus(windows, host, C.flows);
  if (turn.answered && windows.segment.protocol === TCP) plus(windows, host, C.synAck);
  if (rst && windows.segment.protocol === TCP) plus(windows, host, C.rst);
  if (turn.completed) plus(windows, host, C.handshakes);
  if (turn.probed) plus(windows, host, C.probes);
  const login =
    turn.closed &&
    turn.initiatorBytes > 0 &&
    turn.initiatorBytes <= settings.authSessionBytesMax &&
    turn.seconds <= settings.authSessionSecondsMax &&
    windows.authPorts.has(servicePort);
  if (login) {
    plus(windows, host, C.authSessions);
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

type Ends = {
  readonly from: HostKey;
  readonly to: HostKey;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly timeUs: number;
};

const segmentOf = (windows: Windows, view: DataView, row: number, ends: Ends): void => {
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
  p.second = Math.floor(ends.timeUs / 1e6);
};

/** An ICMP message about another packet (unreachable, time exceeded, redirect) begins nothing. */
const isReport = (windows: Windows, type: number): boolean => {
  const { protocol } = windows.segment;
  if (protocol === ICMP) return type !== 8 && type !== 0;
  return protocol === ICMP6 && type !== 128 && type !== 129;
};

const onConversation = (
  windows: Windows,
  view: DataView,
  row: number,
  ends: Ends,
  turn: Turn,
): void => {
  const p = windows.segment;
  const ahead = turn.fromInitiator;
  const eventful =
    turn.began || turn.answered || turn.completed || turn.refused || turn.closed || turn.probed;
  if (!ahead && !eventful) return;
  const port = ahead ? p.destinationPort : p.sourcePort;
  const peerHash = ahead ? p.destinationHash : p.sourceHash;
  const initiator = ahead ? ends.source : ends.destination;
  const responder = ahead ? ends.destination : ends.source;
  const initiatorKey = ahead ? ends.from : ends.to;
  const responderKey = ahead ? ends.to : ends.from;
  const group = isGroup(responder);
  const beginner = open(windows, 'source', initiatorKey, initiator, ends.timeUs);
  if (beginner !== undefined) {
    countTurn(windows, beginner, turn, port);
    if (!group) countFailure(windows, beginner, turn, peerHash, port);
    if (ahead) {
      countPeer(windows, beginner, view, row, responder, peerHash);
      if (!group) countUnasked(windows, beginner, view, row, turn);
    }
  }
  if (group) return;
  const target = open(windows, 'destination', responderKey, responder, ends.timeUs);
  if (target === undefined) return;
  countTurn(windows, target, turn, port);
  if (ahead) {
    countPeer(windows, target, view, row, initiator, p.sourceHash);
    countUnasked(windows, target, view, row, turn);
  }
};

const onDhcp = (windows: Windows, view: DataView, row: number, ends: Ends, turn: Turn): void => {
  const pool = open(windows, 'destination', BROADCAST_KEY, BROADCAST, ends.timeUs);
  if (pool === undefined) return;
  countVolume(windows, pool, view, row);
  countTurn(windows, pool, turn, DHCP_SERVER);
  countPeer(windows, pool, view, row, ends.source, windows.segment.sourceHash);
  burst(windows, 'destination', pool);
};

/** Adds packet `row` of `view` (PACKET records, in the order of the source). */
export const observePacket = (windows: Windows, view: DataView, row: number): void => {
  const { get, address, offset, size } = PACKET;
  const timeUs = get.timeUs(view, row);
  if (!advance(windows, timeUs)) return;
  const base = row * size;
  const ends: Ends = {
    from: keyOf(view, base + offset.source),
    to: keyOf(view, base + offset.destination),
    source: address.source(view, row),
    destination: address.destination(view, row),
    timeUs,
  };
  segmentOf(windows, view, row, ends);
  const fragment = (get.marks(view, row) & PACKET_MARK.laterFragment) !== 0;
  if (!fragment && !isReport(windows, get.icmpType(view, row))) {
    const turn = follow(windows.connections, windows.segment);
    onConversation(windows, view, row, ends, turn);
    if (windows.segment.protocol === UDP && windows.segment.destinationPort === DHCP_SERVER) {
      onDhcp(windows, view, row, ends, turn);
    }
  }
  const sender = open(windows, 'source', ends.from, ends.source, timeUs);
  if (sender !== undefined) {
    countVolume(windows, sender, view, row);
    burst(windows, 'source', sender);
  }
  if (isGroup(ends.destination)) return;
  const receiver = open(windows, 'destination', ends.to, ends.destination, timeUs);
  if (receiver === undefined) return;
  countVolume(windows, receiver, view, row);
  burst(windows, 'destination', receiver);
};
