import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { parseManifest } from '#actors/ml/manifest.ts';
import { OWN_MODELS, openModel } from '#actors/ml/session.ts';
import { FEATURE_COUNT } from '#proto/features.ts';

type Parity = {
  readonly model: string;
  readonly vectors: readonly (readonly number[])[];
  readonly scores: readonly number[];
};
type Changeable = { models: { [field: string]: unknown }[]; features: string[] };

const parity: Parity = JSON.parse(readFileSync(path.join(OWN_MODELS, 'parity.json'), 'utf8'));
const manifest = parseManifest(readFileSync(path.join(OWN_MODELS, 'manifest.json'), 'utf8'));
if (!manifest.ok) throw new Error(manifest.error);

/** A copy of the committed models with something wrong about it. */
const spoiled = (change: (manifest: Changeable, folder: string) => void): string => {
  const folder = mkdtempSync(path.join(tmpdir(), 'models-'));
  cpSync(OWN_MODELS, folder, { recursive: true });
  const file = path.join(folder, 'manifest.json');
  const data: Changeable = JSON.parse(readFileSync(file, 'utf8'));
  change(data, folder);
  writeFileSync(file, JSON.stringify(data));
  return folder;
};

test('onnxruntime scores vectors on the edges of the cuts as LightGBM does, within 1e-5', async () => {
  const { run, model, close } = await openModel(OWN_MODELS, 'ddos');
  expect(parity.model).toBe(model.sha256);
  const scores = await run(Float32Array.from(parity.vectors.flat()));
  parity.scores.forEach((expected, row) => {
    expect(Math.abs(scores[row]! - expected)).toBeLessThan(1e-5);
  });
  expect(new Set(scores).size).toBeGreaterThan(32);
  await close();
});

test('features that the mask leaves out do not change a score', async () => {
  const { run, model, close } = await openModel(OWN_MODELS, 'ddos');
  const plain = Float32Array.from(parity.vectors.flat());
  const changed = plain.slice();
  for (const name of model.masked) {
    const column = manifest.value.features.indexOf(name);
    for (let row = 0; row < parity.vectors.length; row += 1) {
      changed[row * FEATURE_COUNT + column] = 50_000;
    }
  }
  expect([...(await run(changed))]).toEqual([...(await run(plain))]);
  expect(model.masked).toEqual(
    expect.arrayContaining(['src_port', 'dst_port', 'subflow_fwd_pkts', 'subflow_bwd_byts']),
  );
  await close();
});

test('every model that the manifest names opens and answers', async () => {
  for (const { name, evaluationOnly } of manifest.value.models) {
    const { run, close } = await openModel(OWN_MODELS, name, evaluationOnly);
    expect((await run(new Float32Array(3 * FEATURE_COUNT))).length).toBe(3);
    await close();
  }
});

test('a model whose bytes are not those of the manifest is refused, by name and hash', async () => {
  const folder = spoiled((_, at) => {
    const file = path.join(at, 'ddos.onnx');
    const bytes = readFileSync(file);
    bytes[bytes.length - 9]! ^= 1;
    writeFileSync(file, bytes);
  });
  await expect(openModel(folder, 'ddos')).rejects.toThrow(/ddos\.onnx has SHA-256 .*manifest says/);
});

test('a model that takes other inputs than the manifest says is refused', async () => {
  const folder = spoiled((data) => {
    data.models[0]!.input = { name: 'vectors', columns: FEATURE_COUNT, type: 'float32' };
  });
  await expect(openModel(folder, 'ddos')).rejects.toThrow(/not what the manifest says/);
});

test('a manifest for other features than ours is refused', async () => {
  const folder = spoiled((data) => data.features.reverse());
  await expect(openModel(folder, 'ddos')).rejects.toThrow(/other features than ours/);
});

test('a model trained without a class scores nothing outside an evaluation', async () => {
  await expect(openModel(OWN_MODELS, 'ddos-without-hulk')).rejects.toThrow(/for evaluation only/);
});

test('a missing manifest and an unknown model are said in words', async () => {
  await expect(openModel('/nonexistent', 'ddos')).rejects.toThrow(/cannot read manifest\.json/);
  await expect(openModel(OWN_MODELS, 'mirai')).rejects.toThrow(/no model "mirai"; .* ddos/);
});
