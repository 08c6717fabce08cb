import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bounded } from '#runtime/control/bounded.ts';

const BOUNDS = { depthMax: 3, entriesMax: 4, textMax: 20, valuesMax: 50 };
const show = (value: unknown): unknown => bounded(value, BOUNDS);

test('whatever there is becomes JSON of a bounded size', () => {
  fc.assert(
    fc.property(
      fc.anything({ withBigInt: true, withMap: true, withSet: true, withTypedArray: true }),
      (value) => {
        expect(JSON.stringify(show(value))?.length ?? 0).toBeLessThan(20_000);
      },
    ),
  );
});

test('what is left out is said: entries, depth, letters, bytes, circles', () => {
  const circle: { self?: unknown } = {};
  circle.self = circle;
  expect(
    show({
      list: [1, 2, 3, 4, 5, 6],
      deep: { a: { b: { c: 1 } } },
      text: 'x'.repeat(30),
      circle,
    }),
  ).toEqual({
    list: [1, 2, 3, 4, '… 2 more'],
    deep: { a: { b: '{…}' } },
    text: `${'x'.repeat(20)}… (30)`,
    circle: { self: '[circular]' },
  });
  expect(show({ a: 1, b: 2, c: 3, d: 4, e: 5 })).toMatchObject({ '…': '1 more' });
  expect(show(new Uint8Array(40))).toBe(`${'00'.repeat(32)}… (40 bytes)`);
  expect(show(new Float32Array(9))).toBe('Float32Array(9) 0 0 0 0 0 0 0 0 …');
});

test('maps, sets, functions, big integers and numbers that JSON does not know have a form', () => {
  expect(show(new Map([['k', new Set([1n, Number.NaN])]]))).toEqual({ k: ['1n', 'NaN'] });
  expect(show([function sign() {}, new RangeError('no'), new Date(0)])).toEqual([
    '[function sign]',
    'RangeError: no',
    '1970-01-01T00:00:00.000Z',
  ]);
});

test('values of secret names are masked, objects and bytes included', () => {
  const shown = JSON.stringify(
    show({
      password: 'hunter2',
      privateKey: new Uint8Array(4),
      url: 'x://u:hunter2@h',
      token: { a: 'hunter2' },
    }),
  );
  expect(shown).not.toContain('hunter2');
  expect(shown).not.toContain('00000000');
});
