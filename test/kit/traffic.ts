/** PACKET and WINDOW records for tests of the windows and the engines, written field by field. */
import { observePacket } from '#actors/features/windows/observe.ts';
import { WINDOW_DEFAULTS, type WindowSettings } from '#actors/features/windows/settings.ts';
import {
  createWindows,
  flushWindows,
  pendingWindows,
  takeWindows,
  type Windows,
} from '#actors/features/windows/windows.ts';
import { PACKET, recordsOf, TCP_FLAG, WINDOW, WINDOWS_MAX } from '#proto/flow-batch.ts';
import { formatIp, parseIp } from '#proto/ip.ts';

export const SYN = TCP_FLAG.syn;
export const SYN_ACK = TCP_FLAG.syn | TCP_FLAG.ack;
export const ACK = TCP_FLAG.ack;
export const RST = TCP_FLAG.rst;
export const FIN_ACK = TCP_FLAG.fin | TCP_FLAG.ack;

export type Packet = {
  /** Milliseconds since START_MS. */
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  readonly fromPort?: number;
  readonly toPort?: number;
  /** TCP unless said. */
  readonly protocol?: number;
  readonly flags?: number;
  readonly sequence?: number;
  readonly acknowledgement?: number;
  readonly payload?: number;
  readonly icmpType?: number;
};

/** 2025-01-01, a whole second. */
export const START_MS = 1_735_689_600_000;

const bytesOfIp = (text: string): Uint8Array => {
  const bytes = parseIp(text);
  if (bytes === undefined) throw new Error(`${text} is no address`);
  return bytes;
};

export const packetRecords = (packets: readonly Packet[]): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(packets.length * PACKET.size);
  const view = recordsOf(bytes);
  const { set, address } = PACKET;
  packets.forEach((packet, row) => {
    const payload = packet.payload ?? 0;
    set.timeUs(view, row, (START_MS + packet.atMs) * 1000);
    set.number(view, row, row + 1);
    address.source(view, row).set(bytesOfIp(packet.from));
    address.destination(view, row).set(bytesOfIp(packet.to));
    set.sourcePort(view, row, packet.fromPort ?? 0);
    set.destinationPort(view, row, packet.toPort ?? 0);
    set.protocol(view, row, packet.protocol ?? 6);
    set.tcpFlags(view, row, packet.flags ?? 0);
    set.tcpSequence(view, row, packet.sequence ?? 0);
    set.tcpAcknowledgement(view, row, packet.acknowledgement ?? 0);
    set.payloadBytes(view, row, payload);
    set.ipBytes(view, row, 40 + payload);
    set.icmpType(view, row, packet.icmpType ?? 0);
  });
  return bytes;
};

/** A connection of `from` that is completed, sends `payload` bytes and is closed, within 50 ms. */
export const session = (
  atMs: number,
  from: string,
  fromPort: number,
  to: string,
  toPort: number,
  payload: number,
): Packet[] => {
  const out = { from, to, fromPort, toPort };
  const back = { from: to, to: from, fromPort: toPort, toPort: fromPort };
  return [
    { ...out, atMs, flags: SYN, sequence: 100 },
    { ...back, atMs: atMs + 10, flags: SYN_ACK, sequence: 900, acknowledgement: 101 },
    { ...out, atMs: atMs + 20, flags: ACK, sequence: 101, acknowledgement: 901 },
    { ...out, atMs: atMs + 30, flags: ACK, sequence: 101, acknowledgement: 901, payload },
    { ...back, atMs: atMs + 40, flags: ACK, payload: 50 },
    { ...out, atMs: atMs + 50, flags: FIN_ACK, acknowledgement: 951 },
  ];
};

/** One SYN to each of `ports` ports, `everyMs` apart. */
export const scan = (from: string, to: string, ports: number, everyMs: number): Packet[] =>
  Array.from({ length: ports }, (_, i) => ({
    atMs: i * everyMs,
    from,
    to,
    fromPort: 40_000,
    toPort: 1 + i,
    flags: SYN,
    sequence: 7,
  }));

/** SYN of `count` different sources to one port. */
export const synFlood = (to: string, count: number, everyMs: number): Packet[] =>
  Array.from({ length: count }, (_, i) => ({
    atMs: i * everyMs,
    from: `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`,
    to,
    fromPort: 1_024 + (i % 60_000),
    toPort: 80,
    flags: SYN,
    sequence: i,
  }));

export type WindowRow = {
  readonly side: 'source' | 'destination';
  readonly address: string;
  readonly view: DataView;
  readonly row: number;
  of(field: keyof typeof WINDOW.get): number;
};

export const rowsOf = (bytes: Uint8Array): WindowRow[] => {
  const view = recordsOf(bytes);
  return Array.from({ length: bytes.length / WINDOW.size }, (_, row) => ({
    side: WINDOW.get.side(view, row) === 0 ? ('source' as const) : ('destination' as const),
    address: formatIp(WINDOW.address.address(view, row)),
    view,
    row,
    of: (field) => WINDOW.get[field](view, row),
  }));
};

export const newWindows = (settings: Partial<WindowSettings> = {}): Windows =>
  createWindows({ ...WINDOW_DEFAULTS, ...settings });

/** All records that the packets make, taken every `every` packets and at the end. */
export const windowsOf = (
  packets: readonly Packet[],
  windows: Windows = newWindows(),
  every = 1_000,
): Uint8Array<ArrayBuffer> => {
  const view = recordsOf(packetRecords(packets));
  const taken: Uint8Array[] = [];
  for (let row = 0; row < packets.length; row += 1) {
    observePacket(windows, view, row);
    if ((row + 1) % every === 0) taken.push(takeWindows(windows, WINDOWS_MAX));
  }
  flushWindows(windows);
  while (pendingWindows(windows) > 0) taken.push(takeWindows(windows, WINDOWS_MAX));
  const all = new Uint8Array(taken.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of taken) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};

/** The last window of an address on a side and span. */
export const lastWindow = (
  bytes: Uint8Array,
  side: WindowRow['side'],
  address: string,
  spanMs: number,
): WindowRow => {
  const rows = rowsOf(bytes).filter(
    (row) => row.side === side && row.address === address && row.of('spanMs') === spanMs,
  );
  const last = rows.at(-1);
  if (last === undefined) throw new Error(`no window of ${address} as ${side} over ${spanMs} ms`);
  return last;
};
