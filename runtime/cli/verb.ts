/**
 * A verb: what can be asked of a running node, the same from the command line and in the console. The command line adds
 * where the node is.
 */
import type { ControlClient } from '#runtime/control/control.ts';
import { type OptionKinds, type Parsed, readArguments } from './arguments.ts';
import { type CliIo, type Command, EXIT, refuse } from './command.ts';
import { connectNode, dataDirOf, failure, faultText, NODE_USAGE } from './running-node.ts';

/** Who types, where somebody does. */
export type Keyboard = {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
};

export type Asking = {
  readonly node: ControlClient;
  /** Every node that was named, the first one included. */
  readonly nodes: readonly ControlClient[];
  readonly io: CliIo;
  /** Ctrl-C. */
  readonly signal: AbortSignal;
  /** Undefined where output or input is no terminal. */
  readonly keyboard: Keyboard | undefined;
};

export type Verb<O extends OptionKinds = OptionKinds> = {
  readonly name: string;
  readonly summary: string;
  /** Arguments, then further lines of explanation. */
  readonly usage: string;
  readonly options: O;
  /** Names of what has to be there, and how many more there may be. */
  readonly positionals: readonly string[];
  readonly optional: number;
  /** The first positional is an actor: the console completes it. */
  readonly isOfActor?: boolean;
  /** It asks every node that is named; else one is all that may be named. */
  readonly isOfNodes?: boolean;
  /** Resolves to the exit code; what it throws is said as an error. */
  readonly run: (asking: Asking, parsed: Parsed<O>) => Promise<number>;
};

/** Keeps the types of the options while many verbs stand in one list. */
export const verb = <const O extends OptionKinds>(given: Verb<O>): Verb => given as unknown as Verb;

const TOPOLOGY = /\.(?:ya?ml|json)$/;
const DATA = { data: { type: 'string', multiple: true } } as const;

const isTerminal = (): boolean => process.stdout.isTTY === true && process.stdin.isTTY === true;

/** An aborted signal at Ctrl-C, which otherwise would end the process in the middle of what it shows. */
const interruption = (): { readonly signal: AbortSignal; readonly end: () => void } => {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  return {
    signal: abort.signal,
    end: () => {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
  };
};

const ask = async (
  asked: Verb,
  folders: readonly string[],
  io: CliIo,
  parsed: Parsed<OptionKinds>,
) => {
  const nodes: ControlClient[] = [];
  const interrupted = interruption();
  try {
    for (const folder of folders) {
      const node = await connectNode(folder);
      if (!node.ok) return failure(io, node.error);
      nodes.push(node.value);
    }
    const { signal } = interrupted;
    const { stdin: input, stdout: output } = process;
    const keyboard = isTerminal() && !io.json ? { input, output } : undefined;
    return await asked.run({ node: nodes[0]!, nodes, io, signal, keyboard }, parsed);
  } catch (fault) {
    return failure(io, faultText(fault));
  } finally {
    interrupted.end();
    for (const node of nodes) node.close();
  }
};

/** The verb as a command of its own. A positional that ends like a topology file is one. */
export const commandOf = (given: Verb): Command => {
  const command: Command = {
    summary: given.summary,
    usage: `${given.name} ${given.usage}\n\n${NODE_USAGE}`,
    run: async (args, io) => {
      const { options: kinds, positionals: named, optional } = given;
      const parsed = readArguments(args, { ...kinds, ...DATA }, [], named.length + optional + 1);
      if (!parsed.ok) return refuse(io, command, parsed.error);
      const { options } = parsed.value;
      const file = parsed.value.positionals.find((word) => TOPOLOGY.test(word));
      const positionals = parsed.value.positionals.filter((word) => word !== file);
      const missing = named[positionals.length];
      if (missing !== undefined) return refuse(io, command, `${missing} is missing`);
      const extra = positionals[named.length + optional];
      if (extra !== undefined) return refuse(io, command, `unexpected argument ${extra}`);
      const data = (options as { readonly data?: readonly string[] }).data;
      if ((data?.length ?? 0) > 1 && given.isOfNodes !== true) {
        return refuse(io, command, `${given.name} asks one node: one --data`);
      }
      const folders: string[] = [];
      for (const one of data ?? [undefined]) {
        const folder = await dataDirOf(one, file, io);
        if (!folder.ok) return folder.error;
        folders.push(folder.value);
      }
      const own = options as Parsed<OptionKinds>['options'];
      return ask(given, folders, io, { options: own, positionals });
    },
  };
  return command;
};

/**
 * What a node answers, or undefined so long after whoever asked has left (Ctrl-C): a node that hangs holds nobody, whose
 * calls would end only at their deadlines.
 */
export const unlessLeft = async <T>(
  answer: Promise<T>,
  signal: AbortSignal,
  graceMs: number,
): Promise<T | undefined> => {
  let timer: NodeJS.Timeout | undefined;
  let leave = (): void => {};
  const left = new Promise<undefined>((resolve) => {
    leave = () => {
      timer = setTimeout(() => resolve(undefined), graceMs);
    };
  });
  if (signal.aborted) leave();
  else signal.addEventListener('abort', leave, { once: true });
  answer.catch(() => {}); // one that fails after that is nobody's
  try {
    return await Promise.race([answer, left]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', leave);
  }
};

/** Wrong arguments of a verb. */
export const wrong = ({ io }: Asking, name: string, fault: string): number => {
  io.err(`${fault}; see: ${name} --help`);
  return EXIT.usage;
};
