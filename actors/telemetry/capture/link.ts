/** Link layers: where in a frame the IP datagram begins. */
import type { Frame } from './framing.ts';

export const LINK = {
  null: 0,
  ethernet: 1,
  raw: 101,
  loop: 108,
  linuxCooked: 113,
  ipv4: 228,
  ipv6: 229,
  linuxCooked2: 276,
} as const;

/** Link types that can be read. */
export const LINKS: ReadonlySet<number> = new Set(Object.values(LINK));

/** Instead of an offset: the frame holds no IP; the frame ends within its link header. */
export const NOT_IP = -1;
export const CUT = -2;

const ETHERTYPE = { ipv4: 0x0800, ipv6: 0x86dd, pppoe: 0x8864 } as const;
const isVlan = (type: number): boolean => type === 0x8100 || type === 0x88a8 || type === 0x9100;
/** AF_INET is 2 everywhere; AF_INET6 is 10 (Linux), 24, 28 or 30 (BSDs, macOS). */
const isAddressFamily = (family: number): boolean =>
  family === 2 || family === 10 || family === 24 || family === 28 || family === 30;

/** The datagram after an EtherType at `at`, through any number of VLAN tags. */
const afterEtherType = (frame: Frame, at: number, end: number): number => {
  let next = at;
  for (;;) {
    if (next + 2 > end) return CUT;
    const type = frame.view.getUint16(next, false);
    if (isVlan(type)) next += 4;
    else if (type === ETHERTYPE.ipv4 || type === ETHERTYPE.ipv6) return next + 2;
    else if (type === ETHERTYPE.pppoe) {
      if (next + 10 > end) return CUT;
      const protocol = frame.view.getUint16(next + 8, false);
      return protocol === 0x0021 || protocol === 0x0057 ? next + 10 : NOT_IP;
    } else return NOT_IP;
  }
};

/** Index of the first byte of the IP header in frame.data, or NOT_IP or CUT. */
export const datagramOffset = (frame: Frame): number => {
  const { at } = frame;
  const end = at + frame.captured;
  switch (frame.link) {
    case LINK.ethernet:
      return afterEtherType(frame, at + 12, end);
    case LINK.linuxCooked: {
      const offset = afterEtherType(frame, at + 14, end);
      return offset;
    }
    case LINK.linuxCooked2: {
      if (at + 20 > end) return CUT;
      const type = frame.view.getUint16(at, false);
      if (isVlan(type)) return afterEtherType(frame, at + 22, end);
      return type === ETHERTYPE.ipv4 || type === ETHERTYPE.ipv6 ? at + 20 : NOT_IP;
    }
    case LINK.null:
    case LINK.loop: {
      if (at + 4 > end) return CUT;
      const little = frame.view.getUint32(at, true);
      const family = little > 0xffff ? frame.view.getUint32(at, false) : little;
      return isAddressFamily(family) ? at + 4 : NOT_IP;
    }
    case LINK.raw:
    case LINK.ipv4:
    case LINK.ipv6:
      return at < end ? at : CUT;
    default:
      return NOT_IP;
  }
};
