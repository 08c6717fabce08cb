/** `rebuild-sql`: the SQL projection made anew from the chain, while the node is stopped. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CHAIN_FILE } from '#native/chain-file.ts';
import { readGenesis } from '#native/genesis-file.ts';
import { explainFault } from '#native/postgres.ts';
import { err, ok, type Result } from '#proto/result.ts';
import { readArguments } from '#runtime/cli/arguments.ts';
import { type CliIo, type CliModule, type Command, EXIT, refuse } from '#runtime/cli/command.ts';
import { prepareActors } from '#runtime/cli/launch.ts';
import { takeLock } from '#runtime/cli/lock.ts';
import { ACTORS_ROOT } from '#runtime/topology/actors.ts';
import { actorsOf, type TopologyView } from '#runtime/topology/view.ts';
import { config } from './config.ts';
import { EMBEDDED_FOLDER } from './database.ts';
import { holderOf } from './holder.ts';
import { ForeignChainError, LeaseHeldError, type Rebuilt, rebuild } from './rebuild.ts';

const OPTIONS = {
  set: { type: 'string', multiple: true },
  force: { type: 'boolean' },
} as const;

type Place = {
  readonly settings: ReturnType<typeof config.parse>;
  /** Of the embedded database. */
  readonly folder: string;
  readonly chainFile: string;
};

const folderOf = ({ node }: TopologyView, path: string): string =>
  join(node.dataDir, ...path.split('.'));

/** Where the projection and its chain lie; the error says what the topology or the disk does not have. */
const placeOf = (topology: TopologyView): Result<Place, string> => {
  const [projector] = actorsOf(topology, 'persistence');
  if (projector === undefined) return err(`${topology.file} has no persistence actor`);
  const settings = config.parse(projector.config);
  const source = actorsOf(topology, 'executor').find((one) => one.branch.at(-1) === settings.from);
  if (source === undefined) {
    return err(`${projector.path}.config.from is ${settings.from}, and no such branch has a chain`);
  }
  const chainFile = join(folderOf(topology, source.path), CHAIN_FILE);
  if (!existsSync(chainFile)) {
    return err(`there is no chain yet at ${chainFile}: start the node first`);
  }
  const folder = join(folderOf(topology, projector.path), EMBEDDED_FOLDER);
  return ok({ settings, folder, chainFile });
};

/** What the rebuild itself found, in contrast to what a server said. */
const isOurs = (fault: unknown): fault is Error =>
  fault instanceof ForeignChainError || fault instanceof LeaseHeldError;

const run = async (topology: TopologyView, force: boolean): Promise<Result<Rebuilt, string>> => {
  const place = placeOf(topology);
  if (!place.ok) return place;
  const { settings, folder, chainFile } = place.value;
  const pinned = await prepareActors(topology, ACTORS_ROOT);
  if (!pinned.ok) return pinned;
  const { url } = topology.database;
  const { passwordFile, connectionsMax, statementTimeoutMs, retriesMax, leaseMs } = settings;
  try {
    return ok(
      await rebuild({
        database: {
          ...{ url, passwordFile, folder, connectionsMax, statementTimeoutMs, retriesMax },
          onError: () => undefined, // the query in hand rejects with it
        },
        chainFile,
        genesis: readGenesis(pinned.value),
        force,
        holder: holderOf(dirname(folder), topology.node.name),
        leaseMs,
      }),
    );
  } catch (fault) {
    return err(isOurs(fault) ? fault.message : explainFault(fault, url));
  }
};

const show = (io: CliIo, rebuilt: Rebuilt): void => {
  if (io.json) return io.out(JSON.stringify({ ok: true, ...rebuilt }));
  const rows = Object.entries(rebuilt.tables).map(([name, n]) => `  ${name.padEnd(16)} ${n}`);
  io.out(
    [`${rebuilt.blocks} blocks projected, up to height ${rebuilt.height}`, ...rows].join('\n'),
  );
};

const fail = (io: CliIo, reason: string): number => {
  if (io.json) io.out(JSON.stringify({ ok: false, error: reason }));
  else io.err(`error: ${reason}`);
  return EXIT.failure;
};

const rebuildSql: Command = {
  summary: 'make the SQL projection anew from the chain',
  usage: `rebuild-sql <topology> [--set path=value] [--force] [-o json]

Empties the tables that the chain can fill and projects every block of the validator named by
persistence.config.from again. The node must be stopped. A server that holds another chain is left
alone unless --force is given; one that another node writes to, in any case. Acknowledgements come from the bus: a server keeps them, an
embedded database reads them from the bus again at the next start.`,
  run: async (args, io) => {
    const parsed = readArguments(args, OPTIONS, ['the topology file']);
    if (!parsed.ok) return refuse(io, rebuildSql, parsed.error);
    const { options, positionals } = parsed.value;
    const topology = await io.topology(positionals[0]!, options.set);
    if (topology === undefined) return EXIT.configuration;
    const lock = takeLock(topology.node.dataDir, Date.now());
    if (!lock.ok) return fail(io, `${lock.error}: stop it first`);
    try {
      const rebuilt = await run(topology, options.force ?? false);
      if (!rebuilt.ok) return fail(io, rebuilt.error);
      show(io, rebuilt.value);
      return EXIT.ok;
    } finally {
      lock.value.release();
    }
  },
};

export const commands: NonNullable<CliModule['commands']> = { 'rebuild-sql': rebuildSql };
