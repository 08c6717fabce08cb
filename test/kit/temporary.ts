/** Every test's temporary files lie in one folder, which is gone when the tests are. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Short: a socket's path has 107 bytes. Others may look in: servers that refuse to be root run as somebody else. */
const MODE = 0o755;
const PREFIX = 'cm-';

/** What vitest calls before the first test, and whose result after the last. */
export const setup = (): (() => void) => {
  const before = process.env.TMPDIR;
  // Each project of the configuration asks; the first one has made it for all.
  if (before !== undefined && path.basename(before).startsWith(PREFIX)) return () => {};
  const folder = mkdtempSync(path.join(tmpdir(), PREFIX));
  chmodSync(folder, MODE);
  process.env.TMPDIR = folder;
  // Every node that a test starts compiles what the one before it has compiled; one cache for all of them.
  process.env.NODE_COMPILE_CACHE ??= path.join(folder, 'compiled');
  return () => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    rmSync(folder, { recursive: true, force: true });
  };
};
