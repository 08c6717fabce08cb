/**
 * Claim: rows a second through the deployed model on one thread, in batches of 1,000 as they
 * travel. Run: `node bench/ml.ts [-o json]`.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { OWN_MODELS, openModel } from '#actors/ml/session.ts';
import { BATCH_MAX, FEATURE_COUNT } from '#proto/flow-batch.ts';

const WARM_UP_RUNS = 20;
const RUNS = 300;

const { vectors } = JSON.parse(readFileSync(path.join(OWN_MODELS, 'parity.json'), 'utf8')) as {
  vectors: number[][];
};
const batch = new Float32Array(BATCH_MAX * FEATURE_COUNT);
for (let row = 0; row < BATCH_MAX; row += 1) {
  batch.set(vectors[row % vectors.length]!, row * FEATURE_COUNT);
}

const { run, model, close } = await openModel(OWN_MODELS, 'ddos');
for (let k = 0; k < WARM_UP_RUNS; k += 1) await run(batch);
const tookMs: number[] = [];
for (let k = 0; k < RUNS; k += 1) {
  const fromMs = performance.now();
  await run(batch);
  tookMs.push(performance.now() - fromMs);
}
await close();

tookMs.sort((a, b) => a - b);
const at = (q: number): number => Number(tookMs[Math.floor(q * (RUNS - 1))]!.toFixed(3));
const totalMs = tookMs.reduce((sum, one) => sum + one, 0);
const result = {
  model: model.version,
  rowsPerSecond: Math.round((RUNS * BATCH_MAX * 1000) / totalMs),
  batchMs: { p50: at(0.5), p99: at(0.99) },
};
if (process.argv.includes('json')) console.log(JSON.stringify(result));
else console.log(result);
