/** Traces through what is more than a tell: deliveries, pools, what is put aside, timers, restarts. */
import { afterEach, expect, test } from 'vitest';
import { poolOf } from '#runtime/pool-spec.ts';
import type { Span } from '#runtime/trace/sightings.ts';
import { until } from '#test/kit/system.ts';
import { puppet, type Step, type Theatre, theatre } from '../semantics/puppets.ts';

let stage: Theatre | undefined;
afterEach(async () => {
  await stage?.end();
  stage = undefined;
});

const RECORDED = { trace: { carried: true, ratio: 1 } } as const;

/** The spans of the trace in which `actor` has taken a step of this kind, once there are `count` of them. */
const traceOf = (actor: string, kind: string, count: number): Promise<readonly Span[]> =>
  until(async () => {
    const all = await stage!.system.inside.spansOf('');
    const trace = all.find((span) => span.actor === actor && span.kind === kind)?.trace;
    const own = all.filter((span) => span.trace === trace);
    return own.length >= count && own;
  }, 40_000);
const of = (spans: readonly Span[], actor: string, kind: string): Span[] =>
  spans.filter((span) => span.actor === actor && span.kind === kind);

const orders: Step = ({ fx, to }) =>
  fx.deliver(to('store'), { kind: 'order', n: 1, key: '' }, 1, { kind: 'done' } as never);

test('a delivery and its confirmation belong to the step that gave it', async () => {
  stage = await theatre(
    [
      puppet('store', {
        on: { order: ({ fx, message }) => fx.confirm(message.delivery as never) },
      }),
      puppet('shop', { sends: ['store'] }),
    ],
    RECORDED,
  );
  stage.run('shop', orders);
  await stage.wait('done');
  const spans = await traceOf('store', 'order', 3);
  const [given] = of(spans, 'shop', 'run');
  expect(of(spans, 'store', 'order')[0]).toMatchObject({
    parent: given!.span,
    from: 'shop',
    cause: 'message',
  });
  expect(of(spans, 'shop', 'done')[0]).toMatchObject({ parent: given!.span, cause: 'answer' });
});

test('a delivery that comes again to the next life still belongs to the step that gave it', async () => {
  stage = await theatre(
    [
      puppet('store', { on: { order: ({ say }) => say('order') } }),
      puppet('shop', { sends: ['store'] }),
    ],
    RECORDED,
  );
  stage.run('shop', orders);
  await stage.wait('order');
  stage.run('shop', ({ say }) => say('later')); // the newest step of the shop is another one
  await stage.wait('later');
  await stage.system.inside.restart('store');
  await stage.wait('order', 2);
  const spans = await traceOf('store', 'order', 3);
  const [given] = of(spans, 'shop', 'run');
  const parents = of(spans, 'store', 'order').map(({ parent }) => parent);
  expect(parents).toEqual([given!.span, given!.span]);
});

test('every member that a pool hands a message to goes on in the trace of the sender', async () => {
  const member = puppet('worker', { on: { note: () => {} } });
  stage = await theatre(
    [poolOf(member, { size: 3, route: 'broadcast' }), puppet('boss', { sends: ['worker'] })],
    RECORDED,
  );
  stage.run('boss', ({ fx, to }) => fx.tell(to('worker'), { kind: 'note', n: 1, key: '' }));
  const spans = await until(async () => {
    const all = await stage!.system.inside.spansOf('');
    const notes = all.filter(({ kind }) => kind === 'note');
    return notes.length === 3 && all;
  }, 40_000);
  const [run] = of(spans, 'boss', 'run');
  const notes = spans.filter(({ kind }) => kind === 'note');
  expect(new Set(notes.map(({ actor }) => actor)).size).toBe(3);
  for (const note of notes) expect(note).toMatchObject({ trace: run!.trace, parent: run!.span });
});

test('what is put aside goes on from the step that has put it aside', async () => {
  const note: Step = ({ fx, message, state, say }) => {
    if (state.open !== true) fx.stash(message);
    else say('note');
  };
  stage = await theatre(
    [puppet('desk', { on: { note } }), puppet('client', { sends: ['desk'] })],
    RECORDED,
  );
  const { run, wait } = stage;
  run('client', ({ fx, to, say }) => {
    fx.tell(to('desk'), { kind: 'note', n: 1, key: '' });
    say('told');
  });
  await until(async () => (await stage!.system.inside.inspect('desk')).stashed === 1, 40_000);
  run('desk', ({ fx, state }) => {
    state.open = true;
    fx.unstash();
  });
  await wait('note');
  const spans = await traceOf('desk', 'note', 3);
  const [first, second] = of(spans, 'desk', 'note');
  expect(first).toMatchObject({ parent: of(spans, 'client', 'run')[0]!.span, from: 'client' });
  expect(second).toMatchObject({ parent: first!.span, from: '', cause: 'own' });
});

test('each turn of a periodic timer begins a trace of its own', async () => {
  stage = await theatre([puppet('clock')], RECORDED);
  stage.run('clock', ({ fx }) => fx.every(1, { kind: 'tick' }, 'tick'));
  await stage.wait('tick', 3);
  const ticks = of(await stage.system.inside.spansOf(''), 'clock', 'tick');
  expect(new Set(ticks.map(({ trace }) => trace)).size).toBe(ticks.length);
  for (const tick of ticks) expect(tick).toMatchObject({ parent: '', cause: 'timer' });
});

test('what a step that throws has said under other traces is taken back with the rest', async () => {
  const falls: Step = ({ fx, to, message }) => {
    if (message.n !== 13) return fx.tell(to('witness'), { kind: 'note', n: 1, key: '' });
    fx.under('', () => fx.tell(to('witness'), { kind: 'note', n: 13, key: '' }));
    throw new Error('told to fall');
  };
  stage = await theatre(
    [
      puppet('witness'),
      puppet('mortal', { sends: ['witness'], on: { note: falls } }),
      puppet('client', { sends: ['mortal'] }),
    ],
    RECORDED,
  );
  stage.run('client', ({ fx, to }) => {
    for (const n of [13, 1]) fx.tell(to('mortal'), { kind: 'note', n, key: '' });
  });
  await stage.wait('note', 1, 'witness');
  expect(stage.heard('note', 'witness').map((one) => (one.data as { n: number }).n)).toEqual([1]);
});
