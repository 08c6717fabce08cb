import { expect, test } from 'vitest';
import { run } from '#test/kit/simulator/simulator.ts';
import { drawScenario, twinsRun } from '#test/kit/simulator/twins.ts';

const FIRST = Number(process.env.SIMULATION_SEED ?? 1);
const SCENARIOS = Number(process.env.SIMULATION_TWINS ?? 200);

test(`${SCENARIOS} scenarios of one twin among four, two partitions, four views: no fork, no deadlock`, {
  timeout: 120_000,
}, () => {
  for (let seed = FIRST; seed < FIRST + SCENARIOS; seed += 1) {
    const scenario = drawScenario(seed, 4, 1);
    const { violation } = run(twinsRun(scenario, 4, [0], seed));
    expect(violation, `seed ${seed}: ${JSON.stringify(scenario)}`).toBeUndefined();
  }
});

test('more twins than f fork the chain: the invariant can fail', () => {
  const { violation } = run({
    seed: 1,
    n: 4,
    twins: [0, 1],
    partitions: [
      [0, 1, 2],
      [4, 5, 3],
    ],
    only: 'agreement',
  });
  expect(violation?.invariant).toBe('agreement');
});
