/**
 * A capture made for load: many hosts, each of which scans a server with whole connections, one host after the
 * other. Every scanner is an incident of its own, and none of its addresses is forged.
 */
import { attackPackets } from '#actors/telemetry/synthetic/attacks.ts';
import { random } from '#actors/telemetry/synthetic/random.ts';
import type { Host, Planned } from '#actors/telemetry/synthetic/session.ts';
import { type Captured, ethernet, FLAGS, ip4, pcap, tcp } from './packets.ts';

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

const START_MS = 1_780_000_000_000;

const scans = (scanners: number, everyMs: number, startMs: number): Captured[] => {
  const packets: Captured[] = [];
  for (let index = 0; index < scanners; index++) {
    const beganUs = (startMs + index * everyMs) * 1000;
    const scanner = scannerAddress(index);
    for (let port = 1; port <= PORTS; port++) {
      packets.push(...attempt(scanner, port + 10, beganUs + port * STEP_US, 40_000 + port));
    }
  }
  return packets;
};

const inOrder = (packets: readonly Captured[]): Uint8Array =>
  pcap(packets.toSorted((a, b) => a.timeUs - b.timeUs));

/** The bytes of a libpcap file with `scanners` scans, one beginning every `everyMs`. */
export const campaign = (scanners: number, everyMs = 50, startMs = START_MS): Uint8Array =>
  inOrder(scans(scanners, everyMs, startMs));

const textOf = (host: Host): string =>
  [24, 16, 8, 0].map((shift) => (host >>> shift) & 0xff).join('.');

const TCP_HEADER_BYTES = 20;

const framed = (one: Planned): Captured => {
  const flags = Object.keys(FLAGS).filter((letter) => (one.flags & (FLAGS[letter] ?? 0)) !== 0);
  const segment = tcp({
    from: one.sourcePort,
    to: one.destinationPort,
    flags: flags.join(''),
    sequence: one.sequence,
    acknowledgement: one.acknowledgement,
    window: one.windowBytes,
    optionBytes: one.headerBytes - TCP_HEADER_BYTES,
    payload: one.payloadBytes,
  });
  const datagram = ip4(textOf(one.source), textOf(one.destination), PROTOCOL_TCP, segment);
  return { timeUs: one.timeUs, frame: ethernet(datagram) };
};

/** Of each kind so many that no two of one kind overlap much. */
const KINDS = [
  { attack: 'brute_force', count: 4, everyMs: 1200 },
  { attack: 'http_flood', count: 2, everyMs: 3000 },
  { attack: 'syn_flood', count: 2, everyMs: 3000 },
  { attack: 'port_scan', count: 3, everyMs: 1500 },
] as const;

/**
 * The scans of `campaign`, and with them password guessers, floods of requests and floods of forged SYN: always the
 * same bytes.
 */
export const mixedCampaign = (scanners: number, everyMs: number): Uint8Array => {
  const chance = random(7);
  const others = KINDS.flatMap(({ attack, count, everyMs: apartMs }) =>
    Array.from({ length: count }, (_, k) =>
      attackPackets(chance, attack, (START_MS + k * apartMs) * 1000).map(framed),
    ).flat(),
  );
  return inOrder([...scans(scanners, everyMs, START_MS), ...others]);
};
