import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { takeLock } from '#runtime/cli/lock.ts';
import { launch, NODE, temporaryFolder } from '#test/kit/processes.ts';

const folders: (() => void)[] = [];
afterEach(() => {
  for (const remove of folders.splice(0)) remove();
});

const folder = (): string => {
  const made = temporaryFolder();
  folders.push(made.remove);
  return path.join(made.path, 'data');
};

const lockOf = (dataDir: string): string => path.join(dataDir, 'node.lock');

test('the lock names its holder and is gone after its release', () => {
  const dataDir = folder();
  const lock = takeLock(dataDir, 1234);
  if (!lock.ok) throw new Error(lock.error);
  expect(JSON.parse(readFileSync(lockOf(dataDir), 'utf8'))).toMatchObject({
    pid: process.pid,
    sinceMs: 1234,
  });
  lock.value.release();
  expect(existsSync(lockOf(dataDir))).toBe(false);
});

test('a second process is refused by name', () => {
  const dataDir = folder();
  expect(takeLock(dataDir, 0).ok).toBe(true);
  const second = takeLock(dataDir, 1);
  expect(second.ok ? '' : second.error).toContain(`${dataDir} is in use by process ${process.pid}`);
});

test('the lock of a dead process is taken over', async () => {
  const dataDir = folder();
  const dead = launch(NODE, ['-e', '']);
  await dead.done;
  expect(takeLock(dataDir, 0).ok).toBe(true);
  const held = { pid: dead.child.pid, bornAt: '1', sinceMs: 0 };
  writeFileSync(lockOf(dataDir), JSON.stringify(held));
  expect(takeLock(dataDir, 1).ok).toBe(true);
});

test('a lock whose process id now belongs to somebody else is taken over', () => {
  const dataDir = folder();
  expect(takeLock(dataDir, 0).ok).toBe(true);
  const held = { pid: process.pid, bornAt: '1', sinceMs: 0 };
  writeFileSync(lockOf(dataDir), JSON.stringify(held));
  expect(takeLock(dataDir, 1).ok).toBe(process.platform === 'linux');
});

test('a torn lock is taken over', () => {
  const dataDir = folder();
  expect(takeLock(dataDir, 0).ok).toBe(true);
  writeFileSync(lockOf(dataDir), '{"pid":');
  expect(takeLock(dataDir, 1).ok).toBe(true);
});

test('a takeover that a crash left unfinished blocks for ten seconds and no longer', () => {
  const dataDir = folder();
  expect(takeLock(dataDir, 0).ok).toBe(true);
  writeFileSync(lockOf(dataDir), '');
  const guard = `${lockOf(dataDir)}.takeover`;
  writeFileSync(guard, '');
  expect(takeLock(dataDir, Date.now()).ok).toBe(false);
  const old = Date.now() / 1000 - 60;
  utimesSync(guard, old, old);
  expect(takeLock(dataDir, Date.now()).ok).toBe(false);
  expect(takeLock(dataDir, Date.now()).ok).toBe(true);
});

test('a data folder that cannot be made is an error by name', () => {
  const lock = takeLock('/dev/null/data', 0);
  expect(lock.ok ? '' : lock.error).toBe('the data folder /dev/null/data cannot be used: ENOTDIR');
});

test('of many processes that start at once over a stale lock, one gets it', async () => {
  const dataDir = folder();
  expect(takeLock(dataDir, 0).ok).toBe(true);
  writeFileSync(lockOf(dataDir), JSON.stringify({ pid: 2 ** 22 + 1, bornAt: '1', sinceMs: 0 }));
  const module = new URL('../../../runtime/cli/lock.ts', import.meta.url).href;
  const source = `const { takeLock } = await import(${JSON.stringify(module)});
    console.log(takeLock(${JSON.stringify(dataDir)}, Date.now()).ok);
    setTimeout(() => {}, 1500);`;
  const contenders = Array.from({ length: 5 }, () =>
    launch(NODE, ['--input-type=module', '-e', source]),
  );
  const results = await Promise.all(contenders.map((one) => one.done));
  const winners = results.filter((one) => one.stdout.includes('true'));
  expect(winners).toHaveLength(1);
});
