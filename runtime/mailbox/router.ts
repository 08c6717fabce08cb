/** How a message for a pool finds one of its members. Pure: each sender chooses for itself, nobody stands between. */
import { type Declaration, fieldsOf } from '#native/lanes/fields.ts';
import type { PoolRouting } from '../spec.ts';

/** murmur3's finalizer. */
const mix = (value: number): number => {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
};

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** 32 bits of a key: the value of a field. The same in every thread and process. */
export const hashOf = (key: unknown): number => {
  let h = FNV_OFFSET;
  if (key instanceof Uint8Array) {
    for (const byte of key) h = Math.imul(h ^ byte, FNV_PRIME);
    return mix(h);
  }
  const text = typeof key === 'string' ? key : String(key);
  for (let k = 0; k < text.length; k++) h = Math.imul(h ^ text.charCodeAt(k), FNV_PRIME);
  return mix(h);
};

/**
 * Rendezvous hashing: the member with the largest weight for this key has it. When members come or go, only the keys of
 * those move. -1 when none is usable.
 */
export const rendezvous = (
  hash: number,
  count: number,
  usable: (member: number) => boolean,
): number => {
  let best = -1;
  let weight = -1;
  for (let member = 0; member < count; member++) {
    const w = mix(hash ^ Math.imul(member + 1, 0x9e3779b1));
    if (w <= weight || !usable(member)) continue;
    best = member;
    weight = w;
  }
  return best;
};

/** The next usable member after `last`, in turn; -1 when none is usable. */
export const nextInTurn = (
  last: number,
  count: number,
  usable: (member: number) => boolean,
): number => {
  for (let k = 1; k <= count; k++) {
    const member = (last + k) % count;
    if (usable(member)) return member;
  }
  return -1;
};

const KEYLESS: ReadonlySet<string> = new Set(['list', 'shared']);

/** Why messages of this declaration cannot be routed that way; undefined when they can. */
export const routingFault = (
  { route, by }: PoolRouting,
  declaration: Declaration,
): string | undefined => {
  if (route !== 'consistent-hash') return undefined;
  if (by === undefined) return 'a consistent-hash pool needs `by`, the field that holds the key';
  for (const [kind, declared] of Object.entries(declaration)) {
    const field = fieldsOf(declared)[by];
    if (field === undefined) {
      return `its message ${kind} has no field ${by}: send it by another address, or add the field`;
    }
    if (KEYLESS.has(field.code)) return `${kind}.${by} is a ${field.code}, which is no key`;
  }
  return undefined;
};
