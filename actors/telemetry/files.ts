/**
 * The files of a source: found, checked and opened as one stream of bytes each, unpacked where
 * packed.
 */
import { closeSync, createReadStream, openSync, readdirSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { constants, createGunzip, gunzipSync } from 'node:zlib';
import { err, ok, type Result } from '#proto/result.ts';

export type SourceFile = {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  readonly modifiedMs: number;
};

const CHUNK_BYTES = 1 << 18;

export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error);

const fileAt = (file: string): SourceFile => {
  const stat = statSync(file);
  const bytes = stat.size;
  return { name: path.basename(file), path: file, bytes, modifiedMs: Math.floor(stat.mtimeMs) };
};

/**
 * The regular files of a folder in the order of their names (hidden ones left out), or the one
 * file.
 */
export const sourceFiles = (source: string): Result<readonly SourceFile[], string> => {
  const from = path.resolve(source);
  try {
    const stat = statSync(from);
    if (!stat.isDirectory()) return ok([fileAt(from)]);
    const names = readdirSync(from, { withFileTypes: true })
      .filter((entry) => !entry.name.startsWith('.') && !entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
    if (names.length > 0) return ok(names.map((name) => fileAt(path.join(from, name))));
    return err(`the folder ${from} holds no file: put captures or flow tables into it`);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return err(`${from} does not exist: give the path of a file or folder`);
    if (code === 'EACCES')
      return err(`${from} cannot be read: give this user the right to read it`);
    return err(`${from} cannot be read (${code})`);
  }
};

const isGzip = (head: Uint8Array): boolean => head[0] === 0x1f && head[1] === 0x8b;

const HEAD_BYTES = 1 << 16;

/** Whether the file is gzip, by its first bytes. Throws as openSync does. */
export const isPacked = (file: SourceFile): boolean => isGzip(rawHead(file, 2));

const rawHead = (file: SourceFile, bytes: number): Uint8Array => {
  const descriptor = openSync(file.path, 'r');
  try {
    const head = new Uint8Array(bytes);
    return head.subarray(0, readSync(descriptor, head, 0, bytes, 0));
  } finally {
    closeSync(descriptor);
  }
};

/**
 * The first bytes of what is in the file, unpacked (at least 4 KiB of it, or all). Throws as
 * openSync does.
 */
export const firstBytes = (file: SourceFile): Uint8Array => {
  const head = rawHead(file, HEAD_BYTES);
  return isGzip(head) ? gunzipSync(head, { finishFlush: constants.Z_SYNC_FLUSH }) : head;
};

export type OpenFile = {
  /** Ends early, without an error, where the file is cut off or damaged: `fault` then says so. */
  chunks(): AsyncGenerator<Uint8Array, void, void>;
  fault(): string | undefined;
  close(): void;
};

export const openBytes = (file: SourceFile, packed: boolean): OpenFile => {
  const raw = createReadStream(file.path, { highWaterMark: CHUNK_BYTES });
  let stream: Readable = raw;
  let fault: string | undefined;
  if (packed) {
    const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
    raw.on('error', (error) => gunzip.destroy(error));
    stream = raw.pipe(gunzip);
  }
  const close = (): void => {
    raw.destroy();
    stream.destroy();
  };
  const chunks = async function* (): AsyncGenerator<Uint8Array, void, void> {
    try {
      for await (const chunk of stream) yield chunk as Uint8Array;
    } catch (error) {
      const code = codeOf(error);
      fault = code === 'Z_BUF_ERROR' ? 'the gzip stream ends early' : `reading failed (${code})`;
      if (code === 'Z_DATA_ERROR') fault = 'the gzip stream is damaged';
    }
  };
  return { chunks, fault: () => fault, close };
};
