import { z } from 'zod';

export const config = z.strictObject({
  models: z
    .string()
    .default('')
    .describe('Folder with manifest.json and the models; empty: the models that come with us'),
  model: z.string().min(1).default('ddos').describe('Name of the model in the manifest'),
  evaluation: z
    .boolean()
    .default(false)
    .describe('Accept a model that is kept for evaluation only (trained without a class)'),
  runTimeoutMs: z
    .int()
    .min(1)
    .max(60_000)
    .default(4_000)
    .describe('A batch that is not scored by then is answered with an abstention, ms, 1..60,000'),
  // The end of a capture hands out the whole flow table at once: 66 batches of 1,000 flows.
  inFlightMax: z
    .int()
    .min(1)
    .max(1_024)
    .default(128)
    .describe('Batches that may wait for their scores; further ones get an abstention, 1..1,024'),
});

export type MlConfig = z.output<typeof config>;
