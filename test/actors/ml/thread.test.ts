import { expect, test } from 'vitest';
import { config } from '#actors/ml/config.ts';
import { actor, supervisor, testSystem } from '#test/kit/system.ts';

const ML = new URL('../../../actors/ml/actor.ts', import.meta.url);
const ENSEMBLE = new URL('./fixtures/asking-ensemble.ts', import.meta.url);
const BATCHES = 150;

const started = (settings: object = {}) =>
  testSystem([
    supervisor('engines', [actor('ml', ML, { config: config.parse(settings) })]),
    actor('ensemble', ENSEMBLE, { config: { batches: BATCHES } }),
  ]);

test('on a thread of its own the engine scores shared slabs as LightGBM does', async () => {
  const system = await started();
  const worst = await system.until(() => system.fact('ensemble', 'worst'), 20_000);
  expect(Number(worst)).toBeLessThan(1e-5);
  expect(system.fact('ensemble', 'abstained')).toBe('0');
  const { late } = await system.end();
  expect(late).toEqual([]);
}, 30_000);

test('killed again and again in the middle of its work it comes back, and the process lives', async () => {
  const system = await started();
  for (const at of [10, 40, 80, 120]) {
    await system.until(() => Number(system.fact('ensemble', 'verdicts') ?? 0) >= at, 20_000);
    await system.kill('engines.ml');
  }
  const worst = await system.until(() => system.fact('ensemble', 'worst'), 20_000);
  expect(Number(worst)).toBeLessThan(1e-5);
  await system.end();
}, 60_000);

test('a folder without models is a start that fails, with the reason', async () => {
  await expect(started({ models: '/nonexistent' })).rejects.toThrow(/cannot read manifest\.json/);
}, 30_000);
