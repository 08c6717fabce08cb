import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LIMITS } from '#actors/replica/machine/events.ts';
import { delayMs, onCommit, onViewFailed, pacemaker } from '#actors/replica/machine/pacemaker.ts';

test('the first view has one second', () => {
  expect(delayMs(pacemaker(LIMITS), 0, LIMITS)).toBe(1_000);
});

test('a failed view adds half a second, but not where its leader is silent', () => {
  expect(onViewFailed(pacemaker(LIMITS), 1, false, LIMITS).timeoutMs).toBe(1_500);
  expect(onViewFailed(pacemaker(LIMITS), 1, true, LIMITS).timeoutMs).toBe(1_000);
});

test('more failures in a row than faulty leaders explain double the time', () => {
  const once = onViewFailed(pacemaker(LIMITS), 1, true, LIMITS);
  expect(onViewFailed(once, 1, true, LIMITS).timeoutMs).toBe(2_000);
  const between = onCommit(once, LIMITS);
  expect(between.timeoutMs).toBe(950);
  expect(onViewFailed(between, 1, true, LIMITS).timeoutMs).toBe(950);
});

test('a leader of four that withholds its blocks for ever costs seconds, not half minutes', () => {
  let now = pacemaker(LIMITS);
  for (let round = 0; round < 200; round += 1) {
    now = onCommit(onCommit(onViewFailed(now, 1, false, LIMITS), LIMITS), LIMITS);
  }
  expect(now.timeoutMs).toBeLessThan(6_000);
});

test('whatever happens, a view lasts between half a second and thirty', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 200 }), fc.nat(40), (commits, repetition) => {
      let now = pacemaker(LIMITS);
      for (const commit of commits) {
        now = commit ? onCommit(now, LIMITS) : onViewFailed(now, 1, repetition % 2 === 0, LIMITS);
        const wait = delayMs(now, repetition, LIMITS);
        expect(wait).toBeGreaterThanOrEqual(500);
        expect(wait).toBeLessThanOrEqual(30_000);
      }
    }),
  );
});
