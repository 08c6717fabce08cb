import { z } from 'zod';

const MIB = 1 << 20;
const HOUR_MS = 3_600_000;

const recordBytesMax = z
  .int()
  .min(1024)
  .max(16 * MIB)
  .default(MIB + 4096)
  .describe('Largest record with its key and headers, bytes; the wire allows 1 MiB');
const fetchesOpenMax = z
  .int()
  .min(1)
  .default(1024)
  .describe('Long polls that may wait at once; further ones are answered at once');
const topics = z
  .record(z.string(), z.string())
  .default({})
  .describe('Other names for topics: canonical name to the name used on the broker');
const file = (what: string) =>
  z.string().min(1).optional().describe(`${what}; relative to the working directory`);

const embedded = z
  .strictObject({
    driver: z.literal('embedded').default('embedded').describe('What stands behind the bus'),
    partitions: z.int().min(1).max(64).default(3).describe('Partitions of each topic, 1..64'),
    recordBytesMax,
    topicBytesMax: z
      .int()
      .min(MIB)
      .default(1024 * MIB)
      .describe('Most that one topic keeps, bytes; finished records are dropped first'),
    fetchesOpenMax,
    topics,
  })
  .describe('A durable log in the data folder, for one process');

const tls = z
  .strictObject({
    ca: file('PEM file of the authority that signed the certificates of the brokers'),
    cert: file('PEM file of our certificate, where the brokers want one'),
    key: file('PEM file of its private key'),
    servername: z
      .string()
      .min(1)
      .optional()
      .describe('Name in the certificate of the brokers, where it is not the host of `brokers`'),
  })
  .refine(({ cert, key }) => (cert === undefined) === (key === undefined), {
    message: 'cert and key go together',
  })
  .describe('TLS; {} trusts the authorities of the system. Without it nothing is encrypted');

const sasl = z
  .strictObject({
    mechanism: z
      .enum(['plain', 'scram-sha-256', 'scram-sha-512'])
      .describe('How the password is proven; plain sends it, so use it with tls'),
    username: z.string().min(1).describe('User of the brokers'),
    passwordFile: file('File that holds the password'),
    passwordEnv: z
      .string()
      .regex(/^[A-Za-z_]\w*$/, 'the name of a variable')
      .default('KAFKA_PASSWORD')
      .describe('Environment variable that holds the password, where there is no file'),
  })
  .describe('Who we are to the brokers');

const create = z
  .strictObject({
    partitions: z.int().min(1).max(1024).default(3).describe('Partitions of a new topic'),
    replication: z.int().min(1).max(15).default(1).describe('Copies of each partition, brokers'),
    retentionMs: z
      .int()
      .min(HOUR_MS)
      .default(7 * 24 * HOUR_MS)
      .describe('Records are kept for so long, ms'),
    inSyncMin: z
      .int()
      .min(1)
      .max(15)
      .optional()
      .describe('Copies that must hold a record before it counts; default 2 of 3 or more, else 1'),
  })
  .refine(({ replication, inSyncMin = 1 }) => inSyncMin <= replication, {
    message: 'at most as many as replication',
    path: ['inSyncMin'],
  })
  .describe('Settings of topics that are missing and shall be made');

const kafka = z
  .strictObject({
    driver: z.literal('kafka').describe('What stands behind the bus'),
    brokers: z
      .array(z.string().regex(/^[A-Za-z0-9.-]+:\d{1,5}$/, 'expected host:port'))
      .min(1)
      .describe('Brokers to begin with, host:port; the others are heard of from them'),
    clientId: z.string().min(1).default('cybermesh').describe('How brokers name us in their logs'),
    tls: tls.optional(),
    sasl: sasl.optional(),
    create: create
      .optional()
      .describe('Missing topics are made with these settings; without it they end the start'),
    groupPrefix: z
      .string()
      .regex(/^[\w.-]*$/, 'letters, digits and ._-')
      .default('cybermesh-')
      .describe('Stands before the names of consumer groups; one for each chain on a cluster'),
    deliveryMs: z
      .int()
      .min(500)
      .max(4500)
      .default(4000)
      .describe('A publisher hears `unavailable` after this time, ms; its own deadline is 5 s'),
    requestMs: z
      .int()
      .min(2000)
      .max(120_000)
      .default(10_000)
      .describe('A broker that is silent for so long is connected to anew, ms'),
    recordBytesMax,
    fetchesOpenMax,
    topics,
  })
  .describe('Apache Kafka; tested with 3.9 and 4.1');

export const config = z.discriminatedUnion('driver', [embedded, kafka]);

export type BusConfig = z.output<typeof config>;
export type KafkaConfig = Extract<BusConfig, { driver: 'kafka' }>;
export type EmbeddedConfig = Extract<BusConfig, { driver: 'embedded' }>;
