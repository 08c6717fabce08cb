import { expect, test } from 'vitest';
import { busiestStack } from '#runtime/system/whereabouts.ts';

const node = (id: number, functionName: string, hitCount: number, children: number[] = []) => ({
  id,
  callFrame: {
    functionName,
    url: functionName.startsWith('(') ? '' : 'file:///a.ts',
    lineNumber: id,
    columnNumber: 0,
  },
  hitCount,
  children,
});
const profileOf = (...nodes: readonly object[]): string => JSON.stringify({ nodes });

test('of a profile the busiest function of ours is named, with its callers, innermost first', () => {
  const profile = profileOf(
    node(1, '(root)', 0, [2, 5]),
    node(2, 'run', 1, [3, 4]),
    node(3, '', 40),
    node(4, 'rarely', 3),
    node(5, '(garbage collector)', 90),
  );
  expect(busiestStack(profile)).toEqual([
    '<anonymous> (file:///a.ts:4:1)',
    'run (file:///a.ts:3:1)',
  ]);
});

test('where nothing of ours was seen, nothing is named', () => {
  expect(busiestStack(profileOf(node(1, '(root)', 0, [2]), node(2, '(program)', 100)))).toEqual([]);
});
