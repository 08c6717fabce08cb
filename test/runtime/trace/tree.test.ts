import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Span } from '#runtime/trace/sightings.ts';
import { HOPS_SHOWN_MAX, traceTrees, treeText } from '#runtime/trace/tree.ts';

const span = (id: string, parent: string, given: Partial<Span> = {}): Span => ({
  trace: 'a'.repeat(32),
  span: id,
  parent,
  actor: `actor-${id}`,
  from: '',
  kind: 'note',
  cause: 'message',
  startMs: 1000,
  handledMs: 1,
  ...given,
});

test('a trace is a tree of cause and consequence with queue and handling time of each hop', () => {
  const spans = [
    span('2', '1', { startMs: 1005, handledMs: 2, actor: 'echo', kind: 'say' }),
    span('1', '', { handledMs: 3, actor: 'caller', cause: 'timer', kind: 'go' }),
    span('3', '2', {
      startMs: 1008,
      handledMs: 0.5,
      actor: 'caller',
      cause: 'answer',
      kind: 'said',
    }),
  ];
  const [tree] = traceTrees(spans);
  expect(tree).toMatchObject({ spans: 3, actors: 2, elapsedMs: 8.5 });
  expect(treeText(tree!)).toEqual([
    `trace ${'a'.repeat(32)}  1970-01-01T00:00:01.000Z  3 steps of 2 actors in 8.50 ms`,
    'caller  go          +0.000  handled 3.00',
    '└─ echo  say        +5.00  queued 2.00, handled 2.00',
    '   └─ caller  said  +8.00  answered after 1.00, handled 0.500',
  ]);
});

test('several consequences are branches; one whose cause is elsewhere says so', () => {
  const spans = [span('1', ''), span('2', '1'), span('3', '1'), span('4', '3'), span('5', 'gone')];
  const lines = treeText(traceTrees(spans)[0]!).map((line) => line.replace(/ {2,}\+.*/, ''));
  expect(lines.slice(1)).toEqual([
    'actor-1  note',
    '├─ actor-2  note',
    '└─ actor-3  note',
    '   └─ actor-4  note',
    'actor-5  note (its cause is not here)',
  ]);
});

test('every span of any graph of causes is in the tree once, circles aside, and none is lost silently', () => {
  const ids = fc.integer({ min: 0, max: 30 });
  const edges = fc.array(fc.tuple(ids, ids), { maxLength: 60 });
  fc.assert(
    fc.property(edges, (pairs) => {
      // A cause has a smaller number: no circles.
      const spans = pairs.map(([a, b]) =>
        span(`${Math.max(a, b)}`, a === b ? '' : `${Math.min(a, b)}`),
      );
      const [tree] = traceTrees(spans);
      if (tree === undefined) return;
      const known = new Set(spans.map((one) => one.span));
      expect(tree.spans).toBe(known.size);
      expect(treeText(tree).length - 1).toBe(known.size);
    }),
  );
});

test('spans in a circle, which only a forged context makes, do not hang it', () => {
  const [tree] = traceTrees([span('1', '2'), span('2', '1'), span('3', '')]);
  expect(treeText(tree!).at(-1)).toBe('and 2 more steps (-o json has them)');
});

test('a chain of ten thousand steps is cut, with the number of those left out', () => {
  const chain = Array.from({ length: 10_000 }, (_, k) => span(`${k + 1}`, k === 0 ? '' : `${k}`));
  const lines = treeText(traceTrees(chain)[0]!);
  expect(lines.length).toBe(HOPS_SHOWN_MAX + 2);
  expect(lines.at(-1)).toContain('and 8000 more steps');
});
