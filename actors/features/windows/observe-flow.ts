/** What one finished flow adds to the windows, where flows are all there is: at the time of its first packet. */
import { F, FLOW, flowHandshake, vectorAt } from '#proto/flow-batch.ts';
import { C, type Host, markFailure } from './host.ts';
import { keyOf } from './host-table.ts';
import { isGroup } from './observe.ts';
import { add, HISTOGRAM_BINS, hashAddress, mark, mix } from './sketch.ts';
import { advance, burst, open, plus, type Windows } from './windows.ts';

const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMP6 = 58;

/** A flow as the windows see it. */
type Facts = {
  readonly protocol: number;
  readonly port: number;
  readonly sourcePort: number;
  readonly packets: number;
  readonly bytes: number;
  readonly payloadBytes: number;
  readonly syn: number;
  readonly rst: number;
  readonly complete: boolean;
  readonly failed: boolean;
  readonly login: boolean;
  readonly unanswered: boolean;
  readonly reflected: boolean;
};

const factsOf = (
  windows: Windows,
  columns: DataView,
  row: number,
  vectors: Float32Array,
): Facts => {
  const { get } = FLOW;
  const vector = vectorAt(vectors, row);
  const at = (index: number): number => vector[index] ?? 0;
  const protocol = get.protocol(columns, row);
  const port = get.destinationPort(columns, row);
  const sourcePort = get.sourcePort(columns, row);
  const forward = at(F.tot_fwd_pkts);
  const backward = at(F.tot_bwd_pkts);
  const backBytes = at(F.totlen_bwd_pkts);
  const foreBytes = at(F.totlen_fwd_pkts);
  const complete = flowHandshake(columns, row) === 'complete';
  const refused = protocol === TCP && at(F.rst_flag_cnt) > 0 && backBytes === 0 && foreBytes === 0;
  const short =
    foreBytes > 0 &&
    foreBytes <= windows.settings.authSessionBytesMax &&
    at(F.flow_duration) <= windows.settings.authSessionSecondsMax * 1e6;
  return {
    protocol,
    port,
    sourcePort,
    packets: forward,
    bytes: foreBytes + at(F.fwd_header_len),
    payloadBytes: foreBytes,
    syn: at(F.syn_flag_cnt) > 0 ? 1 : 0,
    rst: backward > 0 ? at(F.rst_flag_cnt) : 0,
    complete,
    failed: !complete && (backward === 0 || refused),
    login: complete && short && backBytes > 0 && windows.authPorts.has(port),
    unanswered: protocol === UDP && backward === 0,
    reflected:
      protocol === UDP &&
      backward === 0 &&
      foreBytes / Math.max(1, forward) >= windows.settings.reflectedPayloadBytesMin &&
      windows.reflectorPorts.has(sourcePort),
  };
};

const count = (host: Host, facts: Facts, second: number): void => {
  const { protocol, packets } = facts;
  plus(host, C.flows);
  plus(host, C.packets, packets);
  plus(host, C.bytes, facts.bytes);
  plus(host, C.payloadBytes, facts.payloadBytes);
  if (protocol === TCP) {
    plus(host, C.tcpPackets, packets);
    plus(host, C.synOnly, facts.syn);
    plus(host, C.rst, facts.rst);
  } else if (protocol === UDP) {
    plus(host, C.udpPackets, packets);
    plus(host, C.udpBytes, facts.bytes);
  } else if (protocol === ICMP || protocol === ICMP6) plus(host, C.icmpPackets, packets);
  else plus(host, C.otherPackets, packets);
  if (facts.complete) plus(host, C.handshakes);
  if (facts.unanswered) plus(host, C.unansweredUdp, packets);
  if (facts.reflected) {
    plus(host, C.reflectedPackets, packets);
    plus(host, C.reflectedBytes, facts.bytes);
  }
  if (facts.login) {
    plus(host, C.authSessions);
    host.authPort = facts.port;
  }
  const bin = HISTOGRAM_BINS + (mix(facts.port) & (HISTOGRAM_BINS - 1));
  host.bins[bin] = (host.bins[bin] ?? 0) + 1;
  const length = packets > 0 ? (facts.bytes / packets) >>> 6 : 0;
  const lengthBin = 2 * HISTOGRAM_BINS + Math.min(HISTOGRAM_BINS - 1, length);
  host.bins[lengthBin] = (host.bins[lengthBin] ?? 0) + 1;
  mark(host.ports, mix(facts.port), second);
  add(host.topPorts, facts.port);
  add(host.topSourcePorts, facts.sourcePort);
};

const countPeer = (host: Host, peer: Uint8Array, peerHash: number, second: number): void => {
  mark(host.peers, peerHash, second);
  const bin = peerHash & (HISTOGRAM_BINS - 1);
  host.bins[bin] = (host.bins[bin] ?? 0) + 1;
  const at = add(host.topPeers, peerHash);
  if (at >= 0) host.topPeerAddresses.set(peer, at * 16);
};

/** Adds row `row` of `columns` (FLOW records) and its vector. */
export const observeFlow = (
  windows: Windows,
  columns: DataView,
  row: number,
  vectors: Float32Array,
): void => {
  const { get, address, offset, size } = FLOW;
  const timeUs = get.firstUs(columns, row);
  if (!advance(windows, timeUs)) return;
  const facts = factsOf(windows, columns, row, vectors);
  const base = row * size;
  const second = Math.floor(timeUs / 1e6);
  const source = address.source(columns, row);
  const destination = address.destination(columns, row);
  const peerHash = hashAddress(columns, base + offset.destination);
  const group = isGroup(columns, base + offset.destination);
  const from = keyOf(columns, base + offset.source);
  const beginner = open(windows, 'source', from, columns, base + offset.source, timeUs);
  if (beginner !== undefined) {
    count(beginner, facts, second);
    countPeer(beginner, destination, peerHash, second);
    if (facts.failed && !group) {
      markFailure(beginner, peerHash, mix(facts.port), facts.protocol === TCP, second);
    }
    burst(windows, 'source', beginner);
  }
  if (group) return;
  const to = keyOf(columns, base + offset.destination);
  const target = open(windows, 'destination', to, columns, base + offset.destination, timeUs);
  if (target === undefined) return;
  count(target, facts, second);
  countPeer(target, source, hashAddress(columns, base + offset.source), second);
  burst(windows, 'destination', target);
};
