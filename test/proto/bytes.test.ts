import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  asHash,
  compare,
  concat,
  equal,
  fromHex,
  fromUtf8,
  hex,
  i64be,
  isHex,
  u16be,
  u32be,
  utf8,
} from '#proto/bytes.ts';

const seed = 20_260_404;
const octets = fc.uint8Array({ maxLength: 40 });

test('hex and back is the identity, and agrees with Buffer', () => {
  fc.assert(
    fc.property(octets, (bytes) => {
      expect(hex(bytes)).toBe(Buffer.from(bytes).toString('hex'));
      expect(fromHex(hex(bytes).toUpperCase())).toEqual(bytes);
    }),
    { seed },
  );
  expect(['0', 'zz', '0x00', ' 00'].some(isHex)).toBe(false);
  expect(() => fromHex('abc')).toThrow('hexadecimal');
});

test('order and equality agree with Buffer', () => {
  fc.assert(
    fc.property(octets, octets, (a, b) => {
      expect(Math.sign(compare(a, b))).toBe(Buffer.compare(a, b));
      expect(equal(a, b)).toBe(Buffer.compare(a, b) === 0);
      expect(concat(a, b)).toEqual(new Uint8Array(Buffer.concat([a, b])));
    }),
    { seed },
  );
});

test('integers are big-endian', () => {
  expect(hex(u16be(0x1234))).toBe('1234');
  expect(hex(u32be(0xfedcba98))).toBe('fedcba98');
  expect(hex(i64be(-2))).toBe('fffffffffffffffe');
  expect(hex(i64be(2 ** 53 - 1))).toBe('001fffffffffffff');
  expect(() => i64be(2 ** 53)).toThrow('safe');
});

test('text that is not UTF-8 is undefined, a hash has 32 bytes', () => {
  expect(fromUtf8(utf8('grün 🌱'))).toBe('grün 🌱');
  expect(fromUtf8(Uint8Array.of(0xc0, 0x80))).toBeUndefined();
  expect(asHash(new Uint8Array(32))).toHaveLength(32);
  expect(() => asHash(new Uint8Array(31))).toThrow('31');
});
