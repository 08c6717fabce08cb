/** Where and when a measurement was taken. */
import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { ROOT } from '#test/kit/processes.ts';

const git = (...args: string[]): string =>
  execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' }).trim();

/** Short hash of HEAD, `+` where the tree differs from it; BENCH_COMMIT where there is no git. */
const commit = (): string => {
  const given = process.env.BENCH_COMMIT;
  if (given !== undefined) return given;
  try {
    const isClean = git('status', '--porcelain', '--untracked-files=no') === '';
    return git('rev-parse', '--short', 'HEAD') + (isClean ? '' : '+');
  } catch {
    return 'unknown (no git here)';
  }
};

/** One line for the head of a table. */
export const provenance = (): string => {
  const day = new Date().toISOString().slice(0, 10);
  const machine = `${availableParallelism()} cores of ${cpus()[0]?.model.trim() ?? 'unknown'}`;
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  return `commit ${commit()}, ${day}, ${machine}, ${memory}, Node ${process.versions.node}`;
};
