/** `check <topology>`: every error at once. */
import { formatProblem } from '#runtime/topology/document.ts';
import { loadTopology } from '#runtime/topology/load.ts';
import { readArguments } from './arguments.ts';
import { type Command, EXIT, refuse } from './command.ts';
import { loadOptionsOf, TOPOLOGY_OPTIONS, TOPOLOGY_USAGE } from './options.ts';
import { printProblems, problemsJson } from './terminal.ts';

export const command: Command = {
  summary: 'say everything that is wrong with a topology file',
  usage: `check <topology> [options] [-o json]

Reads the file, applies CYBERMESH_* variables and --set, checks every setting against the schemas
of the actors, and prints each error as file:line:column path: message. Starts nothing. What is
allowed and probably not meant is a warning: supervisors whose intensities multiply, for instance.

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
    const { view, warnings } = topology.value;
    const actors = view.actors.length;
    const threads = new Set(view.actors.map((one) => one.thread)).size;
    if (io.json) {
      const told = { ok: true, actors, threads, errors: [], warnings: problemsJson(warnings) };
      io.out(JSON.stringify(told));
      return EXIT.ok;
    }
    for (const { message, ...warning } of warnings) {
      io.err(formatProblem({ ...warning, message: `warning: ${message}` }));
    }
    io.out(`${file}: ok, ${actors} actors on ${threads} threads`);
    return EXIT.ok;
  },
};
