import { z } from 'zod';

const DAY_MS = 86_400_000;

export const config = z.strictObject({
  key: z
    .string()
    .regex(/^[\w.-]+$/, 'is a file name, without a folder')
    .default('detector.pem')
    .describe('Private key, a PEM file under <dataDir>/keys'),
  perSecondMax: z
    .int()
    .min(1)
    .max(10_000)
    .default(100)
    .describe('Anomalies released in any second, each with its evidence, 1..10,000'),
  outboxMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(10_000)
    .describe('Detections kept until the bus has them; further ones are dropped, loudly'),
  inFlightMax: z
    .int()
    .min(1)
    .max(1_000)
    .default(32)
    .describe('Detections on their way to the bus at once, 1..1,000; one an entity'),
  publishTimeoutMs: z
    .int()
    .min(10)
    .max(60_000)
    .default(5_000)
    .describe('How long the bus may take to answer, ms'),
  retryFirstMs: z.int().min(1).default(100).describe('Pause before the first retry, ms; doubles'),
  retryLastMs: z.int().min(1).default(5_000).describe('Longest pause between retries, ms'),
  resignAfterMs: z
    .int()
    .min(1_000)
    .max(290_000)
    .default(240_000)
    .describe('What is not sent by then is signed afresh, ms; validators accept 300,000'),
  drainMaxMs: z
    .int()
    .min(0)
    .max(60_000)
    .default(3_000)
    .describe('How long a stop waits for the outbox, ms; what is left goes out at the next start'),
  ledgerMax: z
    .int()
    .min(1)
    .default(200_000)
    .describe('Published content hashes that are remembered, so that repeats are not sent again'),
  ledgerKeepMs: z.int().min(1).default(DAY_MS).describe('How long they are remembered, ms'),
});

export type SignerConfig = z.output<typeof config>;
