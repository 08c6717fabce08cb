/** `bench`: runs the benchmarks of the repository, each as a program of its own. They are no part of what is published. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { didYouMean } from '#runtime/topology/nearest.ts';
import { type CliIo, type Command, EXIT, refuse } from './command.ts';

const FOLDER = fileURLToPath(new URL('../../bench/', import.meta.url));
/** Runs every benchmark of the runtime, one after the other. */
const ALL = 'kernel';

/** Names of the benchmarks in a folder. */
export const benchNames = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((file) => file.endsWith('.ts'))
        .map((file) => path.basename(file, '.ts'))
        .sort()
    : [];

const runProgram = async (file: string, args: readonly string[], io: CliIo): Promise<number> => {
  const child = spawn(process.execPath, [file, ...args, ...(io.json ? ['-o', 'json'] : [])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? EXIT.failure));
  });
  for await (const line of createInterface({ input: child.stdout })) io.out(line);
  return ended;
};

/** The command for the benchmarks of one folder. */
export const benchCommand = (folder: string): Command => {
  const command: Command = {
    summary: 'measures the runtime beside its baselines in the same run',
    usage: `bench [name] [arguments of that benchmark] [--rounds n] [-o json]

Without a name: all benchmarks of the runtime. Others (captures, commit, ...) are run by name.
Exits with 1 when a gate is missed.`,
    run: async (args, io) => {
      const names = benchNames(folder);
      if (names.length === 0) {
        io.err('the benchmarks come with the repository, not with the package: clone it, npm ci');
        return EXIT.failure;
      }
      const [first, ...rest] = args;
      const isNamed = first !== undefined && !first.startsWith('-');
      const name = isNamed ? first : ALL;
      if (!names.includes(name)) {
        return refuse(io, command, `no benchmark ${name}${didYouMean(name, names)}`);
      }
      return runProgram(path.join(folder, `${name}.ts`), isNamed ? rest : args, io);
    },
  };
  return command;
};

export const command = benchCommand(FOLDER);
