/** A disk that takes nothing more, told apart from every other failure: nobody's fault, and room mends it. */
import {
  accessSync,
  constants,
  existsSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

const NAME = 'DiskFullError';
const FULL = new Set(['ENOSPC', 'EDQUOT']);
const READ_ONLY = new Set(['EROFS', 'EACCES', 'EPERM']);
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const PRIMARY = 0xff;
/** Below this SQLite cannot begin a write-ahead log and its index. */
const ROOM_BYTES = 64 * 1024;

/** No room for a file; the message names it, its folder and the remedy. */
export class DiskFullError extends Error {
  readonly path: string;
  /** The code of the operating system: what survives the way out of a thread. */
  readonly code = 'ENOSPC';
  constructor(path: string, cause?: unknown) {
    const folder = dirname(path);
    super(`${path}: the disk is full; make room on the disk that holds ${folder}`, { cause });
    this.name = NAME;
    this.path = path;
  }
}

const codeOf = (error: Error): string =>
  'code' in error && typeof error.code === 'string' ? error.code : '';

/** True for whatever says so, also after its way from another thread, where only name and code are kept. */
export const isDiskFull = (error: unknown): boolean =>
  error instanceof Error && (error.name === NAME || FULL.has(codeOf(error)));

/** Whether the disk of `path`, a file or a folder, would take so many bytes more. */
export const hasRoom = (path: string, bytes: number): boolean => {
  try {
    const { bavail, bsize, ffree, files } = statfsSync(dirname(path));
    return bavail * bsize >= bytes && (files === 0 || ffree > 0);
  } catch {
    return true; // a folder that cannot be looked at is another fault
  }
};

const sqliteCode = (error: Error): number =>
  'errcode' in error && typeof error.errcode === 'number' ? error.errcode & PRIMARY : 0;

/** What a failed write to `path` means: a DiskFullError where there is no room, else the error as it is. */
export const diskFault = (error: unknown, path: string): unknown => {
  if (!(error instanceof Error) || error instanceof DiskFullError) return error;
  const code = sqliteCode(error);
  // Without room SQLite's files beside the database fail in other words than the database.
  const isBeside = code === SQLITE_IOERR || code === SQLITE_CANTOPEN;
  const isFull =
    isDiskFull(error) || code === SQLITE_FULL || (isBeside && !hasRoom(path, ROOM_BYTES));
  return isFull ? new DiskFullError(path, error) : error;
};

/** Whether the nearest folder above `path` that is there may be written to. */
const isWritable = (path: string): boolean => {
  const folder = dirname(path);
  if (!existsSync(folder) && folder !== path) return isWritable(folder);
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

/** True where the file, its folder or its disk may not be written to. */
export const isReadOnly = (error: unknown, path: string): boolean => {
  if (!(error instanceof Error)) return false;
  const code = codeOf(error);
  if (READ_ONLY.has(code) || sqliteCode(error) === SQLITE_READONLY) return true;
  // What cannot be made on a read-only disk is told as what is not there.
  const isAbsent = code === 'ENOENT' || sqliteCode(error) === SQLITE_CANTOPEN;
  return isAbsent && !isWritable(path);
};

/** Whole or not at all: neither a crash nor a full disk leaves half a file. Throws as writeFileSync, or DiskFullError. */
export const writeWhole = (file: string, bytes: Uint8Array | string, mode = 0o644): void => {
  const made = `${file}.new`;
  try {
    writeFileSync(made, bytes, { flush: true, mode });
    renameSync(made, file);
  } catch (cause) {
    rmSync(made, { force: true });
    throw diskFault(cause, file);
  }
};
