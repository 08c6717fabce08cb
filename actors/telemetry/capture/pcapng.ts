/**
 * Blocks of pcapng (draft-ietf-opsawg-pcapng): packets of all kinds are read, everything else is
 * skipped.
 */
import { FRAME_BYTES_MAX, type Frame, type Taken } from './framing.ts';
import { type ByteQueue, skip, unread } from './queue.ts';

const BLOCK = {
  section: 0x0a0d0d0a,
  interface: 1,
  /** Obsolete, still found in old files. */
  packet: 2,
  simplePacket: 3,
  enhancedPacket: 6,
} as const;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const OPTION = { end: 0, timestampResolution: 9, timestampOffset: 14 } as const;
/** Type, length, and the length again at the end. */
const FRAMING_BYTES = 12;
const HEADER_BYTES_MAX = 65_536;

type Interface = {
  readonly link: number;
  readonly snapBytes: number;
  /** Ticks of a second, from if_tsresol. */
  readonly ticksPerSecond: bigint;
  readonly offsetSeconds: number;
};
type Section = { little: boolean; interfaces: Interface[]; lastUs: number };

const resolution = (value: number): bigint =>
  (value & 0x80) === 0 ? 10n ** BigInt(value & 0x7f) : 2n ** BigInt(value & 0x7f);

const readInterface = (queue: ByteQueue, little: boolean, bytes: number): Interface => {
  const { view, start } = queue;
  let ticksPerSecond = 1_000_000n;
  let offsetSeconds = 0;
  const end = start + bytes - 4;
  for (let at = start + 16; at + 4 <= end; ) {
    const code = view.getUint16(at, little);
    const length = view.getUint16(at + 2, little);
    if (code === OPTION.end || at + 4 + length > end) break;
    if (code === OPTION.timestampResolution && length >= 1) {
      ticksPerSecond = resolution(view.getUint8(at + 4));
    }
    if (code === OPTION.timestampOffset && length >= 8) {
      offsetSeconds = Number(view.getBigInt64(at + 4, little));
    }
    at += 4 + Math.ceil(length / 4) * 4;
  }
  const snapBytes = view.getUint32(start + 12, little);
  return { link: view.getUint16(start + 8, little), snapBytes, ticksPerSecond, offsetSeconds };
};

const microseconds = (high: number, low: number, { ticksPerSecond, offsetSeconds }: Interface) => {
  const offsetUs = offsetSeconds * 1e6;
  if (ticksPerSecond === 1_000_000n) return high * 4_294_967_296 + low + offsetUs;
  const ticks = (BigInt(high) << 32n) | BigInt(low);
  return Number((ticks * 1_000_000n) / ticksPerSecond) + offsetUs;
};

/** Where a packet block keeps things, in bytes from its start. */
type Shape = { readonly data: number; readonly captured: number; readonly original: number };
const ENHANCED: Shape = { data: 28, captured: 20, original: 24 };

const timedPacket = (
  queue: ByteQueue,
  section: Section,
  type: number,
  bytes: number,
  frame: Frame,
): boolean => {
  const { view, start } = queue;
  if (bytes < FRAMING_BYTES + 20) return false;
  const { little } = section;
  const id =
    type === BLOCK.packet ? view.getUint16(start + 8, little) : view.getUint32(start + 8, little);
  const from = section.interfaces[id];
  const captured = view.getUint32(start + ENHANCED.captured, little);
  if (from === undefined || captured > bytes - FRAMING_BYTES - 20) return false;
  const high = view.getUint32(start + 12, little);
  frame.timeUs = microseconds(high, view.getUint32(start + 16, little), from);
  section.lastUs = frame.timeUs;
  frame.link = from.link;
  frame.originalBytes = view.getUint32(start + ENHANCED.original, little);
  frame.captured = captured;
  frame.at = start + ENHANCED.data;
  return true;
};

/** A simple packet has no time of its own: it gets that of the packet before it. */
const simplePacket = (queue: ByteQueue, section: Section, bytes: number, frame: Frame): boolean => {
  const from = section.interfaces[0];
  if (from === undefined || bytes < FRAMING_BYTES + 4) return false;
  const original = queue.view.getUint32(queue.start + 8, section.little);
  const room = bytes - FRAMING_BYTES - 4;
  const snap = from.snapBytes === 0 ? room : Math.min(from.snapBytes, room);
  frame.timeUs = section.lastUs;
  frame.link = from.link;
  frame.originalBytes = original;
  frame.captured = Math.min(original, snap);
  frame.at = queue.start + 12;
  return true;
};

/** The section's byte order, or undefined where the magic is neither. */
const sectionOrder = (queue: ByteQueue): boolean | undefined => {
  const magic = queue.view.getUint32(queue.start + 8, true);
  if (magic === BYTE_ORDER_MAGIC) return true;
  return queue.view.getUint32(queue.start + 8, false) === BYTE_ORDER_MAGIC ? false : undefined;
};

const isPacket = (type: number): boolean =>
  type === BLOCK.packet || type === BLOCK.simplePacket || type === BLOCK.enhancedPacket;

/** Takes one whole block that lies in the queue; true if `frame` holds a packet of it. */
const takeBlock = (
  queue: ByteQueue,
  section: Section,
  type: number,
  bytes: number,
  frame: Frame,
): Taken | 'nothing' => {
  frame.data = queue.data;
  frame.view = queue.view;
  let taken: Taken | 'nothing' = 'nothing';
  if (type === BLOCK.section) section.interfaces = [];
  else if (type === BLOCK.interface) {
    if (bytes >= FRAMING_BYTES + 8) {
      section.interfaces.push(readInterface(queue, section.little, bytes));
    }
  } else {
    const good =
      type === BLOCK.simplePacket
        ? simplePacket(queue, section, bytes, frame)
        : timedPacket(queue, section, type, bytes, frame);
    taken = good ? 'frame' : 'bad-record';
  }
  queue.start += bytes;
  return taken;
};

export const pcapngFraming = (queue: ByteQueue): ((frame: Frame) => Taken) => {
  const section: Section = { little: true, interfaces: [], lastUs: 0 };
  return (frame) => {
    for (;;) {
      if (queue.skipBytes > 0 || unread(queue) < FRAMING_BYTES) return 'more';
      if (queue.view.getUint32(queue.start, true) === BLOCK.section) {
        const little = sectionOrder(queue);
        if (little === undefined) return 'corrupt';
        section.little = little;
      }
      const type = queue.view.getUint32(queue.start, section.little);
      const bytes = queue.view.getUint32(queue.start + 4, section.little);
      if (bytes < FRAMING_BYTES || bytes % 4 !== 0) return 'corrupt';
      if (!isPacket(type) && type !== BLOCK.section && type !== BLOCK.interface) {
        skip(queue, bytes);
        continue;
      }
      if (bytes > FRAME_BYTES_MAX + HEADER_BYTES_MAX) return 'corrupt';
      if (unread(queue) < bytes) return 'more';
      const taken = takeBlock(queue, section, type, bytes, frame);
      if (taken !== 'nothing') return taken;
    }
  };
};
