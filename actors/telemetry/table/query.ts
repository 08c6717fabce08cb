/**
 * The questions to a table of flows, in what PostgreSQL and CockroachDB both take. Pages go by a key that orders
 * the rows and is unique, so the database finds each by its index, however far down it is.
 */
export type TablePlace = { readonly table: string; readonly key: string };

/** A name of the configuration, whose schema lets nothing through that a quote could not hold. */
const quoted = (name: string): string =>
  name
    .split('.')
    .map((part) => `"${part}"`)
    .join('.');

export type Question = { readonly text: string; readonly values: readonly (string | number)[] };

/** The next rows behind the key `after` (its text; undefined: from the first row on). */
export const pageOf = (
  { table, key }: TablePlace,
  after: string | undefined,
  rowsMax: number,
): Question => {
  const by = quoted(key);
  const head = `SELECT * FROM ${quoted(table)}`;
  const tail = `ORDER BY ${by} LIMIT`;
  return after === undefined
    ? { text: `${head} WHERE ${by} IS NOT NULL ${tail} $1`, values: [rowsMax] }
    : { text: `${head} WHERE ${by} > $1 ${tail} $2`, values: [after, rowsMax] };
};

/** One row: `kind` ('r' a table, 'p' a partitioned one, others have no index of their own) and `is_unique`. */
export const keyQuestion = ({ table, key }: TablePlace): Question => ({
  text: `SELECT c.relkind AS kind, EXISTS (
    SELECT 1 FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indrelid = c.oid AND i.indisunique AND i.indnatts = 1 AND i.indpred IS NULL
      AND a.attname = $2) AS is_unique
    FROM pg_catalog.pg_class c WHERE c.oid = $1::REGCLASS`,
  values: [quoted(table), key],
});

/** Texts come in a form that does not depend on the settings of the server; nothing can be written. */
export const SESSION = [
  "SET TIME ZONE 'UTC'",
  "SET datestyle = 'ISO'",
  'SET default_transaction_read_only = on',
] as const;
