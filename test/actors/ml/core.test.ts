import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { config as featuresConfig } from '#actors/features/config.ts';
import { config } from '#actors/ml/config.ts';
import { type Commands, core, type Self } from '#actors/ml/core.ts';
import { parseManifest } from '#actors/ml/manifest.ts';
import { OWN_MODELS } from '#actors/ml/session.ts';
import {
  BATCH_MAX,
  bytesOf,
  F,
  FEATURE_COUNT,
  FLOW,
  floatsOf,
  recordsOf,
} from '#proto/flow-batch.ts';
import { scoreAt, THREAT_COUNT, THREATS } from '#proto/threats.ts';
import { type Recorded, recorder } from '#runtime/recorder.ts';

const manifest = parseManifest(readFileSync(path.join(OWN_MODELS, 'manifest.json'), 'utf8'));
if (!manifest.ok) throw new Error(manifest.error);
const model = manifest.value.models[0]!;

type Flow = { protocol?: number; packets?: number; payload?: number; broken?: boolean };
const batch = (seq: number, flows: readonly Flow[], windows = 0, epoch = 1): Self => {
  const vectors = new Float32Array(flows.length * FEATURE_COUNT);
  const columns = new Uint8Array(flows.length * FLOW.size);
  const view = recordsOf(columns);
  flows.forEach(({ protocol = 6, packets = 8, payload = 300, broken = false }, row) => {
    FLOW.set.protocol(view, row, protocol);
    FLOW.set.packets(view, row, packets);
    vectors[row * FEATURE_COUNT + F.totlen_fwd_pkts] = payload;
    if (broken) vectors[row * FEATURE_COUNT + F.flow_byts_s] = Number.POSITIVE_INFINITY;
  });
  const aggregates = new Uint8Array(0);
  const count = flows.length;
  const slabs = { vectors: bytesOf(vectors), columns, aggregates };
  return { kind: 'batch', epoch, seq, flows: count, windows, ...slabs, end: false };
};

const opened = (settings: object = {}) => {
  const state = core.init(config.parse(settings));
  const fx = recorder<Self, Commands>();
  core.start!(state, fx, 0);
  core.step(state, { kind: 'opened', manifest: manifest.value, model }, fx, 0);
  fx.take();
  return { state, fx, step: (message: Self) => core.step(state, message, fx, 0) };
};

const scored = (ticket: number, scores: readonly number[]): Self => {
  const high = scores.filter((score) => score >= 0.5).length;
  const vectors = new Float32Array(high * FEATURE_COUNT);
  return { kind: 'scored', ticket, scores: Float32Array.from(scores), vectors, tookMs: 1 };
};

type Verdict = {
  readonly seq: number;
  readonly epoch: number;
  readonly abstained: boolean;
  readonly scores: Uint8Array;
  readonly reasons: Uint8Array;
};
const verdicts = (log: readonly Recorded[]): Verdict[] =>
  log.filter(({ effect }) => effect === 'tell').map(({ message }) => message as Verdict);
const runs = (log: readonly Recorded[]) =>
  log.filter(({ effect }) => effect === 'io').map(({ argument }) => argument as Commands['score']);
const matrixOf = (verdict: Verdict): Float32Array => floatsOf(verdict.scores);

test('a scored flow gets the score in the column of ddos and abstains on every other threat', () => {
  const one = opened();
  one.step(batch(1, [{}, {}], 1));
  one.step(scored(1, [0.25, 0.75]));
  const [verdict] = verdicts(one.fx.take());
  const matrix = matrixOf(verdict!);
  expect(matrix.length).toBe(3 * THREAT_COUNT);
  expect([scoreAt(matrix, 0, 'ddos'), scoreAt(matrix, 1, 'ddos')]).toEqual([0.25, 0.75]);
  for (const threat of THREATS.filter((name) => name !== 'ddos')) {
    expect(scoreAt(matrix, 1, threat)).toBeNaN();
  }
  expect(scoreAt(matrix, 2, 'ddos')).toBeNaN();
});

test('only flows of a kind that it learned about reach the model', () => {
  const one = opened();
  const flows = [{ protocol: 17 }, {}, { packets: 1 }, { payload: 0 }, { broken: true }, {}];
  one.step(batch(1, flows));
  const [run] = runs(one.fx.take());
  expect([...run!.rows]).toEqual([1, 5]);
  one.step(scored(1, [0.1, 0.9]));
  const matrix = matrixOf(verdicts(one.fx.take())[0]!);
  expect([0, 2, 3, 4].every((row) => Number.isNaN(scoreAt(matrix, row, 'ddos')))).toBe(true);
  expect(scoreAt(matrix, 5, 'ddos')).toBeCloseTo(0.9);
});

test('a batch without a flow that it knows is answered at once, abstaining', () => {
  const one = opened();
  one.step(batch(4, [{ protocol: 17 }], 2));
  expect(verdicts(one.fx.take())).toMatchObject([{ seq: 4, abstained: true }]);
});

test('reasons name the model, its cut and the three features furthest from benign flows', () => {
  const one = opened();
  one.step(batch(1, [{}, {}]));
  one.step(scored(1, [0.1, 0.95]));
  const [verdict] = verdicts(one.fx.take());
  const [reason, ...others] = JSON.parse(new TextDecoder().decode(verdict!.reasons));
  expect(others).toEqual([]);
  expect(reason).toMatchObject({ subject: 1, threat: 'ddos' });
  expect(reason.reasons).toHaveLength(4);
  expect(reason.reasons[0]).toEqual({
    feature: `ml.${model.version}`,
    value: 0.95,
    limit: 0.7,
    technique: 'T1499',
  });
});

test('verdicts go out in the order of the batches, however the runs end', () => {
  const one = opened();
  for (const seq of [1, 2, 3]) one.step(batch(seq, [{}]));
  one.step(scored(3, [0.1]));
  one.step(scored(2, [0.1]));
  expect(verdicts(one.fx.take())).toEqual([]);
  one.step(scored(1, [0.1]));
  expect(verdicts(one.fx.take()).map(({ seq }) => seq)).toEqual([1, 2, 3]);
});

test('a late run and a failed run are abstentions, and the answer that comes later is nothing', () => {
  const one = opened();
  one.step(batch(1, [{}]));
  one.step({ kind: 'late', ticket: 1 });
  one.step(batch(2, [{}]));
  one.step({ kind: 'failed', ticket: 2, reason: 'out of memory' });
  one.step(scored(1, [0.9]));
  expect(verdicts(one.fx.take())).toMatchObject([
    { seq: 1, abstained: true },
    { seq: 2, abstained: true },
  ]);
});

test('an answer that is no probability is an abstention', () => {
  const one = opened();
  one.step(batch(1, [{}]));
  one.step(scored(1, [Number.NaN]));
  expect(verdicts(one.fx.take())).toMatchObject([{ abstained: true }]);
});

test('more batches than may wait are answered with abstentions, the model is not asked', () => {
  const one = opened({ inFlightMax: 2 });
  for (const seq of [1, 2, 3]) one.step(batch(seq, [{}]));
  const log = one.fx.take();
  expect(runs(log)).toHaveLength(2);
  one.step(scored(1, [0.1]));
  one.step(scored(2, [0.1]));
  expect(verdicts(one.fx.take())).toMatchObject([
    { seq: 1, abstained: false },
    { seq: 2, abstained: false },
    { seq: 3, abstained: true },
  ]);
});

test('a whole flow table at once, as at the end of a capture, is scored to the last batch', () => {
  const { flowsMax } = featuresConfig.parse({});
  const batches = Math.ceil(flowsMax / BATCH_MAX);
  const one = opened();
  for (let seq = 1; seq <= batches; seq += 1) one.step(batch(seq, [{}]));
  expect(runs(one.fx.take())).toHaveLength(batches);
});

test('a new epoch forgets what waits, and batches of an older one are not looked at', () => {
  const one = opened();
  one.step(batch(5, [{}], 0, 1));
  one.step(batch(1, [{}], 0, 2));
  one.step(batch(6, [{}], 0, 1));
  expect(runs(one.fx.take())).toHaveLength(2);
  one.step(scored(1, [0.9]));
  one.step(scored(2, [0.1]));
  expect(verdicts(one.fx.take())).toMatchObject([{ epoch: 2, seq: 1 }]);
});
