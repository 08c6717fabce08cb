/**
 * Nonces that several processes of one validator share: each is set in Redis once, with where its record stands, by
 * the first that sees it, and forgotten after the chain's own time. Redis away: each process has its own memory and
 * the chain decides, as without Redis; what was admitted meanwhile is told afterwards.
 */
import { explainRedis, openRedis, type RedisLink } from '#native/redis.ts';
import type { IoPort } from '#runtime/actor.ts';
import type { IngestConfig } from './config.ts';
import type { SeenNonce } from './nonces.ts';
import type { NonceClaim, Self } from './state.ts';

/** Longest wait of a batch of records for Redis. */
const DEADLINE_MS = 500;
/** Claims that wait for a Redis that is away; beyond it the oldest are forgotten. */
const LATE_MAX = 100_000;
const LATE_BATCH = 1_000;

export type SharedNonces = {
  /** For each claim what was seen before it, or null: it is the first, or nobody knows. Never rejects. */
  claim(claims: readonly (NonceClaim | null)[]): Promise<readonly (SeenNonce | null)[]>;
  close(): void;
};

type Late = { readonly claim: NonceClaim; readonly untilMs: number };

const textOf = ({ contentHash, place }: NonceClaim): string =>
  JSON.stringify({ contentHash, place });

const parsed = (text: string | null): SeenNonce | null =>
  text === null ? null : (JSON.parse(text) as SeenNonce);

/** SET NX PX for all; those that were there already are read. */
const setAll = (
  link: RedisLink,
  prefix: string,
  claims: readonly NonceClaim[],
): Promise<readonly (SeenNonce | null)[]> =>
  link.run(async (redis) => {
    const set = await Promise.all(
      claims.map((claim) =>
        redis.set(`${prefix}${claim.key}`, textOf(claim), {
          condition: 'NX',
          expiration: { type: 'PX', value: claim.ttlMs },
        }),
      ),
    );
    return await Promise.all(
      claims.map(async (claim, at) =>
        set[at] === null ? parsed(await redis.get(`${prefix}${claim.key}`)) : null,
      ),
    );
  });

const NOBODY: SharedNonces = {
  claim: () => Promise.resolve([]),
  close: () => undefined,
};

/** Claims that Redis did not take, until it does; at most LATE_MAX, the newest. */
const lateOf = (port: IoPort<Self>) => {
  let late: Late[] = [];
  let telling = false;
  const tellAll = async (set: (claims: NonceClaim[]) => Promise<unknown>): Promise<void> => {
    while (late.length > 0) {
      const nowMs = port.now();
      const some = late.slice(0, LATE_BATCH);
      const valid = some
        .filter(({ untilMs }) => untilMs > nowMs)
        .map(({ claim, untilMs }) => ({ ...claim, ttlMs: Math.ceil(untilMs - nowMs) }));
      await set(valid);
      late = late.slice(some.length);
    }
  };
  return {
    keep: (claims: readonly NonceClaim[]): void => {
      const nowMs = port.now();
      for (const claim of claims) late.push({ claim, untilMs: nowMs + claim.ttlMs });
      if (late.length <= LATE_MAX) return;
      port.emit('shared_nonces_forgotten', late.length - LATE_MAX);
      late = late.slice(-LATE_MAX);
    },
    /** Some wait, and nobody is telling them. */
    waits: (): boolean => late.length > 0 && !telling,
    /** Resolves to how many waited. */
    tell: async (set: (claims: NonceClaim[]) => Promise<unknown>): Promise<number> => {
      const told = late.length;
      telling = true;
      try {
        await tellAll(set);
      } finally {
        telling = false;
      }
      return told;
    },
  };
};

/** Without settings: nothing is shared. */
export const openSharedNonces = async (
  config: IngestConfig,
  port: IoPort<Self>,
): Promise<SharedNonces> => {
  if (config.redis === undefined) return NOBODY;
  const { url } = config.redis;
  const prefix = `nonce:${config.name}:`;
  const late = lateOf(port);
  let said = '';

  const failed = (fault: unknown): void => {
    port.emit('shared_nonces_failures', 1);
    const reason = explainRedis(fault, url);
    if (reason !== said) port.log('warn', 'nonces are not shared through Redis now', { reason });
    said = reason;
  };
  const catchUp = async (): Promise<void> => {
    const told = await late.tell((claims) => setAll(link, prefix, claims));
    said = '';
    port.log('info', 'nonces are shared through Redis', { told });
  };
  const link = await openRedis(config.redis, DEADLINE_MS, {
    onUp: () => {
      port.gauge('redis_connected', 1);
      catchUp().catch(failed);
    },
    onDown: (reason) => {
      port.gauge('redis_connected', 0);
      port.log('warn', 'Redis is away: this process remembers nonces for itself', { reason });
    },
  });
  port.gauge('redis_connected', 0);
  return {
    claim: async (claims) => {
      const asked = claims.filter((one) => one !== null);
      if (asked.length === 0) return [];
      try {
        if (!link.isUp()) throw new Error('Redis is away');
        const seen = [...(await setAll(link, prefix, asked))];
        // It was there all the while and took nothing: full, or read-only.
        if (late.waits()) catchUp().catch(failed);
        return claims.map((one) => (one === null ? null : (seen.shift() ?? null)));
      } catch (fault) {
        if (link.isUp()) failed(fault);
        late.keep(asked);
        return [];
      }
    },
    close: link.close,
  };
};
