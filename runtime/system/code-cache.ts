/**
 * Compiled code of the actors' modules, kept from one start to the next by Node's compile cache. Threads that meet an empty
 * one compile the same modules each for itself, and each writes all of them when it ends: at the first stop of a node that
 * was most of what it cost. So one thread fills it before the others are there.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { packageVersion } from '../package-version.ts';
import { bootThread } from './threads.ts';

/** Without a filled cache a start is slow, no more: it is not waited for any longer. */
const FILL_MS = 60_000;

/** Where Node looks: the variable wins, as it does for the threads (threads.ts). */
const folderOf = (given: string): string => process.env.NODE_COMPILE_CACHE || given;

/** Name of the file that says that the code of these modules is there. */
const markOf = (modules: readonly string[]): string => {
  const compiled = [process.version, packageVersion(), ...modules].join('\n');
  return `filled-${createHash('sha256').update(compiled).digest('hex').slice(0, 16)}`;
};

/** Resolves to true when it has imported all of its modules and written what it compiled. */
const hasFilled = (worker: Worker): Promise<boolean> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), FILL_MS);
    const end = (filled: boolean) => (): void => {
      clearTimeout(timer);
      resolve(filled);
    };
    worker.once('message', end(true));
    // What is wrong with a module is said, by name, where its actor is to start.
    worker.once('error', end(false));
    worker.once('exit', end(false));
  });

/** Does nothing where it is filled. A folder that cannot be written to is none: it costs time, never the start. */
export const fillCodeCache = async (
  folder: string,
  modules: readonly string[],
  memoryMb: number | undefined,
): Promise<void> => {
  const mark = join(folderOf(folder), markOf(modules));
  if (process.env.NODE_DISABLE_COMPILE_CACHE || existsSync(mark)) return;
  try {
    mkdirSync(folderOf(folder), { recursive: true, mode: 0o700 });
  } catch {
    return;
  }
  const { worker } = bootThread({
    name: 'compiler',
    preload: modules,
    memoryMb,
    codeCache: folder,
  });
  const filled = await hasFilled(worker);
  await worker.terminate();
  if (!filled) return;
  try {
    writeFileSync(mark, '');
  } catch {
    // No room for it: the next start looks whether there is.
  }
};
