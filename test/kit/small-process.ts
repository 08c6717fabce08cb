/** The small process that starts programs for this one, seen from outside. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { type Ran, type Run, runProgram } from '#native/spawner.ts';

export const run = (words: readonly string[], given: Partial<Run> = {}): Promise<Ran> =>
  runProgram({ words, input: '', timeoutMs: 20_000, outputBytesMax: 1 << 20, ...given });

const statusOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return ''; // it has ended since
  }
};

export const commandOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
};

/** The small process of a process, where it has one. */
export const smallOf = (parent: number): number | undefined => {
  const found = readdirSync('/proc').find(
    (pid) =>
      /^\d+$/.test(pid) &&
      commandOf(pid).includes('spawner-process') &&
      // Asleep, about to run, or waiting for the disk: not one that has ended.
      new RegExp(`\\) [SRD] ${parent} `).test(statusOf(pid)),
  );
  return found === undefined ? undefined : Number(found);
};

export const isAlive = (pid: number): boolean =>
  existsSync(`/proc/${pid}`) && !statusOf(`${pid}`).includes(') Z ');

/** Whether a process has a library in its memory. */
export const holds = (pid: number, library: string): boolean =>
  readFileSync(`/proc/${pid}/maps`, 'utf8').includes(library);
