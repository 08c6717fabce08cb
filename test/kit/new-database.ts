/**
 * The embedded database as its first start makes it, made once for all tests: to make one costs a node three seconds of a
 * processor and half a gigabyte. Where nothing is prepared (a benchmark, a program), the node makes its own.
 */
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { EMBEDDED_FOLDER } from '#actors/persistence/database.ts';
import { madeOnce } from './once.ts';
import { isOfTests } from './temporary.ts';

const newDatabase = (): Promise<string> =>
  madeOnce('new-database', async (folder) => (await PGlite.create(folder)).close());

/** Lays an empty database where the `persistence` of a node that never ran will look for it. */
export const giveDatabase = async (dataDir: string): Promise<void> => {
  const home = path.join(dataDir, 'persistence');
  if (!isOfTests(tmpdir()) || existsSync(home)) return;
  mkdirSync(home, { recursive: true, mode: 0o700 });
  cpSync(await newDatabase(), path.join(home, EMBEDDED_FOLDER), { recursive: true });
};
