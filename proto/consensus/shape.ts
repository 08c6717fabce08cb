/**
 * Parsers from CBOR values to typed ones. undefined says "not of this shape"; nothing throws. A field is declared once,
 * with its limit, where its message is declared.
 */
import { fromHex, hex } from '#proto/bytes.ts';
import type { CborLimits, CborValue } from '#proto/cbor.ts';
import { decodeCanonical } from '#proto/cbor.ts';
import { err, ok, type Result } from '#proto/result.ts';

export type Parse<T> = (value: CborValue) => T | undefined;
export type ShapeError = 'too-large' | 'malformed';

/** 32 octets as 64 lower-case hexadecimal digits: comparable with ===, usable as a key. */
export type HashHex = string;

export const HASH_BYTES = 32;
export const SIGNATURE_BYTES = 64;

export const uint: Parse<number> = (value) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;

export const flag: Parse<boolean> = (value) => (typeof value === 'boolean' ? value : undefined);

export const exactly =
  <const T extends number | string>(wanted: T): Parse<T> =>
  (value) =>
    value === wanted ? wanted : undefined;

export const text =
  (charactersMax: number): Parse<string> =>
  (value) =>
    typeof value === 'string' && value.length <= charactersMax ? value : undefined;

export const octets =
  (bytesMin: number, bytesMax: number): Parse<Uint8Array> =>
  (value) =>
    value instanceof Uint8Array && value.length >= bytesMin && value.length <= bytesMax
      ? value
      : undefined;

export const signature = octets(SIGNATURE_BYTES, SIGNATURE_BYTES);

export const hash: Parse<HashHex> = (value) =>
  value instanceof Uint8Array && value.length === HASH_BYTES ? hex(value) : undefined;

/** The way back of `hash`. Throws on other text, which no decoder lets in. */
export const hashBytes = (value: HashHex): Uint8Array => {
  if (value.length !== HASH_BYTES * 2) throw new Error(`not a hash: ${value}`);
  return fromHex(value);
};

export const nullable =
  <T>(parse: Parse<T>): Parse<T | null> =>
  (value) =>
    value === null ? null : parse(value);

export const list =
  <T>(parse: Parse<T>, itemsMax: number): Parse<readonly T[]> =>
  (value) => {
    if (!Array.isArray(value) || value.length > itemsMax) return undefined;
    const items: T[] = [];
    for (const item of value as readonly CborValue[]) {
      const parsed = parse(item);
      if (parsed === undefined) return undefined;
      items.push(parsed);
    }
    return items;
  };

/** An array of exactly these fields, in this order. */
export const tuple =
  <T extends readonly unknown[]>(...fields: { [I in keyof T]: Parse<T[I]> }): Parse<T> =>
  (value) => {
    if (!Array.isArray(value) || value.length !== fields.length) return undefined;
    const parsed: unknown[] = [];
    for (let at = 0; at < fields.length; at += 1) {
      const field = (fields[at] as Parse<unknown>)(value[at] as CborValue);
      if (field === undefined) return undefined;
      parsed.push(field);
    }
    return parsed as unknown as T;
  };

/** An array of exactly these fields, in the order in which they stand here, into an object of their names. */
export const record = <T extends object>(
  fields: {
    readonly [K in keyof T]-?: Parse<T[K]>;
  },
): Parse<T> => {
  const names = Object.keys(fields);
  const values = tuple(...(Object.values(fields) as Parse<unknown>[]));
  return mapped(
    values,
    (parsed) => Object.fromEntries(names.map((name, at) => [name, parsed[at]])) as T,
  );
};

export const mapped =
  <A, B>(parse: Parse<A>, into: (value: A) => B | undefined): Parse<B> =>
  (value) => {
    const parsed = parse(value);
    return parsed === undefined ? undefined : into(parsed);
  };

/** Bytes of a stranger into a value of this shape. */
export const decodeShape = <T>(
  bytes: Uint8Array,
  limits: CborLimits,
  parse: Parse<T>,
): Result<T, ShapeError> => {
  const decoded = decodeCanonical(bytes, limits);
  if (!decoded.ok) return err(decoded.error === 'too-large' ? 'too-large' : 'malformed');
  const value = parse(decoded.value);
  return value === undefined ? err('malformed') : ok(value);
};
