/** `schema`: the JSON Schema of topology files. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ACTORS_ROOT } from '#runtime/topology/actors.ts';
import { topologySchema } from '#runtime/topology/json-schema.ts';
import { readArguments } from './arguments.ts';
import { type Command, EXIT, refuse } from './command.ts';

const COMMITTED = fileURLToPath(new URL('../../config/schema.json', import.meta.url));

/** The text of config/schema.json. */
export const schemaText = async (actorsRoot: URL = ACTORS_ROOT): Promise<string> =>
  `${JSON.stringify(await topologySchema(actorsRoot), null, 2)}\n`;

export const command: Command = {
  summary: 'print the JSON Schema of topology files',
  usage: `schema [--write]

Made from the schemas of the actors. --write renews config/schema.json, which editors read.`,
  run: async (args, io) => {
    const parsed = readArguments(args, { write: { type: 'boolean' } } as const, []);
    if (!parsed.ok) return refuse(io, command, parsed.error);
    const text = await schemaText();
    if (!parsed.value.options.write) io.out(text);
    else writeFileSync(COMMITTED, text);
    return EXIT.ok;
  },
};
