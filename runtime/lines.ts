/**
 * Lines to a file descriptor, at once and in order. One that takes nothing (a full disk, a reader that is gone or slow) stops
 * nobody: up to WAITING_BYTES_MAX wait and are tried again, further lines are counted and dropped.
 */
import { writeSync } from 'node:fs';

const WAITING_BYTES_MAX = 1 << 20;
const AGAIN_MS = 100;
/** How long the end of a process waits for a slow reader. */
const FLUSH_MS = 2000;
const FLUSH_LOOK_MS = 10;

export type Lines = {
  readonly write: (line: string) => void;
  /** Lines that were dropped since the last call, once everything before them is out; else 0. */
  readonly takeLost: () => number;
  /** Waits for a slow reader, not for one that refuses. */
  readonly flush: () => void;
};

export const openLines = (fd: number): Lines => {
  const waiting: Buffer[] = [];
  let bytes = 0;
  let lost = 0;
  let isDue = false;
  /** '' when nothing waits any more, else why it does. */
  const push = (): string => {
    while (waiting.length > 0) {
      try {
        const written = writeSync(fd, waiting[0]!);
        bytes -= written;
        waiting[0] = waiting[0]!.subarray(written);
        if (waiting[0].length === 0) waiting.shift();
      } catch (fault) {
        return (fault as NodeJS.ErrnoException).code ?? 'unknown';
      }
    }
    return '';
  };
  const again = (): void => {
    isDue = false;
    if (push() !== '') later();
  };
  const later = (): void => {
    if (isDue) return;
    isDue = true;
    setTimeout(again, AGAIN_MS).unref();
  };
  return {
    write: (line) => {
      const data = Buffer.from(line);
      if (bytes + data.length > WAITING_BYTES_MAX) {
        lost += 1;
        return;
      }
      waiting.push(data);
      bytes += data.length;
      if (waiting.length === 1 && push() !== '') later();
    },
    takeLost: () => {
      if (lost === 0 || waiting.length > 0) return 0;
      const lines = lost;
      lost = 0;
      return lines;
    },
    flush: () => {
      const word = new Int32Array(new SharedArrayBuffer(4));
      const untilMs = performance.now() + FLUSH_MS;
      while (push() === 'EAGAIN' && performance.now() < untilMs) {
        Atomics.wait(word, 0, 0, FLUSH_LOOK_MS);
      }
    },
  };
};
