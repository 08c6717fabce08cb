import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BACKOFF } from '#supervisors/backoff.ts';
import { decide, type History, NO_HISTORY } from '#supervisors/decide.ts';
import { comesBackAlone, forgetsAtMs } from '#supervisors/grant.ts';
import type { Leaf, Strategy, Supervisor } from '#supervisors/tree.ts';

const leaf = (path: string): Leaf => ({
  kind: 'actor',
  path,
  restart: 'permanent',
  significant: false,
});
const tree = (strategy: Strategy): Supervisor => ({
  kind: 'supervisor',
  path: '',
  restart: 'transient',
  significant: false,
  strategy,
  autoShutdown: 'any_significant',
  intensity: { restarts: 2, periodS: 60 },
  children: ['a', 'b', 'c'].map(leaf),
});
const settings = { seed: 1 };
const after = (of: Supervisor, crashes: readonly (readonly [string, number])[]): History =>
  crashes.reduce<History>(
    (history, [path, atMs]) =>
      decide(of, history, { paths: [path], reason: 'crash', atMs }, settings).history,
    NO_HISTORY,
  );

test.each<[Strategy, string[]]>([
  ['one_for_one', ['a', 'b', 'c']],
  ['rest_for_one', ['c']],
  ['one_for_all', []],
])('granted beforehand under %s: those that come back alone, %j', (strategy, granted) => {
  const of = tree(strategy);
  const may = ['a', 'b', 'c'].filter((p) => comesBackAlone(of, NO_HISTORY, p, 0, settings));
  expect(may).toEqual(granted);
});

test('nothing is granted to what would wait, or to a supervisor that would give up', () => {
  const of = tree('one_for_one');
  const once = after(of, [['a', 0]]);
  expect(comesBackAlone(of, once, 'a', 1, settings)).toBe(false);
  expect(comesBackAlone(of, once, 'b', 1, settings)).toBe(true);
  const twice = after(of, [
    ['a', 0],
    ['b', 1],
  ]);
  expect(comesBackAlone(of, twice, 'c', 2, settings)).toBe(false);
});

test('it is granted again when the history has forgotten enough, and not before it says so', () => {
  const of = tree('one_for_one');
  const history = after(of, [['a', 0]]);
  const atMs = forgetsAtMs(of, history, 1, settings)!;
  expect(atMs).toBe(BACKOFF.resetMs + 1);
  expect(comesBackAlone(of, history, 'a', atMs - 1, settings)).toBe(false);
  expect(comesBackAlone(of, history, 'a', atMs, settings)).toBe(true);
  expect(forgetsAtMs(of, NO_HISTORY, 0, settings)).toBeUndefined();
});

test('what is granted stays right as long as nothing happens', () => {
  const crashes = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(40_000)), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(
      fc.constantFrom<Strategy>('one_for_one', 'rest_for_one', 'one_for_all'),
      crashes,
      fc.nat(90_000),
      fc.nat(90_000),
      (strategy, list, firstMs, moreMs) => {
        const of = tree(strategy);
        const sorted = [...list].sort((x, y) => x[1] - y[1]);
        const lastMs = sorted.at(-1)?.[1] ?? 0;
        const history = after(of, sorted);
        for (const path of ['a', 'b', 'c']) {
          const atMs = lastMs + firstMs;
          if (history.gone.includes(path)) continue;
          if (!comesBackAlone(of, history, path, atMs, settings)) continue;
          expect(comesBackAlone(of, history, path, atMs + moreMs, settings)).toBe(true);
        }
      },
    ),
  );
});
