/** `config show <topology>`: the configuration in force. */
import { stringify } from 'yaml';
import {
  type EffectiveSetting,
  effectiveDocument,
  effectiveSettings,
} from '#runtime/topology/effective.ts';
import { loadTopology } from '#runtime/topology/load.ts';
import { readArguments } from './arguments.ts';
import { type Command, EXIT, refuse } from './command.ts';
import { loadOptionsOf, TOPOLOGY_OPTIONS, TOPOLOGY_USAGE } from './options.ts';
import { printProblems } from './terminal.ts';

const table = (settings: readonly EffectiveSetting[]): string => {
  const left = settings.map(({ path, value }) => `${path} = ${JSON.stringify(value)}`);
  const width = Math.min(72, Math.max(...left.map((one) => one.length)));
  return settings.map(({ source }, k) => `${left[k]!.padEnd(width)}  # ${source}`).join('\n');
};

export const command: Command = {
  summary: 'show the configuration in force, and where each value came from',
  usage: `config show <topology> [--origin] [options] [-o json]

Prints the topology with templates expanded and defaults filled in, as a topology file. With --origin:
one setting a line and whether the file, a CYBERMESH_* variable, --set or a default decided it.
Precedence: --set, then variables, then the file, then defaults. Secrets are masked.

${TOPOLOGY_USAGE}`,
  run: async (args, io) => {
    const kinds = { ...TOPOLOGY_OPTIONS, origin: { type: 'boolean' } } as const;
    const parsed = readArguments(args, kinds, ['the word show', 'the topology file']);
    if (!parsed.ok) return refuse(io, command, parsed.error);
    const { options, positionals } = parsed.value;
    if (positionals[0] !== 'show') {
      return refuse(io, command, `config knows show, not ${positionals[0]}`);
    }
    const loading = loadOptionsOf(options);
    if (!loading.ok) return refuse(io, command, loading.error);
    const topology = await loadTopology(positionals[1]!, loading.value);
    if (!topology.ok) {
      printProblems(io, topology.error);
      return EXIT.configuration;
    }
    if (options.origin) {
      const settings = effectiveSettings(topology.value);
      io.out(io.json ? JSON.stringify({ settings }) : table(settings));
      return EXIT.ok;
    }
    const document = effectiveDocument(topology.value);
    io.out(
      io.json ? JSON.stringify(document) : stringify(document, { aliasDuplicateObjects: false }),
    );
    return EXIT.ok;
  },
};
