import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex, hex } from '#proto/bytes.ts';
import { type CborValue, decodeCanonical, encodeCanonical } from '#proto/cbor.ts';

const LIMITS = { bytesMax: 10_000, depthMax: 6, itemsMax: 1_000 };

const value = fc.letrec<{ item: CborValue }>((tie) => ({
  item: fc.oneof(
    { maxDepth: 4 },
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 40 }),
    fc.string({ unit: 'grapheme', maxLength: 20 }),
    fc.array(tie('item'), { maxLength: 5 }),
  ),
})).item;

test('what is encoded is decoded to the same value', () => {
  fc.assert(
    fc.property(value, (item) => {
      const decoded = decodeCanonical(encodeCanonical(item), LIMITS);
      expect(decoded).toEqual({ ok: true, value: item });
    }),
  );
});

test('every value has one encoding: what decodes encodes to the same bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const decoded = decodeCanonical(bytes, LIMITS);
      if (decoded.ok) expect(hex(encodeCanonical(decoded.value))).toBe(hex(bytes));
    }),
    { numRuns: 5_000 },
  );
});

test('damaged encodings are refused or decode to what they now say, never thrown over', () => {
  fc.assert(
    fc.property(value, fc.nat(), fc.nat(255), (item, place, byte) => {
      const bytes = Uint8Array.from(encodeCanonical(item));
      bytes[place % bytes.length] = byte;
      const decoded = decodeCanonical(bytes, LIMITS);
      if (decoded.ok) expect(hex(encodeCanonical(decoded.value))).toBe(hex(bytes));
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  ['1817', 'an integer in two bytes that fits one'],
  ['1b0000000000000001', 'an integer in nine bytes that fits one'],
  ['1bffffffffffffffff', 'an integer beyond 2^53'],
  ['f93c00', 'a float'],
  ['fb3ff0000000000000', 'a double'],
  ['a0', 'a map'],
  ['c001', 'a tag'],
  ['f7', 'undefined'],
  ['9f01ff', 'an array of indefinite length'],
  ['5f4101ff', 'octets of indefinite length'],
  ['61ff', 'text that is not UTF-8'],
  ['63efbbbf80', 'bytes after the end'],
  ['8201', 'an array without its end'],
  ['5a7fffffff', 'octets that are only claimed'],
  ['9a7fffffff', 'items that are only claimed'],
  ['980101', 'a length in two bytes that fits one'],
  ['', 'nothing'],
])('%s is refused: %s', (bytes) => {
  expect(decodeCanonical(fromHex(bytes), LIMITS).ok).toBe(false);
});

test('the byte order mark is text like any other', () => {
  const bytes = fromHex('63efbbbf');
  const decoded = decodeCanonical(bytes, LIMITS);
  expect(decoded.ok && hex(encodeCanonical(decoded.value))).toBe('63efbbbf');
});

test('limits on bytes, depth and items have names', () => {
  const deep = fromHex(`${'81'.repeat(7)}01`);
  expect(decodeCanonical(deep, LIMITS)).toEqual({ ok: false, error: 'too-deep' });
  const long = encodeCanonical(Array.from({ length: 1_001 }, () => 0));
  expect(decodeCanonical(long, LIMITS)).toEqual({ ok: false, error: 'too-many-items' });
  const big = encodeCanonical(new Uint8Array(10_001));
  expect(decodeCanonical(big, LIMITS)).toEqual({ ok: false, error: 'too-large' });
});

test('a value that has no canonical form is a bug of who encodes it', () => {
  for (const wrong of [0.5, Number.NaN, 2 ** 53, '\ud800', undefined, {}, 1n]) {
    expect(() => encodeCanonical(wrong as CborValue)).toThrow();
  }
});
