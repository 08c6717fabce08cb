/** `console`: a prompt on a running node that holds all its verbs together. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { ControlClient } from '#runtime/control/control.ts';
import { actorNodes } from '#runtime/metrics/snapshot.ts';
import { readArguments, takeOutput } from './arguments.ts';
import { type CliIo, type Command, EXIT } from './command.ts';
import { completions, wordsOf } from './console-line.ts';
import { findVerb, helpText, unknownVerb } from './console-verbs.ts';
import { connectNode, failure, faultText, isLost, NODE_USAGE, openNode } from './running-node.ts';
import type { Keyboard } from './verb.ts';

const PROMPT = 'cybermesh> ';
const HISTORY_LINES = 500;

const historyFile = (dataDir: string): string => path.join(dataDir, 'console.history');

/** Newest first, as node:readline wants it. */
const readHistory = (dataDir: string): string[] => {
  try {
    const lines = readFileSync(historyFile(dataDir), 'utf8').split('\n');
    return lines.filter((line) => line !== '').reverse();
  } catch {
    return []; // the first time
  }
};

type Session = {
  readonly dataDir: string;
  readonly io: CliIo;
  readonly keyboard: Keyboard | undefined;
  node: ControlClient | undefined;
  history: string[];
  /** Paths, for Tab. */
  actors: readonly string[];
  /** Of the verb that runs. */
  running: AbortController | undefined;
  /** A line has failed. */
  failed: boolean;
};

/** The node, connected anew where it has gone and come back. */
const nodeOf = async (session: Session): Promise<ControlClient | undefined> => {
  if (session.node !== undefined) return session.node;
  const node = await connectNode(session.dataDir);
  if (!node.ok) {
    session.io.err(`error: ${node.error}`);
    return undefined;
  }
  session.node = node.value;
  return node.value;
};

/** True when the line was carried out. */
const runVerb = async (session: Session, line: string): Promise<boolean> => {
  const fail = (text: string): boolean => {
    session.io.err(text);
    return false;
  };
  const [name = '', ...args] = wordsOf(line);
  const verb = findVerb(name);
  if (verb === undefined) return fail(unknownVerb(name));
  const output = takeOutput(args);
  if (!output.ok) return fail(output.error);
  const { json, rest } = output.value;
  const io: CliIo = { ...session.io, json };
  if (rest.includes('--help')) {
    io.out(helpText(name));
    return true;
  }
  const parsed = readArguments(rest, verb.options, verb.positionals, verb.optional);
  if (!parsed.ok) return fail(`${parsed.error}; see: help ${name}`);
  const node = await nodeOf(session);
  if (node === undefined) return false;
  const running = new AbortController();
  session.running = running;
  const keyboard = json ? undefined : session.keyboard;
  const asking = { node, nodes: [node], io, signal: running.signal, keyboard };
  try {
    return (await verb.run(asking, parsed.value)) === EXIT.ok;
  } catch (fault) {
    if (isLost(fault)) {
      node.close();
      session.node = undefined;
    }
    return fail(`error: ${faultText(fault)}`);
  } finally {
    session.running = undefined;
  }
};

/** Lines as they are typed; undefined at the end of the input. */
const lineReader = (session: Session) => {
  const waiting: string[] = [];
  let wake: (() => void) | undefined;
  let ended = false;
  let reader: Interface | undefined;
  const { keyboard } = session;
  const open = (): void => {
    const own = createInterface({
      input: keyboard?.input ?? process.stdin,
      ...(keyboard === undefined ? { terminal: false } : { output: keyboard.output }),
      prompt: PROMPT,
      history: session.history,
      historySize: HISTORY_LINES,
      removeHistoryDuplicates: true,
      completer: (line: string) => completions(line, session.actors),
    });
    reader = own;
    own.on('line', (line) => {
      waiting.push(line);
      wake?.();
    });
    own.on('history', (lines: string[]) => {
      session.history = lines;
    });
    // Ctrl-C stops the verb; at the prompt it gives up the line.
    own.on('SIGINT', () => {
      if (session.running !== undefined) return session.running.abort();
      keyboard?.output.write('\n');
      own.write(null, { ctrl: true, name: 'u' });
      own.prompt();
    });
    own.on('close', () => {
      if (own !== reader) return;
      ended = true;
      session.running?.abort();
      wake?.();
    });
  };
  open();
  return {
    next: async (): Promise<string | undefined> => {
      if (keyboard !== undefined && waiting.length === 0 && !ended) reader?.prompt();
      while (waiting.length === 0 && !ended) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return waiting.shift();
    },
    /** Leaves the keyboard to `work`. */
    without: async (work: () => Promise<void>): Promise<void> => {
      const own = reader;
      reader = undefined;
      own?.close();
      try {
        await work();
      } finally {
        open();
      }
    },
    close: () => reader?.close(),
  };
};

/** Verbs that read the keyboard themselves. */
const TAKES_KEYBOARD: ReadonlySet<string> = new Set(['top']);

const learnActors = async (session: Session): Promise<void> => {
  try {
    const tree = await session.node?.tree();
    if (tree !== undefined) session.actors = actorNodes(tree).map((one) => one.path);
  } catch {
    // The next verb says what is wrong with the node.
  }
};

const converse = async (session: Session): Promise<void> => {
  const reader = lineReader(session);
  await learnActors(session);
  for (;;) {
    const line = (await reader.next())?.trim();
    if (line === undefined || line === 'exit' || line === 'quit') break;
    const [name, topic] = wordsOf(line);
    if (name === undefined) continue;
    const run = async (): Promise<void> => {
      if (!(await runVerb(session, line))) session.failed = true;
    };
    if (name === 'help') session.io.out(helpText(topic));
    else if (session.keyboard !== undefined && TAKES_KEYBOARD.has(name)) await reader.without(run);
    else await run();
  }
  reader.close();
};

const greeting = async (node: ControlClient, dataDir: string): Promise<string> => {
  const { pid, uptimeS, state } = await node.status();
  return `node on ${dataDir}: process ${pid}, ${state}, up ${Math.round(uptimeS)} s. help lists the commands.`;
};

const saveHistory = ({ dataDir, history, keyboard, io }: Session): void => {
  if (keyboard === undefined) return;
  const lines = [...history].reverse().slice(-HISTORY_LINES);
  try {
    writeFileSync(historyFile(dataDir), `${lines.join('\n')}\n`, { mode: 0o600 });
  } catch (fault) {
    io.err(`the history could not be kept: ${(fault as Error).message}`);
  }
};

export const command: Command = {
  summary: 'an interactive prompt on the running node: tree, top, trace, inspect, suspend ...',
  usage: `console [<topology>] [--data folder]

Commands with Tab completion, a history (console.history in the data folder) and help. Lines from a pipe are carried
out one after the other. The node goes on whatever happens here.

${NODE_USAGE}`,
  run: async (args, io) => {
    const found = await openNode(args, io, command);
    if (!found.ok) return found.error;
    const { dataDir, node } = found.value;
    const { stdin: input, stdout: output } = process;
    const keyboard = input.isTTY && output.isTTY ? { input, output } : undefined;
    const session: Session = {
      dataDir,
      io,
      keyboard,
      node,
      history: readHistory(dataDir),
      actors: [],
      running: undefined,
      failed: false,
    };
    try {
      if (keyboard !== undefined) io.out(await greeting(node, dataDir));
    } catch (fault) {
      node.close();
      return failure(io, faultText(fault));
    }
    await converse(session);
    saveHistory(session);
    session.node?.close();
    // Whoever types sees what failed; a script has to be told.
    return session.failed && keyboard === undefined ? EXIT.failure : EXIT.ok;
  },
};
