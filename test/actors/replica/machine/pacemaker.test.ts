import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LIMITS } from '#actors/replica/machine/events.ts';
import { delayMs, onCommit, onViewFailed, pacemaker } from '#actors/replica/machine/pacemaker.ts';

test('the first view has one second', () => {
  expect(delayMs(pacemaker(LIMITS), 0, LIMITS)).toBe(1_000);
});

test('one faulty leader of four costs no patience; a second failure in a row doubles the time', () => {
  const once = onViewFailed(pacemaker(LIMITS), 1, LIMITS);
  expect(once.timeoutMs).toBe(1_000);
  expect(onViewFailed(once, 1, LIMITS).timeoutMs).toBe(2_000);
  expect(onViewFailed(onCommit(once, LIMITS), 1, LIMITS).timeoutMs).toBe(900);
});

test('whatever happens, a view lasts between half a second and thirty', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 200 }), fc.nat(40), (commits, repetition) => {
      let now = pacemaker(LIMITS);
      for (const commit of commits) {
        now = commit ? onCommit(now, LIMITS) : onViewFailed(now, 1, LIMITS);
        const wait = delayMs(now, repetition, LIMITS);
        expect(wait).toBeGreaterThanOrEqual(500);
        expect(wait).toBeLessThanOrEqual(30_000);
      }
    }),
  );
});
