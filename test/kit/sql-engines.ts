/** The SQL engines on which the contract of persistence is tested, alike. */
import { hasPostgres, NEEDS_POSTGRES, postgresServer } from './postgres.ts';
import { type SqlServer, sqlServer } from './sql-server.ts';

export const SQL_ENGINES: readonly {
  /** Of the tests; names what they need. */
  readonly name: string;
  readonly isThere: boolean;
  readonly start: () => Promise<SqlServer>;
}[] = [
  { name: 'on PGlite', isThere: true, start: sqlServer },
  { name: `on PostgreSQL ${NEEDS_POSTGRES}`, isThere: hasPostgres, start: postgresServer },
];
