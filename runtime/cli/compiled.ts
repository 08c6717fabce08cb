/** Where a command finds its own code compiled: it halves what a short command costs. Nodes keep theirs in their data folder. */
import { lstatSync, mkdirSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** What is in there is run, so nobody else may have written it. */
const isOwn = (folder: string): boolean => {
  const { uid, mode } = lstatSync(folder);
  return uid === process.getuid?.() && (mode & 0o022) === 0;
};

/**
 * `cybermesh` in the user's folder for caches; NODE_COMPILE_CACHE names another one. Where it cannot be made, or is not
 * the user's own, every command compiles anew.
 */
export const keepCompiled = (env: NodeJS.ProcessEnv): void => {
  if (env.NODE_COMPILE_CACHE) return; // Node itself has seen to it
  try {
    const { XDG_CACHE_HOME: given = '' } = env;
    const folder = join(isAbsolute(given) ? given : join(homedir(), '.cache'), 'cybermesh');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (isOwn(folder)) enableCompileCache(folder);
  } catch {
    // No home, or no room: it only takes longer.
  }
};
