/** The sections of a topology file and the lines of its supervision tree, without the actors' own settings. */
import { z } from 'zod';
import { PHASE_DEFAULT, SHUTDOWN_PHASES, STASH_DEFAULT } from '#runtime/spec.ts';
import { BACKOFF } from '#supervisors/backoff.ts';

/** More actor threads than this are a mistake in the file, not a machine. */
export const THREADS_MAX = 64;

const word = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]*$/,
    'a name starts with a letter; then letters, digits and - (lower case)',
  );

export const threads = z.strictObject({
  spares: z
    .int()
    .min(0)
    .max(8)
    .default(1)
    .describe('threads kept ready, asleep, to take the place of a dead one, 0..8; 0: none'),
  heapMb: z
    .int()
    .min(32)
    .max(65_536)
    .default(2048)
    .describe('heap of one thread, MiB; above it the thread ends and its actors restart'),
  offHeapMb: z
    .int()
    .min(16)
    .max(65_536)
    .default(1024)
    .describe('array buffers of one thread, outside its heap, MiB; above it they restart, too'),
  silentMs: z
    .int()
    .min(2000)
    .max(600_000)
    .default(10_000)
    .describe('a thread silent for so long, outside native code, is in an endless loop, ms'),
});

const shutdownPhase = z.strictObject({
  name: word.describe('name of the phase, for `phase` of the actors that drain in it'),
  deadlineMs: z.int().min(0).max(60_000).describe('how long it may take, ms up to 60000'),
});

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
  threads: threads.prefault({}).describe('limits of each actor thread, and spare ones'),
  shutdown: z
    .array(shutdownPhase)
    .min(1)
    .max(16)
    .default([...SHUTDOWN_PHASES])
    .describe('phases in which actors drain at the stop, in their order; then all end'),
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

export const backoff = z.strictObject({
  firstMs: z
    .int()
    .min(0)
    .max(60_000)
    .default(BACKOFF.firstMs)
    .describe('what the second restart in a row waits, ms; the first waits for nothing'),
  mostMs: z
    .int()
    .min(0)
    .max(600_000)
    .default(BACKOFF.mostMs)
    .describe('each further one waits twice as long, up to this, ms'),
  jitter: z
    .number()
    .min(0)
    .max(1)
    .default(BACKOFF.jitter)
    .describe('part of the wait that is random, to either side, 0..1'),
  resetMs: z
    .int()
    .min(1)
    .max(3_600_000)
    .default(BACKOFF.resetMs)
    .describe('after so long without a restart the next one waits for nothing again, ms'),
});

const autoShutdown = z
  .enum(['never', 'any_significant', 'all_significant'])
  .default('any_significant')
  .describe('it shuts down when any, or all, of its significant children have ended by themselves');

const restart = z.enum(['permanent', 'transient', 'temporary']);

export const strategy = z
  .enum(['one_for_one', 'one_for_all', 'rest_for_one'])
  .describe('what happens to siblings when a child is restarted');

export const mailbox = z.strictObject({
  depth: z.int().min(16).max(65_536).default(4096).describe('messages held at most, 16..65536'),
  onFull: z
    .enum(['backpressure', 'drop-new', 'fail'])
    .default('backpressure')
    .describe('what a sender meets at a full mailbox'),
  stash: z
    .int()
    .min(0)
    .max(65_536)
    .default(STASH_DEFAULT)
    .describe('messages that the actor may put aside at most, 0..65536'),
});

/** Members of a pool are named by their number: `scorer-1`. */
export const pool = z.strictObject({
  size: z.int().min(1).max(THREADS_MAX).describe('members, 1..64'),
  threads: z
    .int()
    .min(1)
    .max(THREADS_MAX)
    .optional()
    .describe('threads that the members share, 1..64; without it each has its own'),
  route: z
    .enum(['round-robin', 'consistent-hash', 'broadcast'])
    .default('round-robin')
    .describe('which member a message is for: the next, by the field `by`, or all of them'),
  by: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of a field')
    .optional()
    .describe('the field of every message that holds the key, for consistent-hash'),
});

const name = word.describe('name in the tree, unique among its siblings');

export const actorLine = z.strictObject({
  name,
  actor: word.describe('the folder under actors/'),
  config: z.unknown().optional().describe('the settings of the actor, see its config.ts'),
  thread: word
    .default('own')
    .describe('own, or the name of an earlier sibling whose thread it shares'),
  restart: restart
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
    .describe('its end counts for the autoShutdown of its supervisor; not if it is permanent'),
  pool: pool
    .optional()
    .describe('so many of this actor behind its one address, in a group of their own'),
  passivateMs: z
    .int()
    .min(100)
    .max(86_400_000)
    .optional()
    .describe('idle for so long, it gives up its state until its next message, ms 100..86400000'),
  phase: word
    .default(PHASE_DEFAULT)
    .describe('phase of the shutdown in which it drains, see node.shutdown'),
});

const group = {
  strategy: strategy.default('one_for_one'),
  restart: restart
    .default('transient')
    .describe('transient: again when it failed, not when it shut down; permanent: always'),
  significant: z
    .boolean()
    .default(false)
    .describe('its end counts for the autoShutdown of its own supervisor'),
  autoShutdown,
  backoff: backoff.prefault({}).describe('how long restarts of its children wait'),
};

export const groupLine = z.strictObject({
  name,
  ...group,
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
  ...group,
  intensity: intensity.prefault({}),
  with: z
    .record(z.string(), z.unknown())
    .default({})
    .describe('values for names that a line leaves out'),
  children: z.array(z.unknown()).min(1),
});

export const superviseSection = z.strictObject({
  strategy: group.strategy,
  autoShutdown: group.autoShutdown,
  backoff: group.backoff,
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
