/**
 * A real PostgreSQL in a temporary folder, on a port of its own: started, stopped, killed and started again by
 * a test. Debian's server, which does not run as root: there it runs as the user `postgres`.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { DatabaseSettings } from '#actors/persistence/database.ts';
import { freePort } from './ports.ts';
import { programOf } from './programs.ts';

/** For the name of a test that needs it. */
export const NEEDS_POSTGRES = '(needs postgres)';
export const hasPostgres =
  process.platform === 'linux' &&
  ['postgres', 'initdb'].every((program) => programOf(program) !== undefined);

export type PostgresServer = {
  readonly port: number;
  /** With user and password. */
  readonly url: string;
  readonly password: string;
  /** The authority of its certificate (PEM file): its own. */
  readonly certificate: string;
  readonly settings: DatabaseSettings;
  /** Removes every table. */
  readonly wipe: () => Promise<void>;
  /** Runs one statement as its superuser, in the database of the tests or another. */
  readonly execute: (sql: string, database?: string) => Promise<pg.QueryResult>;
  /** An orderly stop, which ends every session at once. */
  readonly down: () => Promise<void>;
  /** kill -9 of the server's first process; its others follow it. */
  readonly kill: () => Promise<void>;
  readonly up: () => Promise<void>;
  /** Ends the server and removes its folder. */
  readonly close: () => Promise<void>;
};

const USER = 'cybermesh';
const START_MS = 60_000;

type Owner = { readonly uid?: number; readonly gid?: number };

/** The server refuses to run as root. */
const owner = (): Owner => {
  if (process.getuid?.() !== 0) return {};
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((one) => one.startsWith('postgres:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  if (uid === undefined) throw new Error('there is no user postgres');
  return { uid: Number(uid), gid: Number(gid) };
};

const SELF_SIGNED = [
  ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
  ...['-addext', 'subjectAltName=DNS:localhost', '-keyout', 'server.key', '-out', 'server.crt'],
];

const makeCluster = (folder: string, password: string, as: Owner): void => {
  const secret = join(folder, 'password');
  writeFileSync(secret, password, { mode: 0o600 });
  if (as.uid !== undefined) for (const one of [folder, secret]) chownSync(one, as.uid, as.gid!);
  const data = join(folder, 'data');
  const options = { ...as, cwd: folder, stdio: 'pipe' } as const;
  const how = ['--no-sync', '--no-locale', '-E', 'UTF8', '-A', 'scram-sha-256'];
  execFileSync(
    programOf('initdb')!,
    [...how, '-U', USER, `--pwfile=${secret}`, '-D', data],
    options,
  );
  execFileSync('openssl', SELF_SIGNED, { ...options, cwd: data });
};

const ended = (child: ChildProcess): Promise<unknown> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once('exit', resolve));

/** `parent`: where its folder is made, for a disk of a test's own. */
export const postgresServer = async (
  settings: Partial<DatabaseSettings> = {},
  parent = tmpdir(),
): Promise<PostgresServer> => {
  const folder = mkdtempSync(join(parent, 'cybermesh-postgres-'));
  const as = owner();
  const password = 'p w#1';
  makeCluster(folder, password, as);
  const port = await freePort();
  const placeOf = (database: string): string =>
    `postgres://${USER}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
  const flags = [
    ...['-D', join(folder, 'data'), '-p', String(port), '-k', folder, '-h', '127.0.0.1'],
    ...['-c', 'shared_buffers=32MB', '-c', 'max_connections=40', '-c', 'ssl=on'],
  ];
  let child: ChildProcess | undefined;
  let log = '';

  const execute: PostgresServer['execute'] = async (sql, database = 'postgres') => {
    const client = new pg.Client({ connectionString: placeOf(database) });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await client.query(sql);
    } finally {
      await client.end().catch(() => undefined);
    }
  };
  /** After a kill -9 the server refuses until the last of its old processes has gone. */
  const up = async (): Promise<void> => {
    for (const deadlineMs = performance.now() + START_MS; ; await sleep(100)) {
      if (child === undefined || child.exitCode !== null) {
        child = spawn(programOf('postgres')!, flags, { ...as, cwd: folder, stdio: 'pipe' });
        child.stderr?.on('data', (text: Buffer) => {
          log = (log + text.toString()).slice(-4000);
        });
      }
      const answer = await execute('SELECT 1').catch((error: unknown) => error);
      if (!(answer instanceof Error)) return;
      if (performance.now() > deadlineMs) throw new Error(`PostgreSQL does not start: ${log}`);
    }
  };
  const end = (signal: 'SIGKILL' | 'SIGINT') => async (): Promise<void> => {
    if (child === undefined) return;
    child.kill(signal);
    await ended(child);
    child = undefined;
  };
  await up();
  const kill = end('SIGKILL');
  const url = placeOf('postgres');
  return {
    ...{ port, url, password, execute, up, kill, down: end('SIGINT') },
    certificate: join(folder, 'data', 'server.crt'),
    settings: {
      ...{ url, folder: '', connectionsMax: 4, statementTimeoutMs: 10_000, retriesMax: 8 },
      onError: () => {},
      ...settings,
    },
    wipe: async () => {
      await execute('DROP SCHEMA public CASCADE');
      await execute('CREATE SCHEMA public');
    },
    close: async () => {
      await kill();
      await sleep(200);
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    },
  };
};
