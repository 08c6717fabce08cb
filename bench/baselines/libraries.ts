/**
 * Comlink, Piscina and the actor libraries of npm, each telling messages of 64 bytes as fast as it can. The actor libraries
 * are installed on demand into a cache folder, from the lockfile in bench/libraries.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { MessageChannel, Worker } from 'node:worker_threads';
import { type Remote, releaseProxy, wrap } from 'comlink';
import { Piscina } from 'piscina';
import { endpoint } from '#runtime/control/endpoint.ts';
import { tick } from '../fixtures/protocol.ts';
import type { Party } from '../kit/rounds.ts';
import type { Served } from './served.ts';

const run = promisify(execFile);
const MANIFESTS = path.join(import.meta.dirname, '..', 'libraries');
const INSTALL_MS = 300_000;
const WINDOW = 512;
const CALLS = 1 << 14;
const TOLD = 1 << 16;
const SERVED = new URL('./served.ts', import.meta.url);

/** The folder with their node_modules. */
const install = async (): Promise<string> => {
  const lock = readFileSync(path.join(MANIFESTS, 'package-lock.json'));
  const hash = createHash('sha256').update(lock).digest('hex').slice(0, 12);
  const cache = process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache');
  const folder = path.join(cache, 'cybermesh', `bench-libraries-${hash}`);
  if (existsSync(folder)) return folder;
  const making = `${folder}.${process.pid}`;
  mkdirSync(making, { recursive: true });
  for (const file of ['package.json', 'package-lock.json']) {
    copyFileSync(path.join(MANIFESTS, file), path.join(making, file));
  }
  const options = { cwd: making, timeout: INSTALL_MS };
  await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], options);
  if (existsSync(folder)) rmSync(making, { recursive: true });
  else renameSync(making, folder);
  return folder;
};

const library = (name: string, folder: string): Party => ({
  name: name === 'nact' ? 'nact (both on one thread)' : `${name} (threaded)`,
  measure: async () => {
    const file = path.join(import.meta.dirname, 'library-process.ts');
    const args = ['--no-warnings', file, name, folder, String(TOLD)];
    const { stdout } = await run(process.execPath, args);
    return { rate: Number(stdout.trim().split('\n').at(-1)) };
  },
});

/** `call` answered, 512 at a time. */
const rateOf = async (call: (n: number) => Promise<unknown>): Promise<number> => {
  const round = async (calls: number): Promise<void> => {
    for (let n = 0; n < calls; n += WINDOW) {
      await Promise.all(Array.from({ length: WINDOW }, (_, k) => call(n + k)));
    }
  };
  await round(CALLS >> 2);
  const beganMs = performance.now();
  await round(CALLS);
  return CALLS / ((performance.now() - beganMs) / 1000);
};

const comlink: Party = {
  name: 'Comlink',
  measure: async () => {
    const { port1, port2 } = new MessageChannel();
    const worker = new Worker(SERVED, { workerData: { comlink: port2 }, transferList: [port2] });
    const remote: Remote<Served> = wrap<Served>(endpoint(port1));
    try {
      return { rate: await rateOf((n) => remote.take(tick(n))) };
    } finally {
      remote[releaseProxy]();
      port1.close();
      await worker.terminate();
    }
  },
};

const piscina: Party = {
  name: 'Piscina',
  measure: async () => {
    const one = { minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: 64 };
    const pool = new Piscina({ filename: SERVED.href, ...one });
    try {
      return { rate: await rateOf((n) => pool.run(tick(n), { name: 'take' })) };
    } finally {
      await pool.destroy();
    }
  },
};

/** Those that there are; `note` hears which are not, and why. */
export const libraries = async (note: (text: string) => void): Promise<readonly Party[]> => {
  const here = [comlink, piscina];
  note('tell: actor-ts is not in the npm registry, left out');
  try {
    const folder = await install();
    return [...here, library('comedy', folder), library('nact', folder)];
  } catch (fault) {
    note(`tell: comedy and nact cannot be installed, left out: ${(fault as Error).message}`);
    return here;
  }
};
