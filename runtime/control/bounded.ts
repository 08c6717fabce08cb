/** Any value as plain data that can be shown: bounded in depth, width and size, without secrets, JSON all through. */
import { isSecret, MASK, redact } from '../topology/secrets.ts';

export type Bounds = {
  /** Levels of nesting. */
  readonly depthMax: number;
  /** Entries of one object, list, map or set. */
  readonly entriesMax: number;
  /** Letters of one text. */
  readonly textMax: number;
  /** Values altogether. */
  readonly valuesMax: number;
};

const BYTES_SHOWN = 32;
const NUMBERS_SHOWN = 8;

type Walk = { readonly bounds: Bounds; readonly above: object[]; left: number };

const cut = (text: string, most: number): string =>
  text.length > most ? `${text.slice(0, most)}… (${text.length})` : text;

const bytesText = (bytes: Uint8Array): string => {
  const hex = Buffer.from(bytes.subarray(0, BYTES_SHOWN)).toString('hex');
  return bytes.length > BYTES_SHOWN ? `${hex}… (${bytes.length} bytes)` : hex;
};

const numbersText = (value: ArrayBufferView): string => {
  const list = value as unknown as ArrayLike<number | bigint> & {
    readonly BYTES_PER_ELEMENT?: number;
  };
  if (list.BYTES_PER_ELEMENT === undefined) return `DataView (${value.byteLength} bytes)`;
  const shown = Array.from(list as ArrayLike<number>).slice(0, NUMBERS_SHOWN);
  return `${value.constructor.name}(${list.length}) ${shown.join(' ')}${list.length > NUMBERS_SHOWN ? ' …' : ''}`;
};

const scalar = (value: unknown, name: string, { textMax }: Bounds): unknown => {
  const open = redact(value, name);
  switch (typeof open) {
    case 'string':
      return cut(open, textMax);
    case 'bigint':
      return `${open}n`;
    case 'function':
      return `[function ${open.name}]`;
    case 'symbol':
      return String(open);
    case 'number':
      return Number.isFinite(open) ? open : String(open);
    default:
      return open;
  }
};

const keyOf = (key: unknown): string =>
  typeof key === 'string' ? key : key instanceof Uint8Array ? bytesText(key) : String(key);

const record = (
  entries: Iterable<readonly [string, unknown]>,
  size: number,
  walk: Walk,
): object => {
  const shown: [string, unknown][] = [];
  for (const [key, value] of entries) {
    if (shown.length === walk.bounds.entriesMax || walk.left <= 0) break;
    shown.push([cut(key, walk.bounds.textMax), show(value, key, walk)]);
  }
  if (shown.length < size) shown.push(['…', `${size - shown.length} more`]);
  return Object.fromEntries(shown);
};

const list = (values: Iterable<unknown>, size: number, walk: Walk): unknown[] => {
  const shown: unknown[] = [];
  for (const value of values) {
    if (shown.length === walk.bounds.entriesMax || walk.left <= 0) break;
    shown.push(show(value, '', walk));
  }
  if (shown.length < size) shown.push(`… ${size - shown.length} more`);
  return shown;
};

function* named(map: ReadonlyMap<unknown, unknown>): Generator<readonly [string, unknown]> {
  for (const [key, value] of map) yield [keyOf(key), value];
}

const inside = (value: object, walk: Walk): unknown => {
  if (Array.isArray(value)) return list(value, value.length, walk);
  if (value instanceof Set) return list(value, value.size, walk);
  if (value instanceof Map) {
    return record(named(value), value.size, walk);
  }
  const entries = Object.entries(value);
  return record(entries, entries.length, walk);
};

const show = (value: unknown, name: string, walk: Walk): unknown => {
  walk.left--;
  if (value === null || typeof value !== 'object') return scalar(value, name, walk.bounds);
  if (isSecret(name)) return MASK;
  if (value instanceof Error) return cut(`${value.name}: ${value.message}`, walk.bounds.textMax);
  if (value instanceof Uint8Array) return bytesText(value);
  if (ArrayBuffer.isView(value)) return numbersText(value);
  if (value instanceof Date) return value.toISOString();
  if (walk.above.includes(value)) return '[circular]';
  if (walk.above.length >= walk.bounds.depthMax) return Array.isArray(value) ? '[…]' : '{…}';
  walk.above.push(value);
  const shown = inside(value, walk);
  walk.above.pop();
  return shown;
};

export const bounded = (value: unknown, bounds: Bounds): unknown =>
  show(value, '', { bounds, above: [], left: bounds.valuesMax });
