import { expect, test } from 'vitest';
import { openRegister, registerBytes } from '#native/lanes/register.ts';
import { createArena, SlabPool } from '#native/lanes/slab.ts';
import { openWakers, type Wakers, wakersBytes } from '#native/lanes/wakers.ts';
import { Shell } from '#runtime/shell.ts';
import { until } from '#test/kit/system.ts';

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
  const register = openRegister(new SharedArrayBuffer(registerBytes(1)));
  const pool = new SlabPool(createArena(1, 4096, 1), 0, wakers);
  const machine = { wakers: counting, register, pool };
  const shell = new Shell({ thread: 0, cores: 2, spinUs: 0 }, machine, {
    ending: () => {},
    crash: (_mailbox, error) => {
      throw error;
    },
  });
  wakers.join();
  for (let k = 0; k < 100; k++) shell.run();
  expect(waits).toBe(1);
  wakers.wake(0);
  await until(() => waits > 1);
  for (let k = 0; k < 100; k++) shell.run();
  expect(waits).toBe(2);
  expect(wakers.runnable()).toBe(0);
});
