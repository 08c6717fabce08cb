/** Commands that ask a running node: finding it by its data folder, and saying why it does not answer. */
import path from 'node:path';
import { err, ok, type Result } from '#proto/result.ts';
import { type ControlClient, connectControl, controlPath } from '#runtime/control/control.ts';
import { readArguments } from './arguments.ts';
import { type CliIo, type Command, EXIT, refuse } from './command.ts';

const DATA_DIR = './data';

export const NODE_USAGE = `The running node is found by its data folder: that of the topology file, if one is given,
or --data <folder>; else ./data.`;

/** The data folder that a command's arguments mean, or an exit code after what was wrong has been said. */
export const dataDirOf = async (
  data: string | undefined,
  file: string | undefined,
  io: CliIo,
): Promise<Result<string, number>> => {
  if (file === undefined) return ok(path.resolve(data ?? DATA_DIR));
  const topology = await io.topology(file);
  return topology === undefined ? err(EXIT.configuration) : ok(topology.node.dataDir);
};

/** Says what went wrong with a node, on a terminal or as JSON. */
export const failure = (io: CliIo, text: string): number => {
  if (io.json) io.out(JSON.stringify({ ok: false, error: text }));
  else io.err(`error: ${text}`);
  return EXIT.failure;
};

/** Connects to the node on a data folder; the error is a sentence. */
export const connectNode = async (dataDir: string): Promise<Result<ControlClient, string>> => {
  try {
    return ok(await connectControl(dataDir));
  } catch (fault) {
    const { code, message } = fault as NodeJS.ErrnoException;
    const isAbsent = code === 'ENOENT' || code === 'ECONNREFUSED';
    const folder = path.dirname(controlPath(dataDir));
    const denied = code === 'EACCES' ? ': only the user who runs the node may ask it' : '';
    return err(
      isAbsent ? `no node runs on the data folder ${folder}` : `${folder}: ${message}${denied}`,
    );
  }
};

const LOST = /closed the connection|EPIPE|ECONNRESET/;

/** The connection is gone: another one may succeed. */
export const isLost = (fault: unknown): boolean => LOST.test((fault as Error).message);

/** What a call of the node failed with: the node's own refusal, or that there was no answer. */
export const faultText = (fault: unknown): string => {
  const { name, message } = fault as Error;
  if (name === 'RangeError') return message;
  if (isLost(fault)) return 'the node has ended, or has closed the connection';
  return `the node does not answer: ${message}`;
};

export type RunningNode = { readonly dataDir: string; readonly node: ControlClient };

/** Connects to the node that the arguments `[<topology>] [--data folder]` mean, or an exit code after what was wrong has been said. */
export const openNode = async (
  args: readonly string[],
  io: CliIo,
  command: Command,
): Promise<Result<RunningNode, number>> => {
  const parsed = readArguments(args, { data: { type: 'string' } } as const, [], 1);
  if (!parsed.ok) return err(refuse(io, command, parsed.error));
  const { options, positionals } = parsed.value;
  const dataDir = await dataDirOf(options.data, positionals[0], io);
  if (!dataDir.ok) return dataDir;
  const node = await connectNode(dataDir.value);
  return node.ok ? ok({ dataDir: dataDir.value, node: node.value }) : err(failure(io, node.error));
};

/** Connects, asks, disconnects. A node that does not run or does not answer is a failure with a sentence. */
export const askNode = async (
  args: readonly string[],
  io: CliIo,
  command: Command,
  ask: (node: ControlClient) => Promise<void>,
): Promise<number> => {
  const found = await openNode(args, io, command);
  if (!found.ok) return found.error;
  const { node } = found.value;
  try {
    await ask(node);
    return EXIT.ok;
  } catch (fault) {
    return failure(io, faultText(fault));
  } finally {
    node.close();
  }
};
