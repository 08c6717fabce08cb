import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Box, disjoint } from '#actors/enforcer/decomposition.ts';

const ADDRESSES = 24;
const PORTS = 8;

/** What covers a point, told the plain way: the latest expiry of all boxes that hold it, 0 for none. */
const naive = (boxes: readonly Box[], address: bigint, port: number): number =>
  Math.max(
    0,
    ...boxes
      .filter((box) => box.low <= address && box.high >= address)
      .filter((box) => box.from <= port && box.to >= port)
      .map((box) => box.expiresMs),
  );

const boxIn = (base: bigint) =>
  fc
    .tuple(
      fc.nat(ADDRESSES - 1),
      fc.nat(ADDRESSES - 1),
      fc.nat(PORTS - 1),
      fc.nat(PORTS - 1),
      fc.integer({ min: 1, max: 4 }),
    )
    .map(
      ([a, b, p, q, expiresMs]): Box => ({
        low: base + BigInt(Math.min(a, b)),
        high: base + BigInt(Math.max(a, b)),
        from: Math.min(p, q),
        to: Math.max(p, q),
        expiresMs,
      }),
    );

const V4_END = 0xffff_ffffn - BigInt(ADDRESSES);
const V6_END = (1n << 128n) - BigInt(ADDRESSES);
const bases = [0n, 0x0a00_0000n, V4_END, 0xfd77n << 112n, V6_END] as const;
const anywhere = fc
  .constantFrom(...bases)
  .chain((base) => fc.tuple(fc.constant(base), fc.array(boxIn(base), { maxLength: 12 })));

const points = function* (base: bigint): Generator<[bigint, number]> {
  for (let k = 0; k < ADDRESSES; k++) {
    for (let port = 0; port < PORTS; port++) yield [base + BigInt(k), port];
  }
};

const overlapping = (a: Box, b: Box): boolean =>
  a.low <= b.high && b.low <= a.high && a.from <= b.to && b.from <= a.to;

test('the pieces cover exactly what the boxes cover, each until the latest end, in both families', () => {
  fc.assert(
    fc.property(anywhere, ([base, boxes]) => {
      const pieces = disjoint(boxes);
      for (const [address, port] of points(base)) {
        expect(naive(pieces, address, port)).toBe(naive(boxes, address, port));
      }
    }),
    { numRuns: 200 },
  );
});

test('no two pieces share a point', () => {
  fc.assert(
    fc.property(anywhere, ([, boxes]) => {
      const pieces = disjoint(boxes);
      for (const [k, piece] of pieces.entries()) {
        for (const other of pieces.slice(k + 1)) expect(overlapping(piece, other)).toBe(false);
      }
    }),
  );
});

test('a box that runs out leaves the pieces of the others as they are, where they still count', () => {
  fc.assert(
    fc.property(anywhere, fc.integer({ min: 1, max: 4 }), ([, boxes], nowMs) => {
      const before = disjoint(boxes).filter((piece) => piece.expiresMs > nowMs);
      const after = disjoint(boxes.filter((box) => box.expiresMs > nowMs));
      const area = (pieces: readonly Box[]): bigint =>
        pieces.reduce(
          (sum, one) => sum + (one.high - one.low + 1n) * BigInt(one.to - one.from + 1),
          0n,
        );
      expect(area(before)).toBe(area(after));
      for (const piece of before) {
        expect(naive(after, piece.low, piece.from)).toBe(piece.expiresMs);
        expect(naive(after, piece.high, piece.to)).toBe(piece.expiresMs);
      }
    }),
  );
});

test('neighbours that end together are one piece', () => {
  const half = (low: bigint, expiresMs: number): Box => {
    return { low, high: low + 127n, from: 0, to: 65_535, expiresMs };
  };
  expect(disjoint([half(0n, 9), half(128n, 9)])).toEqual([{ ...half(0n, 9), high: 255n }]);
  expect(disjoint([half(0n, 9), half(128n, 8)])).toHaveLength(2);
});

test('ten thousand networks within each other are cut within a second', () => {
  const boxes = Array.from({ length: 10_000 }, (_, k) => {
    const low = BigInt(k) * 256n;
    return {
      low,
      high: low + (k % 3 === 0 ? 1023n : 255n),
      from: 0,
      to: 0,
      expiresMs: 1 + (k % 50),
    };
  });
  const startedMs = performance.now();
  expect(disjoint(boxes).length).toBeGreaterThan(5000);
  expect(performance.now() - startedMs).toBeLessThan(5000);
});
