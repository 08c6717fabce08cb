/** One process a data folder: a lock file that names its holder and outlives no holder. */
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { abandon } from '#native/disk.ts';
import { err, ok, type Result } from '#proto/result.ts';

export type Holder = {
  readonly pid: number;
  /** When the kernel says that the process began (ticks since boot); '' where it does not say. */
  readonly bornAt: string;
  /** Unix milliseconds at which the lock was taken. */
  readonly sinceMs: number;
};

/** A takeover is a matter of microseconds; one older than this was left by a crash. */
const TAKEOVER_STALE_MS = 10_000;

/** A process id is used again after a while; together with the start time it is not. */
const bornAt = (pid: number): string => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
};

const isAlive = (holder: Holder): boolean => {
  try {
    process.kill(holder.pid, 0);
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const born = bornAt(holder.pid);
  return born === '' || holder.bornAt === '' || born === holder.bornAt;
};

const read = (file: string): Holder | undefined => {
  try {
    const held = JSON.parse(readFileSync(file, 'utf8')) as Partial<Holder>;
    if (typeof held.pid !== 'number') return undefined;
    return { pid: held.pid, bornAt: held.bornAt ?? '', sinceMs: held.sinceMs ?? 0 };
  } catch {
    // Empty or torn: its writer died before the second system call.
    return undefined;
  }
};

/** On a full disk the empty file that was made goes again: it would name nobody. */
const create = (file: string, content: string): boolean => {
  let made: number;
  try {
    made = openSync(file, 'wx', 0o600);
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw fault;
  }
  try {
    writeFileSync(made, content);
    return true;
  } catch (fault) {
    rmSync(file, { force: true });
    throw fault;
  } finally {
    closeSync(made);
  }
};

const ageMs = (file: string, nowMs: number): number => {
  try {
    return nowMs - statSync(file).mtimeMs;
  } catch {
    return 0;
  }
};

/** Removes the lock of a dead holder; a second exclusive file keeps two heirs from removing each other's. */
const takeOver = (file: string, content: string, nowMs: number): boolean => {
  const guard = `${file}.takeover`;
  if (!create(guard, content)) {
    if (ageMs(guard, nowMs) > TAKEOVER_STALE_MS) rmSync(guard, { force: true });
    return false;
  }
  try {
    const held = read(file);
    if (held !== undefined && isAlive(held)) return false;
    rmSync(file, { force: true });
    return create(file, content);
  } finally {
    rmSync(guard, { force: true });
  }
};

const UNWRITABLE =
  'it may not be written to: let this user write there, or give another node.dataDir';
/** In the words of a user; what is not here goes by its code. */
const REASONS: { readonly [code: string]: string } = {
  ENOSPC: 'its disk is full: make room there',
  EDQUOT: 'the quota of this user is used up: make room there',
  EROFS:
    "its disk is read-only: look in the kernel's log for why, then repair or remount it, or give another node.dataDir",
  EACCES: UNWRITABLE,
  EPERM: UNWRITABLE,
  // Node says so of a folder that it cannot make on a read-only disk.
  ENOENT: `it cannot be made, or ${UNWRITABLE}`,
};

export type Lock = { readonly release: () => void };

/**
 * Takes `<dataDir>/node.lock`, making the folder if need be. The error is a sentence with the pid of the
 * holder. A lock whose process is dead is taken over.
 */
export const takeLock = (dataDir: string, nowMs: number): Result<Lock, string> => {
  const file = path.join(dataDir, 'node.lock');
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const own: Holder = { pid: process.pid, bornAt: bornAt(process.pid), sinceMs: nowMs };
    const content = `${JSON.stringify(own)}\n`;
    if (create(file, content) || takeOver(file, content, nowMs)) {
      return ok({ release: () => abandon(file) });
    }
    const held = read(file);
    const holder = held === undefined ? 'another process' : `process ${held.pid}`;
    const since = held === undefined ? '' : `, since ${new Date(held.sinceMs).toISOString()}`;
    return err(`the data folder ${dataDir} is in use by ${holder}${since} (${file})`);
  } catch (fault) {
    const { code, message } = fault as NodeJS.ErrnoException;
    const reason = REASONS[code ?? ''];
    const why = reason === undefined ? (code ?? message) : `${reason} (${code})`;
    return err(`the data folder ${dataDir} cannot be used: ${why}`);
  }
};
