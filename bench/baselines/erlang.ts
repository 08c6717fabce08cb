/** Erlang/OTP with a bounded mailbox, as Debian's erlang-base has it. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Figures } from '../kit/rounds.ts';

export type Erlang = { measure(messages: number): Promise<Figures>; remove(): void };

/** Compiles the benchmark; undefined where Erlang is not installed. */
export const openErlang = (): Erlang | undefined => {
  const folder = mkdtempSync(path.join(tmpdir(), 'cybermesh-erlang-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const source = path.join(import.meta.dirname, 'bounded.erl');
  try {
    execFileSync('erlc', ['-o', folder, source], { stdio: ['ignore', 'ignore', 'inherit'] });
  } catch (fault) {
    remove();
    if ((fault as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fault;
  }
  return {
    remove,
    measure: async (messages) => {
      const schedulers = ['+S', '2:2', '-noshell', '-pa', folder];
      const args = [...schedulers, '-run', 'bounded', 'main', String(messages)];
      const { stdout } = await promisify(execFile)('erl', args);
      return { rate: Number(stdout.trim()) };
    },
  };
};
