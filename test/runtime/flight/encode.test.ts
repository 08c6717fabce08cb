import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cloneState, hidesState } from '#runtime/flight/clone.ts';
import { decodeValue, ENCODED_MAX, encodeValue } from '#runtime/flight/encode.ts';

const LIMITS = { valuesMax: 10_000, bytesMax: 1 << 20 };
const none = (place: string) => {
  throw new Error(`asked for ${place}`);
};

/** Whatever a core may hold. */
const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(
      fc.constantFrom(null, undefined, true, false, -0, Number.NaN, Number.NEGATIVE_INFINITY),
      fc.double(),
      fc.string(),
      fc.bigInt(),
      fc.uint8Array(),
      fc.float32Array(),
      fc.bigInt64Array(),
      fc.date({ noInvalidDate: true }),
    ),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom('$', '__proto__')),
      tie('value'),
    ),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 3 }).map((pairs) => new Map(pairs)),
    fc.array(tie('value'), { maxLength: 3 }).map((list) => new Set(list)),
  ),
})).value;

test('whatever a core holds survives JSON', () => {
  fc.assert(
    fc.property(values, (value) => {
      const text = JSON.stringify(encodeValue(value));
      expect(decodeValue(JSON.parse(text), none)).toEqual(value);
    }),
  );
});

test('references stay shared, circles included', () => {
  const shared = { n: 1 };
  const state: { list: object[]; map: Map<object, object>; self?: object } = {
    list: [shared, shared],
    map: new Map([[shared, new Set([shared])]]),
  };
  state.self = state;
  for (const copy of [
    decodeValue(JSON.parse(JSON.stringify(encodeValue(state))), none),
    (cloneState(state, LIMITS) as { value: unknown }).value,
  ] as (typeof state)[]) {
    expect(copy).not.toBe(state);
    expect(copy.self).toBe(copy);
    expect(copy.list[0]).toBe(copy.list[1]);
    expect([...copy.map.keys()][0]).toBe(copy.list[0]);
  }
});

test('secrets by name and passwords in URLs are not written', () => {
  const text = JSON.stringify(
    encodeValue({
      password: 'hunter2',
      api_token: 'hunter2',
      nested: new Map([['privateKey', 'hunter2']]),
      url: 'postgres://me:hunter2@db/x',
      bytes: { privateKey: new TextEncoder().encode('hunter2') },
      empty: { secret: '', tokens: 5 },
    }),
  );
  expect(text).not.toContain('hunter2');
  expect(text).toContain('postgres://me:***@db/x');
  expect(text).toContain('"tokens":5');
  expect(text).not.toContain(Buffer.from('hunter2').toString('base64'));
});

test('a function is named by its place, and supplied when it is read', () => {
  const text = JSON.stringify(encodeValue({ crypto: { sign: () => 1 }, list: [() => 2] }));
  const places: string[] = [];
  decodeValue(JSON.parse(text), (place) => places.push(place));
  expect(places).toEqual(['.crypto.sign', '.list.0']);
});

test('what is too much is refused at once', () => {
  expect(() => encodeValue(new Array(ENCODED_MAX + 1).fill(0))).toThrow('more than 200000 values');
  expect(() => encodeValue(new Uint8Array((ENCODED_MAX + 1) * 1024))).toThrow('more than 200000');
});

test('what is no encoded value is refused', () => {
  expect(() => decodeValue({ $: 'what' }, none)).toThrow('a value of a kind that is not known');
});

test('a copy is not touched by what happens to the state afterwards', () => {
  fc.assert(
    fc.property(values, (value) => {
      const state = { value, list: [value], bytes: new Uint8Array([1, 2]) };
      const cloned = cloneState(state, LIMITS);
      if (!cloned.ok) throw new Error(cloned.why);
      expect(cloned.value).toEqual(state);
      state.list.push(1);
      state.bytes[0] = 9;
      expect(cloned.value).toEqual({ value, list: [value], bytes: new Uint8Array([1, 2]) });
    }),
  );
});

test('there is no copy of what is too large, of a class, or too deep', () => {
  class Own {
    #hidden = 1;
    read(): number {
      return this.#hidden;
    }
  }
  expect(cloneState({ own: new Own() }, LIMITS)).toMatchObject({ why: 'an object of a class' });
  expect(cloneState([new Uint8Array(2 << 20)], LIMITS)).toMatchObject({ why: 'too large' });
  expect(cloneState(new Array(20_000).fill(0), LIMITS)).toMatchObject({ why: 'too large' });
  let deep: object = {};
  for (let k = 0; k < 9000; k++) deep = { deep };
  expect(cloneState(deep, { ...LIMITS, valuesMax: 1e6 })).toMatchObject({
    ok: expect.any(Boolean),
  });
});

test('a state with closures of its own is told from one with functions that everybody shares', () => {
  const shared = () => 1;
  const closed = () => {
    let n = 0;
    return { crypto: { shared }, count: () => n++ };
  };
  expect(hidesState(closed(), closed())).toBe(true);
  expect(hidesState({ crypto: { shared } }, { crypto: { shared } })).toBe(false);
});
