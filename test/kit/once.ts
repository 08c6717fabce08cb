/** What several test files need alike is made by one of them, and the others wait for it. */
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { until } from './system.ts';

const WAIT_MS = 240_000;
const LOOK_MS = 50;

const isFirst = (claim: string): boolean => {
  try {
    mkdirSync(claim);
    return true;
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw fault;
  }
};

/** The folder `name` of this run of the tests, filled by `make`. One that fails to make it fails for all who wait. */
export const madeOnce = async (
  name: string,
  make: (folder: string) => Promise<void>,
): Promise<string> => {
  const made = path.join(tmpdir(), name);
  const making = `${made}.making`;
  const failed = `${made}.failed`;
  // It stays: whoever comes when all is made must not be the first once more.
  if (isFirst(`${made}.claimed`)) {
    try {
      mkdirSync(making);
      await make(making);
      renameSync(making, made);
    } catch (fault) {
      mkdirSync(failed);
      throw fault;
    }
    return made;
  }
  await until(() => existsSync(made) || existsSync(failed), WAIT_MS, LOOK_MS);
  if (!existsSync(made)) throw new Error(`${name} could not be made by another test file`);
  return made;
};
