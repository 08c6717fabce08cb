import fc from 'fast-check';
import { expect, test } from 'vitest';
import { observePacket } from '#actors/features/windows/observe.ts';
import { distinct, mark, mix, newDistinct } from '#actors/features/windows/sketch.ts';
import { pendingWindows, resetWindows, takeWindows } from '#actors/features/windows/windows.ts';
import { recordsOf, WINDOW, WINDOWS_MAX } from '#proto/flow-batch.ts';
import {
  ACK,
  lastWindow,
  newWindows,
  type Packet,
  packetRecords,
  RST,
  rowsOf,
  SYN,
  SYN_ACK,
  scan,
  session,
  synFlood,
  windowsOf,
} from '#test/kit/traffic.ts';

const A = '192.0.2.1';
const B = '192.0.2.2';

test('a full batch of windows fits one shared field', () => {
  expect(WINDOW.size * WINDOWS_MAX).toBeLessThanOrEqual(512 * 1024);
});

test('distinct items are counted within 10 %, over any span', () => {
  const slots = newDistinct(512);
  for (let i = 0; i < 200; i += 1) mark(slots, mix(i), 100);
  for (let i = 200; i < 300; i += 1) mark(slots, mix(i), 105);
  expect(Math.abs(distinct(slots, 100) - 300)).toBeLessThan(30);
  expect(Math.abs(distinct(slots, 105) - 100)).toBeLessThan(10);
  expect(distinct(slots, 106)).toBe(0);
});

test('captures whose clock stood at 1970 count nothing that never was', () => {
  expect(distinct(newDistinct(256), -50)).toBe(0);
});

test('a scan shows as distinct failed ports of its source', () => {
  const all = windowsOf(scan(A, B, 200, 20));
  const window = lastWindow(all, 'source', A, 10_000);
  expect(Math.abs(window.of('failedPairs') - 200)).toBeLessThan(25);
  expect(window.of('failedPeers')).toBe(1);
  expect(window.of('handshakes')).toBe(0);
  // The first packets are counted once the address is remembered.
  expect(window.of('synOnly')).toBeGreaterThanOrEqual(197);
});

test('a connection that is completed is no failed attempt, a refused one is', () => {
  const good = Array.from({ length: 30 }, (_, i) => session(i * 100, A, 2_000 + i, B, 443, 200));
  const window = lastWindow(windowsOf(good.flat()), 'source', A, 10_000);
  expect(window.of('handshakes')).toBeGreaterThanOrEqual(28);
  expect(window.of('failedPairs')).toBeLessThanOrEqual(1);
  const refused = Array.from({ length: 30 }, (_, i): Packet[] => [
    { atMs: i * 100, from: A, to: B, fromPort: 2_000, toPort: 1 + i, flags: SYN },
    { atMs: i * 100 + 1, from: B, to: A, fromPort: 1 + i, toPort: 2_000, flags: RST | ACK },
  ]);
  const closed = lastWindow(windowsOf(refused.flat()), 'source', A, 10_000);
  expect(closed.of('failedPairs')).toBeGreaterThanOrEqual(26);
  expect(closed.of('rst')).toBeGreaterThanOrEqual(28);
});

test('only the right acknowledgement completes a handshake', () => {
  const blind = (atMs: number, fromPort: number, acknowledgement: number): Packet[] => [
    { atMs, from: A, to: B, fromPort, toPort: 80, flags: SYN },
    {
      atMs: atMs + 1,
      from: B,
      to: A,
      fromPort: 80,
      toPort: fromPort,
      flags: SYN_ACK,
      sequence: 900,
    },
    { atMs: atMs + 2, from: A, to: B, fromPort, toPort: 80, flags: ACK, acknowledgement },
  ];
  const of = (acknowledgement: number): number => {
    const packets = Array.from({ length: 20 }, (_, i) => blind(i * 10, 3_000 + i, acknowledgement));
    return lastWindow(windowsOf(packets.flat()), 'destination', B, 10_000).of('handshakes');
  };
  expect(of(4_711)).toBe(0);
  expect(of(901)).toBeGreaterThanOrEqual(18);
});

test('only a reset after the handshake is a probe: before it, the owner of a forged address resets, too', () => {
  const half = (i: number): Packet[] => {
    const out = { from: A, to: B, fromPort: 4_000 + i, toPort: 80 };
    const back = { from: B, to: A, fromPort: 80, toPort: 4_000 + i };
    return [
      { ...out, atMs: i * 10, flags: SYN },
      { ...back, atMs: i * 10 + 1, flags: SYN_ACK, sequence: 900 },
      { ...out, atMs: i * 10 + 3, flags: RST, acknowledgement: 901 },
    ];
  };
  const whole = (i: number): Packet[] => {
    const [syn, answer, reset] = half(i) as [Packet, Packet, Packet];
    return [syn, answer, { ...reset, atMs: i * 10 + 2, flags: ACK }, reset];
  };
  const probes = (make: (i: number) => Packet[]): number => {
    const packets = Array.from({ length: 30 }, (_, i) => make(i)).flat();
    return lastWindow(windowsOf(packets), 'source', A, 10_000).of('probes');
  };
  expect(probes(half)).toBe(0);
  expect(probes(whole)).toBeGreaterThanOrEqual(28);
});

test('short sessions to a port where one logs in are counted, others are not', () => {
  const at = (port: number): number => {
    const packets = Array.from({ length: 12 }, (_, i) =>
      session(i * 2_000, A, 5_000 + i, B, port, 60),
    );
    return lastWindow(windowsOf(packets.flat()), 'source', A, 60_000).of('authSessions');
  };
  expect(at(21)).toBeGreaterThanOrEqual(11);
  expect(at(8_080)).toBe(0);
});

test('datagrams count as unanswered until the other side speaks', () => {
  const ask = (atMs: number, answered: boolean): Packet[] => {
    const out: Packet = {
      atMs,
      from: A,
      to: B,
      fromPort: 999,
      toPort: 5_000,
      protocol: 17,
      payload: 100,
    };
    const back: Packet = { ...out, atMs: atMs + 1, from: B, to: A, fromPort: 5_000, toPort: 999 };
    return answered ? [out, back] : [out];
  };
  const of = (answered: boolean): number => {
    const packets = Array.from({ length: 60 }, (_, i) => ask(i * 10, answered)).flat();
    return lastWindow(windowsOf(packets), 'destination', B, 1_000).of('unansweredUdp');
  };
  expect(of(false)).toBeGreaterThanOrEqual(57);
  expect(of(true)).toBeLessThanOrEqual(1);
});

test('answers of a reflector that nobody asked for are reflected packets, and no scan of the reflector', () => {
  const packets = Array.from(
    { length: 100 },
    (_, i): Packet => ({
      atMs: i * 5,
      from: '8.8.8.8',
      to: B,
      fromPort: 53,
      toPort: 1_000 + i,
      protocol: 17,
      payload: 900,
    }),
  );
  const all = windowsOf(packets);
  expect(lastWindow(all, 'destination', B, 1_000).of('reflectedPackets')).toBeGreaterThanOrEqual(
    95,
  );
  expect(lastWindow(all, 'source', '8.8.8.8', 10_000).of('failedPairs')).toBe(0);
});

test('a flood of invented sources costs no more than the tables have room for', () => {
  const windows = newWindows({ hostsMax: 64, connectionsMax: 1_024 });
  const all = windowsOf(synFlood(B, 20_000, 1), windows);
  expect(windows.sources.places.length).toBeLessThanOrEqual(64);
  expect(windows.sources.candidates.size).toBeLessThanOrEqual(64 * 4);
  const target = lastWindow(all, 'destination', B, 1_000);
  expect(target.of('synOnly')).toBeGreaterThanOrEqual(990);
  expect(target.of('distinctPeers')).toBeGreaterThan(500);
});

test('a heavy host keeps its place in a full table', () => {
  const windows = newWindows({ hostsMax: 16 });
  const noise = Array.from({ length: 3_000 }, (_, i): Packet[] => [
    { atMs: i, from: A, to: B, fromPort: 1, toPort: i, flags: SYN },
    ...Array.from(
      { length: 4 },
      (__, k): Packet => ({
        atMs: i,
        from: `10.1.${i >> 8}.${i & 255}`,
        to: B,
        fromPort: k,
        toPort: 80,
        flags: SYN,
      }),
    ),
  ]).flat();
  const window = lastWindow(windowsOf(noise, windows), 'source', A, 10_000);
  expect(window.of('packets')).toBeGreaterThan(2_900);
});

test('one packet of another time is dropped, a run of them begins anew', () => {
  const windows = newWindows();
  windowsOf(scan(A, B, 100, 20), windows);
  const hour = -3_600_000;
  const stray: Packet[] = [{ atMs: hour, from: A, to: B, flags: SYN, toPort: 9 }];
  windowsOf(stray, windows);
  expect(windows.late).toBe(1);
  const earlier = scan(A, B, 200, 20).map((packet) => ({ ...packet, atMs: packet.atMs + hour }));
  const window = lastWindow(windowsOf(earlier, windows), 'source', A, 10_000);
  expect(window.of('packets')).toBeLessThan(140);
  expect(window.of('packets')).toBeGreaterThan(120);
});

test('years of silence between two packets leave empty windows', () => {
  const years = 3 * 365 * 86_400_000;
  const late = scan(A, B, 40, 1).map((packet) => ({ ...packet, atMs: packet.atMs + years }));
  const window = lastWindow(windowsOf([...scan(A, B, 100, 1), ...late]), 'source', A, 60_000);
  expect(window.of('packets')).toBeLessThanOrEqual(40);
});

test('windows depend on the packets and their order, not on when they are taken', () => {
  const kinds = fc.constantFrom(SYN, SYN_ACK, ACK, RST);
  const packet = fc.record({
    gap: fc.nat(400),
    host: fc.nat(6),
    peer: fc.nat(6),
    port: fc.nat(20),
    flags: kinds,
    back: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.array(packet, { maxLength: 200 }),
      fc.integer({ min: 1, max: 50 }),
      (list, every) => {
        let atMs = 0;
        const packets = list.map(({ gap, host, peer, port, flags }): Packet => {
          atMs += gap;
          return {
            atMs,
            from: `10.0.0.${host}`,
            to: `10.0.1.${peer}`,
            fromPort: 7,
            toPort: port,
            flags,
          };
        });
        expect(windowsOf(packets, newWindows(), every)).toEqual(windowsOf(packets));
      },
    ),
    { seed: 20_260_201, numRuns: 60 },
  );
});

test('a reset forgets everything', () => {
  const windows = newWindows();
  const view = recordsOf(packetRecords(scan(A, B, 100, 20)));
  for (let row = 0; row < 100; row += 1) observePacket(windows, view, row);
  resetWindows(windows);
  expect(pendingWindows(windows)).toBe(0);
  const fresh = windowsOf(scan(A, B, 100, 20));
  expect(windowsOf(scan(A, B, 100, 20), windows)).toEqual(fresh);
});

test('what does not fit is counted as dropped, never written past the end', () => {
  const windows = newWindows();
  const packets = Array.from({ length: 900 }, (_, i) =>
    scan(`10.2.${i >> 8}.${i & 255}`, B, 20, 0),
  );
  const view = recordsOf(packetRecords(packets.flat()));
  for (let row = 0; row < 18_000; row += 1) observePacket(windows, view, row);
  observePacket(windows, recordsOf(packetRecords([{ atMs: 5_000, from: A, to: B }])), 0);
  expect(pendingWindows(windows)).toBeLessThanOrEqual(WINDOWS_MAX);
  const taken = takeWindows(windows, 10);
  expect(rowsOf(taken)).toHaveLength(10);
});
