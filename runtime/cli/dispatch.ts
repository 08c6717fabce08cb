/** Finds a command by its name and runs it. */
import { isDiskRefusal } from '#native/disk.ts';
import { ACTORS_ROOT } from '#runtime/topology/actors.ts';
import { closest } from '#runtime/topology/nearest.ts';
import { takeOutput } from './arguments.ts';
import { type Command, EXIT } from './command.ts';
import { domainModules } from './domain-modules.ts';
import { type Streams, terminal } from './terminal.ts';

/** Commands of the runtime; their modules are loaded when they are called. */
const BUILT_IN: { readonly [name: string]: () => Promise<{ readonly command: Command }> } = {
  start: () => import('./start.ts'),
  check: () => import('./check.ts'),
  config: () => import('./config-show.ts'),
  status: () => import('./status.ts'),
  tree: () => import('./tree.ts'),
  bench: () => import('./bench.ts'),
  top: () => import('./top.ts'),
  trace: () => import('./trace.ts'),
  inspect: () => import('./inspect.ts'),
  suspend: async () => ({ command: (await import('./sys.ts')).suspend }),
  resume: async () => ({ command: (await import('./sys.ts')).resume }),
  restart: async () => ({ command: (await import('./sys.ts')).restart }),
  kill: async () => ({ command: (await import('./sys.ts')).kill }),
  console: () => import('./console.ts'),
  replay: () => import('./replay.ts'),
  schema: () => import('./schema.ts'),
  version: () => import('./version.ts'),
};

type Commands = { readonly commands: Map<string, Command>; readonly faults: string[] };

const everyCommand = async (actorsRoot: URL): Promise<Commands> => {
  const commands = new Map<string, Command>();
  const faults: string[] = [];
  for (const [name, load] of Object.entries(BUILT_IN)) commands.set(name, (await load()).command);
  for (const [, module] of await domainModules(actorsRoot)) {
    if (!module.ok) faults.push(module.error);
    else {
      for (const [name, command] of Object.entries(module.value.commands ?? {})) {
        if (!commands.has(name)) commands.set(name, command);
      }
    }
  }
  return { commands, faults };
};

const overview = ({ commands, faults }: Commands): string => {
  const width = Math.max(...[...commands.keys()].map((name) => name.length));
  const lines = [...commands].map(([name, one]) => `  ${name.padEnd(width)}  ${one.summary}`);
  return `CyberMesh: network telemetry in, firewall policies that a committee agreed on out.

Usage: node runtime <command> [arguments] [-o json]

Commands:
${lines.join('\n')}

Try:  node runtime start config/local.yaml
Help: node runtime <command> --help
Exit: 0 ok, 1 failure, 2 wrong usage, 78 bad configuration
${faults.map((fault) => `\n${fault}`).join('')}`;
};

/** The names of all commands. */
export const commandNames = async (actorsRoot: URL = ACTORS_ROOT): Promise<string[]> => [
  ...(await everyCommand(actorsRoot)).commands.keys(),
  'help',
];

const find = async (name: string, actorsRoot: URL): Promise<Command | undefined> => {
  const own = Object.hasOwn(BUILT_IN, name) ? BUILT_IN[name] : undefined;
  if (own !== undefined) return (await own()).command;
  return (await everyCommand(actorsRoot)).commands.get(name);
};

export type MainOptions = { readonly actorsRoot?: URL };

/** Runs one command line; resolves to the exit code. */
export const main = async (
  argv: readonly string[],
  streams: Streams,
  options: MainOptions = {},
): Promise<number> => {
  const actorsRoot = options.actorsRoot ?? ACTORS_ROOT;
  const output = takeOutput(argv);
  if (!output.ok) {
    terminal(streams, false).err(output.error);
    return EXIT.usage;
  }
  const { json, rest } = output.value;
  const io = terminal(streams, json, actorsRoot);
  const [first, ...args] = rest;
  const name = first === '--version' ? 'version' : first;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    const wanted = name === 'help' && args[0] !== undefined ? args[0] : undefined;
    if (wanted !== undefined) return main([wanted, '--help'], streams, options);
    (name === undefined ? io.err : io.out)(overview(await everyCommand(actorsRoot)));
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  const command = await find(name, actorsRoot);
  if (command === undefined) {
    const { commands, faults } = await everyCommand(actorsRoot);
    const near = closest(name, [...commands.keys()]);
    const hint = near === undefined ? 'see: node runtime help' : `did you mean ${near}?`;
    for (const fault of faults) io.err(fault);
    io.err(`unknown command ${name}; ${hint}`);
    return EXIT.usage;
  }
  if (args.includes('--help') || args.includes('-h')) {
    io.out(`${command.summary}\n\nUsage: node runtime ${command.usage}`);
    return EXIT.ok;
  }
  try {
    return await command.run(args, io);
  } catch (fault) {
    if (!isDiskRefusal(fault)) throw fault;
    io.err(`error: ${(fault as Error).message}`);
    return EXIT.failure;
  }
};
