import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { cybermesh, temporaryFolder } from '#test/kit/processes.ts';

const made = temporaryFolder();
afterAll(made.remove);

/** Runs a command with this folder for the user's caches. */
const command = async (caches: string, variables: NodeJS.ProcessEnv = {}): Promise<void> => {
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  const done = await cybermesh(['version'], {
    env: { ...env, XDG_CACHE_HOME: caches, ...variables },
  });
  expect(done, done.stderr).toMatchObject({ code: 0, stderr: '' });
};

const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' });

test('commands find their code compiled in a folder that only the user can look into', async () => {
  const caches = path.join(made.path, 'caches');
  const kept = path.join(caches, 'cybermesh');
  await command(caches);
  const files = filesOf(kept);
  expect(files.length).toBeGreaterThan(20);
  expect(statSync(kept).mode & 0o777).toBe(0o700);
  await command(caches);
  expect(filesOf(kept).toSorted()).toEqual(files.toSorted());
});

test('a folder that others can write to is not used', async () => {
  const caches = path.join(made.path, 'open');
  const kept = path.join(caches, 'cybermesh');
  mkdirSync(kept, { recursive: true });
  chmodSync(kept, 0o777);
  await command(caches);
  expect(filesOf(kept)).toEqual([]);
});

test('where there can be no such folder, commands run all the same', async () => {
  const file = path.join(made.path, 'file');
  writeFileSync(file, '');
  await command(file);
});

test('NODE_COMPILE_CACHE names another folder', async () => {
  const caches = path.join(made.path, 'unused');
  await command(caches, { NODE_COMPILE_CACHE: path.join(made.path, 'named') });
  expect(existsSync(caches)).toBe(false);
  expect(filesOf(path.join(made.path, 'named')).length).toBeGreaterThan(20);
});
