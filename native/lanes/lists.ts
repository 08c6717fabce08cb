/** Lists of one field, as bytes: they travel like a blob. */
import type { Field } from './fields.ts';

export const LIST_ITEMS_MAX = 4096;

type ItemCodec = {
  /** Bytes of a value. */
  readonly size: (value: unknown) => number;
  /** Writes at `at`; returns the next position. */
  readonly write: (value: unknown, view: DataView, bytes: Uint8Array, at: number) => number;
  readonly read: (view: DataView, bytes: Uint8Array, at: number) => readonly [unknown, number];
};

const fixed = (
  size: number,
  write: (view: DataView, at: number, value: never) => void,
  read: (view: DataView, at: number) => unknown,
): ItemCodec => ({
  size: () => size,
  write: (value, view, _bytes, at) => {
    write(view, at, value as never);
    return at + size;
  },
  read: (view, _bytes, at) => [read(view, at), at + size],
});

/** Length (4 bytes), then the bytes. */
const prefixed = (
  toBytes: (value: never) => Uint8Array,
  fromBytes: (bytes: Uint8Array) => unknown,
): ItemCodec => ({
  size: (value) => 4 + toBytes(value as never).length,
  write: (value, view, bytes, at) => {
    const body = toBytes(value as never);
    view.setUint32(at, body.length, true);
    bytes.set(body, at + 4);
    return at + 4 + body.length;
  },
  read: (view, bytes, at) => {
    const length = view.getUint32(at, true);
    return [fromBytes(bytes.subarray(at + 4, at + 4 + length)), at + 4 + length];
  },
});

const text = prefixed(
  (value: string) => Buffer.from(value),
  (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString(),
);

const fixedBytes = (size: number): ItemCodec => ({
  size: () => size,
  write: (value, _view, bytes, at) => {
    const given = value as Uint8Array;
    if (given.length !== size) throw new RangeError(`list: ${given.length} bytes, not ${size}`);
    bytes.set(given, at);
    return at + size;
  },
  read: (_view, bytes, at) => [bytes.slice(at, at + size), at + size],
});

const codecOf = (item: Field<unknown>): ItemCodec => {
  switch (item.code) {
    case 'f64':
      return fixed(
        8,
        (v, at, x: number) => v.setFloat64(at, x, true),
        (v, at) => v.getFloat64(at, true),
      );
    case 'i64':
      return fixed(
        8,
        (v, at, x: bigint) => v.setBigInt64(at, x, true),
        (v, at) => v.getBigInt64(at, true),
      );
    case 'u32':
      return fixed(
        4,
        (v, at, x: number) => v.setUint32(at, x, true),
        (v, at) => v.getUint32(at, true),
      );
    case 'bool':
      return fixed(
        1,
        (v, at, x: boolean) => v.setUint8(at, x ? 1 : 0),
        (v, at) => v.getUint8(at) === 1,
      );
    case 'oneOf': {
      const words = item.values ?? [];
      return fixed(
        1,
        (v, at, x: string) => v.setUint8(at, words.indexOf(x)),
        (v, at) => words[v.getUint8(at)],
      );
    }
    case 'bytes':
      return fixedBytes(item.size);
    case 'blob':
      return prefixed(
        (value: Uint8Array) => value,
        (bytes) => bytes.slice(),
      );
    case 'str':
    case 'atom':
      return text;
    case 'list':
    case 'shared':
      throw new TypeError(`a list of ${item.code} has no layout`);
  }
};

const codecsByField = new WeakMap<Field<unknown>, ItemCodec>();
const cached = (item: Field<unknown>): ItemCodec => {
  let codec = codecsByField.get(item);
  if (codec === undefined) {
    codec = codecOf(item);
    codecsByField.set(item, codec);
  }
  return codec;
};

/** Count (4 bytes), then the items. Throws a RangeError above 4,096 items. */
export const encodeList = (
  where: string,
  item: Field<unknown>,
  values: readonly unknown[],
): Uint8Array => {
  if (values.length > LIST_ITEMS_MAX) {
    throw new RangeError(`message ${where}: ${values.length} items, limit ${LIST_ITEMS_MAX}`);
  }
  const codec = cached(item);
  let size = 4;
  for (const value of values) size += codec.size(value);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, values.length, true);
  let at = 4;
  for (const value of values) at = codec.write(value, view, bytes, at);
  return bytes;
};

export const decodeList = (item: Field<unknown>, bytes: Uint8Array): unknown[] => {
  const codec = cached(item);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const out = new Array<unknown>(view.getUint32(0, true));
  let at = 4;
  for (let k = 0; k < out.length; k++) {
    const [value, next] = codec.read(view, bytes, at);
    out[k] = value;
    at = next;
  }
  return out;
};
