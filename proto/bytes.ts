/** Octets: the few operations on Uint8Array that every layer needs, without node's Buffer. */

declare const hashBrand: unique symbol;
/** A SHA-256 digest: 32 bytes, checked by `asHash`. */
export type Hash = Uint8Array & { readonly [hashBrand]: 'hash' };

export const HASH_BYTES = 32;
export const EMPTY: Uint8Array = new Uint8Array(0);

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const HEX_PATTERN = /^(?:[0-9a-f]{2})*$/i;

export const isHash = (bytes: Uint8Array): bytes is Hash => bytes.length === HASH_BYTES;

/** Throws on a length other than 32: a caller that is not sure asks `isHash` first. */
export const asHash = (bytes: Uint8Array): Hash => {
  if (!isHash(bytes)) throw new Error(`a hash has 32 bytes, this has ${bytes.length}`);
  return bytes;
};

/** Lower case, two digits a byte. */
export const hex = (bytes: Uint8Array): string => {
  let text = '';
  for (let i = 0; i < bytes.length; i += 1) text += HEX[bytes[i]!];
  return text;
};

/** Either case; throws on anything but whole bytes: text of a stranger meets `isHex` first. */
export const fromHex = (text: string): Uint8Array => {
  if (!isHex(text)) throw new Error('not hexadecimal text of whole bytes');
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i += 1) {
    bytes[i] = Number.parseInt(text.slice(i * 2, i * 2 + 2), 16);
  }
  return bytes;
};

export const isHex = (text: string): boolean => HEX_PATTERN.test(text);

/** A copy: the parts may be views that do not outlive their step. */
export const concat = (...parts: readonly Uint8Array[]): Uint8Array => {
  let length = 0;
  for (const part of parts) length += part.length;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
};

/** Not constant in time: nothing compared here is secret. */
export const equal = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
};

/** Lexicographic order of octets, a prefix first; < 0, 0 or > 0 as Array.sort wants it. */
export const compare = (a: Uint8Array, b: Uint8Array): number => {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
};

export const utf8 = (text: string): Uint8Array => encoder.encode(text);

/** Length in UTF-8 without encoding into a new array that is kept. */
export const utf8Bytes = (text: string): number => encoder.encode(text).length;

/** undefined where the bytes are not UTF-8. */
export const fromUtf8 = (bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
};

/** Big-endian, 2 bytes; 0..65,535. */
export const u16be = (value: number): Uint8Array => Uint8Array.of(value >>> 8, value & 0xff);

/** Big-endian, 4 bytes; 0..2^32-1. */
export const u32be = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
};

/** Big-endian two's complement, 8 bytes; safe integers only. */
export const i64be = (value: number): Uint8Array => {
  if (!Number.isSafeInteger(value)) throw new Error(`not a safe integer: ${value}`);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value));
  return bytes;
};
