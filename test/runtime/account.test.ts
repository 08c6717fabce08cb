import { expect, test } from 'vitest';
import { Account } from '#runtime/metrics/account.ts';
import { metricsBytes, readMetrics, writeMetrics } from '#runtime/metrics/metrics.ts';

const open = () => {
  const memory = new SharedArrayBuffer(metricsBytes());
  return { account: new Account(writeMetrics(memory)), read: () => readMetrics(memory) };
};

test('turns that were not timed are counted with the next one that is, at its time', () => {
  const { account, read } = open();
  account.count(30);
  expect(read().counters.messages).toBeUndefined();
  account.time(2, 8);
  expect(read().counters.messages).toBe(32);
  const handling = read().distributions.handling_seconds!;
  expect(handling.count).toBe(32);
  expect(handling.p50).toBeGreaterThan(0.003);
  expect(handling.p50).toBeLessThan(0.005);
});

test('what is still open is written when a thread goes to sleep, once', () => {
  const { account, read } = open();
  account.waiting(7);
  account.waiting(3);
  account.time(1, 1);
  account.count(5);
  account.settle();
  account.settle();
  expect(read().counters.messages).toBe(6);
  expect(read().gauges.mailbox_depth_max).toBe(7);
});
