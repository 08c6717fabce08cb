import fc from 'fast-check';
import { expect, test } from 'vitest';
import { attempt, BACKOFF, type Backoff, delayMs } from '#supervisors/backoff.ts';
import { decide, type Exit, type History, NO_HISTORY, type Plan } from '#supervisors/decide.ts';
import { comesBack, type Reason } from '#supervisors/strategy.ts';
import {
  type Child,
  type Leaf,
  type Restart,
  type Strategy,
  type Supervisor,
  startOrder,
  stopOrder,
} from '#supervisors/tree.ts';

const leaf = (path: string, restart: Restart = 'permanent', significant = false): Leaf => ({
  kind: 'actor',
  path,
  restart,
  significant,
});
const group = (
  path: string,
  strategy: Strategy,
  children: readonly Child[],
  intensity = { restarts: 3, periodS: 5 },
): Supervisor => ({
  kind: 'supervisor',
  path,
  restart: 'transient',
  significant: false,
  strategy,
  autoShutdown: 'any_significant',
  intensity,
  children,
});
const abc = (strategy: Strategy, restarts: readonly Restart[] = []): Supervisor =>
  group(
    '',
    strategy,
    ['a', 'b', 'c'].map((p, k) => leaf(p, restarts[k])),
  );

const exit = (paths: string | readonly string[], reason: Reason = 'crash', atMs = 0): Exit => ({
  paths: typeof paths === 'string' ? [paths] : paths,
  reason,
  atMs,
});
const settings = { seed: 1 };
const plan = (tree: Supervisor, e: Exit, history: History = NO_HISTORY): Plan =>
  decide(tree, history, e, settings);
const brief = ({ stop, start, gone, system }: Plan) => ({ stop, start, gone, system });

test.each<[Restart, Reason, boolean]>([
  ['permanent', 'crash', true],
  ['permanent', 'normal', true],
  ['permanent', 'halt', false],
  ['transient', 'crash', true],
  ['transient', 'normal', false],
  ['transient', 'halt', false],
  ['temporary', 'crash', false],
  ['temporary', 'normal', false],
  ['temporary', 'halt', false],
  ['permanent', 'no-room', true],
  ['transient', 'no-room', true],
  ['temporary', 'no-room', false],
])('a %s child that ends with %s comes back: %s', (restart, reason, back) => {
  expect(comesBack(restart, reason)).toBe(back);
  const p = plan(abc('one_for_one', ['permanent', restart]), exit('b', reason));
  expect(brief(p)).toEqual({
    stop: [],
    start: back ? ['b'] : [],
    gone: back ? [] : ['b'],
    system: 'goes on',
  });
});

test('one_for_one restarts only the dead', () => {
  expect(brief(plan(abc('one_for_one'), exit('b')))).toEqual({
    stop: [],
    start: ['b'],
    gone: [],
    system: 'goes on',
  });
});

test('one_for_all stops the others in reverse order and starts all in order', () => {
  expect(brief(plan(abc('one_for_all'), exit('b')))).toEqual({
    stop: ['c', 'a'],
    start: ['a', 'b', 'c'],
    gone: [],
    system: 'goes on',
  });
});

test('rest_for_one stops and starts the dead and those after it', () => {
  expect(brief(plan(abc('rest_for_one'), exit('b')))).toEqual({
    stop: ['c'],
    start: ['b', 'c'],
    gone: [],
    system: 'goes on',
  });
});

test.each<[Strategy, string[], string[]]>([
  ['one_for_one', [], ['a', 'b']],
  ['rest_for_one', ['c'], ['a', 'b', 'c']],
  ['one_for_all', ['c'], ['a', 'b', 'c']],
])('actors that died with one thread are one exit: %s', (strategy, stop, start) => {
  const p = plan(abc(strategy), exit(['a', 'b']));
  expect([p.stop, p.start]).toEqual([stop, start]);
  expect(p.history.restarts['']).toEqual([0]);
});

test('of those that died together only those come back whose type says so', () => {
  const p = plan(abc('one_for_one', ['temporary', 'permanent', 'permanent']), exit(['a', 'b']));
  expect(brief(p)).toEqual({ stop: [], start: ['b'], gone: ['a'], system: 'goes on' });
});

test('a temporary child that is stopped with its group does not come back', () => {
  const tree = abc('one_for_all', ['permanent', 'permanent', 'temporary']);
  const p = plan(tree, exit('a'));
  expect(brief(p)).toEqual({ stop: ['c', 'b'], start: ['a', 'b'], gone: ['c'], system: 'goes on' });
  expect(plan(tree, exit('a'), p.history)).toMatchObject({ stop: ['b'], start: ['a', 'b'] });
});

test('a halted child is left out of every later restart; a transient one that ended is not', () => {
  const tree = abc('one_for_all', ['permanent', 'transient', 'permanent']);
  const halted = plan(tree, exit('c', 'halt'));
  expect(brief(halted)).toEqual({ stop: [], start: [], gone: ['c'], system: 'goes on' });
  expect(plan(tree, exit('a'), halted.history).start).toEqual(['a', 'b']);
  const ended = plan(tree, exit('b', 'normal'));
  expect(plan(tree, exit('a'), ended.history).start).toEqual(['a', 'b', 'c']);
});

const nested = (inner: Strategy, outer: Strategy, restarts = 1): Supervisor =>
  group('', outer, [
    leaf('x'),
    group('g', inner, [leaf('g.a'), leaf('g.b')], { restarts, periodS: 5 }),
    leaf('y'),
  ]);

test('a nested supervisor handles its own', () => {
  const p = plan(nested('rest_for_one', 'one_for_all'), exit('g.a'));
  expect([p.stop, p.start]).toEqual([['g.b'], ['g.a', 'g.b']]);
});

test('a group is restarted as a whole when its supervisor restarts it', () => {
  const p = plan(nested('one_for_one', 'rest_for_one'), exit('x'));
  expect(p.stop).toEqual(['y', 'g.b', 'g.a']);
  expect(p.start).toEqual(['x', 'g.a', 'g.b', 'y']);
});

test('above its intensity a supervisor gives up, which is a crash one level higher', () => {
  const tree = nested('one_for_one', 'rest_for_one');
  const first = plan(tree, exit('g.a', 'crash', 0));
  const second = plan(tree, exit('g.a', 'crash', 1000), first.history);
  expect(second.escalated).toEqual(['g']);
  expect(second.stop).toEqual(['y', 'g.b']);
  expect(second.start).toEqual(['g.a', 'g.b', 'y']);
  expect(second.history.restarts['']).toEqual([1000]);
  // The supervisor that was restarted counts anew.
  expect(plan(tree, exit('g.a', 'crash', 1001), second.history).escalated).toEqual([]);
});

test('an end for want of room is not counted: its child comes back, later each time, for as long as it takes', () => {
  const tree = group('', 'one_for_one', [leaf('a')], { restarts: 1, periodS: 100 });
  let history = NO_HISTORY;
  const delays = Array.from({ length: 30 }, (_, k) => {
    const p = plan(tree, exit('a', 'no-room', k * 1000), history);
    history = p.history;
    expect(brief(p)).toEqual({ stop: [], start: ['a'], gone: [], system: 'goes on' });
    return p.delayMs;
  });
  expect(delays[0]).toBe(0);
  expect(delays.at(-1)).toBeGreaterThan(BACKOFF.mostMs / 2);
  // A crash counts as before.
  const crashed = plan(tree, exit('a', 'crash', 30_000), history);
  expect(crashed.system).toBe('goes on');
  expect(plan(tree, exit('a', 'crash', 30_001), crashed.history).system).toBe('failed');
});

test('restarts older than the period do not count', () => {
  const tree = nested('one_for_one', 'rest_for_one');
  const first = plan(tree, exit('g.a', 'crash', 0));
  expect(plan(tree, exit('g.a', 'crash', 4999), first.history).escalated).toEqual(['g']);
  expect(plan(tree, exit('g.a', 'crash', 5000), first.history).escalated).toEqual([]);
});

test('the root giving up is the end of the system: everything stops, nothing starts', () => {
  const tree = group('', 'one_for_one', [leaf('a'), leaf('b')], { restarts: 0, periodS: 1 });
  expect(brief(plan(tree, exit('a')))).toEqual({
    stop: ['b'],
    start: [],
    gone: ['a', 'b'],
    system: 'failed',
  });
});

test('a significant child that ends shuts its supervisor down, that of the root the system', () => {
  const inner = group('g', 'one_for_one', [leaf('g.a', 'transient', true), leaf('g.b')]);
  const tree = group('', 'one_for_one', [inner, leaf('z', 'transient', true)]);
  const p = plan(tree, exit('g.a', 'normal'));
  expect(brief(p)).toEqual({ stop: ['g.b'], start: [], gone: ['g.a', 'g.b'], system: 'goes on' });
  expect(plan(tree, exit('g.a', 'crash')).start).toEqual(['g.a']);
  expect(plan(tree, exit('z', 'normal')).system).toBe('shutdown');
});

test('all_significant: the supervisor goes on until the last of its significant children has ended', () => {
  const children = [leaf('a', 'transient', true), leaf('b', 'temporary', true), leaf('c')];
  const tree: Supervisor = {
    ...group('', 'one_for_one', children),
    autoShutdown: 'all_significant',
  };
  const first = plan(tree, exit('a', 'normal'));
  expect(first.system).toBe('goes on');
  // A temporary child never comes back, so its crash is an end, too.
  const second = plan(tree, exit('b', 'crash'), first.history);
  expect(brief(second)).toEqual({ stop: ['c'], start: [], gone: ['b', 'c'], system: 'shutdown' });
});

test('never: whatever ends, the supervisor goes on', () => {
  const tree: Supervisor = {
    ...group('', 'one_for_one', [leaf('a', 'transient', true), leaf('b')]),
    autoShutdown: 'never',
  };
  expect(brief(plan(tree, exit('a', 'normal')))).toMatchObject({ gone: ['a'], system: 'goes on' });
});

test.each<[Restart, string[]]>([
  ['permanent', ['g.a', 'g.b']],
  ['transient', []],
  ['temporary', []],
])('a %s group that shut itself down is started again: %j', (restart, start) => {
  const below = [leaf('g.a', 'transient', true), leaf('g.b')];
  const tree = group('', 'one_for_one', [{ ...group('g', 'one_for_one', below), restart }]);
  const p = plan(tree, exit('g.a', 'normal'));
  expect([p.stop, p.start]).toEqual([['g.b'], start]);
});

test('a significant group that shut down takes its own supervisor along', () => {
  const inner = group('g', 'one_for_one', [leaf('g.a', 'transient', true)]);
  const tree = group('', 'one_for_one', [{ ...inner, significant: true }, leaf('z')]);
  expect(brief(plan(tree, exit('g.a', 'normal')))).toMatchObject({
    stop: ['z'],
    system: 'shutdown',
  });
});

test('the first restart is immediate, then they wait longer and longer, with jitter from the seed', () => {
  const plain: Backoff = { ...BACKOFF, jitter: 0 };
  const delays = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => delayMs(n, 1, plain));
  expect(delays).toEqual([0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 2, max: 200 }), (seed, n) => {
      const plainMs = delayMs(n, seed, plain);
      const ms = delayMs(n, seed);
      expect(ms).toBe(delayMs(n, seed));
      expect(Math.abs(ms - plainMs)).toBeLessThanOrEqual(plainMs * BACKOFF.jitter + 1);
    }),
  );
  expect(new Set([1, 2, 3, 4].map((seed) => delayMs(6, seed))).size).toBeGreaterThan(1);
});

test('those that fell together do not come back together: each path has jitter of its own', () => {
  const tree = group('', 'one_for_one', [leaf('a'), leaf('b')], { restarts: 100, periodS: 1 });
  const delayOf = (path: string): number => {
    const first = plan(tree, exit(path));
    const second = plan(tree, exit(path, 'crash', 1), first.history);
    return plan(tree, exit(path, 'crash', 2), second.history).delayMs;
  };
  expect(delayOf('a')).not.toBe(delayOf('b'));
});

test('a supervisor may have a back-off of its own', () => {
  const backoff = { firstMs: 7, mostMs: 7, jitter: 0, resetMs: 10 };
  const tree: Supervisor = { ...group('', 'one_for_one', [leaf('a')]), backoff };
  const first = plan(tree, exit('a'));
  expect(plan(tree, exit('a', 'crash', 5), first.history).delayMs).toBe(7);
  expect(plan(tree, exit('a', 'crash', 11), first.history).delayMs).toBe(0);
});

test('the back-off grows with each restart in a row and starts anew after a quiet time', () => {
  const tree = group('', 'one_for_one', [leaf('a')], { restarts: 100, periodS: 1 });
  let history = NO_HISTORY;
  const delays = [0, 100, 300, 40_000].map((atMs) => {
    const p = decide(tree, history, exit('a', 'crash', atMs), {
      seed: 1,
      backoff: { ...BACKOFF, jitter: 0 },
    });
    history = p.history;
    return p.delayMs;
  });
  expect(delays).toEqual([0, 100, 200, 0]);
  expect(attempt({ count: 7, lastMs: 0 }, BACKOFF.resetMs)).toEqual({
    count: 8,
    lastMs: BACKOFF.resetMs,
  });
});

test('an exit of actors that are no siblings is a bug of the caller', () => {
  expect(() => plan(nested('one_for_one', 'one_for_one'), exit(['x', 'g.a']))).toThrow(
    'not siblings',
  );
  expect(() => plan(abc('one_for_one'), exit('nobody'))).toThrow('not siblings');
});

const strategies: readonly Strategy[] = ['one_for_one', 'one_for_all', 'rest_for_one'];
const types: readonly Restart[] = ['permanent', 'transient', 'temporary'];
const treeOf = fc
  .tuple(
    fc.constantFrom(...strategies),
    fc.array(
      fc.record({
        strategy: fc.constantFrom(...strategies),
        intensity: fc.record({ restarts: fc.nat(2), periodS: fc.integer({ min: 1, max: 3 }) }),
        leaves: fc.array(fc.constantFrom(...types), { minLength: 1, maxLength: 4 }),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  )
  .map(([strategy, groups]) =>
    group(
      '',
      strategy,
      groups.map((g, i) =>
        group(
          `g${i}`,
          g.strategy,
          g.leaves.map((r, k) => leaf(`g${i}.${k}`, r)),
          g.intensity,
        ),
      ),
      { restarts: 2, periodS: 3 },
    ),
  );

test('over any history: orders are those of the tree, nothing gone starts, everything is accounted for', () => {
  const reasons: readonly Reason[] = ['crash', 'no-room', 'normal', 'halt'];
  fc.assert(
    fc.property(
      treeOf,
      fc.array(fc.tuple(fc.nat(), fc.constantFrom(...reasons), fc.nat(2000)), {
        size: 'max',
        maxLength: 40,
      }),
      (tree, exits) => {
        const order = startOrder(tree).map((l) => l.path);
        expect(stopOrder(tree).map((l) => l.path)).toEqual([...order].reverse());
        const sorted = (paths: readonly string[]) =>
          [...paths].sort((x, y) => order.indexOf(x) - order.indexOf(y));
        let running = new Set(order);
        let history = NO_HISTORY;
        let atMs = 0;
        for (const [pick, reason, gapMs] of exits) {
          if (running.size === 0) return;
          const path = [...running][pick % running.size]!;
          atMs += gapMs;
          const p = decide(tree, history, exit(path, reason, atMs), settings);
          history = p.history;
          running.delete(path);
          expect(p.start).toEqual(sorted(p.start));
          expect(p.stop).toEqual(sorted(p.stop).reverse());
          expect(p.stop).not.toContain(path);
          for (const s of p.stop) running.delete(s);
          for (const s of p.start) {
            expect(running.has(s)).toBe(false);
            expect(history.gone).not.toContain(s);
            running.add(s);
          }
          for (const s of p.gone) expect(running.has(s)).toBe(false);
          const ended = [path, ...p.stop];
          for (const s of ended) expect(p.start.includes(s) || p.gone.includes(s)).toBe(true);
          if (p.system !== 'goes on') return;
          running = new Set(sorted([...running]));
        }
      },
    ),
    { numRuns: 500 },
  );
});
