/**
 * State and messages as JSON and back: maps, sets, bytes, big integers, shared and circular references included. Values of
 * secret names are left out. Functions are named by their place: whoever reads it has to supply them.
 */

import { isSecret, MASK, redact } from '../topology/secrets.ts';
import { setOwn } from './clone.ts';
import type { FunctionNames } from './functions.ts';

/** JSON; what JSON has no form for is an object with a `$`. */
export type Encoded =
  | null
  | boolean
  | number
  | string
  | readonly Encoded[]
  | { readonly [key: string]: Encoded };

type Writer = { readonly ids: Map<object, number>; readonly names: FunctionNames; left: number };

/** More than this, a value or a kibibyte each, is not encoded: a thread that ends has to end soon. */
export const ENCODED_MAX = 200_000;
const PER_VALUE_BYTES = 1024;

const spend = (to: Writer, bytes: number): void => {
  to.left -= 1 + Math.floor(bytes / PER_VALUE_BYTES);
  if (to.left < 0) throw new RangeError(`more than ${ENCODED_MAX} values`);
};

const VIEWS = {
  Uint8Array,
  Int8Array,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  Uint8ClampedArray,
} as const;
type ViewName = keyof typeof VIEWS;

const viewOf = (view: ArrayBufferView): Encoded => {
  const type = Buffer.isBuffer(view) ? 'Uint8Array' : view.constructor.name;
  const bytes = Buffer.from(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);
  return {
    $: 'bytes',
    type: type in VIEWS ? type : 'Uint8Array',
    base64: bytes.toString('base64'),
  };
};

const scalar = (value: unknown, place: string, names: FunctionNames): Encoded => {
  switch (typeof value) {
    case 'string':
      return redact(value) as string;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
        ? value
        : { $: 'number', text: Object.is(value, -0) ? '-0' : String(value) };
    case 'boolean':
      return value;
    case 'bigint':
      return { $: 'bigint', text: String(value) };
    case 'function':
      return { $: 'function', place: names.get(value) ?? place };
    default:
      return value === null ? null : { $: 'undefined' };
  }
};

const sizeOf = (value: unknown): number =>
  typeof value === 'string' ? value.length : ArrayBuffer.isView(value) ? value.byteLength : 0;

const encode = (value: unknown, place: string, name: string, to: Writer): Encoded => {
  spend(to, sizeOf(value));
  // Texts and keys; a number of that name is a count.
  const mayTell = (typeof value === 'string' && value !== '') || ArrayBuffer.isView(value);
  if (mayTell && isSecret(name)) return MASK;
  if (typeof value !== 'object' || value === null) return scalar(value, place, to.names);
  const known = to.ids.get(value);
  if (known !== undefined) return { $: 'ref', id: known };
  const id = to.ids.size;
  to.ids.set(value, id);
  const inner = (one: unknown, key: string): Encoded => encode(one, `${place}.${key}`, key, to);
  if (ArrayBuffer.isView(value)) return viewOf(value);
  if (Array.isArray(value)) return value.map((one, k) => inner(one, String(k)));
  if (value instanceof Map) {
    const of = [...value].map(([key, one], k) => [
      inner(key, `${k}`),
      inner(one, typeof key === 'string' ? key : `${k}`),
    ]);
    return { $: 'map', of };
  }
  if (value instanceof Set) return { $: 'set', of: [...value].map((one, k) => inner(one, `${k}`)) };
  if (value instanceof Date) return { $: 'date', ms: value.getTime() };
  if (value instanceof Error) return { $: 'error', text: String(redact(value)) };
  const entries = Object.entries(value).map(([key, one]) => [key, inner(one, key)] as const);
  if ('$' in value) return { $: 'object', of: entries };
  return Object.fromEntries(entries);
};

/**
 * Objects count in the order in which they are met, the root first: what `ref` names. Functions without a name of their own
 * go by their place. A RangeError: too much.
 */
export const encodeValue = (value: unknown, names: FunctionNames = new Map()): Encoded =>
  encode(value, '', '', { ids: new Map(), names, left: ENCODED_MAX });

/** Gives the function that stood at a place of the value, e.g. `.crypto.sha256`. */
export type Supply = (place: string) => unknown;

type Reader = { readonly seen: unknown[]; readonly supply: Supply };

const decodeTagged = (value: { readonly [key: string]: Encoded }, from: Reader): unknown => {
  const text = String(value.text ?? '');
  const keep = <T>(one: T): T => {
    from.seen.push(one);
    return one;
  };
  switch (value.$) {
    case 'undefined':
      return undefined;
    case 'number':
      return Number(text);
    case 'bigint':
      return BigInt(text);
    case 'function':
      return from.supply(String(value.place));
    case 'ref':
      return from.seen[Number(value.id)];
    case 'bytes': {
      const bytes = Uint8Array.from(Buffer.from(String(value.base64), 'base64'));
      return keep(new VIEWS[value.type as ViewName](bytes.buffer));
    }
    case 'date':
      return keep(new Date(Number(value.ms)));
    case 'error':
      return keep(new Error(text));
    case 'map': {
      const map = keep(new Map<unknown, unknown>());
      for (const [key, one] of value.of as [Encoded, Encoded][]) {
        map.set(decode(key, from), decode(one, from));
      }
      return map;
    }
    case 'set': {
      const set = keep(new Set<unknown>());
      for (const one of value.of as Encoded[]) set.add(decode(one, from));
      return set;
    }
    case 'object':
      return decodeEntries(value.of as [string, Encoded][], from);
    default:
      throw new TypeError(`a value of a kind that is not known: ${JSON.stringify(value.$)}`);
  }
};

const decodeEntries = (entries: readonly (readonly [string, Encoded])[], from: Reader): object => {
  const object: Record<string, unknown> = {};
  from.seen.push(object);
  for (const [key, one] of entries) {
    setOwn(object, key, decode(one, from));
  }
  return object;
};

const decode = (value: Encoded, from: Reader): unknown => {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const list: unknown[] = [];
    from.seen.push(list);
    for (const one of value as readonly Encoded[]) list.push(decode(one, from));
    return list;
  }
  const tagged = value as { readonly [key: string]: Encoded };
  return '$' in tagged ? decodeTagged(tagged, from) : decodeEntries(Object.entries(tagged), from);
};

/** Reads what `encodeValue` wrote; throws a TypeError for anything else. */
export const decodeValue = (value: Encoded, supply: Supply): unknown =>
  decode(value, { seen: [], supply });
