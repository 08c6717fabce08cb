import { expect, test } from 'vitest';
import { type Named, openTaps, spansOf, tracesOf } from '#runtime/cli/several-nodes.ts';
import type { Shown, Span, TraceSummary } from '#runtime/trace/sightings.ts';
import { traceTrees } from '#runtime/trace/tree.ts';

const ID = 'a'.repeat(32);

const span = (id: string, parent: string, actor: string, startMs: number): Span => ({
  trace: ID,
  span: id,
  parent,
  actor,
  from: '',
  kind: 'k',
  cause: 'io',
  startMs,
  handledMs: 1,
});

const summary = (trace: string, startMs: number, elapsedMs: number): TraceSummary => ({
  trace,
  startMs,
  elapsedMs,
  spans: 3,
  actors: 2,
  actor: 'replica',
  kind: 'k',
});

const line = (atMs: number): Shown => ({
  atMs,
  from: '',
  to: 'replica',
  kind: 'k',
  cause: 'timer',
  trace: ID,
  span: '0'.repeat(16),
  handledMs: 0,
  text: '{}',
});

type Given = {
  readonly spans?: readonly Span[];
  readonly traces?: readonly TraceSummary[];
  readonly lines?: readonly Shown[];
  readonly knows?: boolean;
};

/** A node that answers what it is given, and notes which of its live traces were closed. */
const named = (label: string, { spans = [], traces = [], lines = [], knows = true }: Given) => {
  const closed: number[] = [];
  const node: Named['node'] = {
    spansOf: async () => spans,
    traces: async () => traces,
    openTap: async () => {
      if (!knows) throw new RangeError(`no actor on ${label}`);
      return 7;
    },
    readTap: async () => ({ lines, leftOut: 2 }),
    closeTap: async (id) => void closed.push(id),
  };
  return { node, label, closed };
};

test('spans of two nodes are one tree, their paths told apart; of one node they stay as they are', async () => {
  const one = named('n1:', { spans: [span('1', '', 'replica', 10)] });
  const two = named('n2:', { spans: [span('2', '1', 'replica', 20)] });
  const [tree] = traceTrees(await spansOf([one, two], 'aaaa'));
  expect(tree).toMatchObject({ spans: 2, actors: 2 });
  expect(tree!.roots).toHaveLength(1);
  expect(tree!.roots[0]).toMatchObject({
    span: { actor: 'n1:replica' },
    next: [{ span: { actor: 'n2:replica' }, waitedMs: 9 }],
  });
  const alone = await spansOf([{ ...one, label: '' }], 'aaaa');
  expect(alone[0]).toMatchObject({ actor: 'replica', from: '' });
});

test('a trace that two nodes saw is listed once, from its first step to its last', async () => {
  const one = named('n1:', { traces: [summary('b', 100, 50), summary('c', 300, 1)] });
  const two = named('n2:', { traces: [summary('b', 90, 20)] });
  expect(await tracesOf([one, two], 10)).toEqual([
    { ...summary('b', 90, 60), actor: 'n2:replica', spans: 6, actors: 4 },
    { ...summary('c', 300, 1), actor: 'n1:replica' },
  ]);
  expect(await tracesOf([one, two], 1)).toHaveLength(1);
});

test('a live trace of two nodes is one stream in the order of the steps', async () => {
  const one = named('n1:', { lines: [line(5), line(9)] });
  const two = named('n2:', { lines: [line(7)] });
  const taps = await openTaps([one, two], { perSecondMax: 10 });
  const { lines, leftOut } = await taps.read();
  expect(lines.map(({ atMs, from, to }) => [atMs, from, to])).toEqual([
    [5, '', 'n1:replica'],
    [7, '', 'n2:replica'],
    [9, '', 'n1:replica'],
  ]);
  expect(leftOut).toBe(4);
  await taps.close();
  expect([one.closed, two.closed]).toEqual([[7], [7]]);
});

test('an actor that only one of the nodes has is followed there; one that none has is refused', async () => {
  const one = named('n1:', { knows: false });
  const two = named('n2:', { lines: [line(1)] });
  const taps = await openTaps([one, two], { actor: 'replica', perSecondMax: 10 });
  expect((await taps.read()).lines).toHaveLength(1);
  await expect(openTaps([one], { actor: 'replica', perSecondMax: 10 })).rejects.toThrow(
    'no actor on n1:',
  );
});
