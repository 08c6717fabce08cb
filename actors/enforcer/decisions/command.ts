/** `decisions list`, `decisions add`, `decisions delete`. */
import { type Command, EXIT, refuse } from '#runtime/cli/command.ts';
import { didYouMean } from '#runtime/topology/nearest.ts';
import { add } from './add.ts';
import { remove } from './delete.ts';
import { list } from './list.ts';

const VERBS: { readonly [verb: string]: Command } = { list, add, delete: remove };

export const decisions: Command = {
  summary: 'enforcement by hand: list policies, add one, delete one',
  usage: `decisions list|add|delete <topology> ...

${Object.entries(VERBS)
  .map(([verb, { usage }]) => `${verb}: ${usage}`)
  .join('\n\n')}`,
  run: async (args, io) => {
    const [verb, ...rest] = args;
    if (verb === undefined) return refuse(io, decisions, 'list, add or delete is missing');
    if (!Object.hasOwn(VERBS, verb)) {
      io.err(`unknown action ${verb}${didYouMean(verb, Object.keys(VERBS))}: list, add or delete`);
      return EXIT.usage;
    }
    return VERBS[verb]!.run(rest, io);
  },
};
