/**
 * The SQL database behind one `pg` pool: a server by its URL, or PGlite (PostgreSQL as WebAssembly) in
 * this thread behind a socket, so that every statement goes the same way. PGlite does not fsync: it holds
 * only what the chain can rebuild.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import pg from 'pg';
import { MIGRATIONS } from './migrations.ts';

/** Within the folder of the actor: the embedded database. */
export const EMBEDDED_FOLDER = 'pglite';

export type Client = Pick<pg.ClientBase, 'query'>;

export type Database = {
  /** SERIALIZABLE; the whole of `work` is retried on 40001 and 40P01, so it must have no other effect. */
  transaction<T>(work: (client: Client) => Promise<T>): Promise<T>;
  query(text: string, values?: readonly unknown[]): Promise<pg.QueryResult>;
  readonly retries: () => number;
  close(): Promise<void>;
};

export type DatabaseSettings = {
  /** `embedded` or a postgres:// URL. */
  readonly url: string;
  /** Where the embedded database keeps its files. */
  readonly folder: string;
  readonly connectionsMax: number;
  readonly statementTimeoutMs: number;
  readonly retriesMax: number;
  readonly onError: (error: Error) => void;
};

const RETRYABLE = new Set(['40001', '40P01']);
const RETRY_FIRST_MS = 5;

const codeOf = (error: unknown): string =>
  error instanceof pg.DatabaseError ? (error.code ?? '') : '';

/** Exponential with full jitter: colliding writers must not meet again. */
const backOff = (attempt: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.random() * RETRY_FIRST_MS * 2 ** attempt));

/** A connection of a pool; released with an error it is thrown away. */
export type Connection = Client & {
  release(broken?: Error): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  off(event: 'error', listener: (error: Error) => void): unknown;
};

const once = async <T>(
  connect: () => Promise<Connection>,
  work: (client: Client) => Promise<T>,
): Promise<T> => {
  const client = await connect();
  let broken: Error | undefined;
  // A lost connection is an event besides the failure of the query; unheard it would end the thread.
  const lost = (error: Error): void => {
    broken = error;
  };
  client.on('error', lost);
  try {
    await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(lost);
    throw error;
  } finally {
    client.release(broken);
    client.off('error', lost);
  }
};

/** SERIALIZABLE transactions on connections of a pool, repeated at most `retriesMax` times on a conflict. */
export const transactions = (
  connect: () => Promise<Connection>,
  retriesMax: number,
  pause: (attempt: number) => Promise<void> = backOff,
): Pick<Database, 'transaction' | 'retries'> => {
  let retries = 0;
  return {
    retries: () => retries,
    transaction: async (work) => {
      for (let attempt = 0; ; attempt++) {
        try {
          return await once(connect, work);
        } catch (error) {
          if (!RETRYABLE.has(codeOf(error)) || attempt >= retriesMax) throw error;
          retries++;
          await pause(attempt);
        }
      }
    },
  };
};

/** PGlite as a server on a Unix socket that only this user can open. */
const startEmbedded = async (folder: string) => {
  const db = await PGlite.create(folder);
  const sockets = mkdtempSync(join(tmpdir(), 'cybermesh-sql-'));
  const path = join(sockets, '.s.PGSQL.5432');
  const server = new PGLiteSocketServer({ db, path, maxConnections: 16 });
  const close = async (): Promise<void> => {
    await server.stop();
    await db.close();
    rmSync(sockets, { recursive: true, force: true });
  };
  try {
    await server.start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    pool: { host: sockets, port: 5432, user: 'postgres', database: 'postgres', ssl: false },
    close,
  };
};

const migrate = async (query: Database['query']): Promise<void> => {
  await query(
    'CREATE TABLE IF NOT EXISTS schema_migrations (version INT8 PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL)',
  );
  const { rows } = await query('SELECT version FROM schema_migrations');
  const applied = new Set(rows.map((row) => Number(row.version)));
  for (const { version, statements } of MIGRATIONS) {
    if (applied.has(version)) continue;
    for (const statement of statements) await query(statement);
    await query(
      'INSERT INTO schema_migrations VALUES ($1, now()) ON CONFLICT (version) DO NOTHING',
      [version],
    );
  }
};

/** Opens, migrates and returns the database; rejects when it cannot be reached or migrated. */
export const openDatabase = async (settings: DatabaseSettings): Promise<Database> => {
  const embedded = settings.url === 'embedded' ? await startEmbedded(settings.folder) : undefined;
  const pool = new pg.Pool({
    ...(embedded === undefined ? { connectionString: settings.url } : embedded.pool),
    max: embedded === undefined ? settings.connectionsMax : 1,
    idleTimeoutMillis: 30_000,
    connectionTimeoutMillis: settings.statementTimeoutMs,
    query_timeout: settings.statementTimeoutMs,
    statement_timeout: settings.statementTimeoutMs,
    application_name: 'cybermesh',
  });
  pool.on('error', settings.onError);
  const { transaction, retries } = transactions(() => pool.connect(), settings.retriesMax);

  const query = (text: string, values: readonly unknown[] = []): Promise<pg.QueryResult> =>
    pool.query(text, [...values]);
  const close = async (): Promise<void> => {
    await pool.end();
    await embedded?.close();
  };
  try {
    await migrate(query);
  } catch (error) {
    await close();
    throw error;
  }
  return { transaction, query, retries, close };
};
