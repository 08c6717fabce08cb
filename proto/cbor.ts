/**
 * Canonical CBOR (RFC 8949, section 4.2): one value, one sequence of bytes, so that bytes can be hashed and signed.
 *
 * Only what the protocol needs exists: safe integers, octets, well-formed text, booleans, null and arrays. Maps, tags,
 * floats, indefinite lengths and longer-than-shortest heads are refused in both directions.
 */
import { decode, encode, type Token, Tokenizer, Type } from 'cborg';
import { fromUtf8 } from './bytes.ts';
import { err, ok, type Result } from './result.ts';

export type CborValue = number | string | boolean | null | Uint8Array | readonly CborValue[];

export type CborLimits = {
  /** Length of the whole encoding. */
  readonly bytesMax: number;
  /** Nested arrays; 16 unless said. */
  readonly depthMax?: number;
  /** Items in all arrays together; 100,000 unless said. */
  readonly itemsMax?: number;
};

export type CborError = 'too-large' | 'malformed' | 'too-deep' | 'too-many-items';

const DEPTH_MAX = 16;
const ITEMS_MAX = 100_000;
const ALLOWED: ReadonlySet<unknown> = new Set([
  Type.uint,
  Type.negint,
  Type.bytes,
  Type.string,
  Type.array,
  Type.true,
  Type.false,
  Type.null,
]);

class Refused extends Error {
  readonly code: CborError;
  constructor(code: CborError) {
    super(code);
    this.code = code;
  }
}

const assertEncodable = (value: unknown): void => {
  if (Array.isArray(value)) {
    for (const item of value) assertEncodable(item);
    return;
  }
  if (value === null || typeof value === 'boolean' || value instanceof Uint8Array) return;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return;
  if (typeof value === 'string' && value.isWellFormed()) return;
  throw new Error(`not canonical CBOR: ${typeof value} ${String(value)}`);
};

/** Throws on a value outside `CborValue`: a bug of the caller, never a peer's doing. */
export const encodeCanonical = (value: CborValue): Uint8Array => {
  assertEncodable(value);
  return new Uint8Array(encode(value)); // a copy: cborg gives a view of a pool
};

/** Text is decoded anew, since cborg drops a byte order mark and patches what is not UTF-8. */
const checkToken = (token: Token): void => {
  if (!ALLOWED.has(token.type)) throw new Refused('malformed');
  if (token.type !== Type.string || token.byteValue === undefined) return;
  const text = fromUtf8(token.byteValue);
  if (text === undefined) throw new Refused('malformed');
  token.value = text;
};

/** Stops the decoder before it recurses too deep or allocates for a length that a peer only claims. */
const guarded = (bytes: Uint8Array, depthMax: number, itemsMax: number) => {
  const inner = new Tokenizer(bytes, {
    strict: true,
    allowIndefinite: false,
    allowUndefined: false,
    allowBigInt: false,
    retainStringBytes: true,
  });
  const open: number[] = [];
  let items = 0;
  const next = (): Token => {
    const token = inner.next();
    checkToken(token);
    const last = open.length - 1;
    if (last >= 0) open[last]! -= 1;
    if (token.type === Type.array) {
      const length = token.value as number;
      items += length;
      if (items > itemsMax) throw new Refused('too-many-items');
      open.push(length);
      if (open.length > depthMax) throw new Refused('too-deep');
    }
    while (open.length > 0 && open[open.length - 1] === 0) open.pop();
    return token;
  };
  return { done: () => inner.done(), pos: () => inner.pos(), next };
};

/** Never throws. The value's octets are copies, so they outlive `bytes`. */
export const decodeCanonical = (
  bytes: Uint8Array,
  limits: CborLimits,
): Result<CborValue, CborError> => {
  if (bytes.length > limits.bytesMax) return err('too-large');
  // Slices of a Buffer would be Buffers that share its memory.
  const octets = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  const tokenizer = guarded(octets, limits.depthMax ?? DEPTH_MAX, limits.itemsMax ?? ITEMS_MAX);
  try {
    const value = decode(octets, { tokenizer }) as CborValue;
    return ok(value);
  } catch (error) {
    return err(error instanceof Refused ? error.code : 'malformed');
  }
};
