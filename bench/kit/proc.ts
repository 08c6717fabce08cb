/** What Linux says of a process or thread. */
import { readFileSync } from 'node:fs';

/** USER_HZ: fixed at 100 for what Linux shows to programs. */
const TICKS_PER_SECOND = 100;

/** Processor seconds (user and system), of a file /proc/<pid>/stat or /proc/<pid>/task/<tid>/stat. */
export const cpuSeconds = (file: string): number => {
  const text = readFileSync(file, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
};

/** Of all children of this process that have ended. */
export const childrenCpuSeconds = (): number => {
  const text = readFileSync('/proc/self/stat', 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
};

export const residentMiB = (pid: number): number => {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Math.round(Number(line?.[1]) / 1024);
};
