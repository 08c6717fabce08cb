/**
 * Frames that carry a trace context before their bytes: a byte 1 and 24 bytes of context, or a byte 0. They have a
 * protocol name of their own; a peer that does not know it is spoken to without.
 */
import {
  CONTEXT_BYTES,
  parseTraceparent,
  readContext,
  traceparentOf,
  writeContext,
} from '../trace/context.ts';

export const tracedProtocol = (protocol: string): string => `${protocol}+trace`;

export type TracedFrame = { readonly bytes: Uint8Array; readonly traceparent: string };

export const withContext = ({ bytes, traceparent }: TracedFrame): Uint8Array => {
  const trace = parseTraceparent(traceparent);
  const head = trace === undefined ? 1 : 1 + CONTEXT_BYTES;
  const out = new Uint8Array(head + bytes.length);
  if (trace !== undefined) {
    out[0] = 1;
    writeContext(trace, out, 1);
  }
  out.set(bytes, head);
  return out;
};

/** What is no context is none; the bytes after it are for their own reader to judge. */
export const frameOf = (read: Uint8Array): TracedFrame => {
  if (read[0] !== 1 || read.length < 1 + CONTEXT_BYTES) {
    return { bytes: read.subarray(1), traceparent: '' };
  }
  const trace = readContext(read, 1);
  const traceparent = trace === undefined ? '' : traceparentOf(trace, false);
  return { bytes: read.subarray(1 + CONTEXT_BYTES), traceparent };
};
