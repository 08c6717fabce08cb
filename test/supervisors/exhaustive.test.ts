import { expect, test } from 'vitest';
import { decide, NO_HISTORY, type Plan } from '#supervisors/decide.ts';
import type { Reason } from '#supervisors/strategy.ts';
import {
  type AutoShutdown,
  type Child,
  type Leaf,
  type Restart,
  type Strategy,
  type Supervisor,
  startOrder,
} from '#supervisors/tree.ts';
import { OtpModel } from './otp-model.ts';

const STRATEGIES: readonly Strategy[] = ['one_for_one', 'one_for_all', 'rest_for_one'];
const RESTARTS: readonly Restart[] = ['permanent', 'transient', 'temporary'];
const AUTO: readonly AutoShutdown[] = ['never', 'any_significant', 'all_significant'];
const REASONS: readonly Reason[] = ['crash', 'normal', 'halt'];

type Bare = { readonly restart: Restart; readonly significant: boolean };
const KINDS: readonly Bare[] = RESTARTS.flatMap((restart) =>
  [false, true].map((significant) => ({ restart, significant })),
);

/** Every list of `size` items. */
const lists = <T>(items: readonly T[], size: number): T[][] =>
  size === 0 ? [[]] : lists(items, size - 1).flatMap((list) => items.map((i) => [...list, i]));

const leaf = (path: string, kind: Bare): Leaf => ({ kind: 'actor', path, ...kind });
const supervisor = (
  path: string,
  strategy: Strategy,
  autoShutdown: AutoShutdown,
  children: readonly Child[],
  given: Partial<Supervisor> = {},
): Supervisor => ({
  kind: 'supervisor',
  path,
  restart: 'transient',
  significant: false,
  strategy,
  autoShutdown,
  intensity: { restarts: 1, periodS: 1 },
  children,
  ...given,
});

/** Every supervisor with so many actors. */
const flat = function* (size: number): Generator<Supervisor> {
  for (const strategy of STRATEGIES) {
    for (const auto of AUTO) {
      for (const kinds of lists(KINDS, size)) {
        yield supervisor(
          '',
          strategy,
          auto,
          kinds.map((kind, k) => leaf('abc'[k]!, kind)),
        );
      }
    }
  }
};

/** Every supervisor with an actor, a group of two, and another actor. */
const nested = function* (): Generator<Supervisor> {
  for (const [outer, inner] of lists(STRATEGIES, 2) as [Strategy, Strategy][]) {
    for (const [outerAuto, innerAuto] of lists(AUTO, 2) as [AutoShutdown, AutoShutdown][]) {
      for (const group of KINDS) {
        for (const [first, second] of lists(KINDS, 2) as [Bare, Bare][]) {
          const below = [leaf('g.a', first), leaf('g.b', second)];
          const given = { ...group, intensity: { restarts: 0, periodS: 1 } };
          const middle = supervisor('g', inner, innerAuto, below, given);
          const x = leaf('x', { restart: 'temporary', significant: true });
          const y = leaf('y', { restart: 'permanent', significant: false });
          yield supervisor('', outer, outerAuto, [x, middle, y]);
        }
      }
    }
  }
};

const subsets = <T>([first, ...rest]: readonly T[]): T[][] =>
  first === undefined ? [[]] : subsets(rest).flatMap((set) => [set, [first, ...set]]);

/** Every exit of actors that run and are siblings. */
const exitsOf = (model: OtpModel): (readonly [readonly string[], Reason])[] => {
  const running = model.running();
  const groups = Map.groupBy(running, (path) => path.slice(0, Math.max(0, path.lastIndexOf('.'))));
  return [...groups.values()]
    .flatMap(subsets)
    .filter((set) => set.length > 0)
    .flatMap((paths) => REASONS.map((reason) => [paths, reason] as const));
};

type Step = readonly [readonly string[], Reason, number];
let compared = 0;

/** Applies the steps to both; what differs is an error that says how to see it again. */
const compare = (tree: Supervisor, steps: readonly Step[]): OtpModel => {
  const model = new OtpModel(tree);
  let history = NO_HISTORY;
  let running = new Set(model.running());
  let plan: Plan | undefined;
  for (const [paths, reason, atMs] of steps) {
    model.exit(paths, reason, atMs);
    plan = decide(tree, history, { paths, reason, atMs }, { seed: 1 });
    history = plan.history;
    for (const path of [...paths, ...plan.stop]) running.delete(path);
    running = new Set([...running, ...plan.start]);
  }
  compared++;
  const order = startOrder(tree).map((l) => l.path);
  const sorted = (list: readonly string[]): string[] => order.filter((p) => list.includes(p));
  const want = {
    running: model.running(),
    stop: sorted(model.stopped).reverse(),
    start: sorted(model.started),
    escalated: model.escalated,
    system: model.system,
  };
  const got = {
    running: sorted([...running]),
    stop: plan!.stop,
    start: plan!.start,
    escalated: plan!.escalated,
    system: plan!.system,
  };
  if (JSON.stringify(got) === JSON.stringify(want)) return model;
  // Once, with everything that is needed to see it again; `expect` for each would take minutes.
  const seen = `${JSON.stringify(steps)} in ${JSON.stringify(tree)}`;
  expect(got, seen).toEqual(want);
  return model;
};

/** One exit, and each exit that can follow it. */
const explore = (trees: Iterable<Supervisor>, depth: number): void => {
  const go = (tree: Supervisor, steps: readonly Step[]): void => {
    const model = steps.length === 0 ? new OtpModel(tree) : compare(tree, steps);
    if (steps.length === depth || model.system !== 'goes on') return;
    for (const [paths, reason] of exitsOf(model)) {
      go(tree, [...steps, [paths, reason, steps.length * 100]]);
    }
  };
  for (const tree of trees) go(tree, []);
};

test('every supervisor of one or two actors, over every three exits, decides as OTP does', () => {
  compared = 0;
  explore(flat(1), 3);
  explore(flat(2), 3);
  expect(compared).toBeGreaterThan(20_000);
}, 120_000);

test('every supervisor of three actors, over every exit, decides as OTP does', () => {
  compared = 0;
  explore(flat(3), 1);
  expect(compared).toBe(3 * 3 * 6 ** 3 * 7 * 3);
}, 120_000);

test('every supervisor above a group, over every exit: shutdowns and crashes climb as in OTP', () => {
  compared = 0;
  explore(nested(), 1);
  expect(compared).toBe(3 ** 2 * 3 ** 2 * 6 * 6 ** 2 * (3 + 3) * 3);
}, 120_000);
