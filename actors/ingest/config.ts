import { z } from 'zod';

const redis = z.strictObject({
  url: z
    .string()
    .regex(/^rediss?:\/\//, 'expected redis://host:port or rediss://host:port')
    .describe('Redis that all processes of this validator share; rediss for TLS'),
  passwordFile: z
    .string()
    .min(1)
    .optional()
    .describe('File whose first line is the password of Redis'),
});

export const config = z.strictObject({
  redis: redis
    .optional()
    .describe(
      'nonces shared by several ingest processes of one validator; left out: each remembers its own',
    ),
  name: z
    .string()
    .min(1)
    .describe('name of this validator in the genesis file; names its consumer group'),
  key: z
    .string()
    .min(1)
    .describe('private key: a PEM file under <dataDir>/keys, or an absolute path'),
  poolTransactionsMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(1000)
    .describe('transactions in the mempool; at the bound the topics wait; 1..100,000'),
  poolBytesMax: z
    .int()
    .min(1 << 20)
    .max(1 << 30)
    .default(10 << 20)
    .describe('bytes in the mempool; at the bound the topics wait; 1 MiB..1 GiB'),
  admissionsPerSecondMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(1000)
    .describe('admissions a second; beyond it the topics wait; 1..1,000,000'),
  severityStepMs: z
    .int()
    .min(0)
    .max(600_000)
    .default(30_000)
    .describe('waiting time in milliseconds that one step of severity outweighs; 0..600,000'),
  batchRecords: z
    .int()
    .min(1)
    .max(1024)
    .default(128)
    .describe('records of a topic that are verified together; 1..1,024'),
  openRecordsMax: z
    .int()
    .min(16)
    .max(1_000_000)
    .default(8192)
    .describe(
      'records of a topic that are read and not finished; at the bound it waits; 16..1,000,000',
    ),
  heldBytesMax: z
    .int()
    .min(1)
    .max(1 << 30)
    .default(16 << 20)
    .describe(
      'bytes of a topic that wait for the quotas of their producers; at the bound it waits; 1..1 GiB',
    ),
  lettersMax: z
    .int()
    .min(1)
    .max(65_536)
    .default(1024)
    .describe('dead letters that wait for the bus; at the bound the topics wait; 1..65,536'),
  reportsMax: z
    .int()
    .min(1)
    .max(65_536)
    .default(8192)
    .describe(
      'validation results that wait for the bus; beyond it the newest are dropped; 1..65,536',
    ),
  forwardsMax: z
    .int()
    .min(1)
    .max(4096)
    .default(64)
    .describe('batches of peers that wait for verification; beyond it they are dropped; 1..4,096'),
  forwardAfterMs: z
    .int()
    .min(0)
    .max(60_000)
    .default(1000)
    .describe(
      'own transactions that no block has taken after so long go to the peers, who mostly read them from the bus themselves; 0..60,000',
    ),
  noncesMax: z
    .int()
    .min(1000)
    .max(10_000_000)
    .default(500_000)
    .describe('nonces remembered; beyond it the oldest minute is forgotten; 1,000..10,000,000'),
});

export type IngestConfig = z.output<typeof config>;
