/** Commands about enforcement: pull the brake, and decisions by hand. */
import { existsSync } from 'node:fs';
import { err, ok, type Result } from '#proto/result.ts';
import { readArguments } from '#runtime/cli/arguments.ts';
import { type CliIo, type Command, EXIT, type Prepared, refuse } from '#runtime/cli/command.ts';
import { type ActorView, actorsOf, type TopologyView } from '#runtime/topology/view.ts';
import { backendOf } from './backends/choice.ts';
import { config, type EnforcerConfig } from './config.ts';
import { decisions } from './decisions/command.ts';
import { who } from './keyboard.ts';
import { audit, auditFile, endPanic, startPanic } from './panic.ts';

const SET = { set: { type: 'string', multiple: true } } as const;
const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000 } as const;
const PANIC_MS_MAX = 24 * UNITS_MS.h;

const configOf = (actor: ActorView): EnforcerConfig => config.parse(actor.config);

/** `start` calls it: an agent that could enforce nothing is refused by name before anything runs. */
export const prepare = async (topology: TopologyView): Promise<Result<Prepared, string>> => {
  for (const actor of actorsOf(topology, 'enforcer')) {
    const settings = configOf(actor);
    const backend = backendOf(settings, Date.now);
    const probed = await backend.probe();
    await backend.close();
    if (!probed.ok) {
      const { code, reason } = probed.error;
      return err(`${actor.path} cannot use backend ${settings.backend}: ${code}: ${reason}`);
    }
  }
  return ok({});
};

/** `90s`, `10m`, `2h`; undefined for anything else. */
const durationMs = (text: string): number | undefined => {
  const [, count, unit] = /^(\d{1,6})([smh])$/.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS];
};

/** Takes what is ours out of the kernel for every agent of the topology. True when all of it is gone. */
const clearAll = async (topology: TopologyView, io: CliIo): Promise<boolean> => {
  let done = true;
  for (const actor of actorsOf(topology, 'enforcer')) {
    const settings = configOf(actor);
    if (settings.backend === 'noop') {
      io.out(`${actor.path}: noop by this file; if it was started with --set, give that here, too`);
    }
    const backend = backendOf(settings, Date.now);
    const cleared = await backend.clear();
    await backend.close();
    const error = cleared.ok ? undefined : cleared.error;
    const details = { atMs: Date.now(), agent: actor.path, backend: settings.backend };
    audit(topology.node.dataDir, 'clear', { ...details, error: error ?? null });
    if (error === undefined)
      io.out(`${actor.path}: nothing of ours is in force (${settings.backend})`);
    else {
      io.err(`${actor.path}: ${error.code}: ${error.reason}`);
      done = false;
    }
  }
  return done;
};

const panic: Command = {
  summary: 'enforce nothing from now on: remove every rule of ours, without quorum',
  usage: `panic <topology.yaml> [--for 1h] [--reason text] [--end] [--set path=value]

Removes what the agents of this node have put into its firewall and keeps them from enforcing for a time
(at most 24h, then they go on by themselves). Works whether the node runs or not. Until then policies
are acknowledged as failed with the code panic; they come into force when it ends, if their time is not over.
  --for 30m      how long: a number with s, m or h
  --reason text  goes into the audit log, panic.log in the data folder
  --end          enforce again now`,
  run: async (args, io) => {
    const kinds = {
      ...SET,
      for: { type: 'string' },
      reason: { type: 'string' },
      end: { type: 'boolean' },
    } as const;
    const parsed = readArguments(args, kinds, ['topology.yaml']);
    if (!parsed.ok) return refuse(io, panic, parsed.error);
    const { options, positionals } = parsed.value;
    const lastsMs = durationMs(options.for ?? '1h');
    if (lastsMs === undefined || lastsMs === 0 || lastsMs > PANIC_MS_MAX) {
      return refuse(io, panic, `--for takes 1s to 24h, not ${options.for}`);
    }
    const topology = await io.topology(positionals[0]!, options.set);
    if (topology === undefined) return EXIT.configuration;
    const { dataDir } = topology.node;
    if (!existsSync(dataDir)) {
      io.err(`there is no data folder ${dataDir}: this node has never run here`);
      return EXIT.failure;
    }
    const atMs = Date.now();
    if (options.end === true) {
      endPanic(dataDir, who(), atMs);
      io.out('enforcing again; a running agent restores what is committed within seconds');
      return EXIT.ok;
    }
    const reason = options.reason ?? '';
    startPanic(dataDir, { atMs, untilMs: atMs + lastsMs, by: who(), reason });
    const done = await clearAll(topology, io);
    io.out(
      `until ${new Date(atMs + lastsMs).toISOString()} nothing is enforced; audit: ${auditFile(dataDir)}`,
    );
    return done ? EXIT.ok : EXIT.failure;
  },
};

export const commands = { panic, decisions };
