import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { monotonicMs, unixMs } from '#native/clock.ts';

test('every thread reads the same monotonic clock, also when it is interrupted while it starts', async () => {
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData).then(({ monotonicMs }) => parentPort.on('message', () =>
      parentPort.postMessage(monotonicMs())));`;
  const clock = new URL('../../native/clock.ts', import.meta.url).href;
  const workers = Array.from(
    { length: 8 },
    () => new Worker(source, { eval: true, workerData: clock }),
  );
  for (const worker of workers) {
    const beforeMs = monotonicMs();
    worker.postMessage('');
    const there = await new Promise<number>((resolve) => worker.once('message', resolve));
    expect(there).toBeGreaterThan(beforeMs - 0.5);
    expect(there).toBeLessThan(monotonicMs() + 0.5);
  }
  await Promise.all(workers.map((w) => w.terminate()));
});

test('unix time is in whole milliseconds', () => {
  expect(Number.isInteger(unixMs())).toBe(true);
});
