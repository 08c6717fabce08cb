import { expect, test } from 'vitest';
import { unlessLeft } from '#runtime/cli/verb.ts';

const never = new Promise<number>(() => {});

test('an answer in time is the answer, and its failure a failure', async () => {
  const { signal } = new AbortController();
  expect(await unlessLeft(Promise.resolve(7), signal, 0)).toBe(7);
  await expect(unlessLeft(Promise.reject(new Error('no')), signal, 0)).rejects.toThrow('no');
});

test('whoever leaves is not held by a node that hangs; neither is one who has left before', async () => {
  const left = new AbortController();
  const answer = unlessLeft(never, left.signal, 0);
  left.abort();
  expect(await answer).toBeUndefined();
  expect(await unlessLeft(never, left.signal, 1)).toBeUndefined();
});

test('what comes within the grace is still taken; what fails after it is nobody’s', async () => {
  const left = new AbortController();
  left.abort();
  expect(await unlessLeft(Promise.resolve('last words'), left.signal, 60_000)).toBe('last words');
  let fail = (_: Error): void => {};
  const late = new Promise<number>((_, reject) => {
    fail = reject;
  });
  expect(await unlessLeft(late, left.signal, 0)).toBeUndefined();
  fail(new Error('too late')); // an unhandled rejection would fail the test
  await new Promise((done) => setImmediate(done));
});
