/**
 * One IP datagram into one PACKET record. Lengths come from the IP headers, never from the captured
 * length, so a snap length loses nothing and Ethernet padding counts nothing.
 */
import { PACKET, PACKET_MARK } from '#proto/flow-batch.ts';
import type { Frame } from './framing.ts';

const { offset: P, size: SIZE } = PACKET;

const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const;
const EXTENSION = { hopByHop: 0, routing: 43, fragment: 44, auth: 51, options: 60 } as const;
const EXTENSIONS_MAX = 16;

export type DatagramOutcome = 'packet' | 'not-ip' | 'malformed';

/** Where the upper layer lies and how long it is; reused. */
type Upper = { protocol: number; at: number; bytes: number; marks: number };
const upper: Upper = { protocol: 0, at: 0, bytes: 0, marks: 0 };

const ADDRESS_V4_PREFIX_AT = 10;

const copyAddress4 = (out: DataView, to: number, frame: Frame, from: number): void => {
  out.setFloat64(to, 0, true);
  out.setUint16(to + 8, 0, true);
  out.setUint16(to + ADDRESS_V4_PREFIX_AT, 0xffff, true);
  out.setUint32(to + 12, frame.view.getUint32(from, true), true);
};

const copyAddress6 = (out: DataView, to: number, frame: Frame, from: number): void => {
  for (let i = 0; i < 16; i += 4) {
    out.setUint32(to + i, frame.view.getUint32(from + i, true), true);
  }
};

const ipv4 = (frame: Frame, at: number, end: number, out: DataView, base: number): boolean => {
  if (at + 20 > end) return false;
  const { view } = frame;
  const headerBytes = (view.getUint8(at) & 0x0f) * 4;
  let totalBytes = view.getUint16(at + 2, false);
  // Segmentation offload leaves 0: the wire length is all there is to go by, as in tcpdump.
  if (totalBytes === 0) totalBytes = frame.originalBytes - (at - frame.at);
  if (headerBytes < 20 || totalBytes < headerBytes || totalBytes > 0xffff_ffff) return false;
  const fragment = view.getUint16(at + 6, false);
  upper.marks = 0;
  if ((fragment & 0x3fff) !== 0) upper.marks |= PACKET_MARK.fragment;
  if ((fragment & 0x1fff) !== 0) upper.marks |= PACKET_MARK.laterFragment;
  upper.protocol = view.getUint8(at + 9);
  upper.at = at + headerBytes;
  upper.bytes = totalBytes - headerBytes;
  out.setUint32(base + P.ipBytes, totalBytes, true);
  out.setUint8(base + P.ttl, view.getUint8(at + 8));
  copyAddress4(out, base + P.source, frame, at + 12);
  copyAddress4(out, base + P.destination, frame, at + 16);
  return true;
};

/** Walks the extension headers (RFC 8200, 4); false where they do not fit the datagram. */
const extensions = (frame: Frame, end: number): boolean => {
  const { view } = frame;
  for (let i = 0; i < EXTENSIONS_MAX; i++) {
    const next = upper.protocol;
    const isKnown =
      next === EXTENSION.hopByHop ||
      next === EXTENSION.routing ||
      next === EXTENSION.options ||
      next === EXTENSION.auth ||
      next === EXTENSION.fragment;
    if (!isKnown || (upper.marks & PACKET_MARK.laterFragment) !== 0) return true;
    if (upper.at + 8 > end) {
      upper.marks |= PACKET_MARK.headerCut;
      return upper.bytes >= 8;
    }
    let bytes = (view.getUint8(upper.at + 1) + 1) * 8;
    if (next === EXTENSION.auth) bytes = (view.getUint8(upper.at + 1) + 2) * 4;
    if (next === EXTENSION.fragment) {
      bytes = 8;
      const field = view.getUint16(upper.at + 2, false);
      if ((field & 0xfff9) !== 0) upper.marks |= PACKET_MARK.fragment;
      if ((field & 0xfff8) !== 0) upper.marks |= PACKET_MARK.laterFragment;
    }
    if (bytes > upper.bytes) return false;
    upper.protocol = view.getUint8(upper.at);
    upper.at += bytes;
    upper.bytes -= bytes;
  }
  return false;
};

const ipv6 = (frame: Frame, at: number, end: number, out: DataView, base: number): boolean => {
  if (at + 40 > end) return false;
  const { view } = frame;
  let payloadBytes = view.getUint16(at + 4, false);
  if (payloadBytes === 0) payloadBytes = Math.max(0, frame.originalBytes - (at - frame.at) - 40);
  upper.marks = PACKET_MARK.ipv6;
  upper.protocol = view.getUint8(at + 6);
  upper.at = at + 40;
  upper.bytes = payloadBytes;
  out.setUint32(base + P.ipBytes, 40 + payloadBytes, true);
  out.setUint8(base + P.ttl, view.getUint8(at + 7));
  copyAddress6(out, base + P.source, frame, at + 8);
  copyAddress6(out, base + P.destination, frame, at + 24);
  return extensions(frame, end);
};

const tcp = (frame: Frame, end: number, out: DataView, base: number): boolean => {
  const { view } = frame;
  const { at } = upper;
  if (upper.bytes < 20) return false;
  if (at + 20 > end) {
    upper.marks |= PACKET_MARK.headerCut;
    if (at + 4 <= end) ports(frame, out, base);
    if (at + 14 > end) return true;
  } else {
    ports(frame, out, base);
    out.setUint16(base + P.windowBytes, view.getUint16(at + 14, false), true);
  }
  const headerBytes = (view.getUint8(at + 12) >> 4) * 4;
  if (headerBytes < 20 || headerBytes > upper.bytes) return false;
  out.setUint32(base + P.tcpSequence, view.getUint32(at + 4, false), true);
  out.setUint32(base + P.tcpAcknowledgement, view.getUint32(at + 8, false), true);
  out.setUint8(base + P.tcpFlags, view.getUint8(at + 13));
  out.setUint16(base + P.headerBytes, headerBytes, true);
  upper.bytes -= headerBytes;
  return true;
};

const ports = (frame: Frame, out: DataView, base: number): void => {
  out.setUint16(base + P.sourcePort, frame.view.getUint16(upper.at, false), true);
  out.setUint16(base + P.destinationPort, frame.view.getUint16(upper.at + 2, false), true);
};

const udp = (frame: Frame, end: number, out: DataView, base: number): boolean => {
  if (upper.bytes < 8) return false;
  if (upper.at + 4 <= end) ports(frame, out, base);
  else upper.marks |= PACKET_MARK.headerCut;
  out.setUint16(base + P.headerBytes, 8, true);
  upper.bytes -= 8;
  return true;
};

const icmp = (frame: Frame, end: number, out: DataView, base: number): boolean => {
  if (upper.bytes < 4) return false;
  if (upper.at + 2 <= end) {
    out.setUint8(base + P.icmpType, frame.view.getUint8(upper.at));
    out.setUint8(base + P.icmpCode, frame.view.getUint8(upper.at + 1));
  } else upper.marks |= PACKET_MARK.headerCut;
  upper.bytes = Math.max(0, upper.bytes - 8);
  return true;
};

const upperLayer = (frame: Frame, end: number, out: DataView, base: number): boolean => {
  if ((upper.marks & PACKET_MARK.laterFragment) !== 0) return true;
  switch (upper.protocol) {
    case PROTOCOL.tcp:
      return tcp(frame, end, out, base);
    case PROTOCOL.udp:
      return udp(frame, end, out, base);
    case PROTOCOL.icmp:
    case PROTOCOL.icmpv6:
      return icmp(frame, end, out, base);
    default:
      return true;
  }
};

/**
 * Reads the datagram at `at` of the frame into record `row` of `out` (zeroed before). Time, number
 * and file are the caller's to set.
 */
export const readDatagram = (
  frame: Frame,
  at: number,
  out: DataView,
  row: number,
): DatagramOutcome => {
  const end = frame.at + frame.captured;
  const base = row * SIZE;
  for (let i = 0; i < SIZE; i += 8) out.setFloat64(base + i, 0, true);
  if (at >= end) return 'malformed';
  const version = frame.view.getUint8(at) >> 4;
  if (version !== 4 && version !== 6) return 'not-ip';
  const good = version === 4 ? ipv4(frame, at, end, out, base) : ipv6(frame, at, end, out, base);
  if (!good || !upperLayer(frame, end, out, base)) return 'malformed';
  out.setUint32(base + P.payloadBytes, upper.bytes, true);
  out.setUint8(base + P.protocol, upper.protocol);
  out.setUint8(base + P.marks, upper.marks);
  return 'packet';
};
