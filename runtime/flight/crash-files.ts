/** Crash reports on disk: a folder under dataDir, 0700, files 0600; the newest 32 are kept. */
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CrashReport, reportText } from './report.ts';

export const REPORTS_MAX = 32;
/** Reports that wait to be written; a storm of crashes leaves some out. */
const WAITING_MAX = 8;

export const crashFolder = (dataDir: string): string => join(dataDir, 'crashes');

const nameOf = ({ atMs, path }: CrashReport): string => {
  const time = new Date(atMs).toISOString().replaceAll(':', '-');
  return `${time}-${path === '' ? 'node' : path}.json`;
};

const prune = async (folder: string): Promise<void> => {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
  for (const name of names.slice(0, Math.max(0, names.length - REPORTS_MAX))) {
    await rm(join(folder, name), { force: true });
  }
};

export type CrashFiles = {
  /** Resolves with the file's path; undefined when too many wait. Rejects with what the disk said. */
  write(report: CrashReport): Promise<string | undefined>;
  /** Resolves when everything is written. */
  settled(): Promise<void>;
};

export const openCrashFiles = (dataDir: string): CrashFiles => {
  const folder = crashFolder(dataDir);
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();
  const put = async (report: CrashReport): Promise<string> => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const file = join(folder, nameOf(report));
    // A reader never sees half of it.
    await writeFile(`${file}.new`, `${reportText(report)}\n`, { mode: 0o600 });
    await rename(`${file}.new`, file);
    await prune(folder);
    return file;
  };
  return {
    write: async (report) => {
      if (waiting >= WAITING_MAX) return undefined;
      waiting++;
      const work = last.then(() => put(report)).finally(() => waiting--);
      last = work.catch(() => undefined); // the caller of `write` is told
      return work;
    },
    settled: async () => {
      await last;
    },
  };
};
