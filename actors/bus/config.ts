import { z } from 'zod';

const MIB = 1 << 20;

export const config = z.strictObject({
  driver: z.literal('embedded').default('embedded').describe('What stands behind the bus'),
  partitions: z.int().min(1).max(64).default(3).describe('Partitions of each topic, 1..64'),
  recordBytesMax: z
    .int()
    .min(1024)
    .max(16 * MIB)
    .default(MIB + 4096)
    .describe('Largest record with its key and headers, bytes; the wire allows 1 MiB'),
  topicBytesMax: z
    .int()
    .min(MIB)
    .default(1024 * MIB)
    .describe('Most that one topic keeps, bytes; finished records are dropped first'),
  fetchesOpenMax: z
    .int()
    .min(1)
    .default(1024)
    .describe('Long polls that may wait at once; further ones are answered at once'),
  topics: z
    .record(z.string(), z.string())
    .default({})
    .describe('Other names for topics: canonical name to the name used on the broker'),
});

export type BusConfig = z.output<typeof config>;
