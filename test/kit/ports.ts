/** Ports for tests that run side by side, in this process and in others. */
import { randomInt } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';

/** Below the range that the kernel gives to outgoing connections, which would take a free one meanwhile. */
const FIRST_PORT = 10_000;
const PORTS = 20_000;
const PORT_TRIES = 64;
/** A file a port, with the process that has it: between asking and listening nobody else may be told the same. */
const FOLDER = '/tmp/cybermesh-ports';

const taken = new Set<string>();
process.on('exit', () => {
  for (const file of taken) rmSync(file, { force: true });
});

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

const isAlive = (pid: number): boolean => {
  try {
    return Number.isInteger(pid) && pid > 0 && process.kill(pid, 0);
  } catch (fault) {
    return (fault as NodeJS.ErrnoException).code === 'EPERM';
  }
};

/** True when the port is ours until this process ends. */
const reserve = (port: number): boolean => {
  const file = path.join(FOLDER, String(port));
  mkdirSync(FOLDER, { recursive: true });
  try {
    const open = openSync(file, 'wx');
    writeSync(open, String(process.pid));
    closeSync(open);
    taken.add(file);
    return true;
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code !== 'EEXIST') throw fault;
    return false;
  }
};

/** Frees what a process that is no more has left; the next one that asks may have it. */
const forget = (port: number): void => {
  const file = path.join(FOLDER, String(port));
  try {
    const owner = readFileSync(file, 'utf8');
    if (owner !== '' && !isAlive(Number(owner))) rmSync(file, { force: true });
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code !== 'ENOENT') throw fault;
  }
};

/** True when all of them are ours and nobody listens there. */
const take = async (first: number, count: number): Promise<boolean> => {
  for (let port = first; port < first + count; port++) {
    if (!reserve(port)) {
      forget(port);
      return false;
    }
    if (!(await listens(port))) return false;
  }
  return true;
};

/**
 * The first of `count` ports of 127.0.0.1, one after the other, at which nobody listens now, and that no other test is
 * told while this process lives.
 */
export const freePorts = async (count: number): Promise<number> => {
  for (let attempt = 0; attempt < PORT_TRIES; attempt++) {
    const first = randomInt(FIRST_PORT, FIRST_PORT + PORTS - count);
    if (await take(first, count)) return first;
  }
  throw new Error(`no ${count} free ports in ${PORT_TRIES} tries`);
};

export const freePort = (): Promise<number> => freePorts(1);
