/**
 * The lifecycle in Redis, for whoever reads it there: a hash and a place in the timelines for each anomaly, and
 * counts by the hour. The own store stays the truth; it keeps a list of what Redis does not have yet, so an outage
 * is caught up with, and a Redis that came back empty is filled anew.
 */
import { randomUUID } from 'node:crypto';
import { explainRedis, openRedis, type RedisLink } from '#native/redis.ts';
import type { Store } from '#native/store.ts';
import type { IoPort } from '#runtime/actor.ts';
import type { RedisSettings } from './config.ts';
import type { Self } from './core.ts';
import type { Anomaly } from './lifecycle.ts';
import { STATES } from './protocol.ts';

/** In the own store: what Redis lacks, and which Redis it was that has the rest. */
export const MIRROR_MIGRATION = `
  CREATE TABLE mirror_due (id TEXT PRIMARY KEY, version INTEGER NOT NULL);
  CREATE TABLE mirror_mark (id INTEGER PRIMARY KEY CHECK (id = 1), value TEXT NOT NULL);`;

export const KEYS = {
  anomaly: (id: string): string => `anomaly:${id}`,
  /** Sorted set: member the id, score the moment (Unix ms) of the transition into this state. */
  timeline: (state: string): string => `anomaly:timeline:${state}`,
  /** Hash: hour (`2026-01-31T05`, UTC) to how many came into this state in it. */
  hourly: (state: string): string => `anomaly:hourly:${state}`,
  /** What tells a filled Redis from an empty one. */
  mark: 'anomaly:mirror',
} as const;

const BATCH = 500;
const HOUR_MS = 3_600_000;
const DEADLINE_MS = 5_000;
const RETRY_MS = 5_000;

const hourOf = (atMs: number): string => new Date(atMs).toISOString().slice(0, 13);

type Due = { readonly id: string; readonly version: number; readonly body: string };

const queriesOf = (store: Store) => ({
  due: store.statement<[string]>(
    'INSERT INTO mirror_due VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET version = version + 1',
  ),
  dueAll: store.statement<[]>(
    `INSERT INTO mirror_due SELECT id, 1 FROM anomalies WHERE true
     ON CONFLICT (id) DO UPDATE SET version = version + 1`,
  ),
  next: store.statement<[number], Due>(
    `SELECT due.id, due.version, a.body FROM mirror_due due JOIN anomalies a ON a.id = due.id
     ORDER BY due.rowid LIMIT ?`,
  ),
  done: store.statement<[string, number]>('DELETE FROM mirror_due WHERE id = ? AND version = ?'),
  count: store.statement<[], { readonly n: number }>('SELECT count(*) AS n FROM mirror_due'),
  mark: store.statement<[], { readonly value: string }>('SELECT value FROM mirror_mark'),
  setMark: store.statement<[string]>('INSERT OR REPLACE INTO mirror_mark VALUES (1, ?)'),
});

type Mirror = {
  readonly store: Store;
  readonly queries: ReturnType<typeof queriesOf>;
  readonly link: RedisLink;
  readonly retainMs: number;
  readonly port: IoPort<Self>;
};

/** A Redis without our mark lacks what the store takes for written. */
const checkMark = async ({ store, queries, link }: Mirror): Promise<void> => {
  const ours = queries.mark.get()?.value;
  const theirs = await link.run((redis) => redis.get(KEYS.mark));
  if (ours !== undefined && theirs === ours) return;
  const mark = randomUUID();
  store.transaction(() => {
    queries.dueAll.run();
    queries.setMark.run(mark);
  });
  await link.run((redis) => redis.set(KEYS.mark, mark));
};

/** One transaction of Redis. Repeats change nothing. */
const writeAnomalies = ({ link, retainMs }: Mirror, anomalies: readonly Anomaly[]) =>
  link.run((redis) => {
    const multi = redis.multi();
    for (const one of anomalies) {
      const key = KEYS.anomaly(one.id);
      multi.hSet(key, {
        state: one.state,
        raw_score: String(one.confidence),
        transitions: JSON.stringify(one.transitions),
        type: one.type,
        source: one.source,
        src_ip: one.srcIp,
        dst_ip: one.dstIp,
        severity: String(one.severity),
        height: String(one.height),
      });
      multi.pExpireAt(key, (one.transitions.at(-1)?.atMs ?? one.detectedAtMs) + retainMs);
      for (const { state, atMs } of one.transitions) {
        multi.zAdd(KEYS.timeline(state), { score: atMs, value: one.id });
      }
    }
    return multi.exec();
  });

/** Counted from the timelines, so a repeat counts nothing twice. */
const writeHours = async ({ link }: Mirror, anomalies: readonly Anomaly[]): Promise<void> => {
  const touched = new Map<string, { readonly state: string; readonly atMs: number }>();
  for (const { transitions } of anomalies) {
    for (const { state, atMs } of transitions)
      touched.set(`${state} ${hourOf(atMs)}`, { state, atMs });
  }
  const hours = [...touched.values()];
  await link.run(async (redis) => {
    const counts = await Promise.all(
      hours.map(({ state, atMs }) => {
        const fromMs = Math.floor(atMs / HOUR_MS) * HOUR_MS;
        return redis.zCount(KEYS.timeline(state), fromMs, fromMs + HOUR_MS - 1);
      }),
    );
    await Promise.all(
      hours.map(({ state, atMs }, at) =>
        redis.hSet(KEYS.hourly(state), hourOf(atMs), String(counts[at])),
      ),
    );
  });
};

const forgetOld = async ({ link, retainMs, port }: Mirror): Promise<void> => {
  const oldestMs = port.now() - retainMs;
  for (const state of STATES) {
    await link.run((redis) => redis.zRemRangeByScore(KEYS.timeline(state), 0, oldestMs));
    const hours = await link.run((redis) => redis.hKeys(KEYS.hourly(state)));
    const old = hours.filter((hour) => hour < hourOf(oldestMs));
    if (old.length > 0) await link.run((redis) => redis.hDel(KEYS.hourly(state), old));
  }
};

/** Writes until nothing is due. Rejects where Redis goes away. */
const catchUp = async (mirror: Mirror): Promise<number> => {
  const { store, queries, port } = mirror;
  let written = 0;
  for (;;) {
    const due = queries.next.all(BATCH);
    if (due.length === 0) return written;
    const anomalies = due.map(({ body }) => JSON.parse(body) as Anomaly);
    await writeAnomalies(mirror, anomalies);
    await writeHours(mirror, anomalies);
    store.transaction(() => {
      for (const { id, version } of due) queries.done.run(id, version);
    });
    written += due.length;
    port.emit('redis_written', due.length);
    port.gauge('redis_due', queries.count.get()?.n ?? 0);
  }
};

export type LifecycleMirror = {
  /** Within the transaction that changes this anomaly in the own store. */
  due(id: string): void;
  /** What is due goes to Redis, if it is there. */
  flush(): void;
  close(): Promise<void>;
};

/** One writer at a time; what becomes due meanwhile is written behind it. */
const flusherOf = (mirror: Mirror, url: string) => {
  const { port, link } = mirror;
  let working: Promise<void> | undefined;
  let isAgain = false;
  let isMarked = false;
  let isClosed = false;
  let forgottenMs = 0;
  let said = '';
  let retry: NodeJS.Timeout | undefined;

  const work = async (): Promise<void> => {
    if (!isMarked) await checkMark(mirror);
    const written = await catchUp(mirror);
    if (!isMarked) port.log('info', 'Redis has the lifecycle', { written });
    isMarked = true;
    said = '';
    if (port.now() - forgottenMs < HOUR_MS) return;
    forgottenMs = port.now();
    await forgetOld(mirror);
  };
  /** A Redis that is there and takes nothing (full, read-only) is tried again after a pause. */
  const failed = (fault: unknown): void => {
    isMarked = false;
    const reason = explainRedis(fault, url);
    const text = 'the lifecycle is not written to Redis now: it goes on in the own store';
    if (reason !== said) port.log('warn', text, { reason });
    said = reason;
    port.emit('redis_failures', 1);
    retry = setTimeout(anew, RETRY_MS);
  };
  const flush = (): void => {
    if (isClosed || retry !== undefined || !link.isUp()) return;
    isAgain = working !== undefined;
    working ??= work()
      .catch(failed)
      .finally(() => {
        working = undefined;
        if (isAgain) flush();
      });
  };
  /** Redis has come, or a pause is over: what it has is not known. */
  const anew = (): void => {
    clearTimeout(retry);
    retry = undefined;
    isMarked = false;
    flush();
  };
  const end = async (): Promise<void> => {
    isClosed = true;
    await working;
    clearTimeout(retry);
  };
  return { flush, anew, end };
};

/** Without settings a mirror of nothing. */
export const openMirror = async (
  store: Store,
  settings: RedisSettings | undefined,
  port: IoPort<Self>,
): Promise<LifecycleMirror> => {
  if (settings === undefined) {
    return { due: () => undefined, flush: () => undefined, close: () => Promise.resolve() };
  }
  const queries = queriesOf(store);
  port.gauge('redis_connected', 0);
  const link = await openRedis(settings, DEADLINE_MS, {
    onUp: () => {
      port.gauge('redis_connected', 1);
      flusher.anew();
    },
    onDown: (reason) => {
      port.gauge('redis_connected', 0);
      port.log('warn', 'Redis is away: the lifecycle goes on in the own store', { reason });
    },
  });
  const { retainMs, url } = settings;
  const flusher = flusherOf({ store, queries, link, retainMs, port }, url);
  return {
    due: (id) => void queries.due.run(id),
    flush: flusher.flush,
    close: async () => {
      await flusher.end();
      link.close();
    },
  };
};
