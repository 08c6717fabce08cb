import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { err, ok } from '#proto/result.ts';
import type { CliModule } from '#runtime/cli/command.ts';

/** A command of an actor, and a prepare that leaves a trace or refuses. */
export const commands: CliModule['commands'] = {
  greet: {
    summary: 'greet somebody',
    usage: 'greet <name>',
    run: async ([name], io) => {
      io.out(io.json ? JSON.stringify({ hello: name }) : `hello ${name}`);
      return 0;
    },
  },
};

export const prepare: CliModule['prepare'] = async (topology) => {
  if (topology.node.name === 'refused') return err('will not');
  writeFileSync(path.join(topology.node.dataDir, 'prepared'), topology.node.name);
  return ok({ genesis: { file: topology.genesis.file, sha256: 'ab'.repeat(32) } });
};
