/**
 * Who may write through the API: whoever shows the token of the token file. A page in a browser cannot: it knows no
 * token, sends none by itself, and a request with one is preceded by a question that this server refuses (no CORS).
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { type Problem, problem } from './problem.ts';

const TOKEN = /^[\x21-\x7e]{32,512}$/;
const BEARER = /^Bearer +([\x21-\x7e]{1,1024})$/i;
const OTHERS = 0o077;
const MINUTE_MS = 60_000;
/** A minute; each costs a look at a file and a line in the log. */
export const FAILURES_MAX = 10;
export const WRITES_MAX = 30;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Throws an error that names the setting and the remedy; the token stands in none. */
export const readToken = (file: string): string => {
  const remedy = `make one with: (umask 077; openssl rand -hex 32 > ${file})`;
  const fault = (why: string): Error => new Error(`operatorTokenFile ${file} ${why}; ${remedy}`);
  let text: string;
  let mode: number;
  try {
    const handle = openSync(file, 'r');
    try {
      mode = fstatSync(handle).mode;
      text = readFileSync(handle, 'utf8').trim();
    } finally {
      closeSync(handle);
    }
  } catch (cause) {
    throw fault(`cannot be read (${(cause as NodeJS.ErrnoException).code})`);
  }
  if ((mode & OTHERS) !== 0) throw fault('can be read by others than its owner (chmod 600)');
  if (!TOKEN.test(text)) throw fault('holds no token of 32 to 512 printable characters');
  return text;
};

/** At most so many in any minute. */
const limiter = (max: number, now: () => number) => {
  const times: number[] = [];
  return (): boolean => {
    const atMs = now();
    while (times.length > 0 && times[0]! <= atMs - MINUTE_MS) times.shift();
    if (times.length >= max) return false;
    times.push(atMs);
    return true;
  };
};

/** undefined for a request that may write; else what it is told. */
export type Authority = (authorization: string | undefined) => Problem | undefined;

const CLOSED: Authority = () =>
  problem(
    'forbidden',
    'this API writes nothing: set api.operatorTokenFile, or use `node runtime panic` on the machine',
  );

/** The token as it stands in the file now: a new one counts without a restart, one that is taken away ends at once. */
const standing = (file: string, say: (fault: string) => void): Buffer | undefined => {
  try {
    return digest(readToken(file));
  } catch (fault) {
    say((fault as Error).message);
    return undefined;
  }
};

/**
 * Wrong tokens use up their own allowance, so that nobody can lock out whoever holds the right one. Throws where the
 * file is no good at the start; later `say` hears of it and nobody may write.
 */
export const authorityOf = (
  file: string | undefined,
  now: () => number,
  say: (fault: string) => void,
): Authority => {
  if (file === undefined) return CLOSED;
  readToken(file);
  const mayFail = limiter(FAILURES_MAX, now);
  const mayWrite = limiter(WRITES_MAX, now);
  const tooMany = problem('too-many-requests', 'too many attempts in a minute; wait for the next');
  return (authorization) => {
    const [, shown = ''] = BEARER.exec(authorization ?? '') ?? [];
    const expected = standing(file, say);
    if (expected === undefined) {
      return problem('forbidden', 'the token file cannot be used; the log of the node says why');
    }
    if (!timingSafeEqual(digest(shown), expected)) {
      if (!mayFail()) return tooMany;
      const detail = 'send the header Authorization: Bearer <the token of api.operatorTokenFile>';
      return problem('unauthorized', detail);
    }
    return mayWrite() ? undefined : tooMany;
  };
};
