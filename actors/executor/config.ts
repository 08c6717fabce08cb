import { z } from 'zod';

export const config = z.strictObject({
  horizonBlocks: z
    .int()
    .min(16)
    .max(100_000)
    .default(1024)
    .describe('how many heights below the head stay readable with proofs; blocks, 16..100,000'),
  forksMax: z
    .int()
    .min(4)
    .max(4096)
    .default(64)
    .describe(
      'executed, uncommitted blocks kept at once; beyond, the oldest is forgotten; 4..4,096',
    ),
  verifiedMax: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(16_384)
    .describe('ids of transactions whose signature this validator has verified; 0..1,000,000'),
  readsMax: z
    .int()
    .min(1)
    .max(4096)
    .default(64)
    .describe('long polls of the chain that wait at once; 1..4,096'),
});

export type ExecutorConfig = ReturnType<typeof config.parse>;
