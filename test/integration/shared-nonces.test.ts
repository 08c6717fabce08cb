import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { config } from '#actors/ingest/config.ts';
import { openSharedNonces, type SharedNonces } from '#actors/ingest/shared-nonces.ts';
import type { NonceClaim, Self } from '#actors/ingest/state.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';
import { freshFolder, portOf } from '#test/kit/executor-host.ts';
import { hasRedis, NEEDS_REDIS, type RedisServer, redisServer } from '#test/kit/redis.ts';

let server: RedisServer;
let open: SharedNonces[] = [];

const claimOf = (key: string, offset: number, ttlMs = 60_000): NonceClaim => ({
  ...{ key, contentHash: 'aa', ttlMs },
  place: { topic: 'ai.anomalies.v1', partition: 0, offset },
});

/** A process of this validator, connected. */
const processOf = async (name: string) => {
  const said: string[] = [];
  const gauges: { [name: string]: number } = {};
  const counters: { [name: string]: number } = {};
  const url = `redis://:${encodeURIComponent(server.password)}@127.0.0.1:${server.port}`;
  const settings = config.parse({ name, key: 'v1.pem', redis: { url } });
  const nonces = await openSharedNonces(settings, {
    ...portOf<Self>(freshFolder(), testGenesis(), []),
    now: Date.now,
    log: (_level, text, fields) => void said.push(`${text} ${JSON.stringify(fields ?? {})}`),
    gauge: (one, value) => {
      gauges[one] = value;
    },
    emit: (one, value) => {
      counters[one] = (counters[one] ?? 0) + value;
    },
  });
  open.push(nonces);
  await expect.poll(() => gauges.redis_connected).toBe(1);
  return { ...nonces, said, gauges, counters };
};

describe.skipIf(!hasRedis)(`nonces in Redis ${NEEDS_REDIS}`, () => {
  beforeAll(async () => {
    server = await redisServer();
  });
  afterAll(() => server.close());
  beforeEach(async () => void (await server.send('FLUSHALL')));
  afterEach(() => {
    for (const one of open) one.close();
    open = [];
  });

  test('the first process is first, the others see where its record stands', async () => {
    const [a, b] = [await processOf('v1'), await processOf('v1')];
    expect(await a.claim([claimOf('p/1', 4), null, claimOf('p/2', 5)])).toEqual([null, null, null]);
    expect(await b.claim([null, claimOf('p/2', 9), claimOf('p/3', 6)])).toEqual([
      null,
      { contentHash: 'aa', place: { topic: 'ai.anomalies.v1', partition: 0, offset: 5 } },
      null,
    ]);
  });

  test('of two at once one is first', async () => {
    const [a, b] = [await processOf('v1'), await processOf('v1')];
    const both = await Promise.all([a, b].map((one) => one.claim([claimOf('p/1', 1)])));
    expect(both.flat().filter((one) => one === null)).toHaveLength(1);
  });

  test('a nonce is forgotten after its time', async () => {
    const a = await processOf('v1');
    await a.claim([claimOf('p/1', 1, 900_000), claimOf('p/2', 2, 30)]);
    const leftMs = Number(await server.send('PTTL', 'nonce:v1:p/1'));
    expect(leftMs).toBeGreaterThan(890_000);
    expect(leftMs).toBeLessThanOrEqual(900_000);
    await expect.poll(() => a.claim([claimOf('p/2', 3)])).toEqual([null]);
  });

  test('validators read the same records and do not meet', async () => {
    const [a, b] = [await processOf('v1'), await processOf('v2')];
    expect(await a.claim([claimOf('p/1', 1)])).toEqual([null]);
    expect(await b.claim([claimOf('p/1', 1)])).toEqual([null]);
  });

  test('with Redis killed each goes on alone at once, says so, and tells it afterwards', async () => {
    const [a, b] = [await processOf('v1'), await processOf('v1')];
    await server.kill();
    await expect.poll(() => a.gauges.redis_connected).toBe(0);
    const beganMs = performance.now();
    expect(await a.claim([claimOf('p/1', 1)])).toEqual([]);
    expect(performance.now() - beganMs).toBeLessThan(400);
    expect(a.said.join('\n')).toMatch(/Redis is away: this process remembers nonces for itself/);
    await server.up();
    await expect.poll(() => a.gauges.redis_connected, { timeout: 20_000 }).toBe(1);
    await expect.poll(() => server.send('EXISTS', 'nonce:v1:p/1')).toBe(1);
    await expect.poll(() => b.gauges.redis_connected, { timeout: 20_000 }).toBe(1);
    expect(await b.claim([claimOf('p/1', 8)])).toMatchObject([{ place: { offset: 1 } }]);
  }, 60_000);
});
