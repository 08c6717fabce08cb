/**
 * What stands beside the models: their hashes, shapes, masks, what they were trained on and what
 * they know. Written by training/train.py; a model that does not agree with it is refused.
 */
import { z } from 'zod';
import { FEATURE_COUNT, FEATURE_NAMES } from '#proto/features.ts';
import { err, ok, type Result } from '#proto/result.ts';
import { THREATS } from '#proto/threats.ts';

const FORMAT = 1;
const perFeature = z.array(z.number()).length(FEATURE_COUNT);

const modelEntry = z.object({
  name: z.string().min(1),
  /** `<name>-<first 12 digits of the SHA-256>`. */
  version: z.string().min(1),
  /** Relative to the manifest. */
  file: z.string().regex(/^[\w-]+(\/[\w-]+)*\.onnx$/, 'is no relative path of an .onnx file'),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  threat: z.enum(THREATS),
  /** The score that the model card speaks of, 0..1. */
  threshold: z.number().min(0).max(1),
  input: z.object({
    name: z.string(),
    columns: z.literal(FEATURE_COUNT),
    type: z.literal('float32'),
  }),
  output: z.object({ name: z.string(), columns: z.literal(1), type: z.literal('float32') }),
  /** Flows outside of this were not among the training data: the engine abstains on them. */
  knows: z.object({
    protocols: z.array(z.int().min(0).max(255)),
    packetsMin: z.int().min(1),
    /** Payload of the initiator. */
    forwardPayloadMinBytes: z.number().min(0),
  }),
  masked: z.array(z.string()),
  evaluationOnly: z.boolean(),
});

const manifest = z.object({
  format: z.literal(FORMAT),
  features: z.array(z.string()),
  models: z.array(modelEntry).min(1),
  /** Of benign training flows, in the logarithm: what a reason is measured against. */
  benign: z.object({
    transform: z.literal('log1p(abs(x))'),
    median: perFeature,
    scale: perFeature,
  }),
});

export type ModelEntry = z.output<typeof modelEntry>;
export type Manifest = z.output<typeof manifest>;

/** The error is a sentence for people. */
export const parseManifest = (text: string): Result<Manifest, string> => {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return err('the manifest is not JSON');
  }
  const parsed = manifest.safeParse(data);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return err(`the manifest is wrong at ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
  }
  const { features } = parsed.data;
  const wrong = FEATURE_NAMES.findIndex((name, at) => features[at] !== name);
  if (wrong >= 0 || features.length !== FEATURE_COUNT) {
    return err(`the manifest names other features than ours, first at ${Math.max(wrong, 0)}`);
  }
  return ok(parsed.data);
};

export const findModel = (
  of: Manifest,
  name: string,
  evaluation: boolean,
): Result<ModelEntry, string> => {
  const entry = of.models.find((model) => model.name === name);
  if (entry === undefined) {
    const names = of.models.map((model) => model.name).join(', ');
    return err(`there is no model ${JSON.stringify(name)}; the manifest has ${names}`);
  }
  if (entry.evaluationOnly && !evaluation) {
    return err(`model ${name} was trained without a class, for evaluation only`);
  }
  return ok(entry);
};
