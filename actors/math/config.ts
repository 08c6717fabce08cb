import { z } from 'zod';

export const config = z.strictObject({
  hostsMax: z
    .int()
    .min(16)
    .max(1_048_576)
    .default(4_096)
    .describe('baselines kept, one for each address, side and span; the least recent gives way'),
  warmUpSamples: z
    .int()
    .min(2)
    .max(10_000)
    .default(30)
    .describe('windows of a host before it has a baseline of its own'),
  sharedWarmUpSamples: z
    .int()
    .min(2)
    .max(100_000)
    .default(120)
    .describe('windows of all hosts before a stranger is compared with them'),
  deviationsLimit: z
    .number()
    .min(1)
    .max(100)
    .default(3)
    .describe('EWMA and entropy: a value this far from its mean scores 0.5, standard deviations'),
  sumLimit: z
    .number()
    .min(1)
    .max(1_000)
    .default(10)
    .describe('CUSUM: a cumulative sum of this scores 0.5, standard deviations'),
  distanceLimit: z
    .number()
    .min(1)
    .max(1_000)
    .default(8)
    .describe('Mahalanobis: a distance of this scores 0.5, standard deviations'),
  frozenMaxS: z
    .int()
    .min(1)
    .max(86_400)
    .default(600)
    .describe('a baseline that something stays away from for this long is learnt anew, s'),
});

export type MathConfig = z.output<typeof config>;
