/**
 * A scan placed into the middle of another capture, as pcapng: every record of the carrier as it was, in its order,
 * and those of the scan among them by time. What comes out holds bytes of the data folder: for temporary folders only.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { framing, newFrame } from '#actors/telemetry/capture/framing.ts';
import { append } from '#actors/telemetry/capture/queue.ts';
import { block, ethernet, interfaceBlock, ip4, sectionHeader, tcp } from './packets.ts';

export type CapturedFrame = {
  readonly timeUs: number;
  /** Link type. */
  readonly link: number;
  /** What the capture kept of it. */
  readonly bytes: Uint8Array;
  /** Length on the wire. */
  readonly originalBytes: number;
};

const ETHERNET = 1;
const ETHERTYPE_IP4 = 0x0800;
const COOKED = 113;

/** Every frame of a capture file, libpcap or pcapng, gzip or not. */
export const framesOf = (file: string): readonly CapturedFrame[] => {
  const raw = readFileSync(file);
  const source = framing();
  append(source.queue, file.endsWith('.gz') ? gunzipSync(raw) : raw);
  const frame = newFrame();
  const frames: CapturedFrame[] = [];
  for (let taken = source.take(frame); taken !== 'more'; taken = source.take(frame)) {
    if (taken !== 'frame') throw new Error(`${file}: ${taken} after frame ${frames.length}`);
    const { timeUs, link, originalBytes, at, captured } = frame;
    frames.push({ timeUs, link, originalBytes, bytes: frame.data.slice(at, at + captured) });
  }
  return frames;
};

const address = (bytes: Uint8Array, at: number): string => bytes.subarray(at, at + 4).join('.');

/** Where the IPv4 header of a frame begins; undefined where it carries none. */
const ip4At = ({ bytes, link }: CapturedFrame): number | undefined => {
  const at = link === ETHERNET ? 14 : link === COOKED ? 16 : undefined;
  if (at === undefined || bytes.length < at + 20) return undefined;
  return ((bytes[at - 2]! << 8) | bytes[at - 1]!) === ETHERTYPE_IP4 ? at : undefined;
};

/** Addresses of IPv4 packets, the one with most packets first. */
export const hostsOf = (frames: readonly CapturedFrame[]): readonly string[] => {
  const counts = new Map<string, number>();
  for (const frame of frames) {
    const at = ip4At(frame);
    if (at === undefined) continue;
    for (const end of [address(frame.bytes, at + 12), address(frame.bytes, at + 16)]) {
      counts.set(end, (counts.get(end) ?? 0) + 1);
    }
  }
  return [...counts].sort((a, b) => b[1] - a[1]).map(([host]) => host);
};

/** One's complement sum of 16-bit words (RFC 1071). */
const checksum = (header: Uint8Array): number => {
  let sum = 0;
  for (let k = 0; k < header.length; k += 2) sum += (header[k]! << 8) | header[k + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
};

/** Addresses for the other hosts of a scan (RFC 5737). */
const elsewhere = (index: number): string => `203.0.113.${1 + (index % 254)}`;

/** Old to new addresses: the scanner, the host that it sends most to, and the rest. */
const renaming = (
  frames: readonly CapturedFrame[],
  scanner: string,
  target: string,
): ReadonlyMap<string, string> => {
  const [from, ...others] = hostsOf(frames);
  const [most, ...rest] = others;
  const names = new Map(rest.map((host, index) => [host, elsewhere(index)]));
  if (from !== undefined) names.set(from, scanner);
  if (most !== undefined) names.set(most, target);
  return names;
};

/** The IPv4 frames of a real scan between other addresses; its busiest host is the scanner. */
export const between = (
  frames: readonly CapturedFrame[],
  scanner: string,
  target: string,
): readonly CapturedFrame[] => {
  const names = renaming(frames, scanner, target);
  return frames.flatMap((frame) => {
    const at = ip4At(frame);
    if (at === undefined) return [];
    const bytes = frame.bytes.slice();
    for (const end of [at + 12, at + 16]) {
      bytes.set(names.get(address(frame.bytes, end))!.split('.').map(Number), end);
    }
    const headerBytes = (bytes[at]! & 0x0f) * 4;
    bytes.set([0, 0], at + 10);
    const sum = checksum(bytes.subarray(at, at + headerBytes));
    bytes.set([sum >>> 8, sum & 0xff], at + 10);
    return [{ ...frame, bytes }];
  });
};

const PROTOCOL_TCP = 6;
const OPEN_PORTS = [22, 80];

/** A connect() scan of `ports` ports, one every `everyUs`: a handshake where it is open, else RST. */
export const connectScan = (
  scanner: string,
  target: string,
  ports = 120,
  everyUs = 20_000,
): readonly CapturedFrame[] =>
  Array.from({ length: ports }, (_, k) => k).flatMap((k) => {
    const [from, to] = [40_000 + k, 1 + k];
    const framed = (afterUs: number, datagram: readonly number[]): CapturedFrame => {
      const bytes = Uint8Array.from(ethernet(datagram));
      const timeUs = k * everyUs + afterUs;
      return { timeUs, link: ETHERNET, bytes, originalBytes: bytes.length };
    };
    const [sequence, other] = [1000 + k, 9000 + k];
    const out = (afterUs: number, flags: string, acknowledgement = 0): CapturedFrame => {
      const begun = flags === 'S' ? sequence : sequence + 1;
      const segment = tcp({ from, to, flags, sequence: begun, acknowledgement });
      return framed(afterUs, ip4(scanner, target, PROTOCOL_TCP, segment));
    };
    const back = (afterUs: number, flags: string): CapturedFrame => {
      const acknowledgement = sequence + 1;
      const segment = tcp({ from: to, to: from, flags, sequence: other, acknowledgement });
      return framed(afterUs, ip4(target, scanner, PROTOCOL_TCP, segment));
    };
    return OPEN_PORTS.includes(to)
      ? [out(0, 'S'), back(300, 'SA'), out(600, 'A', other + 1), out(900, 'RA', other + 1)]
      : [out(0, 'S'), back(300, 'RA')];
  });

/** All frames of `carrier`, those of `scan` from the time of its middle frame on. */
export const splice = (
  carrier: readonly CapturedFrame[],
  scan: readonly CapturedFrame[],
): readonly CapturedFrame[] => {
  const middle = carrier.length >>> 1;
  const beganUs = carrier[middle]?.timeUs ?? 0;
  const shiftUs = beganUs - (scan[0]?.timeUs ?? 0);
  const waiting = scan.map((frame) => ({ ...frame, timeUs: frame.timeUs + shiftUs }));
  const merged: CapturedFrame[] = [...carrier.slice(0, middle + 1)];
  let next = 0;
  for (const frame of carrier.slice(middle + 1)) {
    while (waiting[next] !== undefined && waiting[next]!.timeUs <= frame.timeUs) {
      merged.push(waiting[next]!);
      next += 1;
    }
    merged.push(frame);
  }
  return [...merged, ...waiting.slice(next)];
};

/** A pcapng file with an interface for each link type. */
export const pcapng = (frames: readonly CapturedFrame[]): Uint8Array => {
  const links = [...new Set(frames.map(({ link }) => link))];
  const parts: Uint8Array[] = [
    Uint8Array.from([...sectionHeader(), ...links.flatMap((link) => interfaceBlock(link))]),
  ];
  for (const { timeUs, link, bytes, originalBytes } of frames) {
    const body = new Uint8Array(20 + Math.ceil(bytes.length / 4) * 4);
    const view = new DataView(body.buffer);
    view.setUint32(0, links.indexOf(link), true);
    view.setUint32(4, Math.floor(timeUs / 2 ** 32), true);
    view.setUint32(8, timeUs % 2 ** 32, true);
    view.setUint32(12, bytes.length, true);
    view.setUint32(16, originalBytes, true);
    body.set(bytes, 20);
    parts.push(Uint8Array.from(block(6, [...body])));
  }
  return Buffer.concat(parts);
};
