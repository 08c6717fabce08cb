import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { DiskReadOnlyError, DiskRefusal, diskFault, isDiskReadOnly, isReadOnly } from './disk.ts';

/** What a column takes and gives. A 64-bit integer beyond 2^53 throws when read as a number. */
export type StoreValue = null | number | bigint | string | Uint8Array;
export type StoreRow = Record<string, StoreValue>;

/** Parameters stand for `?` in order. */
export type Statement<Params extends readonly StoreValue[], Row extends object> = {
  get(...params: Params): Row | undefined;
  all(...params: Params): Row[];
  /** One row at a time; do not write to the same table meanwhile. */
  each(...params: Params): IterableIterator<Row>;
  /** `changes`: rows written. */
  run(...params: Params): { readonly changes: number };
};

export type StoreErrorCode = 'unreadable' | 'read-only' | 'damaged' | 'newer' | 'migration';

/** Why a store does not open; the message names the file. */
export class StoreError extends Error {
  readonly code: StoreErrorCode;
  readonly path: string;
  constructor(code: StoreErrorCode, path: string, reason: string) {
    super(`store ${path}: ${reason}`);
    this.name = 'StoreError';
    this.code = code;
    this.path = path;
  }
}

/**
 * One SQLite file of one actor: what a transaction has written is on the disk when it returns. On a disk that is full
 * or read-only everything that writes throws DiskRefusal and has written nothing; what was there stays, and is read.
 */
export type Store = {
  /** Compile once and keep; the caller answers for the types of its own SQL. */
  statement<Params extends readonly StoreValue[], Row extends object = StoreRow>(
    sql: string,
  ): Statement<Params, Row>;
  /** All or nothing: what `body` throws rolls back and is thrown on. Not nested, not async. */
  transaction<T>(body: () => T): T;
  /** Folds the write-ahead log in. Closing twice is harmless. */
  close(): void;
};

export type StoreOptions = {
  /** SQL scripts; entry i brings the schema from version i to i + 1. Never edit, only append. */
  readonly migrations: readonly string[];
  /** Reads every page at opening, about a second a gigabyte. Default true. */
  readonly checked?: boolean;
};

/** How long a reader of another process may hold the file before a write fails. */
const BUSY_TIMEOUT_MS = 5000;

/** Opens or creates. Throws StoreError or DiskRefusal. `:memory:` is a store without a disk, for tests. */
export const openStore = (path: string, options: StoreOptions): Store => {
  const db = openFile(path);
  try {
    prepareFile(db, path, options.checked ?? true);
    migrate(db, path, options.migrations);
  } catch (cause) {
    db.close();
    throw cause;
  }
  return storeOf(db, path);
};

/**
 * A write-ahead log that was left behind is read through an index that others write: on a read-only disk SQLite may make do
 * with less, or wait with its thread. A file that was closed in order has none, and is read there.
 */
const refuseLeftovers = (path: string): void => {
  if (existsSync(`${path}-wal`) && isDiskReadOnly(path)) throw new DiskReadOnlyError(path);
};

const openFile = (path: string): DatabaseSync => {
  refuseLeftovers(path);
  try {
    if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true });
    return new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  } catch (cause) {
    throw openingFault(cause, path, 'unreadable');
  }
};

/** A disk that takes nothing and a file that may not be written to are no damage of the file. */
const openingFault = (cause: unknown, path: string, otherwise: StoreErrorCode): Error => {
  const fault = diskFault(cause, path);
  if (fault instanceof DiskRefusal || fault instanceof StoreError) return fault;
  if (!isReadOnly(fault, path)) return new StoreError(otherwise, path, reasonOf(fault));
  const remedy = `let this user write to ${dirname(path)}, or give another data folder`;
  return new StoreError('read-only', path, `it may not be written to; ${remedy}`);
};

const prepareFile = (db: DatabaseSync, path: string, checked: boolean): void => {
  try {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
    if (!checked) return;
    const verdict = db.prepare('PRAGMA quick_check(1)').get()?.quick_check;
    if (verdict !== 'ok') throw new StoreError('damaged', path, `integrity check: ${verdict}`);
  } catch (cause) {
    throw openingFault(cause, path, 'damaged');
  }
};

const migrate = (db: DatabaseSync, path: string, migrations: readonly string[]): void => {
  const version = Number(db.prepare('PRAGMA user_version').get()?.user_version ?? 0);
  if (version > migrations.length) {
    const known = migrations.length;
    throw new StoreError('newer', path, `schema ${version}, this release knows up to ${known}`);
  }
  for (let from = version; from < migrations.length; from += 1) {
    try {
      inTransaction(db, () => {
        db.exec(migrations[from]!);
        db.exec(`PRAGMA user_version = ${from + 1}`);
      });
    } catch (cause) {
      const fault = openingFault(cause, path, 'migration');
      if (!(fault instanceof StoreError) || fault.code !== 'migration') throw fault;
      throw new StoreError('migration', path, `to schema ${from + 1}: ${reasonOf(cause)}`);
    }
  }
};

const inTransaction = <T>(db: DatabaseSync, body: () => T): T => {
  if (db.isTransaction) throw new Error('transactions do not nest');
  db.exec('BEGIN IMMEDIATE');
  try {
    const value = body();
    db.exec('COMMIT');
    return value;
  } catch (cause) {
    if (db.isTransaction) db.exec('ROLLBACK'); // some errors have rolled back already
    throw cause;
  }
};

/** Everything that writes goes through here. */
const written = <T>(path: string, write: () => T): T => {
  try {
    return write();
  } catch (cause) {
    throw diskFault(cause, path);
  }
};

const storeOf = (db: DatabaseSync, path: string): Store => ({
  statement: <Params extends readonly StoreValue[], Row extends object>(sql: string) =>
    statementOf<Params, Row>(db.prepare(sql), path),
  transaction: (body) => written(path, () => inTransaction(db, body)),
  close: () => {
    if (db.isOpen) db.close();
  },
});

const statementOf = <Params extends readonly StoreValue[], Row extends object>(
  prepared: StatementSync,
  path: string,
): Statement<Params, Row> => ({
  get: (...params) => prepared.get(...params) as Row | undefined,
  all: (...params) => prepared.all(...params) as Row[],
  each: (...params) => prepared.iterate(...params) as IterableIterator<Row>,
  run: (...params) => written(path, () => ({ changes: Number(prepared.run(...params).changes) })),
});

const reasonOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause);
