/** A copy of a core's state that its next steps do not touch: what a crash report calls the state before. */

export type CloneLimits = {
  /** Objects, lists, maps and sets, with their entries. */
  readonly valuesMax: number;
  readonly bytesMax: number;
};

/** Why there is no copy. A value, for the report. */
export type Uncloneable = 'too large' | 'an object of a class' | 'hidden in functions';

export type Cloned =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly why: Uncloneable };

class Refusal extends Error {
  readonly why: Uncloneable;
  constructor(why: Uncloneable) {
    super(why);
    this.why = why;
  }
}

type Walk = {
  readonly limits: CloneLimits;
  readonly copies: Map<object, unknown>;
  values: number;
  bytes: number;
};

/** An own property whatever its name: an assignment to `__proto__` would be none. */
export const setOwn = (object: Record<string, unknown>, key: string, value: unknown): void => {
  if (key !== '__proto__') object[key] = value;
  else {
    const own = { value, writable: true, enumerable: true, configurable: true };
    Object.defineProperty(object, key, own);
  }
};

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
};

const counted = (walk: Walk, values: number, bytes = 0): void => {
  walk.values += values;
  walk.bytes += bytes;
  if (walk.values > walk.limits.valuesMax || walk.bytes > walk.limits.bytesMax) {
    throw new Refusal('too large');
  }
};

const copyBytes = (view: ArrayBufferView): ArrayBufferView => {
  if (view instanceof DataView) return new DataView(view.buffer.slice(0) as ArrayBuffer);
  if (Buffer.isBuffer(view)) return Buffer.from(view);
  return (view as Uint8Array).slice();
};

const copyInside = (value: object, walk: Walk): unknown => {
  const keep = <T extends object>(copy: T): T => {
    walk.copies.set(value, copy);
    return copy;
  };
  if (ArrayBuffer.isView(value)) {
    counted(walk, 1, value.byteLength);
    return keep(copyBytes(value));
  }
  if (Array.isArray(value)) {
    counted(walk, value.length);
    const copy = keep<unknown[]>(new Array(value.length));
    for (let k = 0; k < value.length; k++) copy[k] = copyOf(value[k], walk);
    return copy;
  }
  if (value instanceof Map) {
    counted(walk, 2 * value.size);
    const copy = keep(new Map<unknown, unknown>());
    for (const [key, one] of value) copy.set(copyOf(key, walk), copyOf(one, walk));
    return copy;
  }
  if (value instanceof Set) {
    counted(walk, value.size);
    const copy = keep(new Set<unknown>());
    for (const one of value) copy.add(copyOf(one, walk));
    return copy;
  }
  if (value instanceof Date) return keep(new Date(value));
  if (value instanceof RegExp || value instanceof URL) return keep(value);
  if (value instanceof ArrayBuffer) {
    counted(walk, 1, value.byteLength);
    return keep(value.slice(0));
  }
  if (!isPlain(value)) throw new Refusal('an object of a class');
  const entries = Object.entries(value);
  counted(walk, entries.length);
  const copy = keep<Record<string, unknown>>(Object.create(Object.getPrototypeOf(value) as object));
  for (const [key, one] of entries) setOwn(copy, key, copyOf(one, walk));
  return copy;
};

const copyOf = (value: unknown, walk: Walk): unknown => {
  // A function is what it is; whether it hides state is asked once an actor, see hidesState.
  if (typeof value !== 'object' || value === null) return value;
  const known = walk.copies.get(value);
  return known ?? copyInside(value, walk);
};

/** Shared and circular references stay what they are. */
export const cloneState = (state: unknown, limits: CloneLimits): Cloned => {
  try {
    return { ok: true, value: copyOf(state, { limits, copies: new Map(), values: 0, bytes: 0 }) };
  } catch (fault) {
    if (fault instanceof Refusal) return { ok: false, why: fault.why };
    // Deeper than the stack: as good as too large.
    if (fault instanceof RangeError) return { ok: false, why: 'too large' };
    throw fault;
  }
};

/**
 * Two states fresh from the same `init`: true where they hold different functions in the same place. Such functions are
 * closures made for this very state, and may keep some of it where no copy reaches.
 */
export const hidesState = (one: unknown, other: unknown, above = new Set<unknown>()): boolean => {
  if (typeof one === 'function') return one !== other;
  if (typeof one !== 'object' || one === null || one === other) return false;
  if (typeof other !== 'object' || other === null || above.has(one)) return false;
  above.add(one);
  if (one instanceof Map || one instanceof Set || ArrayBuffer.isView(one)) return false;
  return Object.entries(one).some(([key, value]) =>
    hidesState(value, (other as Record<string, unknown>)[key], above),
  );
};
