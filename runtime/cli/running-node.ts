/** Commands that ask a running node: they find it by its data folder. */
import path from 'node:path';
import { err, ok, type Result } from '#proto/result.ts';
import { type ControlClient, connectControl, controlPath } from '#runtime/control.ts';
import { readArguments } from './arguments.ts';
import { type CliIo, type Command, EXIT, refuse } from './command.ts';

const DATA_DIR = './data';

export const NODE_USAGE = `The running node is found by its data folder: that of the topology file, if one is given,
or --data <folder>; else ./data.`;

const dataDirOf = async (
  args: readonly string[],
  io: CliIo,
  command: Command,
): Promise<Result<string, number>> => {
  const parsed = readArguments(args, { data: { type: 'string' } } as const, [], 1);
  if (!parsed.ok) return err(refuse(io, command, parsed.error));
  const { options, positionals } = parsed.value;
  const [file] = positionals;
  if (file === undefined) return ok(path.resolve(options.data ?? DATA_DIR));
  const topology = await io.topology(file);
  return topology === undefined ? err(EXIT.configuration) : ok(topology.node.dataDir);
};

/** Connects, asks, disconnects. A node that does not run or does not answer is a failure with a sentence. */
export const askNode = async (
  args: readonly string[],
  io: CliIo,
  command: Command,
  ask: (node: ControlClient) => Promise<void>,
): Promise<number> => {
  const dataDir = await dataDirOf(args, io, command);
  if (!dataDir.ok) return dataDir.error;
  const failure = (text: string): number => {
    if (io.json) io.out(JSON.stringify({ ok: false, error: text }));
    else io.err(`error: ${text}`);
    return EXIT.failure;
  };
  let node: ControlClient;
  try {
    node = await connectControl(dataDir.value);
  } catch (fault) {
    const { code, message } = fault as NodeJS.ErrnoException;
    const isAbsent = code === 'ENOENT' || code === 'ECONNREFUSED';
    const folder = path.dirname(controlPath(dataDir.value));
    return failure(
      isAbsent ? `no node runs on the data folder ${folder}` : `${folder}: ${message}`,
    );
  }
  try {
    await ask(node);
    return EXIT.ok;
  } catch (fault) {
    return failure(`the node does not answer: ${(fault as Error).message}`);
  } finally {
    node.close();
  }
};
