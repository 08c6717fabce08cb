import fc from 'fast-check';
import { expect, test } from 'vitest';
import { utf8 } from '#proto/bytes.ts';
import { canonicalJson, canonicalJsonBytes, parseJson, parseJsonObject } from '#proto/json.ts';

const seed = 20_260_505;
const read = (text: string) => parseJson(utf8(text));

test('canonical JSON has sorted keys and no whitespace, and means the same', () => {
  expect(canonicalJson({ b: [1, { z: null, a: 'é' }], a: undefined, A: -0 })).toBe(
    '{"A":0,"b":[1,{"a":"é","z":null}]}',
  );
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const text = canonicalJson(value);
      expect(canonicalJson(JSON.parse(text))).toBe(text);
      expect(JSON.stringify(JSON.parse(text))).toHaveLength(JSON.stringify(value).length);
      expect(read(text).ok).toBe(true);
    }),
    { seed },
  );
});

test('what JSON cannot hold is a bug of the caller', () => {
  expect(() => canonicalJson(Number.NaN)).toThrow('NaN');
  expect(() => canonicalJson([undefined])).toThrow('undefined');
  expect(() => canonicalJson(1n)).toThrow('bigint');
});

test('bytes that are not UTF-8, not JSON or no object are refused by name', () => {
  expect(parseJson(Uint8Array.of(0x22, 0xff, 0x22))).toEqual({ ok: false, error: 'not UTF-8' });
  expect(read('{"a":}')).toEqual({ ok: false, error: 'not JSON' });
  expect(parseJsonObject(utf8('[1]'))).toEqual({ ok: false, error: 'not a JSON object' });
  expect(parseJsonObject(canonicalJsonBytes({ a: 1 }))).toEqual({ ok: true, value: { a: 1 } });
});

test('a key twice in one object is refused in every spelling, in two objects it is fine', () => {
  for (const text of ['{"a":1,"a":2}', '{"a":1,"\\u0061" : 2}', '[{"x":{"k":1,"k":1}}]']) {
    expect(read(text)).toMatchObject({ ok: false });
  }
  for (const text of ['{"a":{"a":1},"b":{"a":2}}', '{"a":"a","b":["a","a"]}', '{"a":"\\"a\\":"}']) {
    expect(read(text)).toMatchObject({ ok: true });
  }
});

test('nesting is bounded, however long the text', () => {
  expect(read('['.repeat(32) + ']'.repeat(32)).ok).toBe(true);
  expect(read('['.repeat(33) + ']'.repeat(33)).ok).toBe(false);
  expect(read('['.repeat(200_000) + ']'.repeat(200_000)).ok).toBe(false);
});

test('no bytes make it throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.string(), (bytes, text) => {
      parseJson(bytes);
      read(text);
    }),
    { seed, numRuns: 500 },
  );
});
