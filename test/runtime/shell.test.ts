import { expect, test } from 'vitest';
import { openRegister, registerBytes } from '#native/lanes/register.ts';
import { createArena, SlabPool } from '#native/lanes/slab.ts';
import { openWakers, type Wakers, wakersBytes } from '#native/lanes/wakers.ts';
import type { Mailbox } from '#runtime/mailbox/mailbox.ts';
import { Queue } from '#runtime/mailbox/queue.ts';
import { Account } from '#runtime/metrics/account.ts';
import { metricsBytes, writeMetrics } from '#runtime/metrics/metrics.ts';
import { Shell } from '#runtime/thread/shell.ts';
import { until } from '#test/kit/system.ts';

const machineOf = (wakers: Wakers) => {
  const register = openRegister(new SharedArrayBuffer(registerBytes(1)));
  const pool = new SlabPool(createArena(1, 4096, 1), 0, wakers);
  return { wakers, register, pool };
};
const CALLBACKS = {
  ending: () => {},
  waking: () => {},
  crash: (_mailbox: unknown, error: unknown) => {
    throw error;
  },
};

test('long steps give the event loop its turn after a few of them, however many messages wait', async () => {
  const wakers = openWakers(new SharedArrayBuffer(wakersBytes(1)));
  const shell = new Shell({ thread: 0, cores: 2, spinUs: 0 }, machineOf(wakers), CALLBACKS);
  const WAITING = 100;
  let handled = 0;
  const step = (): void => {
    handled++;
    mailbox.local.shift();
    const endMs = performance.now() + 3;
    while (performance.now() < endMs);
  };
  const metrics = writeMetrics(new SharedArrayBuffer(metricsBytes()));
  const mailbox = {
    ...{ inputs: [], nextInput: 0, held: { length: 0, first: () => undefined } },
    ...{ local: new Queue<number>(), stepLocal: step, account: new Account(metrics) },
    ...{ lives: () => {}, rest: 'awake', deliveries: { pending: 0 }, interrupted: false },
  };
  for (let k = 0; k < WAITING; k++) mailbox.local.push(k);
  wakers.join();
  shell.add(mailbox as unknown as Mailbox);
  // The first turn does not know yet how long a step is.
  const seen: number[] = [];
  while (handled < WAITING) {
    await new Promise((turn) => setTimeout(turn, 0));
    seen.push(handled);
  }
  const turns = seen.map((n, k) => n - (seen[k - 1] ?? 0));
  expect(turns.length).toBeGreaterThan(10);
  expect(Math.max(...turns.slice(1))).toBeLessThan(10);
});

test('a thread that timers rouse again and again waits once, and is woken once', async () => {
  const memory = new SharedArrayBuffer(wakersBytes(1));
  const wakers = openWakers(memory);
  let waits = 0;
  const counting: Wakers = {
    ...wakers,
    wait: (thread) => {
      waits++;
      return wakers.wait(thread);
    },
  };
  const shell = new Shell({ thread: 0, cores: 2, spinUs: 0 }, machineOf(counting), CALLBACKS);
  wakers.join();
  for (let k = 0; k < 100; k++) shell.run();
  expect(waits).toBe(1);
  wakers.wake(0);
  await until(() => waits > 1);
  for (let k = 0; k < 100; k++) shell.run();
  expect(waits).toBe(2);
  expect(wakers.runnable()).toBe(0);
});
