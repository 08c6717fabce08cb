/** A disk of its own for a test, small enough to be filled: a tmpfs. Needs root, as mounting does. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { isRoot } from './namespaces.ts';
import { temporaryFolder } from './processes.ts';

/** For the name of a test that needs it. */
export const NEEDS_ROOT = '(needs root)';
export const canMount = process.platform === 'linux' && isRoot;

export type SmallDisk = {
  readonly path: string;
  /** Takes every byte that is left; what is on the disk already stays as it is. */
  readonly fill: () => void;
  /** Gives back what `fill` took. */
  readonly free: () => void;
  readonly readOnly: (isSo: boolean) => void;
  readonly remove: () => void;
};

const BLOCK = Buffer.alloc(64 * 1024);
const PAGE_BYTES = 4096;

const isFull = (fault: unknown): boolean => (fault as NodeJS.ErrnoException).code === 'ENOSPC';

const fillWith = (ballast: string): void => {
  const file = openSync(ballast, 'a');
  try {
    for (let bytes = BLOCK.length; bytes >= PAGE_BYTES; ) {
      try {
        writeSync(file, BLOCK, 0, bytes);
      } catch (fault) {
        if (!isFull(fault)) throw fault;
        bytes /= 2;
      }
    }
  } finally {
    closeSync(file);
  }
};

const mount = (...args: readonly string[]): void => {
  execFileSync('mount', args, { stdio: 'pipe' });
};

export const smallDisk = (bytes: number): SmallDisk => {
  const folder = temporaryFolder('cybermesh-disk-');
  mount('-t', 'tmpfs', '-o', `size=${bytes},mode=0755`, 'cybermesh-test', folder.path);
  // Outside of every data folder: a node may look at its own files only.
  const ballast = path.join(folder.path, 'ballast');
  return {
    path: folder.path,
    fill: () => fillWith(ballast),
    free: () => rmSync(ballast, { force: true }),
    readOnly: (isSo) => mount('-o', `remount,${isSo ? 'ro' : 'rw'}`, folder.path),
    remove: () => {
      execFileSync('umount', ['-l', folder.path], { stdio: 'pipe' });
      folder.remove();
    },
  };
};
