import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Actor } from '#runtime/actor.ts';
import { FlightRecorder } from '#runtime/flight/recorder.ts';
import { recorder } from '#runtime/recorder.ts';
import fragile from './fixtures/fragile.ts';

const config = { password: '', falls: '' } as const;
const add = (n: number) => ({ kind: 'add', n });

/** The recorder of an actor to which `adds` happen, and copies of its state before each. */
const flown = (
  actor: Actor,
  adds: readonly number[],
  given: { readonly capacity: number; readonly now: () => number; readonly passing?: number },
) => {
  const flight = new FlightRecorder(actor, config, given.capacity, given.now);
  const fx = recorder();
  const state = actor.core.init(config);
  flight.keepPhase('start', state, 0);
  actor.core.start?.(state, fx, 0);
  const before: unknown[] = [];
  for (const [k, n] of adds.entries()) {
    before.push(structuredClone(state));
    flight.keep(add(n), state, k, k === given.passing);
    actor.core.step(state, add(n), fx, k);
  }
  return { flight, before, state };
};

const free = (): number => 0;
const adds = fc.array(fc.nat(100), { minLength: 1, maxLength: 100 });

test('whatever came before, the state that the newest message met is made again', () => {
  fc.assert(
    fc.property(adds, fc.integer({ min: 1, max: 40 }), (numbers, capacity) => {
      const { flight, before } = flown(fragile, numbers, { capacity, now: free });
      expect(flight.before()).toEqual({ known: true, state: before.at(-1) });
      expect(flight.kept().at(-1)).toMatchObject({ phase: 'step', atMs: numbers.length - 1 });
    }),
  );
});

test('where copies cost too much, none is taken; what is not known is called so', () => {
  let ms = 0;
  // Each look at the clock is a millisecond: a copy costs one, and the next may come after a hundred.
  const dear = (): number => ms++;
  const { flight } = flown(fragile, Array(100).fill(1), { capacity: 16, now: dear });
  expect(flight.before()).toEqual({
    known: false,
    why: 'more messages since its last copy than are kept',
  });
  expect(flight.kept()).toHaveLength(16);
});

test('a message in memory that is used again is known while it is in hand, later only behind a copy', () => {
  const numbers = [1, 2, 3, 4];
  const inHand = flown(fragile, numbers, { capacity: 16, now: free, passing: 3 });
  expect(inHand.flight.before()).toEqual({ known: true, state: inHand.before[3] });
  const copied = flown(fragile, numbers, { capacity: 16, now: free, passing: 1 });
  expect(copied.flight.before()).toEqual({ known: true, state: copied.before[3] });
  let ms = 0;
  const never = (): number => (ms === 0 ? ms++ : 0);
  const lost = flown(
    {
      ...fragile,
      core: {
        ...fragile.core,
        init: () => ({ ...fragile.core.init(config), own: new (class {})() }),
      },
    },
    numbers,
    { capacity: 16, now: never, passing: 1 },
  );
  expect(lost.flight.before()).toEqual({
    known: false,
    why: expect.stringContaining('an object of a class'),
  });
});

test('a state hidden in closures is not copied: it is made again from the beginning, while that is kept', () => {
  const closed: Actor = {
    ...fragile,
    core: {
      init: () => {
        let sum = 0;
        return {
          sum: () => sum,
          add: (n: number) => {
            sum += n;
          },
        };
      },
      step: (state: { add(n: number): void }, message: { n: number }) => state.add(message.n),
    },
  };
  const flight = new FlightRecorder(closed, config, 8, free);
  const state = closed.core.init(config);
  for (let n = 1; n <= 5; n++) {
    flight.keep(add(n), state, n, false);
    if (n < 5) state.add(n);
  }
  const before = flight.before();
  expect(before.known && (before.state as { sum(): number }).sum()).toBe(10);
  for (let n = 6; n <= 20; n++) flight.keep(add(n), state, n, false);
  expect(flight.before()).toEqual({
    known: false,
    why: 'it cannot be copied: hidden in functions',
  });
});
