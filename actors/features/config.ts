import { z } from 'zod';

export const config = z.strictObject({
  flowTimeoutMs: z
    .int()
    .min(1_000)
    .max(86_400_000)
    .default(120_000)
    .describe('A flow is cut this long after its first packet, ms of capture time'),
  activityTimeoutMs: z
    .int()
    .min(100)
    .max(3_600_000)
    .default(5_000)
    .describe('A gap above this is idle time within a flow, ms of capture time'),
  lingerMs: z
    .int()
    .min(0)
    .max(120_000)
    .default(5_000)
    .describe('An ended TCP flow waits this long for late packets, ms of capture time'),
  reorderMs: z
    .int()
    .min(0)
    .max(60_000)
    .default(1_000)
    .describe(
      'A packet older than the one before it by up to this is out of order, ms; beyond it time begins anew',
    ),
  flowsMax: z
    .int()
    .min(16)
    .max(4_194_304)
    .default(65_536)
    .describe('Flows held at once; the least recently used one is finished when there are more'),
});

export type FeaturesConfig = z.output<typeof config>;
