import { z } from 'zod';

const file = z
  .string()
  .min(1)
  .describe('File or folder (read in the order of its names); relative to the working directory');

const none = z.strictObject({ kind: z.literal('none') }).describe('No traffic');

const pcap = z
  .strictObject({ kind: z.literal('pcap'), path: file })
  .describe('Captures: pcap or pcapng, plain or gzip');

const flows = z
  .strictObject({ kind: z.literal('flows'), path: file })
  .describe('Flow records with the columns of CICFlowMeter: CSV or JSON lines, plain or gzip');

const synthetic = z
  .strictObject({
    kind: z.literal('synthetic'),
    seed: z.int().min(0).max(0xffff_ffff).default(1).describe('Seed of the generator'),
    ratePps: z
      .number()
      .min(1)
      .max(100_000)
      .default(300)
      .describe('Benign packets a second, on average; attacks come on top'),
    attacks: z.boolean().default(true).describe('Whether attacks are among the traffic'),
    attackDelayS: z
      .number()
      .min(0)
      .max(86_400)
      .default(2)
      .describe('Time before the first attack, s'),
    attackPauseS: z
      .number()
      .min(1)
      .max(86_400)
      .default(20)
      .describe('Pause after each round of attacks, s'),
  })
  .describe('Made-up traffic without end, for a machine that has none');

const postgres = z
  .strictObject({
    kind: z.literal('postgres'),
    url: z
      .string()
      .regex(/^postgres(ql)?:\/\//, 'expected postgres://user@host/database')
      .describe('Server that holds the table; PostgreSQL or CockroachDB'),
    passwordFile: z
      .string()
      .min(1)
      .optional()
      .describe('File whose first line is the password of the URL; else PGPASSWORD counts'),
    table: z
      .string()
      .regex(/^([A-Za-z_][\w$]*\.)?[A-Za-z_][\w$]*$/, 'expected table or schema.table')
      .describe('Table of flows with the columns of CICFlowMeter; a schema before a dot'),
    key: z
      .string()
      .regex(/^[A-Za-z_][\w$]*$/, 'expected the name of a column')
      .default('id')
      .describe('Unique column in whose order rows are read and must appear: no later row below'),
    batch: z.int().min(1).max(10_000).default(1_000).describe('Rows of one query, 1..10,000'),
    segmentRows: z
      .int()
      .min(1_000)
      .max(100_000_000)
      .default(250_000)
      .describe('Rows after which the position is durable; a restart reads again from there'),
    pollMs: z
      .int()
      .min(0)
      .max(3_600_000)
      .default(5_000)
      .describe('New rows are looked for so often, ms; 0: the end of the table ends the source'),
  })
  .describe(
    'A table of flow records in a PostgreSQL database, read by its key; it goes on behind it',
  );

const live = z
  .strictObject({
    kind: z.literal('live'),
    interface: z
      .string()
      .regex(/^[^\s/]{1,15}$/, 'is the name of a network interface, at most 15 characters')
      .describe('Network interface to listen on; needs root or CAP_NET_RAW'),
    bufferBytes: z
      .int()
      .min(1 << 16)
      .max(1 << 30)
      .default(8 << 20)
      .describe('Frames that the kernel keeps for us at most, bytes'),
  })
  .describe('Packets of a network interface as they come');

export const config = z.strictObject({
  source: z
    .discriminatedUnion('kind', [synthetic, pcap, flows, postgres, live, none])
    .prefault({ kind: 'synthetic' })
    .describe('Where packets or flows come from'),
  batchMax: z.int().min(1).max(1_000).default(1_000).describe('Most packets or flows in a batch'),
  batchDelayMs: z
    .int()
    .min(10)
    .max(60_000)
    .default(100)
    .describe('An endless source hands out what it has after this time, ms'),
  batchesInFlightMax: z
    .int()
    .min(1)
    .max(1_024)
    .default(16)
    .describe('Batches handed out and not yet processed to their end, at most'),
  resumeWaitMs: z
    .int()
    .min(100)
    .max(600_000)
    .default(10_000)
    .describe('Without a word from the ensemble, reading begins after this time, ms'),
  stallMs: z
    .int()
    .min(1_000)
    .max(3_600_000)
    .default(30_000)
    .describe('Batches in flight without progress for this time are reported in the log, ms'),
});

export type TelemetryConfig = z.output<typeof config>;
export type SourceConfig = TelemetryConfig['source'];
export type LiveConfig = Extract<SourceConfig, { kind: 'live' }>;
export type SyntheticConfig = Extract<SourceConfig, { kind: 'synthetic' }>;
export type PostgresConfig = Extract<SourceConfig, { kind: 'postgres' }>;
