/** Pages of a table, one after the other, from a server that may go and come back. Memory: two pages. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { connectionTo, explainFault, type Remedies } from '#native/postgres.ts';
import type { PostgresConfig } from '../config.ts';
import { type Columns, columnsOf } from '../flows/columns.ts';
import type { Reporter } from '../reading.ts';
import { keyQuestion, pageOf, SESSION } from './query.ts';

export type Page = {
  /** Texts in the order of the table's columns. */
  readonly rows: readonly (readonly (string | null)[])[];
  readonly columns: Columns;
  /** Index of the key among the columns. */
  readonly keyAt: number;
};

export type Pages = {
  /** At most `rowsMax` rows behind `after`; waits for a server that is away. undefined: closed meanwhile. */
  fetch(after: string | undefined, rowsMax: number): Promise<Page | undefined>;
  close(): void;
};

const RETRY_FIRST_MS = 100;
const RETRY_LAST_MS = 10_000;
const STATEMENT_MS = 60_000;
/** A long outage is said again after so many attempts. */
const SAID_EVERY = 30;

/** Every type as the text that the server sends. */
const TEXTS: pg.CustomTypesConfig = { getTypeParser: () => (value: unknown) => value };

/** Without an index a page is a scan of the table; with equal keys rows would be left out. */
const checkKey = async (client: pg.Client, source: PostgresConfig): Promise<void> => {
  const { text, values } = keyQuestion(source);
  const { rows } = await client.query(text, [...values]);
  const { kind, is_unique } = rows[0] as { readonly kind: string; readonly is_unique: boolean };
  if (is_unique || !['r', 'p'].includes(kind)) return;
  throw new Error(
    `the column ${source.key} of ${source.table} is not unique by itself: ` +
      'name a key that is, or create a unique index on it',
  );
};

const connect = async (
  source: PostgresConfig,
  lost: (client: pg.Client) => void,
): Promise<pg.Client> => {
  const client = new pg.Client({
    ...connectionTo(source),
    keepAlive: true,
    connectionTimeoutMillis: STATEMENT_MS,
    query_timeout: STATEMENT_MS,
    statement_timeout: STATEMENT_MS,
    application_name: 'cybermesh',
  });
  client.on('error', () => lost(client));
  try {
    await client.connect();
    for (const statement of SESSION) await client.query(statement);
    await checkKey(client, source);
    return client;
  } catch (fault) {
    await client.end().catch(() => undefined); // the fault says why
    throw fault;
  }
};

/** Reading takes less than the tables of our own do. */
const remediesOf = ({ table }: PostgresConfig): Remedies => ({
  '42501': `the user lacks a right: grant SELECT on ${table}, and USAGE on its schema`,
  '3F000': `the schema does not exist: correct the name of the table, ${table}`,
});

/** Throws where the columns are not those of flows: nothing is read, and nothing skipped, until they are. */
const headerReader = ({ table, key }: PostgresConfig) => {
  let names = '';
  let header: Pick<Page, 'columns' | 'keyAt'> | undefined;
  return (fields: readonly pg.FieldDef[]): Pick<Page, 'columns' | 'keyAt'> => {
    const given = fields.map((field) => field.name);
    if (header !== undefined && given.join('\n') === names) return header;
    const found = columnsOf(given);
    if (!found.ok) throw new Error(`${table} is not a table of flows: ${found.error}`);
    names = given.join('\n');
    header = { columns: found.value, keyAt: given.indexOf(key) };
    return header;
  };
};

export const openPages = (source: PostgresConfig, report: Reporter): Pages => {
  const aborted = new AbortController();
  let open: pg.Client | undefined;
  let failures = 0;
  let said = '';
  const headerOf = headerReader(source);

  const drop = (client: pg.Client | undefined): void => {
    if (open === client) open = undefined;
    client?.end().catch(() => undefined); // it is gone already
  };
  const failed = async (fault: unknown): Promise<void> => {
    drop(open);
    report.emit('table_failures', 1);
    const reason = explainFault(fault, source.url, remediesOf(source));
    if (reason !== said || failures % SAID_EVERY === 0) {
      report.log('warn', 'the table of flows cannot be read; it is tried again', { reason });
    }
    said = reason;
    const pauseMs = Math.min(RETRY_FIRST_MS * 2 ** failures, RETRY_LAST_MS);
    failures += 1;
    const { signal } = aborted;
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined); // closed
  };
  const page = async (after: string | undefined, rowsMax: number): Promise<Page> => {
    open ??= await connect(source, drop);
    const { text, values } = pageOf(source, after, rowsMax);
    const result = await open.query({
      ...{ text, values: [...values], rowMode: 'array', types: TEXTS },
    });
    const header = headerOf(result.fields);
    if (failures > 0) report.log('info', 'the table of flows is read again', { failures });
    failures = 0;
    said = '';
    return { ...header, rows: result.rows as Page['rows'] };
  };
  return {
    fetch: async (after, rowsMax) => {
      while (!aborted.signal.aborted) {
        try {
          return await page(after, rowsMax);
        } catch (fault) {
          if (!aborted.signal.aborted) await failed(fault);
        }
      }
      return undefined;
    },
    close: () => {
      aborted.abort();
      drop(open);
    },
  };
};
