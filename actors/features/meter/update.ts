/** Adds one packet to the state of its flow. */
import { FLOW_MARK, PACKET, PACKET_MARK, TCP_FLAG } from '#proto/flow-batch.ts';
import { BULK, BWD_BULK, FWD_BULK, observe, S, STAT } from './state.ts';

const { offset: P, size: PACKET_BYTES } = PACKET;

/** Payload packets that make a bulk, and the gap that ends one (CICFlowMeter). */
const BULK_PACKETS = 4;
const BULK_GAP_US = 1_000_000;
const SUBFLOW_GAP_US = 1_000_000;

const ICMP = 1;
const TCP = 6;
const ICMPV6 = 58;
/** Indexes in HANDSHAKES. */
const SYN_SEEN = 1;
const COMPLETE = 2;

const add = (slab: Float64Array, at: number, value: number): void => {
  slab[at] = slab[at]! + value;
};

const flags = (slab: Float64Array, base: number, bits: number, forward: boolean): void => {
  if (bits & TCP_FLAG.fin) {
    add(slab, base + S.fin, 1);
    add(slab, base + (forward ? S.fwdFin : S.bwdFin), 1);
  }
  if (bits & TCP_FLAG.syn) add(slab, base + S.syn, 1);
  if (bits & TCP_FLAG.rst) add(slab, base + S.rst, 1);
  if (bits & TCP_FLAG.psh) {
    add(slab, base + S.psh, 1);
    add(slab, base + (forward ? S.fwdPsh : S.bwdPsh), 1);
  }
  if (bits & TCP_FLAG.ack) add(slab, base + S.ack, 1);
  if (bits & TCP_FLAG.urg) {
    add(slab, base + S.urg, 1);
    add(slab, base + (forward ? S.fwdUrg : S.bwdUrg), 1);
  }
  if (bits & TCP_FLAG.ece) add(slab, base + S.ece, 1);
  if (bits & TCP_FLAG.cwr) add(slab, base + S.cwr, 1);
};

/** A payload packet ends the other direction's bulk and goes on with its own. */
const bulk = (
  slab: Float64Array,
  at: number,
  other: number,
  bytes: number,
  timeUs: number,
): void => {
  slab[other + BULK.runPackets] = 0;
  const run = slab[at + BULK.runPackets]!;
  const lastUs = slab[at + BULK.runLastUs]!;
  slab[at + BULK.runLastUs] = timeUs;
  if (run === 0 || timeUs - lastUs > BULK_GAP_US) {
    slab[at + BULK.runPackets] = 1;
    slab[at + BULK.runBytes] = bytes;
    slab[at + BULK.runStartUs] = timeUs;
    return;
  }
  slab[at + BULK.runPackets] = run + 1;
  add(slab, at + BULK.runBytes, bytes);
  if (run + 1 === BULK_PACKETS) {
    add(slab, at + BULK.bulks, 1);
    add(slab, at + BULK.packets, BULK_PACKETS);
    add(slab, at + BULK.bytes, slab[at + BULK.runBytes]!);
    add(slab, at + BULK.durationUs, timeUs - slab[at + BULK.runStartUs]!);
  } else if (run + 1 > BULK_PACKETS) {
    add(slab, at + BULK.packets, 1);
    add(slab, at + BULK.bytes, bytes);
    add(slab, at + BULK.durationUs, timeUs - lastUs);
  }
};

/**
 * Follows the initiator's proof that it reads the responder's answers (HANDSHAKES): an
 * acknowledgement of exactly what the responder has sent. True when this packet is that proof, for
 * the first time.
 */
const proves = (
  slab: Float64Array,
  base: number,
  view: DataView,
  at: number,
  bits: number,
  payloadBytes: number,
  forward: boolean,
): boolean => {
  if (!forward) {
    const control = (bits & TCP_FLAG.syn ? 1 : 0) + (bits & TCP_FLAG.fin ? 1 : 0);
    if (bits & TCP_FLAG.rst || payloadBytes + control === 0) return false;
    const next = view.getUint32(at + P.tcpSequence, true) + payloadBytes + control;
    slab[base + S.bwdNextSequence] = next % 4_294_967_296;
    return false;
  }
  if (bits & TCP_FLAG.syn && slab[base + S.handshake] === 0) slab[base + S.handshake] = SYN_SEEN;
  if (slab[base + S.handshake] === COMPLETE || !(bits & TCP_FLAG.ack)) return false;
  const acknowledged = view.getUint32(at + P.tcpAcknowledgement, true);
  if (bits & TCP_FLAG.rst || acknowledged !== slab[base + S.bwdNextSequence]) return false;
  slab[base + S.handshake] = COMPLETE;
  return true;
};

const intervals = (
  slab: Float64Array,
  base: number,
  timeUs: number,
  forward: boolean,
  activityTimeoutUs: number,
): void => {
  const gapUs = timeUs - slab[base + S.lastUs]!;
  observe(slab, base + STAT.interval, gapUs);
  if (gapUs > SUBFLOW_GAP_US) add(slab, base + S.subflows, 1);
  if (gapUs > activityTimeoutUs) {
    const activeUs = slab[base + S.lastUs]! - slab[base + S.activeStartUs]!;
    if (activeUs > 0) observe(slab, base + STAT.active, activeUs);
    observe(slab, base + STAT.idle, gapUs);
    slab[base + S.activeStartUs] = timeUs;
  }
  const own = base + (forward ? S.fwdLastUs : S.bwdLastUs);
  const seen = slab[base + (forward ? STAT.fwdLength : STAT.bwdLength)]!;
  if (seen > 0) {
    observe(slab, base + (forward ? STAT.fwdInterval : STAT.bwdInterval), timeUs - slab[own]!);
  }
  slab[own] = timeUs;
  slab[base + S.lastUs] = timeUs;
};

const begin = (slab: Float64Array, base: number, view: DataView, at: number, timeUs: number) => {
  slab[base + S.firstUs] = timeUs;
  slab[base + S.lastUs] = timeUs;
  slab[base + S.fwdLastUs] = timeUs;
  slab[base + S.bwdLastUs] = timeUs;
  slab[base + S.activeStartUs] = timeUs;
  slab[base + S.subflows] = 1;
  slab[base + S.bwdNextSequence] = -1;
  slab[base + S.originNumber] = view.getFloat64(at + P.number, true);
  slab[base + S.fileIndex] = view.getUint32(at + P.fileIndex, true);
  slab[base + S.protocol] = view.getUint8(at + P.protocol);
  slab[base + S.icmpType] = view.getUint8(at + P.icmpType);
  slab[base + S.icmpCode] = view.getUint8(at + P.icmpCode);
};

const marksOf = (marks: number): number =>
  (marks & PACKET_MARK.ipv6 ? FLOW_MARK.ipv6 : 0) |
  (marks & PACKET_MARK.fragment ? FLOW_MARK.fragments : 0);

/**
 * Adds the packet in `row` at `timeUs` (its own time, or the flow's last where it came out of
 * order). True when it completed the initiator's handshake.
 */
export const addPacket = (
  slab: Float64Array,
  base: number,
  view: DataView,
  row: number,
  timeUs: number,
  forward: boolean,
  activityTimeoutUs: number,
): boolean => {
  const at = row * PACKET_BYTES;
  const protocol = view.getUint8(at + P.protocol);
  const payloadBytes = view.getUint32(at + P.payloadBytes, true);
  // CICFlowMeter counts no payload in ICMP; the columns keep what was really there.
  const length = protocol === ICMP || protocol === ICMPV6 ? 0 : payloadBytes;
  const headerBytes = view.getUint16(at + P.headerBytes, true);
  if (slab[base + STAT.length] === 0) begin(slab, base, view, at, timeUs);
  else intervals(slab, base, timeUs, forward, activityTimeoutUs);
  if (forward) {
    if (slab[base + STAT.fwdLength] === 0) {
      slab[base + S.fwdWindow] = view.getUint16(at + P.windowBytes, true);
      slab[base + S.fwdSegmentMin] = headerBytes;
    } else if (headerBytes < slab[base + S.fwdSegmentMin]!) {
      slab[base + S.fwdSegmentMin] = headerBytes;
    }
    observe(slab, base + STAT.fwdLength, length);
    add(slab, base + S.fwdHeaderBytes, headerBytes);
    if (length > 0) add(slab, base + S.fwdDataPackets, 1);
  } else {
    if (slab[base + STAT.bwdLength] === 0) {
      slab[base + S.bwdWindow] = view.getUint16(at + P.windowBytes, true);
    }
    observe(slab, base + STAT.bwdLength, length);
    add(slab, base + S.bwdHeaderBytes, headerBytes);
  }
  observe(slab, base + STAT.length, length);
  if (length > 0) {
    const own = base + (forward ? FWD_BULK : BWD_BULK);
    bulk(slab, own, base + (forward ? BWD_BULK : FWD_BULK), length, timeUs);
  }
  add(slab, base + S.ipBytes, view.getUint32(at + P.ipBytes, true));
  add(slab, base + S.payloadBytes, payloadBytes);
  slab[base + S.marks] = slab[base + S.marks]! | marksOf(view.getUint8(at + P.marks));
  const label = view.getUint16(at + P.labelIndex, true);
  if (label !== 0) slab[base + S.labelIndex] = label;
  if (protocol !== TCP) return false;
  const bits = view.getUint8(at + P.tcpFlags);
  flags(slab, base, bits, forward);
  return proves(slab, base, view, at, bits, payloadBytes, forward);
};
