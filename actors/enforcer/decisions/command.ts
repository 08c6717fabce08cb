/** `decisions list`, `add`, `delete` and `approve`. */
import { type Command, EXIT, refuse } from '#runtime/cli/command.ts';
import { didYouMean } from '#runtime/topology/nearest.ts';
import { add } from './add.ts';
import { approval } from './approve.ts';
import { remove } from './delete.ts';
import { list } from './list.ts';

const VERBS: { readonly [verb: string]: Command } = {
  list,
  add,
  delete: remove,
  approve: approval,
};

export const decisions: Command = {
  summary: 'enforcement by hand: list policies, add, delete and approve them',
  usage: `decisions list|add|delete|approve <topology> ...

${Object.entries(VERBS)
  .map(([verb, { usage }]) => `${verb}: ${usage}`)
  .join('\n\n')}`,
  run: async (args, io) => {
    const [verb, ...rest] = args;
    if (verb === undefined) return refuse(io, decisions, 'list, add, delete or approve is missing');
    if (!Object.hasOwn(VERBS, verb)) {
      io.err(
        `unknown action ${verb}${didYouMean(verb, Object.keys(VERBS))}: list, add, delete or approve`,
      );
      return EXIT.usage;
    }
    return VERBS[verb]!.run(rest, io);
  },
};
