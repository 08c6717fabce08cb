import $protobuf from 'protobufjs/minimal.js';
import { ok, type Result } from '../result.ts';
import { type WireError, wireError } from './errors.ts';
import { orderProblem, scanFields, type WireField } from './fields.ts';
import type { Problem } from './structure.ts';
import { WIRE_LIMITS } from './topics.ts';

/** Received bytes as a message. With a `problem` the message is what could be read before it. */
export type Parsed<T> = { readonly message: T; readonly problem: Problem };

/** One kind of message: bytes, shape and limits. */
export type WireType<T extends object> = {
  /** As in the .proto file. */
  readonly name: string;
  /** Every field at proto3's default (a word out of a set: one of the set): to build upon. What
   * is absent in received bytes is '' also there, and its structure says no. */
  readonly empty: T;
  /** Numbers of the fields that may stand more than once. */
  readonly repeated: readonly number[];
  /** Fields in ascending number, defaults omitted. Throws only on a value of the wrong type. */
  readonly encode: (message: T) => Uint8Array;
  /** Never throws. Octets of the message are views of the received ones. */
  readonly parse: (bytes: Uint8Array) => Parsed<T>;
  /** Lengths and ranges of single fields. */
  readonly structure: (message: T) => Problem;
  /** Sizes and counts. */
  readonly limits: (message: T) => Problem;
};

/** What protobufjs generates for a message. */
type Generated = {
  encode(message: object): { finish(): Uint8Array };
  decode(reader: $protobuf.Reader): object;
};

/** A repeated field that holds messages. */
type Nested<T> = {
  readonly field: keyof T & string;
  readonly number: number;
  readonly empty: object;
};

type Definition<T extends object> = {
  readonly name: string;
  readonly generated: Generated;
  readonly empty: T;
  /** Numbers of repeated fields. */
  readonly repeated: readonly number[];
  readonly nested?: Nested<T>;
  readonly structure: (message: T) => Problem;
  readonly limits?: (message: T) => Problem;
};

type Long = { readonly low: number; readonly high: number; toNumber(): number };

export const wireType = <T extends object>(definition: Definition<T>): WireType<T> => ({
  name: definition.name,
  empty: definition.empty,
  repeated: definition.repeated,
  encode: (message) => octets(definition.generated.encode(message).finish()),
  parse: (bytes) => parse(octets(bytes), definition),
  structure: definition.structure,
  limits: definition.limits ?? (() => undefined),
});

/** Size, protobuf, limits and shape, in this order; says nothing about signatures. */
export const decodeMessage = <T extends object>(
  type: WireType<T>,
  bytes: Uint8Array,
): Result<T, WireError> => {
  const size = sizeProblem(bytes);
  if (size !== undefined) return wireError('too-large', size);
  const { message, problem } = type.parse(bytes);
  if (problem !== undefined) return wireError('malformed', problem);
  const shape = type.structure(message);
  if (shape !== undefined) return wireError('bad-structure', shape);
  const limit = type.limits(message);
  return limit === undefined ? ok(message) : wireError('too-large', limit);
};

export const sizeProblem = (bytes: Uint8Array): Problem =>
  bytes.length > WIRE_LIMITS.messageBytes
    ? `${bytes.length} bytes of at most ${WIRE_LIMITS.messageBytes}`
    : undefined;

const parse = <T extends object>(bytes: Uint8Array, definition: Definition<T>): Parsed<T> => {
  const { generated, empty, repeated, nested } = definition;
  const scan = scanFields(bytes);
  const order =
    scan.problem ??
    orderProblem(scan.fields, repeated) ??
    (nested === undefined ? undefined : nestedProblem(bytes, scan.fields, nested.number));
  const reader = $protobuf.Reader.create(bytes.subarray(0, scan.end));
  reader.discardUnknown = true;
  try {
    const { message, problem } = shape(empty, generated.decode(reader), nested);
    return { message, problem: order ?? problem };
  } catch (cause) {
    return { message: empty, problem: order ?? sentence(cause) };
  }
};

const nestedProblem = (
  bytes: Uint8Array,
  fields: readonly WireField[],
  number: number,
): Problem => {
  for (const field of fields) {
    if (field.number !== number) continue;
    const scan = scanFields(bytes.subarray(field.valueStart, field.end));
    const problem = scan.problem ?? orderProblem(scan.fields, []);
    if (problem !== undefined) return `in field ${number}: ${problem}`;
  }
  return undefined;
};

/** Plain data with exactly the fields of `empty`; int64 as a number where it is safe. */
const shape = <T extends object>(empty: T, decoded: object, nested?: Nested<T>): Parsed<T> => {
  let problem: Problem;
  const entry = (item: object): object => {
    const shaped = shape(nested?.empty ?? {}, item);
    problem ??= shaped.problem;
    return shaped.message;
  };
  const message = Object.fromEntries(
    Object.entries(empty).map(([field, fallback]) => {
      const value: unknown = Reflect.get(decoded, field) ?? fallback;
      if (nested?.field === field && Array.isArray(value)) return [field, value.map(entry)];
      if (value instanceof Uint8Array) return [field, octets(value)];
      if (!isLong(value)) return [field, value];
      const number = value.toNumber();
      if (!Number.isSafeInteger(number)) problem ??= `${field} lies beyond 2^53`;
      return [field, number];
    }),
  );
  return { message: message as T, problem };
};

const isLong = (value: unknown): value is Long =>
  typeof value === 'object' && value !== null && 'low' in value && 'toNumber' in value;

/** Not a Buffer, whose methods behave otherwise; the same memory. */
const octets = (bytes: Uint8Array): Uint8Array =>
  bytes.constructor === Uint8Array
    ? bytes
    : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);

const sentence = (cause: unknown): string =>
  cause instanceof Error ? cause.message : 'not protobuf';
