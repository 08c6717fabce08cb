/** A disk that takes nothing, full or read-only, told apart from every other failure: it is no fault of who writes. */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  renameSync,
  rmSync,
  statfsSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

const REFUSALS = new Set(['DiskFullError', 'DiskReadOnlyError']);
const FULL = new Set(['ENOSPC', 'EDQUOT']);
const DISK_READ_ONLY = 'EROFS';
const READ_ONLY = new Set(['EACCES', 'EPERM']);
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const PRIMARY = 0xff;
/** Below this SQLite cannot begin a write-ahead log and its index. */
const ROOM_BYTES = 64 * 1024;

/** A disk that takes nothing for a file; the message names it, its folder and the remedy. */
export abstract class DiskRefusal extends Error {
  readonly path: string;
  /** The code of the operating system: what survives the way out of a thread. */
  abstract readonly code: string;
  constructor(name: string, path: string, reason: string, cause: unknown) {
    super(`${path}: ${reason} the disk that holds ${dirname(path)}`, { cause });
    this.name = name;
    this.path = path;
  }
}

export class DiskFullError extends DiskRefusal {
  readonly code = 'ENOSPC';
  constructor(path: string, cause?: unknown) {
    super('DiskFullError', path, 'the disk is full; make room on', cause);
  }
}

/** Mounted so, or become so: a kernel lets nobody write any more to a file system that it has found damaged. */
export class DiskReadOnlyError extends DiskRefusal {
  readonly code = DISK_READ_ONLY;
  constructor(path: string, cause?: unknown) {
    const remedy = "look in the kernel's log for why, then repair or remount";
    super('DiskReadOnlyError', path, `the disk is read-only; ${remedy}`, cause);
  }
}

const codeOf = (error: Error): string =>
  'code' in error && typeof error.code === 'string' ? error.code : '';

/** True for whatever says so, also after its way from another thread, where only name and code are kept. */
export const isDiskRefusal = (error: unknown): boolean =>
  error instanceof Error &&
  (REFUSALS.has(error.name) || FULL.has(codeOf(error)) || codeOf(error) === DISK_READ_ONLY);

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

/** The nearest folder above `path` that is there. */
const folderOf = (path: string): string => {
  const folder = dirname(path);
  return existsSync(folder) || folder === path ? folder : folderOf(folder);
};

/**
 * Whether the disk of `path` is read-only. Only a write tells: after an error ext4 refuses without calling itself read-only.
 * Not to `path` itself: to close a file of SQLite's a second time takes the locks away that the first one holds.
 */
export const isDiskReadOnly = (path: string): boolean => {
  const probe = join(folderOf(path), `${basename(path)}.probe`);
  try {
    closeSync(openSync(probe, 'wx', 0o600));
    rmSync(probe, { force: true });
    return false;
  } catch (error) {
    return error instanceof Error && codeOf(error) === DISK_READ_ONLY;
  }
};

/** What a failed write to `path` means: a DiskRefusal where its disk takes nothing, else the error as it is. */
export const diskFault = (error: unknown, path: string): unknown => {
  if (!(error instanceof Error) || error instanceof DiskRefusal) return error;
  const [code, sqlite] = [codeOf(error), sqliteCode(error)];
  // Where the disk takes nothing SQLite's files beside the database fail in other words than the database.
  const isBeside = sqlite === SQLITE_IOERR || sqlite === SQLITE_CANTOPEN;
  const isFull = FULL.has(code) || sqlite === SQLITE_FULL;
  if (isFull || (isBeside && !hasRoom(path, ROOM_BYTES))) return new DiskFullError(path, error);
  // What cannot be made on a read-only disk is told as what is not there.
  const isUnsure = isBeside || sqlite === SQLITE_READONLY || code === 'ENOENT';
  return code === DISK_READ_ONLY || (isUnsure && isDiskReadOnly(path))
    ? new DiskReadOnlyError(path, error)
    : error;
};

/** Whether the nearest folder above `path` that is there may be written to. */
const isWritable = (path: string): boolean => {
  try {
    accessSync(folderOf(path), constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

/** True where this user may not write to the file or its folder. */
export const isReadOnly = (error: unknown, path: string): boolean => {
  if (!(error instanceof Error)) return false;
  const code = codeOf(error);
  if (READ_ONLY.has(code) || sqliteCode(error) === SQLITE_READONLY) return true;
  const isAbsent = code === 'ENOENT' || sqliteCode(error) === SQLITE_CANTOPEN;
  return isAbsent && !isWritable(path);
};

/** Whole or not at all: neither a crash nor a full disk leaves half a file. Throws as writeFileSync, or DiskRefusal. */
export const writeWhole = (file: string, bytes: Uint8Array | string, mode = 0o644): void => {
  const made = `${file}.new`;
  try {
    writeFileSync(made, bytes, { flush: true, mode });
    renameSync(made, file);
  } catch (cause) {
    const fault = diskFault(cause, file);
    // A disk that is read-only by now lets nothing be removed either.
    if (!(fault instanceof DiskReadOnlyError)) rmSync(made, { force: true });
    throw fault;
  }
};

/** Removes what the next one replaces anyway: on a disk that has become read-only it stays. */
export const abandon = (file: string): void => {
  try {
    unlinkSync(file);
  } catch (error) {
    const code = error instanceof Error ? codeOf(error) : '';
    if (code !== 'ENOENT' && code !== DISK_READ_ONLY) throw error;
  }
};
