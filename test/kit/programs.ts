/** Where a program lies that a test needs: on the PATH, or where Debian keeps PostgreSQL's servers. */
import { execFileSync } from 'node:child_process';
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

const inFolders = (folders: readonly string[], program: string): string[] =>
  folders.map((folder) => path.join(folder, program)).filter((file) => existsSync(file));

const pathFolders = (): string[] =>
  (process.env.PATH ?? '').split(path.delimiter).filter((one) => one !== '');

/** The absolute path of a program; undefined where it is not there. */
export const programOf = (program: string): string | undefined =>
  inFolders([...pathFolders(), ...postgresFolders()], program)[0];

/** True when every one of the programs is on the PATH. */
export const hasPrograms = (...names: readonly string[]): boolean =>
  names.every((name) => inFolders(pathFolders(), name).length > 0);

/** A Node on the PATH that is too old to run TypeScript, and not too old for the launcher: the system's, often. */
export const olderNode = (): string | undefined =>
  inFolders(pathFolders(), 'node').find((file) => {
    const version = execFileSync(file, ['-p', 'process.versions.node'], { encoding: 'utf8' });
    const major = Number(version.split('.')[0]);
    return major >= 20 && major < 24;
  });
