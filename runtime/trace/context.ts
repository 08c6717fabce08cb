/** W3C trace context (level 1): a trace id, the span that caused what follows, and whether it is recorded. */

/** 32-bit words: trace id (4), span id (2). */
export type Trace = readonly [number, number, number, number, number, number];

const word = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');

/** 32 hex digits. */
export const traceIdOf = ([a, b, c, d]: readonly number[]): string =>
  word(a!) + word(b!) + word(c!) + word(d!);

/** 16 hex digits. */
export const spanIdOf = (first: number, second: number): string => word(first) + word(second);

export const traceparentOf = (trace: Trace, isRecorded: boolean): string =>
  `00-${traceIdOf(trace)}-${spanIdOf(trace[4], trace[5])}-${isRecorded ? '01' : '00'}`;

const HEADER = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?$/;

const wordsOf = (digits: string): number[] =>
  (digits.match(/.{8}/g) ?? []).map((part) => Number.parseInt(part, 16) | 0);

/** The context that a `traceparent` header names; undefined for one that is none (all zeros and version ff included). */
export const parseTraceparent = (header: string | undefined): Trace | undefined => {
  const match = header === undefined ? null : HEADER.exec(header);
  if (match === null || header!.startsWith('ff')) return undefined;
  const [, trace, span] = match;
  if (/^0+$/.test(trace!) || /^0+$/.test(span!)) return undefined;
  return [...wordsOf(trace!), ...wordsOf(span!)] as unknown as Trace;
};

/** Bytes of a context in a frame between peers. */
export const CONTEXT_BYTES = 24;

export const writeContext = (trace: Trace, into: Uint8Array, at: number): void => {
  const view = new DataView(into.buffer, into.byteOffset);
  trace.forEach((value, k) => {
    view.setInt32(at + 4 * k, value);
  });
};

/** Undefined where trace id or span id are all zeros, as W3C demands. */
export const readContext = (from: Uint8Array, at: number): Trace | undefined => {
  const view = new DataView(from.buffer, from.byteOffset);
  const words = Array.from({ length: 6 }, (_, k) => view.getInt32(at + 4 * k));
  const isNone = words.slice(0, 4).every((w) => w === 0) || (words[4] === 0 && words[5] === 0);
  return isNone ? undefined : (words as unknown as Trace);
};
