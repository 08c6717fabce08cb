/**
 * How a PostgreSQL or CockroachDB server is reached, and what its refusals mean to somebody who can do
 * something about them. No text from here holds a password.
 */
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import type pg from 'pg';

export type ServerPlace = {
  /** postgres://user@host:port/database?sslmode=verify-full&sslrootcert=/path */
  readonly url: string;
  /** A file whose first line is the password; it wins over one in the URL. Else PGPASSWORD counts. */
  readonly passwordFile?: string | undefined;
};

/** The password file is read anew at each call, so a changed password needs no restart. Throws as readFileSync. */
export const connectionTo = ({ url, passwordFile }: ServerPlace): pg.ClientConfig => {
  if (passwordFile === undefined) return { connectionString: url };
  const [password = ''] = readFileSync(passwordFile, 'utf8').split(/\r?\n/, 1);
  const full = new URL(url);
  full.password = '';
  full.searchParams.set('password', password);
  return { connectionString: full.href };
};

/** user@host:port/database, as far as the URL says it. */
export const placeOf = (url: string): string => {
  if (!URL.canParse(url)) return 'the database';
  const { username, hostname, port, pathname, searchParams } = new URL(url);
  const host = searchParams.get('host') ?? hostname;
  const user = username === '' ? '' : `${username}@`;
  const at = host === '' ? '' : `${host}:${port || (searchParams.get('port') ?? '5432')}`;
  return `${user}${at}${pathname}`;
};

/** What to do, by the code of Node or SQLSTATE. */
export type Remedies = { readonly [code: string]: string };

const REMEDIES: Remedies = {
  ECONNREFUSED: 'nobody listens there: start the server, or correct host and port of the URL',
  ENOENT: 'a file is missing: the password file, a certificate, or the socket of the server',
  EACCES: 'a file may not be read by this user: the password file, a certificate, or the socket',
  ENOTFOUND: 'the name of the host is not known: correct the URL, or the DNS',
  EAI_AGAIN: 'the name of the host cannot be looked up now: look at the DNS',
  EHOSTUNREACH: 'there is no way to the host: look at routes and firewalls',
  ENETUNREACH: 'there is no way to the host: look at routes and firewalls',
  ETIMEDOUT: 'the server does not answer: look at host, port and firewalls',
  ECONNRESET: 'the connection was cut: the server went away',
  EPIPE: 'the connection was cut: the server went away',
  '28P01': 'the password is refused: correct it in passwordFile or PGPASSWORD',
  '28000': 'the server lets this user not in: look at its pg_hba.conf and the name of the user',
  '3D000': 'the database does not exist: make it with createdb, or correct the URL',
  '3F000': 'this user has no schema for its tables: create one, or grant USAGE and CREATE on it',
  '42P01': 'the table does not exist: correct its name, or create it',
  '42703': 'a column does not exist: correct its name',
  '42501': 'the user lacks a right: grant CREATE on the schema and all rights on its tables',
  '25006': 'the database is read-only: give the URL of the primary, or let it be written to',
  '53100': 'the disk of the server is full: make room',
  '53300': 'the server has no connection left: raise max_connections, or use fewer',
  '57P01': 'the server was stopped: start it',
  '57P03': 'the server is starting or stopping: it will be tried again',
  '57014': 'a statement took too long: look at the load of the server',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not trusted: name its authority in sslrootcert',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not trusted: name its authority in sslrootcert',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'its certificate is not trusted: name its authority in sslrootcert',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'its certificate is not trusted: name its authority in sslrootcert',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'its certificate is for another host: use the name in the certificate, or a right one',
  CERT_HAS_EXPIRED: 'its certificate has expired: renew it',
};

const WORDS: readonly (readonly [RegExp, string])[] = [
  [/timeout/i, 'the server does not answer in time: look at host, port, firewalls and its load'],
  [/does not support SSL/i, 'it offers no TLS: turn ssl on there, or give sslmode=disable'],
  [/terminated|closed/i, 'the connection was cut: the server went away'],
  [/password must be a string/i, 'it asks for a password: give passwordFile or PGPASSWORD'],
];

/** What a code alone does not tell apart. */
const remedyOf = (code: string, said: string, own: Remedies): string | undefined => {
  if (/valid client certificate/i.test(said)) {
    return 'it wants a certificate of ours: give sslcert and sslkey (PEM files) in the URL';
  }
  // PostgreSQL gives it the code of a right that a user lacks.
  if (/read-only file system/i.test(said)) {
    return "its disk is read-only: look in the kernel's log there for why, then repair or remount it";
  }
  return own[code] ?? REMEDIES[code] ?? WORDS.find(([pattern]) => pattern.test(said))?.[1];
};

/** The code of Node or the SQLSTATE of an error; '' where it has none. */
export const faultCode = (fault: unknown): string => {
  const code = fault instanceof Error && 'code' in fault ? fault.code : undefined;
  return typeof code === 'string' ? code : '';
};

/** One sentence: what the server or the way to it said, where, and what to do about it; first as `own` says it. */
export const explainFault = (fault: unknown, url: string, own: Remedies = {}): string => {
  const code = faultCode(fault);
  // What PostgreSQL as WebAssembly throws is not always an Error.
  const text = fault instanceof Error ? fault.message : inspect(fault, { breakLength: Infinity });
  const said = text === '' ? code : text;
  const remedy = remedyOf(code, said, own);
  const where = url === 'embedded' ? 'the embedded database' : placeOf(url);
  return remedy === undefined ? `${where}: ${said}` : `${where}: ${said}; ${remedy}`;
};
