import { z } from 'zod';

const MINUTE_MS = 60_000;

const redis = z.strictObject({
  url: z
    .string()
    .regex(/^rediss?:\/\//, 'expected redis://host:port or rediss://host:port')
    .describe('Redis that shows the lifecycle to others; rediss for TLS'),
  passwordFile: z
    .string()
    .min(1)
    .optional()
    .describe('File whose first line is the password of Redis'),
  retainMs: z
    .int()
    .min(MINUTE_MS)
    .default(30 * 24 * 60 * MINUTE_MS)
    .describe('Anomalies stay in Redis so long after their last transition, ms'),
});
export type RedisSettings = z.output<typeof redis>;

export const config = z.strictObject({
  redis: redis
    .optional()
    .describe(
      'Timelines and hourly counts of the lifecycle in Redis, too; left out: own store only',
    ),
  timeoutMs: z
    .int()
    .min(1000)
    .default(5 * MINUTE_MS)
    .describe('PUBLISHED without an answer of validators becomes TIMEOUT after so long'),
  expiryMs: z
    .int()
    .min(MINUTE_MS)
    .default(30 * 24 * 60 * MINUTE_MS)
    .describe('PUBLISHED or ADMITTED becomes EXPIRED after so long'),
  sweepMs: z.int().min(10).default(1000).describe('How often deadlines are looked at'),
  openMax: z
    .int()
    .min(100)
    .default(50_000)
    .describe('Anomalies without a final state; at the bound new ones stay on the bus'),
  acceptanceWindow: z
    .int()
    .min(10)
    .default(500)
    .describe('How many of the newest finished anomalies the acceptance rate looks at'),
  acceptanceSamplesMin: z
    .int()
    .min(1)
    .default(20)
    .describe('Below so many finished anomalies there is no acceptance rate'),
  projectionWaitMs: z
    .int()
    .min(0)
    .max(3_600_000)
    .default(MINUTE_MS)
    .describe('So long the end of a finite run waits for SQL to have the chain; 0: not at all, ms'),
});

export type FeedbackConfig = z.output<typeof config>;
