import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { config } from '#actors/feedback/config.ts';
import type { Self } from '#actors/feedback/core.ts';
import { io } from '#actors/feedback/io.ts';
import type { Anomaly } from '#actors/feedback/lifecycle.ts';
import type { LifecycleState } from '#actors/feedback/protocol.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';
import { freshFolder, portOf } from '#test/kit/executor-host.ts';
import { freePort } from '#test/kit/ports.ts';
import { hasRedis, NEEDS_REDIS, type RedisServer, redisServer } from '#test/kit/redis.ts';

const BEGAN_MS = Date.now() - 600_000;
const HOUR = new Date(BEGAN_MS).toISOString().slice(0, 13);
let server: RedisServer;
let passwordFile = '';
let closing: (() => void | Promise<void>)[] = [];

const anomaly = (id: string, ...states: LifecycleState[]): Anomaly => ({
  ...{ id, type: 'ddos', source: 'ensemble', srcIp: '10.0.0.1', dstIp: '10.0.0.2', severity: 7 },
  ...{ confidence: 0.93, detectedAtMs: BEGAN_MS, admittedBy: [], rejectedBy: [], committedBy: [] },
  state: states.at(-1) ?? 'DETECTED',
  transitions: states.map((state, at) => ({ state, atMs: BEGAN_MS + at, cause: 'test' })),
  height: 3,
});

/** Feedback's io over its own store and this Redis. */
const feedbackOf = async (redis: object | undefined, dataDir = freshFolder()) => {
  const mailbox: Self[] = [];
  const said: string[] = [];
  const gauges: { [name: string]: number } = {};
  const port = portOf<Self>(dataDir, testGenesis(), mailbox);
  const adapter = await io(config.parse(redis === undefined ? {} : { redis }), {
    ...port,
    now: Date.now,
    log: (_level, text, fields) => void said.push(`${text} ${JSON.stringify(fields ?? {})}`),
    gauge: (name, value) => {
      gauges[name] = value;
    },
  });
  const { save, list } = adapter.commands;
  closing.push(() => adapter.close?.());
  const put = (...anomalies: Anomaly[]): void => {
    const changed = new Map(anomalies.map((one) => [one.id, one]));
    const changes = { anomalies: changed, heights: new Map(), policies: new Map() };
    void save({ changes, records: [] });
  };
  const total = (): number => {
    const replyTo = { from: 0, ask: 1, incarnation: 0, kind: 0 };
    void list({ kind: 'list', state: '', severityMin: 0, limit: 9, before: 0, replyTo });
    const answer = mailbox.at(-1);
    return answer?.kind === 'listed' ? answer.total : -1;
  };
  return { put, total, said, gauges, close: async () => await adapter.close?.() };
};
const settings = () => ({ url: server.url, passwordFile });
const count = async (state: string): Promise<number> =>
  Number(await server.send('ZCARD', `anomaly:timeline:${state}`).catch(() => -1));

describe.skipIf(!hasRedis)(`the lifecycle in Redis ${NEEDS_REDIS}`, () => {
  beforeAll(async () => {
    server = await redisServer(false);
    passwordFile = join(mkdtempSync(join(tmpdir(), 'cybermesh-')), 'password');
    writeFileSync(passwordFile, `${server.password}\n`);
  });
  afterAll(() => server.close());
  beforeEach(async () => void (await server.send('FLUSHALL')));
  afterEach(async () => {
    for (const close of closing) await close();
    closing = [];
  });

  test('each anomaly is a hash, in the timeline of each state it went through, counted by the hour', async () => {
    const { put, gauges } = await feedbackOf(settings());
    put(anomaly('a', 'DETECTED', 'PUBLISHED'), anomaly('b', 'DETECTED', 'PUBLISHED'));
    await expect.poll(() => count('PUBLISHED')).toBe(2);
    put(anomaly('a', 'DETECTED', 'PUBLISHED', 'ADMITTED', 'COMMITTED'));
    await expect.poll(() => count('COMMITTED')).toBe(1);
    const score = await server.send('ZSCORE', 'anomaly:timeline:COMMITTED', 'a');
    expect(Number(score)).toBe(BEGAN_MS + 3);
    expect(await server.send('HMGET', 'anomaly:a', 'state', 'raw_score')).toEqual([
      ...['COMMITTED', '0.93'],
    ]);
    const transitions = String(await server.send('HGET', 'anomaly:a', 'transitions'));
    expect(JSON.parse(transitions)).toHaveLength(4);
    await expect.poll(() => server.send('HGET', 'anomaly:hourly:PUBLISHED', HOUR)).toBe('2');
    expect(await server.send('HGET', 'anomaly:hourly:COMMITTED', HOUR)).toBe('1');
    expect(Number(await server.send('PTTL', 'anomaly:a'))).toBeGreaterThan(29 * 86_400_000);
    await expect.poll(() => gauges.redis_due).toBe(0);
  });

  test('Redis killed: the own store goes on and says so; back and empty, it gets all of it, once', async () => {
    const { put, total, said, gauges } = await feedbackOf(settings());
    put(anomaly('a', 'DETECTED', 'PUBLISHED'));
    await expect.poll(() => count('PUBLISHED')).toBe(1);
    await server.kill();
    await expect.poll(() => gauges.redis_connected).toBe(0);
    put(anomaly('a', 'DETECTED', 'PUBLISHED', 'ADMITTED'));
    for (let i = 0; i < 1200; i++) put(anomaly(`n${i}`, 'DETECTED', 'PUBLISHED'));
    expect(total()).toBe(1201);
    expect(said.join('\n')).toMatch(/Redis is away: the lifecycle goes on in the own store/);
    expect(said.join('\n')).not.toContain(server.password);
    await server.up();
    await expect.poll(() => count('PUBLISHED'), { timeout: 20_000 }).toBe(1201);
    await expect.poll(() => count('ADMITTED')).toBe(1);
    await expect.poll(() => server.send('HGET', 'anomaly:hourly:PUBLISHED', HOUR)).toBe('1201');
    expect(gauges.redis_connected).toBe(1);
  }, 60_000);

  test('what was not written before an end is written by the next run, and a new Redis gets everything', async () => {
    const dataDir = freshFolder();
    const nowhere = { url: `redis://127.0.0.1:${await freePort()}` };
    const first = await feedbackOf(nowhere, dataDir);
    first.put(anomaly('a', 'DETECTED', 'PUBLISHED'));
    await expect.poll(() => first.said.join('\n')).toMatch(/ECONNREFUSED.*start Redis/);
    await first.close();
    const second = await feedbackOf(undefined, dataDir);
    second.put(anomaly('b', 'DETECTED', 'PUBLISHED'));
    await second.close();
    await feedbackOf(settings(), dataDir);
    await expect.poll(() => count('PUBLISHED')).toBe(2);
  });

  test('a wrong password is named with its remedy', async () => {
    const { said } = await feedbackOf({ url: server.url.replace('//', '//:hunter2@') });
    await expect.poll(() => said.join('\n')).toMatch(/WRONGPASS.*correct it in passwordFile/);
    expect(said.join('\n')).not.toContain('hunter2');
  });

  test('what is older than the retention leaves the timelines and the hours', async () => {
    const old = { ...anomaly('old'), state: 'PUBLISHED' as const };
    old.transitions.push({ state: 'PUBLISHED', atMs: BEGAN_MS - 90_000_000, cause: 'test' });
    const { put } = await feedbackOf({ ...settings(), retainMs: 86_400_000 });
    put(old, anomaly('new', 'DETECTED', 'PUBLISHED'));
    await expect.poll(() => count('DETECTED')).toBe(1);
    const { said } = await feedbackOf({ ...settings(), retainMs: 86_400_000 });
    await expect.poll(() => said.join('\n')).toMatch(/Redis has the lifecycle/);
    await expect.poll(() => count('PUBLISHED')).toBe(1);
    await expect.poll(() => server.send('HLEN', 'anomaly:hourly:PUBLISHED')).toBe(1);
  });
});
