/**
 * What the meter promises, and the known faults of the original CICFlowMeter that it must not have
 * (Engelen et al., WTMC 2021; Rosay et al., LYCOS, 2021).
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CLOSE_REASONS, F, type FeatureName, HANDSHAKES } from '#proto/flow-batch.ts';
import { type MeteredFlow, meterBytes } from '#test/kit/metering.ts';
import {
  type Captured,
  ethernet,
  icmp,
  ip4,
  pcap,
  type TcpOptions,
  tcp,
  udp,
} from '#test/kit/packets.ts';

const T0 = 1_700_000_000_000_000;
const C = '10.0.0.1';
const V = '10.0.0.2';
const SEED = 20_261_122;

type Sent = Partial<TcpOptions> & { readonly flags: string };

/** A packet of the client (forward) or the server of one connection, `ms` after T0. */
const fwd = (ms: number, options: Sent): Captured => ({
  timeUs: T0 + ms * 1_000,
  frame: ethernet(ip4(C, V, 6, tcp({ from: 4_000, to: 80, ...options }))),
});
const bwd = (ms: number, options: Sent): Captured => ({
  timeUs: T0 + ms * 1_000,
  frame: ethernet(ip4(V, C, 6, tcp({ from: 80, to: 4_000, ...options }))),
});
const fwdUdp = (ms: number, payload: number): Captured => ({
  timeUs: T0 + ms * 1_000,
  frame: ethernet(ip4(C, V, 17, udp(5_000, 53, payload))),
});
const bwdUdp = (ms: number, payload: number): Captured => ({
  timeUs: T0 + ms * 1_000,
  frame: ethernet(ip4(V, C, 17, udp(53, 5_000, payload))),
});

const meter = (packets: readonly Captured[], settings: object = {}): MeteredFlow[] =>
  meterBytes(pcap(packets), settings).flows;
const only = (packets: readonly Captured[], settings: object = {}): MeteredFlow => {
  const flows = meter(packets, settings);
  expect(flows).toHaveLength(1);
  return flows[0] as MeteredFlow;
};
const value = (flow: MeteredFlow | undefined, name: FeatureName): number =>
  flow?.vector[F[name]] ?? Number.NaN;
const closing = (flow: MeteredFlow): string => CLOSE_REASONS[flow.closeReason] ?? '';
const proof = (flow: MeteredFlow): string => HANDSHAKES[flow.handshake] ?? '';

const HANDSHAKE = [
  fwd(0, { flags: 'S', sequence: 100, window: 64_240 }),
  bwd(10, { flags: 'SA', sequence: 900, acknowledgement: 101, window: 65_160 }),
  fwd(20, { flags: 'A', sequence: 101, acknowledgement: 901, window: 502 }),
];
const CLOSE = [
  fwd(50, { flags: 'FA', sequence: 101, acknowledgement: 901 }),
  bwd(60, { flags: 'FA', sequence: 901, acknowledgement: 102 }),
  fwd(70, { flags: 'A', sequence: 102, acknowledgement: 902 }),
];

test('the first packet counts once in the length statistics', () => {
  const flow = only([fwdUdp(0, 100), fwdUdp(1, 200)]);
  expect(value(flow, 'pkt_len_mean')).toBe(150);
  expect(value(flow, 'pkt_len_std')).toBeCloseTo(Math.sqrt(5_000), 4);
  expect(value(flow, 'pkt_size_avg')).toBe(150);
});

test('flags count every packet, and PSH and URG each direction, the first packet included', () => {
  const flow = only([
    fwd(0, { flags: 'SEC' }),
    bwd(1, { flags: 'SA' }),
    fwd(2, { flags: 'PAU' }),
    fwd(3, { flags: 'PA' }),
    bwd(4, { flags: 'PAU' }),
  ]);
  const names = ['syn', 'ack', 'psh', 'urg', 'ece', 'fin', 'rst'] as const;
  expect(names.map((name) => value(flow, `${name}_flag_cnt`))).toEqual([2, 4, 3, 2, 1, 0, 0]);
  expect(value(flow, 'cwe_flag_count')).toBe(1);
  expect(value(flow, 'fwd_psh_flags')).toBe(2);
  expect(value(flow, 'bwd_psh_flags')).toBe(1);
  expect(value(flow, 'fwd_urg_flags')).toBe(1);
  expect(value(flow, 'bwd_urg_flags')).toBe(1);
});

test('the down/up ratio and the subflows are divided as reals', () => {
  const flow = only([fwdUdp(0, 10), fwdUdp(1, 10), bwdUdp(2, 15), fwdUdp(2_000, 10)]);
  expect(value(flow, 'down_up_ratio')).toBeCloseTo(1 / 3, 6);
  expect(value(flow, 'subflow_fwd_pkts')).toBe(1.5);
  expect(value(flow, 'subflow_bwd_byts')).toBe(7.5);
});

test('a flow without a pause is one subflow', () => {
  const flow = only([fwdUdp(0, 10), bwdUdp(2, 15)]);
  expect(value(flow, 'subflow_fwd_pkts')).toBe(1);
  expect(value(flow, 'subflow_bwd_byts')).toBe(15);
});

test('bulks are kept apart by direction and broken by a payload of the other side', () => {
  const run = (from: number, send: typeof fwdUdp): Captured[] =>
    [0, 1, 2, 3, 4].map((i) => send(from + i * 10, 100));
  const flow = only([...run(0, fwdUdp), ...run(100, bwdUdp), ...run(200, fwdUdp).slice(0, 3)]);
  expect(value(flow, 'fwd_byts_b_avg')).toBe(500);
  expect(value(flow, 'fwd_pkts_b_avg')).toBe(5);
  expect(value(flow, 'fwd_blk_rate_avg')).toBeCloseTo(500 / 0.04, 2);
  expect(value(flow, 'bwd_byts_b_avg')).toBe(500);
});

test('three payload packets in a row are no bulk, nor are four with a pause above 1 s', () => {
  const flow = only([
    fwdUdp(0, 9),
    fwdUdp(10, 9),
    fwdUdp(20, 9),
    fwdUdp(1_500, 9),
    bwdUdp(1_501, 9),
  ]);
  expect(value(flow, 'fwd_byts_b_avg')).toBe(0);
  expect(value(flow, 'fwd_blk_rate_avg')).toBe(0);
});

test('the windows are those of the first packet of each side', () => {
  const flow = only([...HANDSHAKE, bwd(30, { flags: 'A', window: 7 })]);
  expect(value(flow, 'init_fwd_win_byts')).toBe(64_240);
  expect(value(flow, 'init_bwd_win_byts')).toBe(65_160);
});

test('FIN from one side alone ends nothing; FIN from both and the last ACK do', () => {
  const half = only([...HANDSHAKE, CLOSE[0]!, fwd(55, { flags: 'FA' }), bwd(60, { flags: 'A' })]);
  expect(closing(half)).toBe('flush');
  expect(closing(only([...HANDSHAKE, ...CLOSE]))).toBe('fin');
});

test('what comes after the end belongs to the flow until the next SYN begins a new one', () => {
  const flows = meter([
    ...HANDSHAKE,
    ...CLOSE,
    bwd(80, { flags: 'A' }),
    fwd(90, { flags: 'S', sequence: 5_000 }),
    bwd(91, { flags: 'RA' }),
  ]);
  expect(flows.map((flow) => value(flow, 'tot_fwd_pkts') + value(flow, 'tot_bwd_pkts'))).toEqual([
    7, 2,
  ]);
  expect(flows.map(closing)).toEqual(['fin', 'rst']);
});

test('an ended flow is handed out when its time for late packets is over', () => {
  const late = { ...fwdUdp(6_000, 1) };
  const flows = meter([...HANDSHAKE, bwd(30, { flags: 'R' }), late, fwd(6_001, { flags: 'A' })]);
  expect(flows.map(closing)).toEqual(['rst', 'flush', 'flush']);
});

test('RST ends a flow', () => {
  expect(closing(only([...HANDSHAKE, bwd(30, { flags: 'R' })]))).toBe('rst');
});

test('the flow timeout cuts a flow, and the next part keeps the initiator', () => {
  const flows = meter([...HANDSHAKE, fwd(119_000, { flags: 'A' }), bwd(121_000, { flags: 'A' })]);
  expect(flows.map(closing)).toEqual(['active', 'flush']);
  expect(flows.map(({ source }) => source)).toEqual([C, C]);
  expect(value(flows[1], 'tot_fwd_pkts')).toBe(0);
  expect(flows.map(proof)).toEqual(['complete', 'complete']);
});

test('a silent flow leaves when nothing more can belong to it', () => {
  const flows = meter([fwdUdp(0, 5), fwd(121_000, { flags: 'S' })]);
  expect(flows.map(closing)).toEqual(['idle', 'flush']);
});

test('zero duration gives zero rates, and one packet is a flow', () => {
  const single = only([fwdUdp(0, 40)]);
  expect(value(single, 'flow_byts_s')).toBe(0);
  expect(value(single, 'flow_pkts_s')).toBe(0);
  const twice = only([fwdUdp(0, 40), bwdUdp(0, 40)]);
  expect(value(twice, 'fwd_pkts_s')).toBe(0);
});

test('idle gaps above the activity timeout separate active periods', () => {
  const flow = only([0, 1_000, 9_000, 9_500, 20_000].map((ms) => fwdUdp(ms, 1)));
  expect(value(flow, 'active_mean')).toBe(750_000);
  expect(value(flow, 'idle_max')).toBe(10_500_000);
  expect(value(flow, 'idle_min')).toBe(8_000_000);
});

test('an answer without its question names the asker as the initiator', () => {
  const flow = only([HANDSHAKE[1]!, HANDSHAKE[2]!]);
  expect([flow.source, flow.destination]).toEqual([C, V]);
});

test('ICMP of another type and code is another flow', () => {
  const send = (ms: number, type: number, code: number): Captured => ({
    timeUs: T0 + ms * 1_000,
    frame: ethernet(ip4(C, V, 1, icmp(type, code, 8))),
  });
  expect(meter([send(0, 8, 0), send(1, 8, 0), send(2, 3, 3)])).toHaveLength(2);
});

test('a packet out of order counts where it belongs and makes no negative interval', () => {
  const flow = only([fwdUdp(0, 1), fwdUdp(100, 1), fwdUdp(60, 1), bwdUdp(120, 1)]);
  expect(value(flow, 'flow_iat_min')).toBe(0);
  expect(value(flow, 'flow_duration')).toBe(120_000);
  expect(value(flow, 'tot_fwd_pkts')).toBe(3);
});

test('time that goes far back begins a new flow: captures that were joined', () => {
  expect(meter([fwdUdp(50_000, 1), fwdUdp(0, 1)])).toHaveLength(2);
});

test('a handshake is complete when the initiator acknowledged what the responder sent', () => {
  expect(proof(only(HANDSHAKE))).toBe('complete');
  expect(proof(only(HANDSHAKE.slice(0, 2)))).toBe('syn');
});

test('an ACK with a guessed number proves nothing: its source may be forged', () => {
  const blind = fwd(20, { flags: 'A', sequence: 101, acknowledgement: 4_242 });
  expect(proof(only([HANDSHAKE[0]!, HANDSHAKE[1]!, blind]))).toBe('syn');
});

test('a connection older than the capture is proven by acknowledged payload', () => {
  const packets = [
    fwd(0, { flags: 'PA', sequence: 7, payload: 20 }),
    bwd(5, { flags: 'PA', sequence: 4_294_967_290, acknowledgement: 27, payload: 10 }),
  ];
  expect(proof(only(packets))).toBe('none');
  const answer = fwd(9, { flags: 'A', sequence: 27, acknowledgement: 4 });
  expect(proof(only([...packets, answer]))).toBe('complete');
});

test('a full table finishes its least recently used flow, and no packet is lost', () => {
  const packets = Array.from({ length: 200 }, (_, i) => ({
    timeUs: T0 + i * 100,
    frame: ethernet(
      ip4(`10.0.${i >> 4}.${i & 15}`, V, 6, tcp({ from: i + 1, to: 80, flags: 'S' })),
    ),
  }));
  const flows = meter(packets, { flowsMax: 16 });
  expect(flows).toHaveLength(200);
  expect(flows.filter((flow) => closing(flow) === 'evicted')).toHaveLength(184);
  expect(flows.map(({ sourcePort }) => sourcePort)).toEqual(packets.map((_, i) => i + 1));
});

test('an address that talks to itself has two directions', () => {
  const send = (ms: number, from: number, to: number): Captured => ({
    timeUs: T0 + ms * 1_000,
    frame: ethernet(ip4(C, C, 17, udp(from, to, 4))),
  });
  const flow = only([send(0, 9_000, 53), send(1, 53, 9_000)]);
  expect([value(flow, 'tot_fwd_pkts'), value(flow, 'tot_bwd_pkts')]).toEqual([1, 1]);
});

const anyPacket = fc.record({
  ms: fc.integer({ min: -3_000, max: 400_000 }),
  forward: fc.boolean(),
  port: fc.integer({ min: 1, max: 3 }),
  flags: fc.subarray(['F', 'S', 'R', 'P', 'A', 'U']),
  payload: fc.nat(30),
  kind: fc.constantFrom('tcp', 'udp', 'icmp'),
});

test('whatever comes, every vector is 79 finite numbers and every packet is in one flow', () => {
  fc.assert(
    fc.property(
      fc.array(anyPacket, { maxLength: 60 }),
      fc.integer({ min: 16, max: 20 }),
      (sent, flowsMax) => {
        const packets = sent.map(({ ms, forward, port, flags, payload, kind }) => {
          const [from, to] = forward ? [port, 80] : [80, port];
          const upper = {
            tcp: () => tcp({ from, to, flags: flags.join(''), payload }),
            udp: () => udp(from, to, payload),
            icmp: () => icmp(payload % 4, payload % 3, payload),
          }[kind]();
          const protocol = { tcp: 6, udp: 17, icmp: 1 }[kind];
          const [source, target] = forward ? [C, V] : [V, C];
          return { timeUs: T0 + ms * 1_000, frame: ethernet(ip4(source, target, protocol, upper)) };
        });
        const flows = meter(packets, { flowsMax });
        const total = flows.reduce(
          (sum, flow) => sum + value(flow, 'tot_fwd_pkts') + value(flow, 'tot_bwd_pkts'),
          0,
        );
        expect(total).toBe(sent.length);
        for (const flow of flows) {
          expect(flow.vector.every(Number.isFinite)).toBe(true);
          expect(value(flow, 'flow_duration')).toBeGreaterThanOrEqual(0);
          expect(value(flow, 'flow_iat_min')).toBeGreaterThanOrEqual(0);
        }
      },
    ),
    { seed: SEED, numRuns: 300 },
  );
});
