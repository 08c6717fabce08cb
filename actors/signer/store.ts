/**
 * What the signer must not forget: the outbox (accepted, not yet on the bus), the ledger of
 * published content, and which incarnation this is. Every function is one step of a transaction
 * that io opens.
 */
import { randomInt } from 'node:crypto';
import { openStore, type Store } from '#native/store.ts';
import type { Detection, Release } from './envelope.ts';

const MIGRATIONS = [
  `CREATE TABLE outbox (
     row INTEGER PRIMARY KEY AUTOINCREMENT, content_hash BLOB NOT NULL UNIQUE, id TEXT NOT NULL,
     epoch INTEGER NOT NULL, seq INTEGER NOT NULL, entity TEXT NOT NULL, type TEXT NOT NULL,
     severity INTEGER NOT NULL, confidence REAL NOT NULL, model_version TEXT NOT NULL,
     payload BLOB NOT NULL, evidence BLOB NOT NULL,
     ts_ms INTEGER NOT NULL DEFAULT 0, instance INTEGER NOT NULL DEFAULT 0,
     counter INTEGER NOT NULL DEFAULT 0);
   CREATE TABLE ledger (content_hash BLOB PRIMARY KEY, at_ms INTEGER NOT NULL) WITHOUT ROWID;
   CREATE INDEX ledger_by_time ON ledger (at_ms);
   CREATE TABLE incarnation (one INTEGER PRIMARY KEY CHECK (one = 1), instance INTEGER NOT NULL)`,
];

const INSTANCES = 2 ** 32;

/** One detection that waits, without its bytes. */
export type Waiting = {
  readonly row: number;
  readonly id: string;
  readonly entity: string;
  readonly epoch: number;
  readonly seq: number;
  /** Set when it was released before; `tsMs` 0 otherwise. */
  readonly release: Release;
};

type WaitingRow = {
  row: number;
  id: string;
  entity: string;
  epoch: number;
  seq: number;
  ts_ms: number;
  instance: number;
  counter: number;
};

type ContentRow = {
  entity: string;
  type: string;
  severity: number;
  confidence: number;
  model_version: string;
  payload: Uint8Array;
  evidence: Uint8Array;
};

const waitingOf = ({ row, id, entity, epoch, seq, ...rest }: WaitingRow): Waiting => ({
  row,
  id,
  entity,
  epoch,
  seq,
  release: { tsMs: rest.ts_ms, instance: rest.instance, counter: rest.counter },
});

const WAITING = 'SELECT row, id, entity, epoch, seq, ts_ms, instance, counter FROM outbox';

/** What was accepted and is not on the bus, or not known to be. */
const outboxOf = (store: Store) => {
  const insert = store.statement(
    `INSERT INTO outbox (content_hash, id, epoch, seq, entity, type, severity, confidence,
       model_version, payload, evidence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const byHash = store.statement<[Uint8Array], WaitingRow>(`${WAITING} WHERE content_hash = ?`);
  const all = store.statement<[], WaitingRow>(`${WAITING} ORDER BY row`);
  const renumber = store.statement('UPDATE outbox SET epoch = ?, seq = ? WHERE row = ?');
  const content = store.statement<[number], ContentRow>(
    `SELECT entity, type, severity, confidence, model_version, payload, evidence
       FROM outbox WHERE row = ?`,
  );
  const release = store.statement(
    'UPDATE outbox SET ts_ms = ?, instance = ?, counter = ? WHERE row = ?',
  );
  return {
    waiting: (): Waiting[] => all.all().map(waitingOf),
    find: (contentHash: Uint8Array): Waiting | undefined => {
      const row = byHash.get(contentHash);
      return row === undefined ? undefined : waitingOf(row);
    },
    add: (contentHash: Uint8Array, id: string, epoch: number, seq: number, d: Detection) => {
      const { entity, type, severity, confidence, modelVersion, payload, evidence } = d;
      const facts = [entity, type, severity, confidence, modelVersion, payload, evidence] as const;
      insert.run(contentHash, id, epoch, seq, ...facts);
    },
    renumber: (row: number, epoch: number, seq: number) => renumber.run(epoch, seq, row),
    content: (row: number): Detection | undefined => {
      const found = content.get(row);
      if (found === undefined) return undefined;
      const { model_version, ...rest } = found;
      return { ...rest, modelVersion: model_version };
    },
    release: (row: number, { tsMs, instance, counter }: Release) =>
      release.run(tsMs, instance, counter, row),
  };
};

/** What is on the bus, for as long as repeats are to be expected. */
const ledgerOf = (store: Store) => {
  const remember = store.statement(
    `INSERT INTO ledger SELECT content_hash, ? FROM outbox WHERE row = ?
       ON CONFLICT (content_hash) DO UPDATE SET at_ms = excluded.at_ms`,
  );
  const remove = store.statement('DELETE FROM outbox WHERE row = ?');
  const known = store.statement<[Uint8Array, number], { at_ms: number }>(
    'SELECT at_ms FROM ledger WHERE content_hash = ? AND at_ms > ?',
  );
  const forget = store.statement('DELETE FROM ledger WHERE at_ms <= ?');
  const shorten = store.statement(
    `DELETE FROM ledger WHERE content_hash IN
       (SELECT content_hash FROM ledger ORDER BY at_ms DESC LIMIT -1 OFFSET ?)`,
  );
  return {
    isPublished: (contentHash: Uint8Array, sinceMs: number): boolean =>
      known.get(contentHash, sinceMs) !== undefined,
    /** It is on the bus: out of the outbox, into the ledger. */
    published: (row: number, atMs: number) => {
      remember.run(atMs, row);
      remove.run(row);
    },
    dropped: (row: number) => remove.run(row),
    prune: (beforeMs: number, countMax: number) => {
      forget.run(beforeMs);
      shorten.run(countMax);
    },
  };
};

/** A number that no earlier incarnation had; random at first, for a key that outlives its folder. */
const nextIncarnation = (store: Store): { readonly instance: number; readonly first: boolean } => {
  const before = store
    .statement<[], { instance: number }>('SELECT instance FROM incarnation')
    .get();
  const instance = before === undefined ? randomInt(INSTANCES) : (before.instance + 1) % INSTANCES;
  store
    .statement(
      `INSERT INTO incarnation VALUES (1, ?)
         ON CONFLICT (one) DO UPDATE SET instance = excluded.instance`,
    )
    .run(instance);
  return { instance, first: before === undefined };
};

export type SignerStore = ReturnType<typeof openSignerStore>;

/** Opens or creates; `:memory:` for tests. Throws StoreError. */
export const openSignerStore = (path: string) => {
  const store = openStore(path, { migrations: MIGRATIONS });
  return {
    ...outboxOf(store),
    ...ledgerOf(store),
    incarnation: () => nextIncarnation(store),
    transaction: store.transaction,
    close: store.close,
  };
};
