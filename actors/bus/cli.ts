/** `dlq list`, `dlq show`, `dlq replay`: the dead letters of the bus. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TOPICS } from '#proto/wire/topics.ts';
import type { Bus } from '#runtime/bus/driver.ts';
import { readArguments } from '#runtime/cli/arguments.ts';
import { type CliIo, type CliModule, type Command, EXIT, refuse } from '#runtime/cli/command.ts';
import { takeLock } from '#runtime/cli/lock.ts';
import { closest, didYouMean } from '#runtime/topology/nearest.ts';
import { actorsOf, type TopologyView } from '#runtime/topology/view.ts';
import { commandBus } from './command-access.ts';
import { type BusConfig, config } from './config.ts';
import {
  type DeadLetter,
  type Replayed,
  readLetters,
  replay,
  type Wanted,
} from './dead-letters.ts';
import { EMBEDDED_FILE, openDriver, renamed } from './drivers.ts';

const OPTIONS = {
  set: { type: 'string', multiple: true },
  code: { type: 'string' },
  topic: { type: 'string' },
  max: { type: 'string' },
  all: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
} as const;

const ACTIONS = ['list', 'show', 'replay'] as const;
type Action = (typeof ACTIONS)[number];

const MAX_DEFAULT = 100;
const MAX_MOST = 10_000;
const BYTES_SHOWN = 256;
const PER_LINE = 16;

type Request = {
  readonly action: Action;
  readonly file: string;
  readonly set: readonly string[];
  readonly wanted: Wanted;
  readonly max: number;
  readonly dryRun: boolean;
};

/** The arguments, or what is wrong with them. */
const requestOf = (args: readonly string[]): Request | string => {
  const parsed = readArguments(args, OPTIONS, ['list, show or replay', 'the topology file'], 1000);
  if (!parsed.ok) return parsed.error;
  const { options, positionals } = parsed.value;
  const [word, file, ...ids] = positionals;
  const action = ACTIONS.find((one) => one === word);
  if (action === undefined) {
    const near = closest(word!, ACTIONS);
    return `unknown action ${word}${near === undefined ? '' : `; did you mean ${near}?`}`;
  }
  const { code, topic } = options;
  const known: readonly string[] = Object.values(TOPICS);
  if (topic !== undefined && !known.includes(topic)) {
    return `--topic: no such topic${didYouMean(topic, known)}`;
  }
  const max = Number(options.max ?? (action === 'replay' ? MAX_MOST : MAX_DEFAULT));
  if (!Number.isInteger(max) || max < 1 || max > MAX_MOST) return `--max takes 1 to ${MAX_MOST}`;
  const strange = ids.find((id) => !/^\d+:\d+$/.test(id));
  if (strange !== undefined) return `${strange} is no id of a dead letter (partition:offset)`;
  if (action === 'show' && ids.length === 0) return 'the id of a dead letter is missing';
  const chosen =
    ids.length > 0 || code !== undefined || topic !== undefined || options.all === true;
  if (action === 'replay' && !chosen) return 'say which: ids, --code, --topic or --all';
  const wanted = { ids, code, topic };
  const dryRun = options['dry-run'] ?? false;
  return { action, file: file!, set: options.set ?? [], wanted, max, dryRun };
};

const summary = ({ value, ...rest }: DeadLetter): object => ({ ...rest, bytes: value.length });

const hexLines = (bytes: Uint8Array): string[] => {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(bytes.length, BYTES_SHOWN); at += PER_LINE) {
    const part = bytes.subarray(at, at + PER_LINE);
    const text = Buffer.from(part)
      .toString('latin1')
      .replaceAll(/[^\x20-\x7e]/g, '.');
    const hex = [...part].map((one) => one.toString(16).padStart(2, '0')).join(' ');
    lines.push(`  ${at.toString(16).padStart(4, '0')}  ${hex.padEnd(PER_LINE * 3)} ${text}`);
  }
  const more = bytes.length - BYTES_SHOWN;
  return more > 0 ? [...lines, `  and ${more} more bytes (-o json has all, in base64)`] : lines;
};

const lineOf = (letter: DeadLetter): string =>
  [
    letter.id.padEnd(10),
    new Date(letter.atMs).toISOString(),
    letter.code.padEnd(18),
    `${letter.topic}/${letter.partition}/${letter.offset}`.padEnd(28),
    letter.detail,
  ].join('  ');

const list = (io: CliIo, letters: readonly DeadLetter[]): void => {
  if (io.json) return io.out(JSON.stringify({ ok: true, letters: letters.map(summary) }));
  if (letters.length === 0) return io.out('no dead letters');
  io.out(letters.map(lineOf).join('\n'));
};

const show = (io: CliIo, letters: readonly DeadLetter[]): void => {
  if (io.json) {
    const whole = letters.map((one) => ({
      ...summary(one),
      value: Buffer.from(one.value).toString('base64'),
    }));
    return io.out(JSON.stringify({ ok: true, letters: whole }));
  }
  for (const letter of letters) {
    const { key, headers, value } = letter;
    const extra = Object.entries(headers).map(([name, text]) => `  ${name}: ${text}`);
    io.out(
      [
        lineOf(letter),
        `  key: ${key}`,
        ...extra,
        `  ${value.length} bytes`,
        ...hexLines(value),
      ].join('\n'),
    );
  }
};

const replayed = (io: CliIo, results: readonly Replayed[], dryRun: boolean): number => {
  const failures = results.filter(({ outcome }) => outcome.outcome !== 'ok');
  if (io.json) {
    const letters = results.map(({ letter, outcome }) => ({ ...summary(letter), ...outcome }));
    io.out(JSON.stringify({ ok: failures.length === 0, dryRun, letters }));
  } else {
    for (const { letter, outcome } of results) io.out(`${lineOf(letter)}  ${outcome.outcome}`);
    const done = results.length - failures.length;
    io.out(dryRun ? `${done} would be replayed` : `${done} replayed, ${failures.length} refused`);
  }
  return failures.length === 0 ? EXIT.ok : EXIT.failure;
};

const act = async (io: CliIo, bus: Bus, settings: BusConfig, request: Request): Promise<number> => {
  const { action, wanted, max, dryRun } = request;
  const names = (topic: string): string => renamed(settings, topic);
  const letters = await readLetters(bus, names, wanted, max);
  const missing = wanted.ids?.filter((id) => !letters.some((one) => one.id === id)) ?? [];
  if (missing.length > 0) return fail(io, `there is no dead letter ${missing.join(', ')}`);
  if (action === 'list') list(io, letters);
  else if (action === 'show') show(io, letters);
  else {
    const dry = letters.map((letter): Replayed => {
      const { partition, offset } = letter;
      return { letter, outcome: { outcome: 'ok', partition, offset } };
    });
    return replayed(io, dryRun ? dry : await replay(bus, names, letters), dryRun);
  }
  return EXIT.ok;
};

const fail = (io: CliIo, reason: string): number => {
  if (io.json) io.out(JSON.stringify({ ok: false, error: reason }));
  else io.err(`error: ${reason}`);
  return EXIT.failure;
};

/** The embedded log lies in the data folder of a node that must not run; Kafka serves several. */
const withBus = async (
  io: CliIo,
  topology: TopologyView,
  work: (bus: Bus, settings: BusConfig) => Promise<number>,
): Promise<number> => {
  const [actor] = actorsOf(topology, 'bus');
  if (actor === undefined) return fail(io, `${topology.file} has no bus`);
  const settings = config.parse(actor.config);
  const embedded = settings.driver === 'embedded';
  const file = join(topology.node.dataDir, ...actor.path.split('.'), EMBEDDED_FILE);
  if (embedded && !existsSync(file)) return fail(io, `there is no bus yet at ${file}`);
  const lock = embedded ? takeLock(topology.node.dataDir, Date.now()) : undefined;
  if (lock?.ok === false) return fail(io, `${lock.error}: stop it first`);
  try {
    const bus = await openDriver(
      // Looking at dead letters makes no topics.
      settings.driver === 'kafka' ? { ...settings, create: undefined } : settings,
      {
        file,
        now: Date.now,
        say: (level, text, fields) => {
          if (level !== 'info')
            io.err(`${level}: ${text}${fields && ` ${JSON.stringify(fields)}`}`);
        },
        appended: () => undefined,
        lag: () => undefined,
      },
      process.env,
    );
    try {
      return await work(bus, settings);
    } finally {
      await bus.close();
    }
  } catch (fault) {
    return fail(io, fault instanceof Error ? fault.message : String(fault));
  } finally {
    if (lock?.ok === true) lock.value.release();
  }
};

const dlq: Command = {
  summary: 'dead letters of the bus: list, show, replay',
  usage: `dlq list|show|replay <topology> [id...] [options] [-o json]

A dead letter is a message that a validator refused, with its original bytes and the reason. Its id is
partition:offset. \`replay\` publishes the original bytes again to the topic that they came from, with the
header replayed-from; every check is made again. Each validator writes its own letter, so a message
refused by four has four. An embedded bus is read while the node is stopped, Kafka at any time.

  --code name         only with this error code, e.g. timestamp
  --topic name        only from this topic, e.g. ai.anomalies.v1
  --max n             at most the newest n (list, show: 100; at most 10,000)
  --all               replay every dead letter
  --dry-run           say what would be replayed
  --set path=value    set anything in the tree`,
  run: async (args, io) => {
    const request = requestOf(args);
    if (typeof request === 'string') return refuse(io, dlq, request);
    const topology = await io.topology(request.file, request.set);
    if (topology === undefined) return EXIT.configuration;
    return withBus(io, topology, (bus, settings) => act(io, bus, settings, request));
  },
};

/** How commands of other actors reach the bus. */
export const bus: NonNullable<CliModule['bus']> = commandBus;

export const commands: NonNullable<CliModule['commands']> = { dlq };
