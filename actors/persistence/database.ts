/**
 * The SQL database behind one `pg` pool: a server by its URL, or PGlite (PostgreSQL as WebAssembly) in
 * this thread behind a socket, so that every statement goes the same way. PGlite does not fsync: it holds
 * only what the chain can rebuild.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { connectionTo, faultCode } from '#native/postgres.ts';
import { MIGRATIONS } from './migrations.ts';

/** Within the folder of the actor: the embedded database. */
export const EMBEDDED_FOLDER = 'pglite';

export type Client = Pick<pg.ClientBase, 'query'>;

export type Work<T> = (client: Client) => Promise<T>;

export type Database = {
  /**
   * SERIALIZABLE; the whole of `work` is retried on 40001 and 40P01, so it must have no other effect. Where the
   * connection breaks at the COMMIT, nobody knows whether it counts: `look` then looks by key for what `work`
   * would have written, and gives its result, or undefined where there is none of it and it has to be repeated.
   */
  transaction<T>(work: Work<T>, look?: Work<T | undefined>): Promise<T>;
  query(text: string, values?: readonly unknown[]): Promise<pg.QueryResult>;
  readonly retries: () => number;
  /** It answers nothing any more and has to be opened anew: the embedded one after its PANIC. */
  readonly isDead: () => boolean;
  close(): Promise<void>;
};

export type DatabaseSettings = {
  /** `embedded` or a postgres:// URL. */
  readonly url: string;
  readonly passwordFile?: string | undefined;
  /** Where the embedded database keeps its files. */
  readonly folder: string;
  readonly connectionsMax: number;
  readonly statementTimeoutMs: number;
  readonly retriesMax: number;
  readonly onError: (error: Error) => void;
};

const RETRYABLE = new Set(['40001', '40P01']);
const RETRY_FIRST_MS = 5;

/** At a COMMIT: the server may have carried it out. */
const isUnknown = (error: unknown): boolean => {
  // What the server has not said is a broken connection or a deadline.
  if (!(error instanceof pg.DatabaseError)) return true;
  const { code = '' } = error;
  return code === '40003' || code.startsWith('08') || code.startsWith('57');
};

/** Whether a transaction counts is not known; `cause` is what the connection said. */
class OutcomeUnknownError extends Error {}

/** Exponential with full jitter: colliding writers must not meet again. */
const backOff = (attempt: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.random() * RETRY_FIRST_MS * 2 ** attempt));

/** A connection of a pool; released with an error it is thrown away. */
export type Connection = Client & {
  release(broken?: Error): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  off(event: 'error', listener: (error: Error) => void): unknown;
};

/** Uses one connection; what breaks it is thrown away with it. */
const connected = async <T>(
  connect: () => Promise<Connection>,
  use: (client: Client, lost: (error: Error) => void) => Promise<T>,
): Promise<T> => {
  const client = await connect();
  let broken: Error | undefined;
  // A lost connection is an event besides the failure of the query; unheard it would end the thread.
  const lost = (error: Error): void => {
    broken = error;
  };
  client.on('error', lost);
  try {
    return await use(client, lost);
  } finally {
    client.release(broken);
    client.off('error', lost);
  }
};

const commit = async (client: Client): Promise<void> => {
  try {
    await client.query('COMMIT');
  } catch (cause) {
    if (isUnknown(cause)) throw new OutcomeUnknownError('COMMIT was not answered', { cause });
    throw cause;
  }
};

const once = <T>(connect: () => Promise<Connection>, work: Work<T>): Promise<T> =>
  connected(connect, async (client, lost) => {
    try {
      await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
      const result = await work(client);
      await commit(client);
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch(lost);
      throw error;
    }
  });

/** SERIALIZABLE transactions on connections of a pool, repeated at most `retriesMax` times on a conflict. */
export const transactions = (
  connect: () => Promise<Connection>,
  retriesMax: number,
  pause: (attempt: number) => Promise<void> = backOff,
): Pick<Database, 'transaction' | 'retries'> => {
  let retries = 0;
  /** What an unanswered COMMIT has left behind; undefined: nothing. Rejects where that cannot be looked up. */
  const outcome = async <T>(error: OutcomeUnknownError, look: Work<T | undefined> | undefined) => {
    if (look === undefined) throw error.cause;
    return await connected(connect, look);
  };
  const transaction: Database['transaction'] = async (work, look) => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await once(connect, work);
      } catch (error) {
        const isLost = error instanceof OutcomeUnknownError;
        if (!isLost && !RETRYABLE.has(faultCode(error))) throw error;
        if (attempt >= retriesMax) throw isLost ? error.cause : error;
        retries++;
        await pause(attempt);
        const found = isLost ? await outcome(error, look) : undefined;
        if (found !== undefined) return found;
      }
    }
  };
  return { retries: () => retries, transaction };
};

/** A field of an error as the protocol has it; no text of a row holds a zero byte. */
const SEVERITY_PANIC = '\0VPANIC\0';
const isPanic = ({ buffer, byteOffset, byteLength }: Uint8Array): boolean =>
  Buffer.from(buffer, byteOffset, byteLength).includes(SEVERITY_PANIC);

/**
 * PGlite goes on after its own PANIC (it cannot write its log), and then may never come to an end, with its thread: it is
 * asked nothing more, and its files are closed. Returns whether that has happened.
 */
const guarded = (db: PGlite, died: () => void): (() => boolean) => {
  let isDead = false;
  const stream = db.execProtocolRawStream;
  db.execProtocolRawStream = async (message, { onRawData, ...options }) => {
    if (isDead) throw new Error('the embedded database has ended');
    const hear = (data: Uint8Array): void => {
      isDead ||= isPanic(data);
      onRawData(data);
    };
    await stream.call(db, message, { ...options, onRawData: hear });
    if (!isDead) return;
    db.isInTransaction = () => false; // else it would be rolled back
    const { FS } = db.Module;
    for (const open of FS.streams) if (open) FS.close(open);
    setImmediate(died); // its last words are on their way
  };
  return () => isDead;
};

/** PGlite as a server on a Unix socket that only this user can open. */
const startEmbedded = async (folder: string) => {
  // One after the other, as all imports of a thread (runtime/thread/residence.ts says why).
  const { PGlite } = await import('@electric-sql/pglite');
  const { PGLiteSocketServer } = await import('@electric-sql/pglite-socket');
  const db = await PGlite.create(folder);
  const sockets = mkdtempSync(join(tmpdir(), 'cybermesh-sql-'));
  const path = join(sockets, '.s.PGSQL.5432');
  const server = new PGLiteSocketServer({ db, path, maxConnections: 16 });
  // Clients that wait for an answer hear that there will be none.
  const isDead = guarded(db, () => void server.stop());
  const close = async (): Promise<void> => {
    await server.stop();
    if (!isDead()) await db.close();
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
    isDead,
    close,
  };
};

/** What two that migrate at once do to each other, IF NOT EXISTS or not: unique names, types, tuples. */
const MIGRATION_RACES = new Set(['23505', '42P07', '42710', '40001', '40P01', 'XX000']);
const MIGRATION_TRIES = 8;

/**
 * Several may migrate at once. Whoever loses a race repeats the one statement, which then finds the winner's work done:
 * a race costs one repetition, however many statements there are.
 */
const migrate = async (query: Database['query']): Promise<void> => {
  const settle: Database['query'] = async (text, values) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await query(text, values);
      } catch (error) {
        if (attempt >= MIGRATION_TRIES || !MIGRATION_RACES.has(faultCode(error))) throw error;
        await backOff(attempt);
      }
    }
  };
  await settle(
    'CREATE TABLE IF NOT EXISTS schema_migrations (version INT8 PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL)',
  );
  const { rows } = await settle('SELECT version FROM schema_migrations');
  const applied = new Set(rows.map((row) => Number(row.version)));
  for (const { version, statements } of MIGRATIONS) {
    if (applied.has(version)) continue;
    for (const statement of statements) await settle(statement);
    await settle(
      'INSERT INTO schema_migrations VALUES ($1, now()) ON CONFLICT (version) DO NOTHING',
      [version],
    );
  }
};

/** Opens, migrates and returns the database; rejects when it cannot be reached or migrated. */
export const openDatabase = async (settings: DatabaseSettings): Promise<Database> => {
  const embedded = settings.url === 'embedded' ? await startEmbedded(settings.folder) : undefined;
  const { statementTimeoutMs } = settings;
  const pool = new pg.Pool({
    ...(embedded === undefined ? connectionTo(settings) : embedded.pool),
    max: embedded === undefined ? settings.connectionsMax : 1,
    keepAlive: true,
    idleTimeoutMillis: 30_000,
    connectionTimeoutMillis: statementTimeoutMs,
    query_timeout: statementTimeoutMs,
    statement_timeout: statementTimeoutMs,
    // A projector that is cut off in mid-transaction must not keep the row of the lease locked.
    idle_in_transaction_session_timeout: statementTimeoutMs,
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
  return { transaction, query, retries, isDead: embedded?.isDead ?? (() => false), close };
};
