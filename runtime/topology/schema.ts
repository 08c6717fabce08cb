/** The sections of a topology file and the lines of its supervision tree, without the actors' own settings. */
import { z } from 'zod';

/** More actor threads than this are a mistake in the file, not a machine. */
export const THREADS_MAX = 64;

const word = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]*$/,
    'a name starts with a letter; then letters, digits and - (lower case)',
  );

export const nodeSection = z.strictObject({
  name: word.default('local').describe('name of this node in logs and metrics'),
  dataDir: z
    .string()
    .min(1)
    .default('./data')
    .describe('folder for everything durable; relative paths count from the working directory'),
  logLevel: z
    .enum(['debug', 'info', 'warn', 'error'])
    .default('info')
    .describe('least severe level that is logged'),
  trace: z
    .strictObject({
      carried: z.boolean().default(true).describe('messages carry W3C trace context'),
      ratio: z
        .number()
        .min(0)
        .max(1)
        .default(0)
        .describe('share of traces whose steps are recorded, 0..1; node runtime trace turns it up'),
    })
    .prefault({})
    .describe('what is known of the way of each message'),
  otlp: z
    .strictObject({
      url: z
        .string()
        .regex(/^https?:\/\/[^\s@]+$/, 'expected http://host:4318, credentials in headersFile')
        .describe(
          'OTLP/HTTP endpoint of a collector; /v1/traces and /v1/metrics are put behind it',
        ),
      headersFile: z
        .string()
        .min(1)
        .optional()
        .describe('file with HTTP headers for the collector, a line each: name: value'),
      intervalMs: z
        .int()
        .min(100)
        .max(3_600_000)
        .default(10_000)
        .describe('pause between two exports, ms'),
    })
    .optional()
    .describe('OpenTelemetry: recorded spans and all metrics go to this collector'),
  flight: z
    .strictObject({
      messages: z
        .int()
        .min(0)
        .max(4096)
        .default(32)
        .describe('last messages of each actor kept for its crash report, 0..4096; 0: none'),
    })
    .prefault({})
    .describe('the flight recorder of each actor'),
});

export const databaseSection = z.strictObject({
  url: z
    .string()
    .regex(/^(embedded$|postgres(ql)?:\/\/)/, 'expected embedded or postgres://user@host/database')
    .default('embedded')
    .describe('embedded (PGlite under dataDir) or the postgres:// URL of a server'),
});

export const genesisSection = z.strictObject({
  create: z
    .boolean()
    .default(false)
    .describe('make keys and a genesis file under dataDir at the first start (one process only)'),
  file: z
    .string()
    .min(1)
    .optional()
    .describe('genesis file; relative paths count from the topology file'),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'expected 64 hexadecimal digits in lower case')
    .optional()
    .describe('pinned SHA-256 of the genesis configuration'),
});

/** Sections that belong to the actor of the same name, which reads them as `config: $bus`. */
export const ACTOR_SECTIONS = ['bus', 'api'] as const;

export const intensity = z.strictObject({
  restarts: z.int().min(0).max(1000).default(5).describe('restarts tolerated within the period'),
  periodS: z.number().positive().max(3600).default(10).describe('the period, seconds, up to 3600'),
});

export const strategy = z
  .enum(['one_for_one', 'one_for_all', 'rest_for_one'])
  .describe('what happens to siblings when a child is restarted');

export const mailbox = z.strictObject({
  depth: z.int().min(16).max(65_536).default(4096).describe('messages held at most, 16..65536'),
  onFull: z
    .enum(['backpressure', 'drop-new', 'fail'])
    .default('backpressure')
    .describe('what a sender meets at a full mailbox'),
});

const name = word.describe('name in the tree, unique among its siblings');

export const actorLine = z.strictObject({
  name,
  actor: word.describe('the folder under actors/'),
  config: z.unknown().optional().describe('the settings of the actor, see its config.ts'),
  thread: word
    .default('own')
    .describe('own, or the name of an earlier sibling whose thread it shares'),
  restart: z
    .enum(['permanent', 'transient', 'temporary'])
    .default('permanent')
    .describe('permanent: always restarted; transient: after a crash; temporary: never'),
  shutdownMs: z
    .union([z.int().min(0).max(60_000), z.literal('brutal_kill')])
    .default(5000)
    .describe('time to finish what is in hand at the stop, ms up to 60000, or brutal_kill'),
  mailbox: mailbox.prefault({}).describe('its bound and what happens there'),
  significant: z
    .boolean()
    .default(false)
    .describe('when it ends normally, its supervisor shuts down'),
});

export const groupLine = z.strictObject({
  name,
  strategy: strategy.default('one_for_one'),
  intensity: intensity.prefault({}).describe('restarts beyond which the group itself fails'),
  children: z.array(z.unknown()).min(1).describe('the lines below this one'),
});

export const useLine = z.strictObject({
  name,
  use: word.describe('name of a template'),
  with: z
    .record(z.string(), z.unknown())
    .default({})
    .describe('values that the template calls $name'),
});

export const template = z.strictObject({
  strategy: strategy.default('one_for_one'),
  intensity: intensity.prefault({}),
  with: z
    .record(z.string(), z.unknown())
    .default({})
    .describe('values for names that a line leaves out'),
  children: z.array(z.unknown()).min(1),
});

export const superviseSection = z.strictObject({
  strategy: strategy.default('one_for_one'),
  intensity: intensity.prefault({}).describe('restarts beyond which the node stops with exit 1'),
  children: z.array(z.unknown()).min(1),
});

export const SECTIONS = {
  node: nodeSection,
  database: databaseSection,
  genesis: genesisSection,
} as const;

export const SECTION_NAMES: readonly string[] = [
  'node',
  'bus',
  'database',
  'genesis',
  'api',
  'templates',
  'supervise',
];
