/**
 * Flows in a capture, counted over what tshark reads, without a line of our own parser or meter.
 *
 * The definition: packets of one protocol between the same two ends (address and port; ICMP and the rest: address) are
 * one flow, in either direction. It ends 120 s after its first packet; when it is silent for 120 s; for ICMP with
 * another type and code; where time goes back by more than 1 s. TCP: after RST, or FIN both ways and an ACK, a SYN
 * begins the next one, and so does anything after 5 s of silence.
 */
import { conversationsIn, fieldsOf, framesIn } from '#test/kit/tshark.ts';

const TIMEOUT_US = 120e6;
const LINGER_US = 5e6;
const REORDER_US = 1e6;
const FLAG = { fin: 1, syn: 2, rst: 4, ack: 16 } as const;

const FIELDS = [
  'frame.time_epoch',
  'frame.protocols',
  'ip.src',
  'ip.dst',
  'ip.proto',
  'ip.frag_offset',
  'ipv6.src',
  'ipv6.dst',
  'ipv6.nxt',
  'tcp.srcport',
  'tcp.dstport',
  'tcp.flags',
  'udp.srcport',
  'udp.dstport',
  'icmp.type',
  'icmp.code',
  'icmpv6.type',
  'icmpv6.code',
] as const;
type Row = ReturnType<typeof fieldsOf<typeof FIELDS>>[number];

type Packet = {
  readonly timeUs: number;
  readonly protocol: string;
  readonly source: string;
  readonly destination: string;
  readonly flags: number;
  /** Type and code. */
  readonly icmp: readonly [string, string];
};

/** Why a flow begins although its ends have been seen before. */
export const SPLITS = ['timeout', 'late', 'closed', 'icmp', 'time'] as const;
export type Split = (typeof SPLITS)[number];

export type FlowCount = {
  readonly frames: number;
  /** Frames whose first layer above the link (and VLAN tags) is IP. */
  readonly ip: number;
  /** TCP and UDP, as tshark counts them (its own rules of reuse, no timeout). */
  readonly conversations: number;
  readonly flows: number;
  /** Of the flows: neither TCP nor UDP. */
  readonly others: number;
  readonly splits: { readonly [S in Split]: number };
};

const microseconds = (epoch: string): number => {
  const [seconds = '0', fraction = ''] = epoch.split('.');
  return Number(seconds) * 1e6 + Number(fraction.padEnd(9, '0').slice(0, 6));
};

const NO_ICMP: readonly [string, string] = ['', ''];
const BY_NAME: { readonly [name: string]: string } = {
  tcp: '6',
  udp: '17',
  icmp: '1',
  icmpv6: '58',
};

/** The datagram of a frame; undefined where it is not IP, or IP under MPLS labels (which are not read). */
const packetOf = (row: Row): Packet | undefined => {
  const layers = row['frame.protocols'].split(':');
  const at = layers.findIndex((layer) => layer === 'ip' || layer === 'ipv6');
  if (at === -1 || layers.slice(0, at).includes('mpls')) return undefined;
  const six = layers[at] === 'ipv6';
  const upper = layers.slice(at + 1).find((layer) => !layer.startsWith('ipv6.')) ?? '';
  const next = six ? row['ipv6.nxt'] : row['ip.proto'];
  const protocol = six ? (BY_NAME[upper] ?? next) : next;
  const isLater = !six && Number(row['ip.frag_offset']) > 0;
  // An ICMP error carries the ports of another datagram.
  const isPorted = !isLater && (protocol === '6' || protocol === '17');
  const kind = protocol === '6' ? 'tcp' : 'udp';
  const source = six ? row['ipv6.src'] : row['ip.src'];
  const destination = six ? row['ipv6.dst'] : row['ip.dst'];
  const isIcmp = protocol === '1' || protocol === '58';
  const icmp = protocol === '1' ? 'icmp' : 'icmpv6';
  return {
    timeUs: microseconds(row['frame.time_epoch']),
    protocol,
    source: isPorted ? `${source}/${row[`${kind}.srcport`]}` : source,
    destination: isPorted ? `${destination}/${row[`${kind}.dstport`]}` : destination,
    flags: protocol === '6' && !isLater ? Number(row['tcp.flags']) : 0,
    icmp: isIcmp ? [row[`${icmp}.type`], row[`${icmp}.code`]] : NO_ICMP,
  };
};

type Flow = {
  readonly firstUs: number;
  lastUs: number;
  readonly icmp: Packet['icmp'];
  /** Who sent a FIN. */
  readonly fins: Set<string>;
  ended: boolean;
};

/** Flows by their ends; those of each map in the order of their last packets. */
type Flows = Map<string, Flow>;
type Table = {
  readonly open: Flows;
  readonly ended: Flows;
  /** Why those that are gone have gone. */
  readonly gone: Map<string, Split>;
};

const forget = (table: Table, which: 'open' | 'ended', clockUs: number): void => {
  const afterUs = which === 'open' ? TIMEOUT_US : LINGER_US;
  for (const [key, { lastUs }] of table[which]) {
    if (clockUs - lastUs <= afterUs) return;
    table[which].delete(key);
    table.gone.set(key, which === 'open' ? 'timeout' : 'late');
  }
};

const splitOf = (flow: Flow, { timeUs, flags, icmp }: Packet): Split | undefined => {
  if (icmp[0] !== flow.icmp[0] && icmp[1] !== flow.icmp[1]) return 'icmp';
  if (timeUs - flow.firstUs > TIMEOUT_US) return 'timeout';
  if (flow.lastUs - timeUs > REORDER_US) return 'time';
  return flow.ended && (flags & FLAG.syn) !== 0 ? 'closed' : undefined;
};

const add = (flow: Flow, { timeUs, flags, source }: Packet): void => {
  flow.lastUs = Math.max(flow.lastUs, timeUs);
  const bothBefore = flow.fins.size === 2;
  if (flags & FLAG.fin) flow.fins.add(source);
  else if (flags & FLAG.rst) flow.ended = true;
  else if (flags & FLAG.ack && bothBefore) flow.ended = true;
};

const keyOf = ({ protocol, source, destination }: Packet): string =>
  [protocol, ...[source, destination].sort()].join(' ');

const count = (packets: Iterable<Packet>): Pick<FlowCount, 'flows' | 'others' | 'splits'> => {
  const table: Table = { open: new Map(), ended: new Map(), gone: new Map() };
  const splits = { timeout: 0, late: 0, closed: 0, icmp: 0, time: 0 };
  let [flows, others, clockUs] = [0, 0, 0];
  for (const packet of packets) {
    const { timeUs, protocol } = packet;
    if (timeUs > clockUs || clockUs - timeUs > REORDER_US) {
      clockUs = timeUs;
      forget(table, 'ended', clockUs);
      forget(table, 'open', clockUs);
    }
    const key = keyOf(packet);
    let flow = table.open.get(key) ?? table.ended.get(key);
    const split = flow === undefined ? table.gone.get(key) : splitOf(flow, packet);
    if (flow === undefined || split !== undefined) {
      flows += 1;
      if (protocol !== '6' && protocol !== '17') others += 1;
      if (split !== undefined) splits[split] += 1;
      flow = { firstUs: timeUs, lastUs: timeUs, icmp: packet.icmp, fins: new Set(), ended: false };
    }
    add(flow, packet);
    table.open.delete(key);
    table.ended.delete(key);
    (flow.ended ? table.ended : table.open).set(key, flow);
  }
  return { flows, others, splits };
};

/** Reads the whole file with tshark. */
export const countFlows = (file: string): FlowCount => {
  const packets = fieldsOf(file, FIELDS).flatMap((row) => packetOf(row) ?? []);
  return {
    frames: framesIn(file),
    ip: packets.length,
    conversations: conversationsIn(file),
    ...count(packets),
  };
};
