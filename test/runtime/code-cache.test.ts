import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { fillCodeCache } from '#runtime/system/code-cache.ts';
import { actor, type TestSystem, testSystem } from '#test/kit/system.ts';
import { fixture } from './driver.ts';

let folder = '';
let system: TestSystem | undefined;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'code-cache-'));
  vi.stubEnv('NODE_COMPILE_CACHE', undefined);
});
afterEach(async () => {
  await system?.end();
  system = undefined;
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

const start = async (codeCache: string): Promise<TestSystem> => {
  const children = ['a', 'b', 'c'].map((name) =>
    actor(name, fixture('mortal'), { actor: 'mortal' }),
  );
  system = await testSystem(children, { codeCache });
  return system;
};

/** Every file with the moment of its last change. */
const filesOf = (codeCache: string): string[] =>
  readdirSync(codeCache, { recursive: true, encoding: 'utf8' })
    .map((name) => `${name} ${statSync(path.join(codeCache, name)).mtimeMs}`)
    .filter((one) => !/^v\d[^/]* /.test(one))
    .toSorted();

const moduleOf = (name: string, text: string): string => {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return pathToFileURL(file).href;
};

test('the cache is full when the threads start: none of them writes to it', async () => {
  const codeCache = path.join(folder, 'cache');
  const s = await start(codeCache);
  const before = filesOf(codeCache);
  expect(before.length).toBeGreaterThan(20);
  expect(statSync(codeCache).mode & 0o777).toBe(0o700);
  await s.stop();
  expect(filesOf(codeCache)).toEqual(before);
});

test('it is filled once for the same modules, and again for others', async () => {
  const codeCache = path.join(folder, 'cache');
  const count = `import { appendFileSync } from 'node:fs';
    appendFileSync(${JSON.stringify(path.join(folder, 'loads'))}, 'x');`;
  const [a, b] = [moduleOf('a.mjs', count), moduleOf('b.mjs', count)];
  const loads = (): number => statSync(path.join(folder, 'loads')).size;
  await fillCodeCache(codeCache, [a], undefined);
  await fillCodeCache(codeCache, [a], undefined);
  expect(loads()).toBe(1);
  await fillCodeCache(codeCache, [a, b], undefined);
  expect(loads()).toBe(3);
});

test('a module that cannot be loaded is left to its actor to report, and nothing counts as filled', async () => {
  const codeCache = path.join(folder, 'cache');
  const broken = moduleOf('broken.mjs', 'throw new Error("cannot be loaded")');
  await fillCodeCache(codeCache, [broken], undefined);
  expect(readdirSync(codeCache).filter((name) => name.startsWith('filled-'))).toEqual([]);
  const child = actor('a', new URL(broken), { actor: 'a' });
  await expect(testSystem([child], { codeCache })).rejects.toThrow('cannot be loaded');
});

test('a folder that cannot be made costs no start', async () => {
  const file = path.join(folder, 'file');
  writeFileSync(file, '');
  const s = await start(path.join(file, 'cache'));
  expect(s.metrics().actors).toHaveLength(3);
});

test('NODE_COMPILE_CACHE names another folder, NODE_DISABLE_COMPILE_CACHE none', async () => {
  const [codeCache, other] = [path.join(folder, 'cache'), path.join(folder, 'other')];
  const module = moduleOf('a.mjs', '');
  vi.stubEnv('NODE_DISABLE_COMPILE_CACHE', '1');
  await fillCodeCache(codeCache, [module], undefined);
  vi.stubEnv('NODE_DISABLE_COMPILE_CACHE', undefined);
  vi.stubEnv('NODE_COMPILE_CACHE', other);
  await fillCodeCache(codeCache, [module], undefined);
  expect([existsSync(codeCache), existsSync(other)]).toEqual([false, true]);
});
