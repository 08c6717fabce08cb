/**
 * The flows that are open: a hash table over the 5-tuple (either direction finds it) of fixed
 * capacity, and two lists in order of their last packet, one of open and one of ended flows, from
 * which the oldest leave.
 */
import { PACKET } from '#proto/flow-batch.ts';
import { ROW } from './state.ts';

const { offset: P, size: PACKET_BYTES } = PACKET;

/** Words of a key: two addresses, the ports, the protocol. The smaller end stands first. */
const KEY = 10;
const NONE = -1;

export type Queue = 'open' | 'ended';
type Ends = { head: number; tail: number };

export type FlowTable = {
  readonly flowsMax: number;
  size: number;
  /** Rows of state.ts, `ROW` doubles a slot. */
  slab: Float64Array;
  keys: Uint32Array;
  readonly buckets: Int32Array;
  chain: Int32Array;
  newer: Int32Array;
  older: Int32Array;
  readonly open: Ends;
  readonly ended: Ends;
  free: number;
  used: number;
  /** The key of the packet at hand, set by `keyOf`, and whether its source is the second end. */
  readonly key: Uint32Array;
  reversed: boolean;
};

const INITIAL_SLOTS = 1024;

export const flowTable = (flowsMax: number): FlowTable => {
  const slots = Math.min(flowsMax, INITIAL_SLOTS);
  const buckets = 2 ** Math.ceil(Math.log2(Math.max(16, flowsMax)));
  return {
    flowsMax,
    size: 0,
    slab: new Float64Array(slots * ROW),
    keys: new Uint32Array(slots * KEY),
    buckets: new Int32Array(buckets).fill(NONE),
    chain: new Int32Array(slots),
    newer: new Int32Array(slots),
    older: new Int32Array(slots),
    open: { head: NONE, tail: NONE },
    ended: { head: NONE, tail: NONE },
    free: NONE,
    used: 0,
    key: new Uint32Array(KEY),
    reversed: false,
  };
};

const grow = (table: FlowTable): void => {
  const slots = Math.min(table.flowsMax, table.chain.length * 2);
  const copy = <A extends Float64Array | Uint32Array | Int32Array>(from: A, to: A): A => {
    to.set(from);
    return to;
  };
  table.slab = copy(table.slab, new Float64Array(slots * ROW));
  table.keys = copy(table.keys, new Uint32Array(slots * KEY));
  table.chain = copy(table.chain, new Int32Array(slots));
  table.newer = copy(table.newer, new Int32Array(slots));
  table.older = copy(table.older, new Int32Array(slots));
};

/** True where the source end of the packet is the greater one. */
const isReversed = (view: DataView, base: number): boolean => {
  for (let i = 0; i < 16; i += 4) {
    const a = view.getUint32(base + P.source + i, true);
    const b = view.getUint32(base + P.destination + i, true);
    if (a !== b) return a > b;
  }
  return view.getUint16(base + P.sourcePort, true) > view.getUint16(base + P.destinationPort, true);
};

/** Puts the key of a packet into table.key and returns its bucket. */
export const keyOf = (table: FlowTable, view: DataView, row: number): number => {
  const base = row * PACKET_BYTES;
  const { key } = table;
  const reversed = isReversed(view, base);
  table.reversed = reversed;
  const first = base + (reversed ? P.destination : P.source);
  const second = base + (reversed ? P.source : P.destination);
  for (let i = 0; i < 4; i++) {
    key[i] = view.getUint32(first + i * 4, true);
    key[i + 4] = view.getUint32(second + i * 4, true);
  }
  const from = view.getUint16(base + P.sourcePort, true);
  const to = view.getUint16(base + P.destinationPort, true);
  key[8] = (reversed ? (to << 16) | from : (from << 16) | to) >>> 0;
  key[9] = view.getUint8(base + P.protocol);
  let hash = 0x9747b28c;
  for (let i = 0; i < KEY; i++) {
    hash = Math.imul(hash ^ key[i]!, 0x85ebca6b);
    hash ^= hash >>> 13;
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2ae35);
  return (hash ^ (hash >>> 15)) & (table.buckets.length - 1);
};

/** The slot of the flow whose key is in table.key, or -1. */
export const find = (table: FlowTable, bucket: number): number => {
  const { key, keys } = table;
  for (let slot = table.buckets[bucket]!; slot !== NONE; slot = table.chain[slot]!) {
    const at = slot * KEY;
    let i = 0;
    while (i < KEY && keys[at + i] === key[i]) i++;
    if (i === KEY) return slot;
  }
  return NONE;
};

const unlink = (table: FlowTable, ends: Ends, slot: number): void => {
  const newer = table.newer[slot]!;
  const older = table.older[slot]!;
  if (newer === NONE) ends.head = older;
  else table.older[newer] = older;
  if (older === NONE) ends.tail = newer;
  else table.newer[older] = newer;
};

const pushHead = (table: FlowTable, ends: Ends, slot: number): void => {
  table.newer[slot] = NONE;
  table.older[slot] = ends.head;
  if (ends.head !== NONE) table.newer[ends.head] = slot;
  ends.head = slot;
  if (ends.tail === NONE) ends.tail = slot;
};

export const touch = (table: FlowTable, slot: number, from: Queue, to: Queue): void => {
  if (from === to && table[to].head === slot) return;
  unlink(table, table[from], slot);
  pushHead(table, table[to], slot);
};

/** A zeroed slot for the key in table.key. The caller has made room: table.size < flowsMax. */
export const insert = (table: FlowTable, bucket: number): number => {
  let slot = table.free;
  if (slot !== NONE) table.free = table.chain[slot]!;
  else {
    if (table.used === table.chain.length) grow(table);
    slot = table.used++;
  }
  table.slab.fill(0, slot * ROW, (slot + 1) * ROW);
  table.keys.set(table.key, slot * KEY);
  table.chain[slot] = table.buckets[bucket]!;
  table.buckets[bucket] = slot;
  pushHead(table, table.open, slot);
  table.size += 1;
  return slot;
};

const bucketOf = (table: FlowTable, slot: number): number => {
  let hash = 0x9747b28c;
  for (let i = 0; i < KEY; i++) {
    hash = Math.imul(hash ^ table.keys[slot * KEY + i]!, 0x85ebca6b);
    hash ^= hash >>> 13;
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2ae35);
  return (hash ^ (hash >>> 15)) & (table.buckets.length - 1);
};

export const remove = (table: FlowTable, slot: number, from: Queue): void => {
  const bucket = bucketOf(table, slot);
  let at = table.buckets[bucket]!;
  if (at === slot) table.buckets[bucket] = table.chain[slot]!;
  else {
    while (table.chain[at] !== slot) at = table.chain[at]!;
    table.chain[at] = table.chain[slot]!;
  }
  unlink(table, table[from], slot);
  table.chain[slot] = table.free;
  table.free = slot;
  table.size -= 1;
};

/** The two ends of a flow as they were in its key: words of the address, and the port. */
export const endOf = (table: FlowTable, slot: number, second: boolean) => {
  const at = slot * KEY;
  const ports = table.keys[at + 8]!;
  return {
    words: table.keys.subarray(at + (second ? 4 : 0), at + (second ? 8 : 4)),
    port: second ? ports & 0xffff : ports >>> 16,
  };
};
