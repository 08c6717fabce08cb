/** The broker and the database that a cluster runs on, where none are given: started here and stopped with it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { err, ok, type Result } from '#proto/result.ts';

export type Service<T> = { readonly value: T; readonly stop: () => Promise<void> };
type Say = (text: string) => void;

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Where `npm run kafka` and most brokers for trying out listen. */
const HERE = { host: '127.0.0.1', port: 9092 } as const;
/** The first time, Kafka itself is fetched. */
const BROKER_MS = 300_000;
const DATABASE_MS = 60_000;
const STOP_MS = 20_000;
const ADDRESS = /\b(?:127\.0\.0\.1|localhost):\d{2,5}\b/;

const ended = (child: ChildProcess): boolean =>
  child.exitCode !== null || child.signalCode !== null;

const stopped = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
  if (ended(child)) return;
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  // Its whole group: what npm or the server has started goes with it.
  const tell = (name: NodeJS.Signals): void => {
    try {
      process.kill(-(child.pid as number), name);
    } catch {
      // It ended by itself meanwhile.
    }
  };
  tell(signal);
  const timer = setTimeout(() => tell('SIGKILL'), STOP_MS);
  await gone;
  clearTimeout(timer);
};

const hasScript = (name: string): boolean => {
  const manifest = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
    readonly scripts?: { readonly [name: string]: string };
  };
  const program = manifest.scripts?.[name]?.split(' ').at(-1);
  // The published package names it and does not hold it.
  return program !== undefined && existsSync(path.join(ROOT, program));
};

const isOpen = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1000 });
    const give = (open: boolean): void => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', () => give(true));
    socket.once('error', () => give(false));
    socket.once('timeout', () => give(false));
  });

/** The broker that runs on this machine already, else that of `npm run kafka`. */
export const startBroker = async (say: Say): Promise<Result<Service<string>, string>> => {
  if (await isOpen(HERE.host, HERE.port)) {
    return ok({ value: `${HERE.host}:${HERE.port}`, stop: async () => undefined });
  }
  return hasScript('kafka') ? runBroker(say) : err('no broker is given: use --brokers host:port');
};

/** `npm run kafka`: its first line with an address is where the broker is. */
const runBroker = (say: Say): Promise<Result<Service<string>, string>> => {
  const child = spawn('npm', ['run', '--silent', 'kafka'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      resolve(err(`the broker is not there after ${BROKER_MS / 1000} s; or use --brokers`));
    }, BROKER_MS);
    const give = (result: Result<Service<string>, string>): void => {
      clearTimeout(timer);
      resolve(result);
    };
    const hear = (line: string): void => {
      say(line);
      const address = ADDRESS.exec(line)?.[0];
      if (address !== undefined) {
        give(ok({ value: address, stop: () => stopped(child, 'SIGTERM') }));
      }
    };
    createInterface({ input: child.stdout }).on('line', hear);
    createInterface({ input: child.stderr }).on('line', say);
    child.once('error', (fault) => give(err(`npm run kafka: ${fault.message}`)));
    child.once('exit', () => give(err('the broker ended: use --brokers host:port')));
  });
};

/** Where Debian keeps the programs of its newest PostgreSQL; undefined where it is not installed. */
const postgresBin = (): string | undefined => {
  const base = '/usr/lib/postgresql';
  if (!existsSync(base)) return undefined;
  const versions = readdirSync(base).sort((a, b) => Number(b) - Number(a));
  return versions
    .map((one) => path.join(base, one, 'bin'))
    .find((bin) => existsSync(`${bin}/initdb`));
};

type Owner = { readonly uid?: number; readonly gid?: number };

/** PostgreSQL refuses to run as root: there it runs as the user `postgres`. */
const owner = (): Owner => {
  if (process.getuid?.() !== 0) return {};
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  const [, , uid, gid] = lines.find((one) => one.startsWith('postgres:'))?.split(':') ?? [];
  return uid === undefined ? {} : { uid: Number(uid), gid: Number(gid) };
};

const answers = async (url: string): Promise<boolean> => {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
};

const cluster = (bin: string, folder: string, as: Owner): void => {
  if (existsSync(path.join(folder, 'data', 'PG_VERSION'))) return;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (as.uid !== undefined && as.gid !== undefined) {
    chownSync(folder, as.uid, as.gid);
    // Its parent is ours alone; the server has to get through it to its own folder, and sees nothing else.
    chmodSync(path.dirname(folder), 0o711);
  }
  const how = ['--no-locale', '-E', 'UTF8', '-A', 'trust', '-U', 'cybermesh'];
  const options = { ...as, cwd: '/', stdio: 'pipe' } as const;
  execFileSync(path.join(bin, 'initdb'), [...how, '-D', path.join(folder, 'data')], options);
};

/** A server of our own in `folder`, reachable through a socket in it and over no network. */
export const startDatabase = async (folder: string): Promise<Result<Service<string>, string>> => {
  const bin = postgresBin();
  const hint = 'use --database postgres://user@host/database';
  if (bin === undefined)
    return err(`no database is given, and PostgreSQL is not installed: ${hint}`);
  const as = owner();
  try {
    cluster(bin, folder, as);
  } catch (fault) {
    return err(`PostgreSQL cannot be set up in ${folder}: ${(fault as Error).message}; ${hint}`);
  }
  const logFile = path.join(folder, 'postgres.log');
  const log = openSync(logFile, 'a', 0o600);
  const settings = ['-c', 'listen_addresses=', '-c', `unix_socket_directories=${folder}`];
  const child = spawn(path.join(bin, 'postgres'), ['-D', path.join(folder, 'data'), ...settings], {
    ...as,
    cwd: '/',
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  const url = `postgres://cybermesh@localhost/postgres?host=${encodeURIComponent(folder)}`;
  const deadline = performance.now() + DATABASE_MS;
  // SIGINT is PostgreSQL's fast shutdown: it does not wait for its clients.
  const stop = () => stopped(child, 'SIGINT');
  while (performance.now() < deadline && !ended(child)) {
    if (await answers(url)) return ok({ value: url, stop });
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await stop();
  return err(`PostgreSQL does not start, see ${logFile}; or ${hint}`);
};
