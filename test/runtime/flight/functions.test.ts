import { expect, test } from 'vitest';
import type { Actor } from '#runtime/actor.ts';
import { decodeValue, encodeValue } from '#runtime/flight/encode.ts';
import { functionAt, functionNames } from '#runtime/flight/functions.ts';

const leader = () => 'v1';
const sha256 = () => new Uint8Array(32);
const core = {
  init: () => ({ crypto: { sha256 }, own: () => 1 }),
  constants: { rules: { leader } },
};
const actor = { core } as unknown as Actor;

/** Out of one process into another, where nothing of the first is left but modules. */
const carried = (state: unknown): Record<string, never> => {
  const text = JSON.stringify(encodeValue(state, functionNames(actor, undefined)));
  const fresh: unknown = core.init();
  const supply = (place: string) => functionAt(actor, fresh, place) ?? `none at ${place}`;
  return decodeValue(JSON.parse(text), supply) as Record<string, never>;
};

test('functions that init gives are found wherever a state has put them since', () => {
  expect(carried({ later: { verify: sha256 } })).toEqual({ later: { verify: sha256 } });
});

test('those that a state gets later are found among the constants of the core', () => {
  const machine = { rules: { leader }, again: leader };
  expect(carried({ machine })).toEqual({ machine });
});

test('a closure that was made at run time is named by its place, and not found', () => {
  expect(carried({ machine: { sign: () => 'secret' } })).toEqual({
    machine: { sign: 'none at .machine.sign' },
  });
});

test('a closure that each fresh state has of its own is that of the fresh state', () => {
  const fresh = core.init();
  const own = functionAt(actor, fresh, '.own');
  expect(own).toBe(fresh.own);
  expect(functionAt(actor, fresh, '.crypto')).toBeUndefined();
  expect(functionAt(actor, fresh, '@rules.follower')).toBeUndefined();
});
