import { expect, test } from 'vitest';
import { openWakers, wakersBytes } from '#native/lanes/wakers.ts';

test('a thread counts as busy for a while after it had work, whatever the clock shows', () => {
  for (const atMs of [1_790_000_000_000, 2 ** 31 - 2, 2 ** 32 + 5]) {
    const wakers = openWakers(new SharedArrayBuffer(wakersBytes(3)));
    expect(wakers.busy(atMs, 2)).toBe(0);
    wakers.work(0, atMs);
    wakers.work(2, atMs - 1);
    expect(wakers.busy(atMs, 2)).toBe(2);
    expect(wakers.busy(atMs + 2, 2)).toBe(1);
    expect(wakers.busy(atMs + 3, 2)).toBe(0);
  }
});

test('who parks is not runnable; whoever is woken is, and only once', () => {
  const wakers = openWakers(new SharedArrayBuffer(wakersBytes(1)));
  wakers.join();
  wakers.arm(0);
  expect(wakers.runnable()).toBe(0);
  wakers.wake(0);
  wakers.wake(0);
  expect(wakers.runnable()).toBe(1);
});
