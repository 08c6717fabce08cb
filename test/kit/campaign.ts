/**
 * A capture made for load: many hosts, each of which scans a server with whole connections, one host after the
 * other. Every scanner is an incident of its own, and none of its addresses is forged.
 */
import { type Captured, ethernet, ip4, pcap, tcp } from './packets.ts';

const SERVER = '10.20.0.1';
const PORTS = 80;
const OPEN = [22, 80];
const PROTOCOL_TCP = 6;
const STEP_US = 5000;

const scannerAddress = (index: number): string =>
  `198.18.${Math.floor(index / 250)}.${1 + (index % 250)}`;

/** One connect() to `port`: a handshake and its end where it is open, SYN and RST where it is not. */
const attempt = (scanner: string, port: number, timeUs: number, from: number): Captured[] => {
  const out = (flags: string, after: number): Captured => ({
    timeUs: timeUs + after,
    frame: ethernet(ip4(scanner, SERVER, PROTOCOL_TCP, tcp({ from, to: port, flags }))),
  });
  const back = (flags: string, after: number): Captured => ({
    timeUs: timeUs + after,
    frame: ethernet(ip4(SERVER, scanner, PROTOCOL_TCP, tcp({ from: port, to: from, flags }))),
  });
  return OPEN.includes(port)
    ? [out('S', 0), back('SA', 200), out('A', 400), out('RA', 600)]
    : [out('S', 0), back('RA', 200)];
};

/** The bytes of a libpcap file with `scanners` scans, one beginning every `everyMs`. */
export const campaign = (
  scanners: number,
  everyMs = 50,
  startMs = 1_780_000_000_000,
): Uint8Array => {
  const packets: Captured[] = [];
  for (let index = 0; index < scanners; index++) {
    const beganUs = (startMs + index * everyMs) * 1000;
    const scanner = scannerAddress(index);
    for (let port = 1; port <= PORTS; port++) {
      packets.push(...attempt(scanner, port + 10, beganUs + port * STEP_US, 40_000 + port));
    }
  }
  packets.sort((a, b) => a.timeUs - b.timeUs);
  return pcap(packets);
};
