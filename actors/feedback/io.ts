/** The durable side of feedback: one SQLite file, written before the bus is told that a record is finished. */
import { join } from 'node:path';
import { readGenesis } from '#native/genesis-file.ts';
import { openStore, type Store } from '#native/store.ts';
import type { Io } from '#runtime/actor.ts';
import type { FeedbackConfig } from './config.ts';
import type { Commands, Self } from './core.ts';
import { type Changes, FINISHED_MAX, type HeightWords, type PolicyTrack } from './ledger.ts';
import { type Anomaly, isTerminal, viewOf } from './lifecycle.ts';
import { type LifecycleMirror, MIRROR_MIGRATION, openMirror } from './mirror.ts';

const MIGRATIONS = [
  `CREATE TABLE anomalies (id TEXT PRIMARY KEY, state TEXT NOT NULL, severity INTEGER NOT NULL,
     at_ms INTEGER NOT NULL, ended INTEGER NOT NULL, body TEXT NOT NULL);
   CREATE INDEX anomalies_by_time ON anomalies (at_ms);
   CREATE INDEX anomalies_by_state ON anomalies (state, at_ms);
   CREATE INDEX anomalies_open ON anomalies (ended) WHERE ended = 0;
   CREATE TABLE heights (height INTEGER PRIMARY KEY, body TEXT NOT NULL);
   CREATE TABLE policies (id TEXT PRIMARY KEY, acked TEXT NOT NULL, body TEXT NOT NULL);`,
  MIRROR_MIGRATION,
];
const LIST_MAX = 1000;
const HEIGHTS_KEPT = 4096;
const encoder = new TextEncoder();

type Body = { readonly body: string };

const parsed = <T>(rows: readonly Body[]): T[] => rows.map((row) => JSON.parse(row.body) as T);

const writer = (store: Store, mirror: LifecycleMirror) => {
  const anomaly = store.statement<[string, string, number, number, number, string]>(
    `INSERT INTO anomalies VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
     state = excluded.state, ended = excluded.ended, body = excluded.body`,
  );
  const height = store.statement<[number, string]>(
    'INSERT INTO heights VALUES (?, ?) ON CONFLICT (height) DO UPDATE SET body = excluded.body',
  );
  const policy = store.statement<[string, string, string]>(
    `INSERT INTO policies VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET
     acked = excluded.acked, body = excluded.body`,
  );
  return (changes: Changes): void =>
    store.transaction(() => {
      for (const a of changes.anomalies.values()) {
        const ended = isTerminal(a.state) ? 1 : 0;
        anomaly.run(a.id, a.state, a.severity, a.detectedAtMs, ended, JSON.stringify(a));
        mirror.due(a.id);
      }
      for (const h of changes.heights.values()) height.run(h.height, JSON.stringify(h));
      for (const p of changes.policies.values()) policy.run(p.id, p.acked, JSON.stringify(p));
    });
};

const reader = (store: Store, config: FeedbackConfig) => {
  const open = store.statement<[], Body>(
    'SELECT body FROM anomalies WHERE ended = 0 ORDER BY at_ms',
  );
  const finished = store.statement<[number], { readonly id: string }>(
    'SELECT id FROM anomalies WHERE ended = 1 ORDER BY at_ms DESC LIMIT ?',
  );
  const outcomes = store.statement<[number], { readonly state: string }>(
    `SELECT state FROM anomalies WHERE state IN ('COMMITTED', 'REJECTED', 'TIMEOUT')
     ORDER BY at_ms DESC LIMIT ?`,
  );
  const heights = store.statement<[number], Body>(
    'SELECT body FROM heights ORDER BY height DESC LIMIT ?',
  );
  const policies = store.statement<[], Body>('SELECT body FROM policies');
  return () => {
    const recent = parsed<HeightWords>(heights.all(HEIGHTS_KEPT));
    const kept = new Set(recent.map((entry) => entry.height));
    const tracks = parsed<PolicyTrack>(policies.all());
    return {
      open: parsed<Anomaly>(open.all()),
      finished: finished
        .all(FINISHED_MAX)
        .map((row) => row.id)
        .reverse(),
      outcomes: outcomes
        .all(config.acceptanceWindow)
        .map((row) => row.state === 'COMMITTED')
        .reverse(),
      heights: recent.reverse(),
      policies: tracks.filter((track) => track.acked === '' || kept.has(track.height)),
    };
  };
};

type List = Commands['list'];
const lister = (store: Store) => {
  const where = `(?1 = '' OR state = ?1) AND severity >= ?2 AND (?3 = 0 OR at_ms < ?3)`;
  const page = store.statement<[string, number, number, number], Body>(
    `SELECT body FROM anomalies WHERE ${where} ORDER BY at_ms DESC LIMIT ?4`,
  );
  const count = store.statement<[string, number, number], { readonly n: number }>(
    `SELECT count(*) AS n FROM anomalies WHERE ${where}`,
  );
  return ({ state, severityMin, before, limit }: List) => {
    const rows = page.all(state, severityMin, before, Math.min(limit, LIST_MAX));
    const views = parsed<Anomaly>(rows).map(viewOf);
    return {
      anomalies: encoder.encode(JSON.stringify(views)),
      total: count.get(state, severityMin, before)!.n,
    };
  };
};

export const io: Io<FeedbackConfig, Self, Commands> = async (config, port) => {
  const store = openStore(join(port.dataDir, 'feedback.sqlite'), { migrations: MIGRATIONS });
  const genesis = readGenesis(port.node.genesis);
  const mirror = await openMirror(store, config.redis, port);
  const save = writer(store, mirror);
  const load = reader(store, config);
  const list = lister(store);
  const one = store.statement<[string], Body>('SELECT body FROM anomalies WHERE id = ?');
  const counts = store.statement<[], { readonly state: string; readonly n: number }>(
    'SELECT state, count(*) AS n FROM anomalies GROUP BY state',
  );
  const deliver = (message: Self): void => {
    // One result a question that is itself bounded: a full mailbox here is a bug, not load.
    if (!port.deliver(message)) throw new Error('feedback cannot take its own result');
  };
  return {
    commands: {
      open: () => deliver({ kind: 'opened', genesis, ...load() }),
      save: ({ changes, records }) => {
        save(changes);
        deliver({ kind: 'saved', records });
        mirror.flush();
      },
      list: (question) => deliver({ kind: 'listed', replyTo: question.replyTo, ...list(question) }),
      one: ({ id, replyTo }) => {
        const row = one.get(id);
        const view = row === undefined ? undefined : viewOf(JSON.parse(row.body) as Anomaly);
        const anomaly = view === undefined ? undefined : encoder.encode(JSON.stringify(view));
        deliver({ kind: 'found', replyTo, anomaly });
      },
      count: ({ replyTo }) => {
        const byState = Object.fromEntries(counts.all().map((row) => [row.state, row.n]));
        deliver({ kind: 'counted', replyTo, counts: byState });
      },
    },
    close: async () => {
      await mirror.close();
      store.close();
    },
  };
};
