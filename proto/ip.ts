/**
 * Addresses and networks, IPv4 and IPv6 in one space of 128 bits: an IPv4 address stands where RFC
 * 4291 (2.5.5.2) maps it, ::ffff:a.b.c.d, so that the two spellings of one address are one
 * address, and a guardrail cannot be walked around by the other spelling.
 */

export const ADDRESS_BYTES = 16;
const MAPPED_PREFIX = 96;
const ADDRESS_BITS = 128;

/** 16 bytes, network order. */
export type Address = Uint8Array;

export type Cidr = {
  /** Bits behind the prefix are 0. */
  readonly address: Address;
  /** 0..128 in the common space: an IPv4 /24 is 120. */
  readonly bits: number;
};

/** As an operator reads it: family, and the prefix within that family. */
export type CidrFamily = { readonly family: 4 | 6; readonly prefix: number };

/** Dotted quad without leading zeros (which some read as octal), or RFC 4291 text without a zone.
 * undefined for everything else. */
export const parseIp = (text: string): Address | undefined => {
  const quad = parseQuad(text);
  if (quad !== undefined) return mapped(quad);
  return parseV6(text);
};

/** `address/prefix`; bits behind the prefix are cleared. A bare address is not a network. */
export const parseCidr = (text: string): Cidr | undefined => {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const address = parseIp(text.slice(0, slash));
  const prefixText = text.slice(slash + 1);
  if (address === undefined || !/^(?:0|[1-9]\d{0,2})$/.test(prefixText)) return undefined;
  const dotted = !text.includes(':');
  const bits = Number(prefixText) + (dotted ? MAPPED_PREFIX : 0);
  return bits > ADDRESS_BITS ? undefined : { address: masked(address, bits), bits };
};

/** The network of exactly one address. */
export const hostCidr = (address: Address): Cidr => ({ address, bits: ADDRESS_BITS });

/** Two networks share an address exactly when one holds the other. */
export const overlaps = (a: Cidr, b: Cidr): boolean => {
  const bits = Math.min(a.bits, b.bits);
  return samePrefix(a.address, b.address, bits);
};

export const contains = (network: Cidr, address: Address): boolean =>
  samePrefix(network.address, address, network.bits);

export const isV4 = (address: Address): boolean => {
  for (let i = 0; i < 10; i += 1) if (address[i] !== 0) return false;
  return address[10] === 0xff && address[11] === 0xff;
};

/** A network of mapped addresses only is IPv4; anything wider is IPv6, mapped part included. */
export const familyOf = ({ address, bits }: Cidr): CidrFamily =>
  bits >= MAPPED_PREFIX && isV4(address)
    ? { family: 4, prefix: bits - MAPPED_PREFIX }
    : { family: 6, prefix: bits };

/** An IPv6 network so wide that every IPv4 address, mapped, lies in it. */
export const holdsAllV4 = (cidr: Cidr): boolean =>
  cidr.bits < MAPPED_PREFIX && contains(cidr, mapped([0, 0, 0, 0]));

/** The one spelling: dotted quad for IPv4 (mapped as well), RFC 5952 for IPv6. */
export const formatIp = (address: Address): string =>
  isV4(address) ? [...address.subarray(12)].join('.') : formatV6(address);

export const formatCidr = (cidr: Cidr): string =>
  `${formatIp(cidr.address)}/${familyOf(cidr).prefix}`;

const parseQuad = (text: string): number[] | undefined => {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  const octets: number[] = [];
  for (const part of parts) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    octets.push(Number(part));
  }
  return octets;
};

const mapped = (quad: readonly number[]): Address => {
  const address = new Uint8Array(ADDRESS_BYTES);
  address[10] = 0xff;
  address[11] = 0xff;
  address.set(quad, 12);
  return address;
};

const parseV6 = (text: string): Address | undefined => {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const open = halves.length === 2;
  const head = groupsOf(halves[0]!, !open);
  const tail = groupsOf(halves[1] ?? '', true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (open ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const address = new Uint8Array(ADDRESS_BYTES);
  for (const [i, group] of groups.entries()) {
    address[i * 2] = group >>> 8;
    address[i * 2 + 1] = group & 0xff;
  }
  return address;
};

/** 16-bit groups between colons; a dotted quad may stand for the last two where `last`. */
const groupsOf = (text: string, last: boolean): number[] | undefined => {
  if (text === '') return [];
  const parts = text.split(':');
  const groups: number[] = [];
  for (const [i, part] of parts.entries()) {
    const quad = last && i === parts.length - 1 ? parseQuad(part) : undefined;
    if (quad !== undefined) {
      groups.push(quad[0]! * 256 + quad[1]!, quad[2]! * 256 + quad[3]!);
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
};

const formatV6 = (address: Address): string => {
  const groups = Array.from({ length: 8 }, (_, i) => address[i * 2]! * 256 + address[i * 2 + 1]!);
  const gap = longestZeros(groups);
  const text = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  if (gap.length < 2) return text(0, 8);
  return `${text(0, gap.start)}::${text(gap.start + gap.length, 8)}`;
};

/** The first of the longest runs of zero groups (RFC 5952, 4.2.3). */
const longestZeros = (groups: readonly number[]): { start: number; length: number } => {
  let best = { start: 0, length: 0 };
  let length = 0;
  for (const [i, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0;
    if (length > best.length) best = { start: i - length + 1, length };
  }
  return best;
};

const maskOf = (bits: number): number => (0xff00 >> bits) & 0xff;

const masked = (address: Address, bits: number): Address =>
  address.map((byte, i) => byte & maskOf(Math.min(8, Math.max(0, bits - i * 8))));

const samePrefix = (a: Address, b: Address, bits: number): boolean => {
  const whole = bits >>> 3;
  for (let i = 0; i < whole; i += 1) if (a[i] !== b[i]) return false;
  if (whole === ADDRESS_BYTES) return true;
  return ((a[whole]! ^ b[whole]!) & maskOf(bits & 7)) === 0;
};
