/**
 * Bytes that came in chunks and are read as records. Holds what is unread, never more than one
 * record and one chunk; what nobody wants is skipped without being held.
 */
export type ByteQueue = {
  /** The unread bytes lie in data[start, end). */
  data: Uint8Array;
  view: DataView;
  start: number;
  end: number;
  /** Bytes yet to come that are to be thrown away. */
  skipBytes: number;
};

const INITIAL_BYTES = 1 << 17;

export const byteQueue = (): ByteQueue => {
  const data = new Uint8Array(INITIAL_BYTES);
  return { data, view: new DataView(data.buffer), start: 0, end: 0, skipBytes: 0 };
};

export const unread = (queue: ByteQueue): number => queue.end - queue.start;

export const append = (queue: ByteQueue, chunk: Uint8Array): void => {
  const skipped = Math.min(queue.skipBytes, chunk.length);
  queue.skipBytes -= skipped;
  const wanted = skipped === 0 ? chunk : chunk.subarray(skipped);
  const held = unread(queue);
  if (queue.end + wanted.length > queue.data.length) {
    if (held + wanted.length > queue.data.length) {
      const grown = new Uint8Array(Math.max(queue.data.length * 2, held + wanted.length));
      grown.set(queue.data.subarray(queue.start, queue.end));
      queue.data = grown;
      queue.view = new DataView(grown.buffer);
    } else {
      queue.data.copyWithin(0, queue.start, queue.end);
    }
    queue.start = 0;
    queue.end = held;
  }
  queue.data.set(wanted, queue.end);
  queue.end += wanted.length;
};

/** Passes over `bytes` bytes, whether they have come or not. */
export const skip = (queue: ByteQueue, bytes: number): void => {
  const here = Math.min(bytes, unread(queue));
  queue.start += here;
  queue.skipBytes += bytes - here;
};
