/**
 * Fixed-size records in a byte array: declared once, read and written in place, little-endian.
 * Fields lie in the order of the declaration at their natural alignment; a record's size is a
 * multiple of 8, so a run of records in 8-byte aligned memory can also be read through typed
 * arrays.
 */

export type Cell = 'f64' | 'f32' | 'u32' | 'u16' | 'u8' | 'address';
export type Spec = { readonly [field: string]: Cell };

/** Bytes of an IP address in a record: IPv6, or IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
export const ADDRESS_BYTES = 16;

const BYTES: { readonly [C in Cell]: number } = {
  f64: 8,
  f32: 4,
  u32: 4,
  u16: 2,
  u8: 1,
  address: ADDRESS_BYTES,
};
const ALIGNMENT: { readonly [C in Cell]: number } = { ...BYTES, address: 8 };

type Numeric<S extends Spec> = {
  [K in keyof S & string]: S[K] extends 'address' ? never : K;
}[keyof S & string];
type Addressed<S extends Spec> = {
  [K in keyof S & string]: S[K] extends 'address' ? K : never;
}[keyof S & string];

export type Layout<S extends Spec> = {
  /** Bytes of one record. */
  readonly size: number;
  /** Byte offset of each field within its record. */
  readonly offset: { readonly [K in keyof S & string]: number };
  readonly get: { readonly [K in Numeric<S>]: (view: DataView, row: number) => number };
  readonly set: {
    readonly [K in Numeric<S>]: (view: DataView, row: number, value: number) => void;
  };
  /** The 16 bytes of an address: a view into the record, to be copied by whoever keeps it. */
  readonly address: { readonly [K in Addressed<S>]: (view: DataView, row: number) => Uint8Array };
};

type Reader = (view: DataView, row: number) => number;
type Writer = (view: DataView, row: number, value: number) => void;

const reader = (cell: Exclude<Cell, 'address'>, size: number, at: number): Reader => {
  switch (cell) {
    case 'f64':
      return (view, row) => view.getFloat64(row * size + at, true);
    case 'f32':
      return (view, row) => view.getFloat32(row * size + at, true);
    case 'u32':
      return (view, row) => view.getUint32(row * size + at, true);
    case 'u16':
      return (view, row) => view.getUint16(row * size + at, true);
    case 'u8':
      return (view, row) => view.getUint8(row * size + at);
  }
};

const writer = (cell: Exclude<Cell, 'address'>, size: number, at: number): Writer => {
  switch (cell) {
    case 'f64':
      return (view, row, value) => view.setFloat64(row * size + at, value, true);
    case 'f32':
      return (view, row, value) => view.setFloat32(row * size + at, value, true);
    case 'u32':
      return (view, row, value) => view.setUint32(row * size + at, value, true);
    case 'u16':
      return (view, row, value) => view.setUint16(row * size + at, value, true);
    case 'u8':
      return (view, row, value) => view.setUint8(row * size + at, value);
  }
};

export const layoutOf = <const S extends Spec>(spec: S): Layout<S> => {
  const offset: Record<string, number> = {};
  let end = 0;
  for (const [field, cell] of Object.entries(spec)) {
    const alignment = ALIGNMENT[cell];
    end = Math.ceil(end / alignment) * alignment;
    offset[field] = end;
    end += BYTES[cell];
  }
  const size = Math.ceil(end / 8) * 8;
  const get: Record<string, Reader> = {};
  const set: Record<string, Writer> = {};
  const address: Record<string, (view: DataView, row: number) => Uint8Array> = {};
  for (const [field, cell] of Object.entries(spec)) {
    const at = offset[field] ?? 0;
    if (cell === 'address') {
      address[field] = (view, row) =>
        new Uint8Array(view.buffer, view.byteOffset + row * size + at, ADDRESS_BYTES);
    } else {
      get[field] = reader(cell, size, at);
      set[field] = writer(cell, size, at);
    }
  }
  return { size, offset, get, set, address } as Layout<S>;
};

/** The records in `bytes` (as they came in a message) for reading and writing in place. */
export const recordsOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/**
 * Row-major Float32 in `bytes`: feature vectors or a score matrix. The bytes must be 4-byte
 * aligned.
 */
export const floatsOf = (bytes: Uint8Array): Float32Array => {
  if (bytes.byteOffset % 4 !== 0 || bytes.byteLength % 4 !== 0) {
    throw new Error('a float matrix must be 4-byte aligned');
  }
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
};

/** The bytes of a matrix, without a copy, to be put into a message. */
export const bytesOf = (floats: Float32Array): Uint8Array =>
  new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
