import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exhaust, limiter, take } from '#actors/signer/limiter.ts';

const SECOND_MS = 1_000;
const seed = 20_260_731;

/** Asks after each gap, waits as told; returns the times of the releases, Unix ms. */
const releases = (perSecondMax: number, gapsMs: readonly number[]): number[] => {
  const state = limiter(perSecondMax);
  let atMs = 1_000_000;
  return gapsMs.map((gapMs) => {
    atMs += gapMs;
    for (let waitMs = take(state, atMs); waitMs > 0; waitMs = take(state, atMs)) atMs += waitMs;
    return atMs;
  });
};

const busiestSecond = (times: readonly number[]): number =>
  Math.max(
    0,
    ...times.map((from) => times.filter((at) => at >= from && at < from + SECOND_MS).length),
  );

test(`no second, wherever it begins, sees more than the limit (seed ${seed})`, () => {
  const gaps = fc.array(fc.oneof(fc.constant(0), fc.nat(20), fc.nat(3_000)), { maxLength: 400 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), gaps, (perSecondMax, gapsMs) => {
      expect(busiestSecond(releases(perSecondMax, gapsMs))).toBeLessThanOrEqual(perSecondMax);
    }),
    { seed, numRuns: 60 },
  );
});

test('a hundred may go at once, the next one a second later', () => {
  const times = releases(100, new Array(101).fill(0));
  expect(times[99]! - times[0]!).toBe(0);
  expect(times[100]! - times[0]!).toBe(SECOND_MS);
});

test('after a restart the first release waits a second', () => {
  const state = limiter(2);
  exhaust(state, 5_000);
  expect(take(state, 5_000)).toBe(SECOND_MS);
  expect(take(state, 6_000)).toBe(0);
});

test('a clock that is set back by an hour costs one second', () => {
  const state = limiter(1);
  expect(take(state, 3_600_000)).toBe(0);
  expect(take(state, 1_000)).toBe(SECOND_MS);
  expect(take(state, 2_000)).toBe(0);
});
