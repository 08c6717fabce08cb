/** librdkafka's mock cluster in a process of its own, driven by commands; compiled at first use. */
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { ROOT, temporaryFolder } from './processes.ts';
import { programOf } from './programs.ts';

const run = promisify(execFile);
const COMPILE_MS = 60_000;
const HEADER = 'librdkafka/rdkafka_mock.h';

/** What is missing of what the mock needs; '' when nothing is. */
export const mockNeeds = (): string => {
  const folders = ['/usr/include', ...(process.env.CPATH ?? '').split(path.delimiter)];
  const hasHeader = folders.some((one) => one !== '' && existsSync(path.join(one, HEADER)));
  return [programOf('gcc') !== undefined ? '' : 'gcc', hasHeader ? '' : 'librdkafka-dev']
    .filter((one) => one !== '')
    .join(', ');
};

export type KafkaMock = {
  readonly brokers: readonly string[];
  /** `down 1`, `up 1`, `rtt 1 400`, `leader topic 0 2`: resolves when it holds. */
  readonly tell: (command: string) => Promise<void>;
  readonly close: () => Promise<void>;
};

/** `topics`: `name:partitions`. */
export const startMock = async (nodes: number, topics: readonly string[]): Promise<KafkaMock> => {
  const folder = temporaryFolder();
  const program = path.join(folder.path, 'kafka-mock');
  const source = path.join(ROOT, 'test/kit/kafka-mock.c');
  await run('gcc', [source, '-o', program, '-lrdkafka'], { timeout: COMPILE_MS });
  const child = spawn(program, [String(nodes), ...topics], { stdio: ['pipe', 'pipe', 'ignore'] });
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  const waiting: ((line: string) => void)[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(line));
  const next = (): Promise<string> =>
    new Promise((resolve, reject) => {
      waiting.push(resolve);
      void gone.then(() => reject(new Error('the mock cluster has ended')));
    });
  const brokers = (await next()).split(',');
  return {
    brokers,
    tell: async (command) => {
      child.stdin.write(`${command}\n`);
      await next();
    },
    close: async () => {
      child.stdin.end();
      await gone;
      folder.remove();
    },
  };
};
