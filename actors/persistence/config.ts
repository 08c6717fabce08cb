import { z } from 'zod';

export const config = z.strictObject({
  from: z
    .string()
    .min(1)
    .default('v1')
    .describe('The validator branch whose chain is projected into SQL'),
  blocksMax: z
    .int()
    .min(1)
    .max(1024)
    .default(64)
    .describe('Blocks read from the chain at once; the next are read when these are in SQL'),
  passwordFile: z
    .string()
    .min(1)
    .optional()
    .describe('File whose first line is the password of database.url; else PGPASSWORD counts'),
  leaseMs: z
    .int()
    .min(1000)
    .max(600_000)
    .default(15_000)
    .describe(
      'Of the projectors that share a database one writes; when it is silent so long, another takes over, ms',
    ),
  connectionsMax: z.int().min(1).max(64).default(4).describe('Connections of the pool to a server'),
  statementTimeoutMs: z.int().min(100).default(20_000).describe('Deadline of one SQL statement'),
  retriesMax: z
    .int()
    .min(0)
    .max(20)
    .default(3)
    .describe('Repeats of a transaction that met another one (40001, 40P01)'),
});

export type PersistenceConfig = z.output<typeof config>;
