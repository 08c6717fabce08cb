/** What the generated layouts call: text, bytes, lists, and what travels in slabs. */
import type { Field } from './fields.ts';
import type { Lane } from './lane.ts';
import { decodeList, encodeList } from './lists.ts';
import { HANDLE_INDEX, HANDLE_MARK } from './slab.ts';

/** Largest blob written into the lane itself. */
export const BLOB_INLINE_BYTES = 32 * 1024;
/** Largest `shared` written into the lane itself: a slab for less would waste the slab. */
export const SHARED_INLINE_BYTES = 4 * 1024;
export const BLOB_BYTES_MAX = 16 * 1024 * 1024;
const TEXT_BYTES_MAX = 0x7fff;
const TEXT_NATIVE_LENGTH = 32;
/** Bit 15 of a text's size: not all ASCII. */
const WIDE = 0x8000;
/** Bit 31 of a blob's size: in slabs. */
const IN_SLABS = 0x80000000 | 0;

const fail = (where: string, what: string): never => {
  throw new RangeError(`message ${where}: ${what}`);
};

/** Bytes that the text may need; checked, because a wrong value here would tear the lane. */
const textBound = (where: string, text: string): number => {
  if (typeof text !== 'string') return fail(where, `expected text, got ${typeof text}`);
  const bound = text.length * 3;
  if (bound <= 1024) return bound;
  const size = Buffer.byteLength(text);
  if (size > TEXT_BYTES_MAX) fail(where, `text of ${size} bytes, limit ${TEXT_BYTES_MAX}`);
  return size;
};

/**
 * Writes the characters at `at`; returns their size in bytes, with bit 15 set when they are not all ASCII. A native call
 * costs as much as a loop over 30 characters.
 */
const writeText = (lane: Lane, text: string, at: number): number => {
  const { u8 } = lane;
  const n = text.length;
  if (n >= TEXT_NATIVE_LENGTH) {
    const size = lane.text.utf8Write(text, at);
    return size === n ? n : size | WIDE; // what is not ASCII takes two bytes and more
  }
  for (let k = 0; k < n; k++) {
    const c = text.charCodeAt(k);
    if (c > 127) return lane.text.utf8Write(text, at) | WIDE;
    u8[at + k] = c;
  }
  return n;
};

/** ASCII of all texts of a message at once; the generated code takes substrings: one native call a message. */
const readAscii = (lane: Lane, at: number, size: number): string =>
  lane.text.latin1Slice(at, at + size);

const readText = (lane: Lane, at: number, size: number): string =>
  size & WIDE
    ? lane.text.utf8Slice(at, at + (size & TEXT_BYTES_MAX))
    : lane.text.latin1Slice(at, at + size);

const ATOMS = 1024;
const ATOM_LENGTH_MAX = 63;
const interned: string[] = new Array<string>(ATOMS).fill('');
const readAtom = (lane: Lane, start: number, n: number): string => {
  if (n > ATOM_LENGTH_MAX) return readText(lane, start, n);
  const { u8 } = lane;
  let hash = n;
  for (let k = 0; k < n; k++) hash = (Math.imul(hash, 31) + u8[start + k]!) | 0;
  const slot = (hash ^ (hash >>> 15)) & (ATOMS - 1);
  const known = interned[slot]!;
  if (known.length === n) {
    let k = 0;
    while (k < n && known.charCodeAt(k) === u8[start + k]) k++;
    if (k === n) return known;
  }
  const fresh = lane.text.latin1Slice(start, start + n);
  interned[slot] = fresh;
  return fresh;
};

const readBytes = (lane: Lane, at: number, n: number): Uint8Array => {
  const out = new Uint8Array(n);
  const { u8 } = lane;
  if (n > 64) {
    out.set(u8.subarray(at, at + n));
    return out;
  }
  for (let k = 0; k < n; k++) out[k] = u8[at + k]!;
  return out;
};

const writeBytes = (where: string, lane: Lane, value: Uint8Array, at: number, n: number): void => {
  if (value.length !== n) fail(where, `expected ${n} bytes, got ${value.length}`);
  const { u8 } = lane;
  if (n > 64) u8.set(value, at);
  else for (let k = 0; k < n; k++) u8[at + k] = value[k]!;
};

/** Room for a blob in the record: its bytes, or one handle for each of its slabs. */
const blobRoom = (where: string, lane: Lane, value: Uint8Array): number => {
  const { length } = value;
  if (length <= BLOB_INLINE_BYTES) return (length + 7) & ~7;
  if (length > BLOB_BYTES_MAX) fail(where, `blob of ${length} bytes, limit ${BLOB_BYTES_MAX}`);
  const most = lane.slabs === undefined ? 0 : lane.slabs.count * lane.slabs.bytes;
  if (length > most) fail(where, `blob of ${length} bytes, slabs hold ${most}`);
  return Math.ceil(length / lane.slabs!.bytes) * 8;
};

const sharedRoom = (where: string, lane: Lane, value: Uint8Array): number => {
  const { length } = value;
  if (length <= SHARED_INLINE_BYTES) return (length + 7) & ~7;
  const most = lane.slabs?.bytes ?? 0;
  if (length > most) fail(where, `shared of ${length} bytes, limit ${most}`);
  return 8;
};

const writeHandle = (lane: Lane, at: number, index: number): void => {
  lane.i32[at >> 2] = HANDLE_MARK | index;
  lane.i32[(at >> 2) + 1] = lane.slabs!.generation(index);
};

/** Writes a blob at byte `at` and its size at word `head`; returns the next byte, or -1 when no slab is free. */
const writeBlob = (lane: Lane, value: Uint8Array, at: number, head: number): number => {
  const { length } = value;
  if (length <= BLOB_INLINE_BYTES) {
    lane.i32[head] = length;
    lane.u8.set(value, at);
    return at + ((length + 7) & ~7);
  }
  const slabs = lane.slabs!;
  lane.i32[head] = length | IN_SLABS;
  let place = at;
  for (let done = 0; done < length; done += slabs.bytes, place += 8) {
    const index = slabs.take();
    if (index < 0) return -1;
    slabs.memory.set(value.subarray(done, done + slabs.bytes), index * slabs.bytes);
    writeHandle(lane, place, index);
  }
  return place;
};

const writeShared = (lane: Lane, value: Uint8Array, at: number, head: number): number => {
  const { length } = value;
  if (length <= SHARED_INLINE_BYTES) {
    lane.i32[head] = length;
    lane.u8.set(value, at);
    return at + ((length + 7) & ~7);
  }
  const index = lane.slabs!.share(value);
  if (index < 0) return -1;
  lane.i32[head] = length | IN_SLABS;
  writeHandle(lane, at, index);
  return at + 8;
};

/** Bytes that a written blob takes up in the record. */
const blobSize = (lane: Lane, head: number): number =>
  head < 0 ? Math.ceil((head & ~IN_SLABS) / lane.slabs!.bytes) * 8 : (head + 7) & ~7;

const sharedSize = (head: number): number => (head < 0 ? 8 : (head + 7) & ~7);

const readHandle = (lane: Lane, at: number, view: boolean): number => {
  const mark = lane.i32[at >> 2]!;
  const index = mark & HANDLE_INDEX;
  const known =
    (mark & ~HANDLE_INDEX) === HANDLE_MARK &&
    lane.slabs!.generation(index) === lane.i32[(at >> 2) + 1];
  if (!known) throw new Error('a record names a slab that was given back');
  lane.slabs!.adopt(index, view);
  return index;
};

const readBlob = (lane: Lane, at: number, head: number): Uint8Array => {
  if (head >= 0) return readBytes(lane, at, head);
  const slabs = lane.slabs!;
  const length = head & ~IN_SLABS;
  const out = new Uint8Array(length);
  for (let done = 0, place = at; done < length; done += slabs.bytes, place += 8) {
    const start = readHandle(lane, place, false) * slabs.bytes;
    const size = Math.min(slabs.bytes, length - done);
    out.set(slabs.memory.subarray(start, start + size), done);
  }
  return out;
};

const readShared = (lane: Lane, at: number, head: number): Uint8Array => {
  if (head >= 0) return readBytes(lane, at, head);
  const start = readHandle(lane, at, true) * lane.slabs!.bytes;
  return lane.slabs!.memory.subarray(start, start + (head & ~IN_SLABS));
};

/** Refuses what would be cut to fit: a bug of the sender, named. */
const checkU32 = (where: string, value: number): number =>
  value >>> 0 === value ? value : fail(where, `${value} is not an unsigned 32-bit integer`);

const checkOne = (where: string, value: number, given: unknown): number =>
  value === 255 ? fail(where, `${String(given)} is not one of its words`) : value;

const tooLarge = (where: string, words: number, lane: Lane): never =>
  fail(where, `${words * 4} bytes, limit ${lane.quarter * 4} (a quarter of its lane)`);

export const codecs = {
  textBound,
  writeText,
  readText,
  readAscii,
  readAtom,
  readBytes,
  writeBytes,
  blobRoom,
  sharedRoom,
  writeBlob,
  writeShared,
  blobSize,
  sharedSize,
  readBlob,
  readShared,
  checkU32,
  checkOne,
  tooLarge,
  encodeList: (where: string, item: Field<unknown>, values: readonly unknown[]): Uint8Array =>
    encodeList(where, item, values),
  decodeList: (item: Field<unknown>, bytes: Uint8Array): unknown[] => decodeList(item, bytes),
};
