import fc from 'fast-check';
import { expect, test } from 'vitest';
import { captureReader } from '#actors/telemetry/capture/reader.ts';
import { BATCH_MAX, PACKET, PACKET_MARK, recordsOf } from '#proto/flow-batch.ts';
import { addressText } from '#test/kit/metering.ts';
import {
  block,
  type Captured,
  cooked,
  cooked2,
  enhancedPacket,
  ethernet,
  icmp,
  interfaceBlock,
  ip4,
  ip6,
  pcap,
  sectionHeader,
  tcp,
  udp,
} from '#test/kit/packets.ts';

const T0 = 1_700_000_000_123_456;
const SEED = 20_261_120;

const get = (view: DataView, row: number) => ({
  timeUs: PACKET.get.timeUs(view, row),
  number: PACKET.get.number(view, row),
  source: addressText(PACKET.address.source(view, row)),
  destination: addressText(PACKET.address.destination(view, row)),
  ports: [PACKET.get.sourcePort(view, row), PACKET.get.destinationPort(view, row)],
  protocol: PACKET.get.protocol(view, row),
  ip: PACKET.get.ipBytes(view, row),
  header: PACKET.get.headerBytes(view, row),
  payload: PACKET.get.payloadBytes(view, row),
  flags: PACKET.get.tcpFlags(view, row),
  window: PACKET.get.windowBytes(view, row),
  marks: PACKET.get.marks(view, row),
});

const read = (bytes: Uint8Array, chunkBytes = bytes.length) => {
  const reader = captureReader(0, BATCH_MAX);
  const batches = [];
  for (let at = 0; at < bytes.length; at += Math.max(1, chunkBytes)) {
    batches.push(...reader.push(bytes.subarray(at, at + chunkBytes)));
  }
  const { batch, truncated } = reader.end();
  if (batch !== undefined) batches.push(batch);
  const packets = batches.flatMap(({ bytes: records, count }) => {
    const view = recordsOf(records);
    return Array.from({ length: count }, (_, row) => get(view, row));
  });
  return { packets, truncated, counts: { ...reader.counts }, state: reader.state() };
};

const syn = tcp({ from: 4_000, to: 80, flags: 'S', optionBytes: 20, window: 64_240 });
const synDatagram = ip4('10.0.0.1', '10.0.0.2', 6, syn);
const one = (frame: readonly number[], snap?: number): Captured[] => [
  { timeUs: T0, frame, ...(snap === undefined ? {} : { snap }) },
];

test.each([
  [{ bigEndian: false, nanos: false }],
  [{ bigEndian: true, nanos: false }],
  [{ bigEndian: false, nanos: true }],
  [{ bigEndian: true, nanos: true }],
])('a pcap of either byte order and either resolution gives the same packet: %j', (options) => {
  const { packets, truncated } = read(pcap(one(ethernet(synDatagram)), options));
  expect(truncated).toBe(false);
  expect(packets).toEqual([
    {
      timeUs: T0,
      number: 1,
      source: '10.0.0.1',
      destination: '10.0.0.2',
      ports: [4_000, 80],
      protocol: 6,
      ip: 60,
      header: 40,
      payload: 0,
      flags: 2,
      window: 64_240,
      marks: 0,
    },
  ]);
});

test.each([
  ['Ethernet', 1, ethernet(synDatagram)],
  ['a VLAN tag', 1, ethernet(synDatagram, [0x8100])],
  ['two VLAN tags (QinQ)', 1, ethernet(synDatagram, [0x88a8, 0x8100])],
  ['Linux cooked', 113, cooked(synDatagram)],
  ['Linux cooked v2', 276, cooked2(synDatagram)],
  ['raw IP', 101, synDatagram],
  ['BSD loopback, little-endian', 0, [2, 0, 0, 0, ...synDatagram]],
  ['BSD loopback, big-endian', 0, [0, 0, 0, 2, ...synDatagram]],
])('a datagram is found behind %s', (_, link, frame) => {
  const { packets, counts } = read(pcap(one(frame), { link }));
  expect(counts).toMatchObject({ packets: 1, malformed: 0, notIp: 0 });
  expect(packets[0]).toMatchObject({ ports: [4_000, 80], ip: 60 });
});

test('Ethernet padding is no payload', () => {
  const bare = tcp({ from: 1, to: 2, flags: 'A' });
  const frame = ethernet(ip4('10.0.0.1', '10.0.0.2', 6, bare));
  expect(frame).toHaveLength(60);
  expect(read(pcap(one(frame))).packets[0]).toMatchObject({ ip: 40, header: 20, payload: 0 });
});

test('lengths come from the IP header where the capture kept only a beginning', () => {
  const big = ip4('10.0.0.1', '10.0.0.2', 6, tcp({ from: 1, to: 2, flags: 'PA', payload: 1_000 }));
  const { packets, truncated } = read(pcap(one(ethernet(big), 96)));
  expect(truncated).toBe(false);
  expect(packets[0]).toMatchObject({ ip: 1_040, payload: 1_000, marks: 0 });
});

test('a packet cut within its TCP header keeps its ports and is marked', () => {
  const { packets, counts } = read(pcap(one(ethernet(synDatagram), 14 + 20 + 8)));
  expect(counts.malformed).toBe(0);
  expect(packets[0]).toMatchObject({ ports: [4_000, 80], marks: PACKET_MARK.headerCut });
});

test('the first fragment has ports, later ones have none', () => {
  const whole = udp(53, 9_999, 1_472);
  const first = ip4('10.0.0.1', '10.0.0.2', 17, whole.slice(0, 800), { more: true });
  const last = ip4('10.0.0.1', '10.0.0.2', 17, whole.slice(800), { offset: 100 });
  const { packets } = read(pcap([...one(ethernet(first)), ...one(ethernet(last))]));
  expect(packets).toMatchObject([
    { ports: [53, 9_999], payload: 792, marks: PACKET_MARK.fragment },
    { ports: [0, 0], payload: 680, marks: PACKET_MARK.fragment | PACKET_MARK.laterFragment },
  ]);
});

const A6 = '2001:db8:0:0:0:0:0:1';
const B6 = '2001:db8:0:0:0:0:0:2';
const UDP6 = udp(53, 5_353, 12);

test.each([
  ['none', 17, UDP6],
  ['hop-by-hop', 0, [17, 0, 1, 4, 0, 0, 0, 0, ...UDP6]],
  [
    'hop-by-hop, routing and destination options',
    0,
    [43, 0, 1, 4, 0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 17, 1, ...Array(14).fill(0), ...UDP6],
  ],
  ['authentication', 51, [17, 4, ...Array(22).fill(0), ...UDP6]],
])('IPv6 with extension headers (%s) ends in its upper layer', (_, next, body) => {
  const { packets } = read(pcap(one(ethernet(ip6(A6, B6, next, body)))));
  expect(packets[0]).toMatchObject({
    source: A6,
    destination: B6,
    protocol: 17,
    ports: [53, 5_353],
    payload: 12,
    ip: 40 + body.length,
    marks: PACKET_MARK.ipv6,
  });
});

test('a later IPv6 fragment is counted without ports', () => {
  const body = [17, 0, ...[0x05, 0xa0], 0, 0, 0, 9, ...Array(100).fill(1)];
  const { packets } = read(pcap(one(ethernet(ip6(A6, B6, 44, body)))));
  const marks = PACKET_MARK.ipv6 | PACKET_MARK.fragment | PACKET_MARK.laterFragment;
  expect(packets[0]).toMatchObject({ protocol: 17, ports: [0, 0], payload: 100, marks });
});

test('ICMP keeps its type and has no ports', () => {
  const { packets } = read(pcap(one(ethernet(ip4('10.0.0.1', '10.0.0.2', 1, icmp(8, 0, 56))))));
  expect(packets[0]).toMatchObject({ protocol: 1, ports: [0, 0], header: 0, payload: 56, ip: 84 });
});

test.each([
  ['a header length below 20', ethernet([0x44, ...synDatagram.slice(1)])],
  [
    'a total length below the header',
    ethernet(ip4('10.0.0.1', '10.0.0.2', 6, syn, { totalBytes: 19 })),
  ],
  [
    'a TCP header beyond the datagram',
    ethernet(ip4('10.0.0.1', '10.0.0.2', 6, syn, { totalBytes: 44 })),
  ],
  ['less than a UDP header', ethernet(ip4('10.0.0.1', '10.0.0.2', 17, [0, 1, 0, 2]))],
  ['an Ethernet header cut short', [1, 2, 3]],
])('a packet with %s is malformed, counted and skipped', (_, frame) => {
  const good = { timeUs: T0 + 1, frame: ethernet(synDatagram) };
  const { packets, counts } = read(pcap([...one(frame), good]));
  expect(counts).toMatchObject({ packets: 2, malformed: 1, notIp: 0 });
  expect(packets).toHaveLength(1);
  expect(packets[0]?.number).toBe(2);
});

test('ARP is counted as a packet and is not IP', () => {
  const arp = [...Array(12).fill(1), 0x08, 0x06, ...Array(46).fill(0)];
  expect(read(pcap(one(arp))).counts).toMatchObject({ packets: 1, notIp: 1, malformed: 0 });
});

test('a file cut within a record keeps what came before', () => {
  const whole = pcap([...one(ethernet(synDatagram)), ...one(ethernet(synDatagram))]);
  const { packets, truncated, state } = read(whole.subarray(0, whole.length - 7));
  expect(packets).toHaveLength(1);
  expect({ truncated, state }).toEqual({ truncated: true, state: 'reading' });
});

test('a record of an impossible length ends the file and keeps what came before', () => {
  const whole = pcap(one(ethernet(synDatagram)));
  const junk = Uint8Array.from([...whole, ...Array(16).fill(0xff), 1, 2, 3]);
  const { packets, state } = read(junk);
  expect(packets).toHaveLength(1);
  expect(state).toBe('corrupt');
});

test('bytes that are no capture are called so', () => {
  expect(read(new TextEncoder().encode('src_ip,dst_ip\n')).state).toBe('not-a-capture');
});

const frame = ethernet(synDatagram);
const NANOS = [9, 0, 1, 0, 9, 0, 0, 0];
const BINARY = [9, 0, 1, 0, 0x80 | 20, 0, 0, 0];
const OFFSET = [14, 0, 8, 0, 100, 0, 0, 0, 0, 0, 0, 0];

test('pcapng: interfaces of different links and resolutions, unknown blocks between them', () => {
  const ticks = BigInt(T0);
  const bytes = Uint8Array.from([
    ...sectionHeader(),
    ...interfaceBlock(1),
    ...interfaceBlock(113, NANOS),
    ...block(4, Array(40).fill(7)),
    ...interfaceBlock(1, [...BINARY, ...OFFSET, 0, 0, 0, 0]),
    ...enhancedPacket(0, ticks, frame),
    ...block(0x0bad, [1, 2, 3]),
    ...enhancedPacket(1, ticks * 1000n + 999n, cooked(synDatagram)),
    ...enhancedPacket(2, 5n << 20n, frame),
    ...block(5, Array(12).fill(0)),
  ]);
  const { packets, counts, truncated } = read(bytes);
  expect(truncated).toBe(false);
  expect(counts).toMatchObject({ packets: 3, malformed: 0, notIp: 0 });
  expect(packets.map(({ timeUs }) => timeUs)).toEqual([T0, T0, 105_000_000]);
});

test('pcapng: a new section forgets the interfaces and may have another byte order', () => {
  const bytes = Uint8Array.from([
    ...sectionHeader(),
    ...interfaceBlock(113),
    ...enhancedPacket(0, BigInt(T0), cooked(synDatagram)),
    ...sectionHeader(true),
    ...interfaceBlock(1, [], true),
    ...enhancedPacket(0, BigInt(T0), frame, true),
    ...enhancedPacket(7, BigInt(T0), frame, true),
  ]);
  const { packets, counts } = read(bytes);
  expect(packets).toHaveLength(2);
  expect(counts).toMatchObject({ packets: 3, malformed: 1 });
});

test('pcapng: simple and obsolete packet blocks are packets, too', () => {
  const length = [frame.length, 0, 0, 0];
  const old = [0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, ...length, ...length, ...frame];
  const bytes = Uint8Array.from([
    ...sectionHeader(),
    ...interfaceBlock(1),
    ...block(2, old),
    ...block(3, [...length, ...frame]),
  ]);
  const { packets } = read(bytes);
  expect(packets.map(({ timeUs, ports }) => [timeUs, ports])).toEqual([
    [9, [4_000, 80]],
    [9, [4_000, 80]],
  ]);
});

test('however a file is cut into chunks, the packets are the same', () => {
  const packets = Array.from({ length: 40 }, (_, i) => ({
    timeUs: T0 + i,
    frame: i % 3 === 0 ? ethernet(ip6(A6, B6, 17, UDP6)) : frame,
  }));
  const ng = Uint8Array.from([
    ...sectionHeader(),
    ...interfaceBlock(1),
    ...packets.flatMap(({ timeUs, frame: bytes }) => [
      ...enhancedPacket(0, BigInt(timeUs), bytes),
      ...block(11, Array(200).fill(1)),
    ]),
  ]);
  for (const file of [pcap(packets), ng]) {
    const whole = read(file);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 700 }), (chunkBytes) => {
        expect(read(file, chunkBytes)).toEqual(whole);
      }),
      { seed: SEED, numRuns: 40 },
    );
  }
});

test('no damage makes the reader throw or stand still, and every packet is accounted for', () => {
  const file = pcap(Array.from({ length: 6 }, (_, i) => ({ timeUs: T0 + i, frame })));
  const damage = fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { maxLength: 12 });
  fc.assert(
    fc.property(damage, (changes) => {
      const bytes = Uint8Array.from(file);
      for (const [at, value] of changes) bytes[at] = value;
      const { packets, counts } = read(bytes);
      expect(packets.length + counts.malformed + counts.notIp).toBe(counts.packets);
    }),
    { seed: SEED, numRuns: 500 },
  );
});
