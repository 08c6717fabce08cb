import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, type TestContext, test } from 'vitest';
import { Spares } from '#runtime/system/spares.ts';
import { bootThread } from '#runtime/system/threads.ts';
import { actor, type TestSystem, testSystem, until } from '#test/kit/system.ts';
import { fixture } from './driver.ts';

const LONG_MS = 30_000;

const start = async ({ onTestFinished }: TestContext, spares: number): Promise<TestSystem> => {
  const children = ['a', 'b'].map((name) => actor(name, fixture('mortal'), { actor: 'mortal' }));
  const system = await testSystem(children, { spares });
  onTestFinished(async () => void (await system.end()));
  return system;
};
const ready = (s: TestSystem): number => s.metrics().sparesReady;

// Not beside the others: it tells threads by their ids, which all systems of a process share.
test('a dead thread is replaced by the spare one, which is replaced by another', async (context) => {
  const s = await start(context, 1);
  await s.until(() => ready(s) === 1, LONG_MS);
  const threads = [s.fact('a', 'thread'), s.fact('b', 'thread')].map(Number);
  for (let k = 1; k <= 2; k++) {
    // The spare has been started after all others: thread ids only grow.
    const spare = Math.max(...threads) + 1;
    await s.kill('a');
    await s.until(() => s.fact('a', 'thread') === String(spare), LONG_MS);
    threads.push(spare);
    await s.until(() => ready(s) === 1, LONG_MS);
  }
  expect(s.metrics().actors.map((a) => a.restarts)).toEqual([2, 0]);
});

test.concurrent('when more threads die than there are spares, the others start cold', async (context) => {
  const s = await start(context, 1);
  await s.until(() => ready(s) === 1, LONG_MS);
  await Promise.all([s.kill('a'), s.kill('b')]);
  await s.until(() => s.metrics().actors.every((a) => a.restarts === 1), LONG_MS);
  expect(s.fact('a', 'thread')).not.toBe(s.fact('b', 'thread'));
});

test.concurrent('without spares there are none, and a dead thread starts cold', async (context) => {
  const s = await start(context, 0);
  await s.kill('a');
  await s.until(() => s.metrics().actors[0]!.restarts === 1, LONG_MS);
  expect(ready(s)).toBe(0);
});

test.concurrent('spares that keep ending are given up after the third, with the reason', async (context) => {
  const s = await start(context, 0);
  const broken = join(s.dataDir, 'broken.mjs');
  writeFileSync(broken, 'throw new Error("cannot be imported")');
  const errors: Error[] = [];
  let boots = 0;
  const spares = new Spares(
    1,
    () => {
      boots++;
      const preload = [pathToFileURL(broken).href];
      return bootThread({ name: 'spare', preload, memoryMb: undefined, codeCache: undefined });
    },
    (error) => errors.push(error),
  );
  spares.fill();
  await until(() => errors.length > 0, LONG_MS);
  spares.fill();
  expect(spares.take()).toBeUndefined();
  expect([boots, errors.length, errors[0]?.message]).toEqual([3, 1, 'cannot be imported']);
});

test.concurrent('nothing of a spare is left when the system has stopped', async (context) => {
  const s = await start(context, 2);
  await s.until(() => ready(s) === 2, LONG_MS);
  await s.stop();
  expect(ready(s)).toBe(0);
});
