/** `check <topology>`: every error at once. */
import { loadTopology } from '#runtime/topology/load.ts';
import { readArguments } from './arguments.ts';
import { type Command, EXIT, refuse } from './command.ts';
import { loadOptionsOf, TOPOLOGY_OPTIONS, TOPOLOGY_USAGE } from './options.ts';
import { printProblems } from './terminal.ts';

export const command: Command = {
  summary: 'say everything that is wrong with a topology file',
  usage: `check <topology> [options] [-o json]

Reads the file, applies CYBERMESH_* variables and --set, checks every setting against the schemas
of the actors, and prints each error as file:line:column path: message. Starts nothing.

${TOPOLOGY_USAGE}`,
  run: async (args, io) => {
    const parsed = readArguments(args, TOPOLOGY_OPTIONS, ['the topology file']);
    if (!parsed.ok) return refuse(io, command, parsed.error);
    const options = loadOptionsOf(parsed.value.options);
    if (!options.ok) return refuse(io, command, options.error);
    const file = parsed.value.positionals[0]!;
    const topology = await loadTopology(file, options.value);
    if (!topology.ok) {
      printProblems(io, topology.error);
      return EXIT.configuration;
    }
    const { actors } = topology.value.view;
    const threads = new Set(actors.map((one) => one.thread)).size;
    if (io.json) io.out(JSON.stringify({ ok: true, actors: actors.length, threads, errors: [] }));
    else io.out(`${file}: ok, ${actors.length} actors on ${threads} threads`);
    return EXIT.ok;
  },
};
