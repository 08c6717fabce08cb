/** Where a program lies that a test needs: on the PATH, or where Debian keeps PostgreSQL's servers. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

const POSTGRES_ROOT = '/usr/lib/postgresql';

/** Newest version first. */
const postgresFolders = (): string[] =>
  existsSync(POSTGRES_ROOT)
    ? readdirSync(POSTGRES_ROOT)
        .sort((a, b) => Number(b) - Number(a))
        .map((version) => path.join(POSTGRES_ROOT, version, 'bin'))
    : [];

/** The absolute path of a program; undefined where it is not there. */
export const programOf = (program: string): string | undefined => {
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter((one) => one !== '');
  return [...folders, ...postgresFolders()]
    .map((folder) => path.join(folder, program))
    .find((file) => existsSync(file));
};
