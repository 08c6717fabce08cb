/**
 * Every strategy with every restart type, and every way to die, on real threads: what is restarted is what the decision says.
 * One system for each way to die; in it one group for each strategy and type, of three actors: the second is told to
 * die, the third shares the thread of the first.
 */
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { RestartType, Strategy } from '#runtime/spec.ts';
import { supervisorOf } from '#runtime/system/supervision.ts';
import { decide, NO_HISTORY } from '#supervisors/decide.ts';
import { actor, supervisor, type TestSystem, testSystem } from '#test/kit/system.ts';
import { type Driver, fixture, openDriver } from './driver.ts';

const STRATEGIES: readonly Strategy[] = ['one_for_one', 'one_for_all', 'rest_for_one'];
const TYPES: readonly RestartType[] = ['permanent', 'transient', 'temporary'];
const LONG_MS = 60_000;

let system: TestSystem | undefined;
let driver: Driver | undefined;
afterEach(async () => {
  driver?.close();
  await system?.end();
  system = undefined;
});

const groupOf = (strategy: Strategy, restart: RestartType) => {
  const name = `${strategy.replaceAll('_', '-')}-${restart}`;
  const member = (given: Parameters<typeof actor>[2] & { name: string }) =>
    actor(given.name, fixture('mortal'), { actor: 'mortal', ...given });
  return supervisor(
    name,
    [
      member({ name: 'first' }),
      member({ name: `${name}-victim`, restart }),
      member({ name: 'third', thread: 'first' }),
    ],
    strategy,
  );
};
const groups = STRATEGIES.flatMap((s) => TYPES.map((t) => groupOf(s, t)));
const victimOf = (name: string): string => `${name}-victim`;

const ways = ['throw', 'reject', 'exit', 'exhaust', 'loop', 'grow', 'kill', 'end'] as const;

test.each(ways)(
  '%s: what restarts under each strategy and type is what was decided',
  async (how) => {
    driver = openDriver(
      'driver',
      groups.map(({ name }) => `mortal:${victimOf(name)}`),
    );
    const s = await testSystem([...groups, driver.spec], {
      memoryMb: 40,
      offHeapMb: 64,
      silentMs: 2500,
    });
    system = s;
    const restarts = (): Record<string, number> =>
      Object.fromEntries(s.metrics().actors.map((a) => [a.path, a.restarts]));
    const tree = supervisorOf(supervisor('root', [...groups, driver.spec]));
    const expected: Record<string, number> = Object.fromEntries(
      Object.keys(restarts()).map((path) => [path, 0]),
    );
    const ended = new Set<string>();
    for (const { name } of groups) {
      const path = `${name}.${victimOf(name)}`;
      const reason = how === 'end' ? 'normal' : 'crash';
      const exit = { paths: [path], reason, atMs: 0 } as const;
      const plan = decide(tree, NO_HISTORY, exit, { seed: 1 });
      for (const started of plan.start) expected[started] = 1;
      for (const gone of plan.gone) ended.add(gone);
      const to = `mortal:${victimOf(name)}`;
      const file = join(s.dataDir, `deaths-${name}`);
      const death = { kind: 'die', how, times: 1, file, tells: false };
      if (how === 'kill') await s.kill(path);
      else driver.run({ do: 'tell', to, message: how === 'end' ? { kind: 'end' } : death });
    }
    const seenEnded = (): Set<string> =>
      new Set(s.seen.flatMap((e) => (e.kind === 'ended' ? [e.path] : [])));
    await s
      .until(
        () =>
          JSON.stringify(restarts()) === JSON.stringify(expected) &&
          seenEnded().size === ended.size,
        LONG_MS,
      )
      .catch(() => {}); // what is missing is shown by the comparison
    expect(restarts()).toEqual(expected);
    expect(seenEnded()).toEqual(ended);
    expect(s.seen.filter((e) => e.kind === 'escalated')).toEqual([]);
  },
  120_000,
);
