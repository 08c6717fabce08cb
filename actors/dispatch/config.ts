import { z } from 'zod';

export const config = z.strictObject({
  name: z
    .string()
    .min(1)
    .describe('name of this validator in the genesis file; names its consumer group'),
  key: z
    .string()
    .min(1)
    .describe('private key: a PEM file under <dataDir>/keys, or an absolute path'),
  othersAfterMs: z
    .int()
    .min(0)
    .max(60_000)
    .default(2000)
    .describe(
      'how long those who did not propose the block leave its policies to the proposer; milliseconds',
    ),
  blocksOpenMax: z
    .int()
    .min(1)
    .max(4096)
    .default(256)
    .describe('blocks that are being dispatched at once; 1..4,096'),
  saveMs: z
    .int()
    .min(1)
    .max(60_000)
    .default(500)
    .describe(
      'how often progress is written to disk; a crash publishes again what is younger; milliseconds',
    ),
});

export type DispatchConfig = z.output<typeof config>;
