/**
 * A disk of its own for a test that becomes read-only while files are open: ext4 on a loop device in memory, which is told that it has
 * found itself damaged. That is how it happens to users; a remount is refused while somebody writes. Needs root.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isRoot } from './namespaces.ts';
import { temporaryFolder } from './processes.ts';
import { hasPrograms } from './programs.ts';
import { smallDisk } from './small-disk.ts';

/** For the name of a test that needs it. */
export const NEEDS_LOOP_DISK = '(needs root, losetup, mkfs.ext4, e2fsck and chattr)';
export const canFailDisk =
  process.platform === 'linux' && isRoot && hasPrograms('losetup', 'mkfs.ext4', 'e2fsck', 'chattr');

export type FailingDisk = {
  readonly path: string;
  /** From now on nothing can be written, opened for writing, made or removed; what is there can be read. */
  readonly fail: () => void;
  /** Unmounts it (nothing may be open on it), has it checked and mounts it again for writing. */
  readonly repair: () => void;
  readonly remove: () => void;
};

const run = (program: string, ...args: readonly string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', stdio: 'pipe' }).trim();

const SPARE_BYTES = 1 << 20;

/** e2fsck says with exit 1 that it has mended something. */
const check = (device: string): void => {
  try {
    run('e2fsck', '-f', '-y', device);
  } catch (fault) {
    if ((fault as { readonly status?: number }).status !== 1) throw fault;
  }
};

export const failingDisk = (bytes: number): FailingDisk => {
  const folder = temporaryFolder('cybermesh-failing-');
  const memory = smallDisk(bytes + SPARE_BYTES);
  const image = path.join(memory.path, 'image');
  const mounted = path.join(folder.path, 'mounted');
  mkdirSync(mounted);
  writeFileSync(image, '');
  truncateSync(image, bytes);
  run('mkfs.ext4', '-q', '-F', image);
  const device = run('losetup', '--find', '--show', image);
  const switches = path.join('/sys/fs/ext4', path.basename(device));
  const mount = (): void => void run('mount', '-o', 'errors=remount-ro', device, mounted);
  mount();
  return {
    path: mounted,
    fail: () => writeFileSync(path.join(switches, 'trigger_fs_error'), '1'),
    repair: () => {
      run('umount', mounted);
      check(device);
      mount();
    },
    remove: () => {
      if (existsSync(switches)) run('umount', '-l', mounted);
      run('losetup', '--detach', device);
      memory.remove();
      folder.remove();
    },
  };
};
