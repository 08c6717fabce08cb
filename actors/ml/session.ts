/** A model on disk, checked against its manifest before it may score anything. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { FEATURE_COUNT } from '#proto/features.ts';
import { findModel, type Manifest, type ModelEntry, parseManifest } from './manifest.ts';

/** The models that come with the repository. */
export const OWN_MODELS = fileURLToPath(new URL('./models', import.meta.url));

const PROBE_ROWS = 2;

export type OpenModel = {
  readonly manifest: Manifest;
  readonly model: ModelEntry;
  /**
   * Scores of row-major Float32 rows x 79, 0..1. One run at a time; rejects when the runtime fails.
   */
  readonly run: (vectors: Float32Array) => Promise<Float32Array>;
  readonly close: () => Promise<void>;
};

/** A model that was refused: the message says which and why, for whoever starts the system. */
export class ModelRefused extends Error {
  override readonly name = 'ModelRefused';
}

const refuse = (folder: string, why: string): never => {
  throw new ModelRefused(`models in ${folder}: ${why}`);
};

const read = (folder: string, file: string): Buffer => {
  try {
    return readFileSync(join(folder, file));
  } catch (cause) {
    return refuse(folder, `cannot read ${file}: ${cause instanceof Error ? cause.message : cause}`);
  }
};

const sessionOf = async (folder: string, bytes: Buffer, model: ModelEntry) => {
  try {
    return await InferenceSession.create(bytes, {
      executionProviders: ['cpu'],
      executionMode: 'sequential',
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      // Severity 3 = errors: warnings of the runtime are no news for a user.
      logSeverityLevel: 3,
    });
  } catch (cause) {
    return refuse(folder, `${model.file} is no model: ${cause}`);
  }
};

/**
 * Reads `<folder>/manifest.json`, opens the named model and lets it answer a probe. Throws
 * ModelRefused when hash, inputs, outputs or the shape of the answer are not those of the manifest.
 */
export const openModel = async (
  folder: string,
  name: string,
  evaluation = false,
): Promise<OpenModel> => {
  const parsed = parseManifest(read(folder, 'manifest.json').toString('utf8'));
  if (!parsed.ok) return refuse(folder, parsed.error);
  const found = findModel(parsed.value, name, evaluation);
  if (!found.ok) return refuse(folder, found.error);
  const model = found.value;
  const bytes = read(folder, model.file);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== model.sha256) {
    refuse(folder, `${model.file} has SHA-256 ${sha256}, the manifest says ${model.sha256}`);
  }
  const session = await sessionOf(folder, bytes, model);
  const names = `${session.inputNames.join()} -> ${session.outputNames.join()}`;
  if (names !== `${model.input.name} -> ${model.output.name}`) {
    refuse(folder, `${model.file} takes and gives ${names}, not what the manifest says`);
  }
  const run = async (vectors: Float32Array): Promise<Float32Array> => {
    const rows = vectors.length / FEATURE_COUNT;
    const input = new Tensor('float32', vectors, [rows, FEATURE_COUNT]);
    const output = (await session.run({ [model.input.name]: input }))[model.output.name];
    const { type, dims } = output!;
    if (type !== 'float32' || dims.join() !== `${rows},1`) {
      throw new Error(`${model.file} answered ${type}[${dims}] to ${rows} rows`);
    }
    return output!.data as Float32Array;
  };
  try {
    await run(new Float32Array(PROBE_ROWS * FEATURE_COUNT));
  } catch (cause) {
    refuse(folder, `${model.file} does not answer a probe: ${cause}`);
  }
  return { manifest: parsed.value, model, run, close: () => session.release() };
};
