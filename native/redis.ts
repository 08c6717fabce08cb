/**
 * A connection to Redis that comes and goes: what needs it asks whether it is there, and does without it where it
 * is not. No text from here holds a password.
 */
import { readFileSync } from 'node:fs';
import type { createClient } from '@redis/client';

export type RedisPlace = {
  /** redis://host:port/database, or rediss:// for TLS */
  readonly url: string;
  /** A file whose first line is the password; it wins over one in the URL. */
  readonly passwordFile?: string | undefined;
};

type Client = ReturnType<typeof createClient>;

export type RedisLink = {
  /** Rejects while Redis is away, and where it does not answer in time; the work may have been done then. */
  run<T>(work: (client: Client) => Promise<T>): Promise<T>;
  isUp(): boolean;
  close(): void;
};

export type RedisListener = {
  /** Each time it has come: at first, and after each outage. */
  readonly onUp: () => void;
  /** Once an outage, with what is wrong, where, and what to do. */
  readonly onDown: (reason: string) => void;
};

const RETRY_FIRST_MS = 100;
const RETRY_LAST_MS = 5_000;
const CONNECT_MS = 5_000;

const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'nobody listens there: start Redis, or correct host and port of the URL'],
  [/ENOTFOUND|EAI_AGAIN/, 'the name of the host is not known: correct the URL, or the DNS'],
  [/ENOENT|EACCES/, 'the password file cannot be read: correct its name or its rights'],
  [/WRONGPASS|invalid password/, 'the password is refused: correct it in passwordFile'],
  [/NOAUTH/, 'it asks for a password: give passwordFile'],
  [/NOPERM/, 'the user lacks a right: allow its commands and keys in the ACL of Redis'],
  [/READONLY/, 'it is a replica: give the URL of the primary'],
  [/OOM/, 'its memory is full: raise maxmemory'],
  [/MISCONF/, 'it cannot write to its disk: make room there'],
  [/LOADING/, 'it is still loading: it will be tried again'],
  [
    /certificate|CERT/,
    'its certificate is not trusted: give Node its authority in NODE_EXTRA_CA_CERTS',
  ],
  [/timeout|in time/i, 'it does not answer in time: look at host, port, firewalls and its load'],
  [/closed|ECONNRESET|EPIPE|offline/i, 'the connection was cut: it went away'],
];

/** host:port/database. */
const placeOf = (url: string): string => {
  if (!URL.canParse(url)) return 'Redis';
  const { hostname, port, pathname } = new URL(url);
  return `Redis at ${hostname}:${port || '6379'}${pathname === '/' ? '' : pathname}`;
};

/** One sentence: where, what it said, what to do. */
export const explainRedis = (fault: unknown, url: string): string => {
  const code = fault instanceof Error && 'code' in fault ? String(fault.code) : '';
  const text = fault instanceof Error ? fault.message : String(fault);
  const said = text.includes(code) ? text : `${code} ${text}`.trim();
  const remedy = REMEDIES.find(([pattern]) => pattern.test(said))?.[1];
  return remedy === undefined ? `${placeOf(url)}: ${said}` : `${placeOf(url)}: ${said}; ${remedy}`;
};

/** The client's five hundred modules are loaded by those who have a Redis. */
const clientFor = async ({ url, passwordFile }: RedisPlace): Promise<Client> => {
  const secret =
    passwordFile === undefined
      ? {}
      : { password: readFileSync(passwordFile, 'utf8').split(/\r?\n/, 1)[0]! };
  const redis = await import('@redis/client');
  return redis.createClient({
    ...{ url, ...secret },
    name: 'cybermesh',
    disableOfflineQueue: true,
    socket: {
      connectTimeout: CONNECT_MS,
      reconnectStrategy: (tries) => Math.min(RETRY_FIRST_MS * 2 ** tries, RETRY_LAST_MS),
    },
  });
};

const within = async <T>(work: Promise<T>, deadlineMs: number): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in time (${deadlineMs} ms)`)), deadlineMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
};

/** Connects in the background, and again after each loss, until it is closed. Rejects as readFileSync throws. */
export const openRedis = async (
  place: RedisPlace,
  deadlineMs: number,
  listener: RedisListener,
): Promise<RedisLink> => {
  const client = await clientFor(place);
  let isSaid = false;
  let isClosed = false;
  const down = (fault: unknown): void => {
    if (isSaid || isClosed) return;
    isSaid = true;
    listener.onDown(explainRedis(fault, place.url));
  };
  client.on('error', down);
  client.on('ready', () => {
    isSaid = false;
    listener.onUp();
  });
  client.connect().catch(down);
  return {
    isUp: () => client.isReady,
    run: async (work) => {
      if (!client.isReady) throw new Error('Redis is away');
      return await within(work(client), deadlineMs);
    },
    close: () => {
      isClosed = true;
      if (client.isOpen) client.destroy();
    },
  };
};
