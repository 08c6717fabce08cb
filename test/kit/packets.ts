/** Builds frames and capture files byte by byte, independently of the parser that reads them. */

const u16 = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff];
const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value & 0xffff)];

/** `10.0.0.1` or eight groups `2001:db8:0:0:0:0:0:1`. */
const address = (text: string): number[] =>
  text.includes(':')
    ? text.split(':').flatMap((group) => u16(Number.parseInt(group, 16)))
    : text.split('.').map(Number);

export const FLAGS: { readonly [letter: string]: number } = {
  F: 0x01,
  S: 0x02,
  R: 0x04,
  P: 0x08,
  A: 0x10,
  U: 0x20,
  E: 0x40,
  C: 0x80,
};

export type TcpOptions = {
  readonly from: number;
  readonly to: number;
  /** Letters of FLAGS, e.g. `SA`. */
  readonly flags: string;
  readonly sequence?: number;
  readonly acknowledgement?: number;
  readonly window?: number;
  /** Bytes of TCP options, a multiple of 4. */
  readonly optionBytes?: number;
  readonly payload?: number;
};

export const tcp = (options: TcpOptions): number[] => {
  const optionBytes = options.optionBytes ?? 0;
  const bits = [...options.flags].reduce((sum, letter) => sum | (FLAGS[letter] ?? 0), 0);
  return [
    ...u16(options.from),
    ...u16(options.to),
    ...u32(options.sequence ?? 0),
    ...u32(options.acknowledgement ?? 0),
    ((20 + optionBytes) / 4) << 4,
    bits,
    ...u16(options.window ?? 1_024),
    ...u32(0),
    ...Array.from({ length: optionBytes }, () => 1),
    ...Array.from({ length: options.payload ?? 0 }, () => 0x61),
  ];
};

export const udp = (from: number, to: number, payload: number): number[] => [
  ...u16(from),
  ...u16(to),
  ...u16(8 + payload),
  ...u16(0),
  ...Array.from({ length: payload }, () => 0x62),
];

export const icmp = (type: number, code: number, payload: number): number[] => [
  type,
  code,
  ...Array.from({ length: 6 + payload }, () => 0),
];

export type Ip4Options = {
  /** Fragment offset in units of 8 bytes, and "more fragments". */
  readonly offset?: number;
  readonly more?: boolean;
  readonly optionBytes?: number;
  /** Instead of the true total length. */
  readonly totalBytes?: number;
};

export const ip4 = (
  source: string,
  destination: string,
  protocol: number,
  upper: readonly number[],
  options: Ip4Options = {},
): number[] => {
  const optionBytes = options.optionBytes ?? 0;
  const total = options.totalBytes ?? 20 + optionBytes + upper.length;
  const fragment = (options.offset ?? 0) | (options.more === true ? 0x2000 : 0);
  return [
    0x40 | ((20 + optionBytes) / 4),
    0,
    ...u16(total),
    ...u16(7),
    ...u16(fragment),
    64,
    protocol,
    0,
    0,
    ...address(source),
    ...address(destination),
    ...Array.from({ length: optionBytes }, () => 0),
    ...upper,
  ];
};

/** `next` is the protocol of what `body` begins with (an extension header or the upper layer). */
export const ip6 = (
  source: string,
  destination: string,
  next: number,
  body: readonly number[],
): number[] => [
  0x60,
  0,
  0,
  0,
  ...u16(body.length),
  next,
  64,
  ...address(source),
  ...address(destination),
  ...body,
];

const etherType = (datagram: readonly number[]): number =>
  (datagram[0] ?? 0) >> 4 === 6 ? 0x86dd : 0x0800;

/** Ethernet; `tags` are TPIDs of VLAN tags; padded to 60 bytes as on the wire. */
export const ethernet = (datagram: readonly number[], tags: readonly number[] = []): number[] => {
  const frame = [
    ...Array.from({ length: 12 }, () => 2),
    ...tags.flatMap((tag) => [...u16(tag), ...u16(100)]),
    ...u16(etherType(datagram)),
    ...datagram,
  ];
  while (frame.length < 60) frame.push(0xee);
  return frame;
};

/** Linux cooked capture v1 (link type 113) and v2 (276). */
export const cooked = (datagram: readonly number[]): number[] => [
  ...Array.from({ length: 14 }, () => 0),
  ...u16(etherType(datagram)),
  ...datagram,
];
export const cooked2 = (datagram: readonly number[]): number[] => [
  ...u16(etherType(datagram)),
  ...Array.from({ length: 18 }, () => 0),
  ...datagram,
];

export type Captured = {
  /** Microseconds since 1970. */
  readonly timeUs: number;
  readonly frame: readonly number[];
  /** Bytes that the capture kept; all without it. */
  readonly snap?: number;
};

export type FileOptions = {
  readonly link?: number;
  readonly bigEndian?: boolean;
  readonly nanos?: boolean;
};

const word =
  (bigEndian: boolean) =>
  (value: number, bytes: number): number[] => {
    const big = bytes === 2 ? u16(value) : u32(value);
    return bigEndian ? big : big.reverse();
  };

/** A libpcap file. */
export const pcap = (packets: readonly Captured[], options: FileOptions = {}): Uint8Array => {
  const put = word(options.bigEndian ?? false);
  const out: number[] = [
    ...put(options.nanos === true ? 0xa1b23c4d : 0xa1b2c3d4, 4),
    ...put(2, 2),
    ...put(4, 2),
    ...put(0, 4),
    ...put(0, 4),
    ...put(65_535, 4),
    ...put(options.link ?? 1, 4),
  ];
  for (const { timeUs, frame, snap } of packets) {
    const kept = frame.slice(0, snap ?? frame.length);
    const fraction = timeUs % 1e6;
    out.push(
      ...put(Math.floor(timeUs / 1e6), 4),
      ...put(options.nanos === true ? fraction * 1000 + 999 : fraction, 4),
      ...put(kept.length, 4),
      ...put(frame.length, 4),
      ...kept,
    );
  }
  return Uint8Array.from(out);
};

/** One pcapng block of any type around its body. */
export const block = (type: number, body: readonly number[], bigEndian = false): number[] => {
  const put = word(bigEndian);
  const padded = [...body, ...Array.from({ length: (4 - (body.length % 4)) % 4 }, () => 0)];
  const total = padded.length + 12;
  return [...put(type, 4), ...put(total, 4), ...padded, ...put(total, 4)];
};

export const sectionHeader = (bigEndian = false): number[] => {
  const put = word(bigEndian);
  const unknown = Array.from({ length: 8 }, () => 0xff);
  return block(
    0x0a0d0d0a,
    [...put(0x1a2b3c4d, 4), ...put(1, 2), ...put(0, 2), ...unknown],
    bigEndian,
  );
};

/** `options` are raw option bytes (code, length, value, padding). */
export const interfaceBlock = (
  link: number,
  options: readonly number[] = [],
  bigEndian = false,
  snap = 0,
): number[] => {
  const put = word(bigEndian);
  return block(1, [...put(link, 2), ...put(0, 2), ...put(snap, 4), ...options], bigEndian);
};

export const enhancedPacket = (
  from: number,
  ticks: bigint,
  frame: readonly number[],
  bigEndian = false,
): number[] => {
  const put = word(bigEndian);
  const padding = Array.from({ length: (4 - (frame.length % 4)) % 4 }, () => 0);
  const body = [
    ...put(from, 4),
    ...put(Number(ticks >> 32n), 4),
    ...put(Number(ticks & 0xffff_ffffn), 4),
    ...put(frame.length, 4),
    ...put(frame.length, 4),
    ...frame,
    ...padding,
  ];
  return block(6, body, bigEndian);
};
