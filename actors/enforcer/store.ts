/** The agent's disk: policies with their checksums, and the outbox of acknowledgements. */
import { crypto } from '#native/crypto.ts';
import { openStore } from '#native/store.ts';
import { hex } from '#proto/bytes.ts';
import type { Ack } from './acks.ts';
import { ADMISSIONS_TABLE, admissionRows } from './admission-rows.ts';
import type { Entry } from './registry.ts';
import type { Commands } from './state.ts';

const MIGRATIONS = [
  `CREATE TABLE policies (id TEXT PRIMARY KEY, body TEXT NOT NULL, digest TEXT NOT NULL);
   CREATE TABLE outbox (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, policy TEXT NOT NULL,
     body BLOB NOT NULL);`,
  ADMISSIONS_TABLE,
];
/**
 * Each transaction costs a wait for the disk: what has arrived leaves the outbox with the next save, or when so long
 * nothing more has arrived, or so many have.
 */
const SETTLE_MS = 50;
const ACKED_MAX = 4096;
const encoder = new TextEncoder();
const digestOf = (body: string): string => hex(crypto.sha256(encoder.encode(body)));

type Row = { readonly id: string; readonly body: string; readonly digest: string };

/** A row whose checksum differs is damage that must not become a firewall rule, nor be ignored. */
export const entryOf = (row: Row): Entry => {
  if (digestOf(row.body) !== row.digest) {
    throw new Error(`policy ${row.id} in the agent's store is damaged: its checksum differs`);
  }
  // A row of a release before them has neither.
  return { turn: 0, height: 0, ...(JSON.parse(row.body) as Omit<Entry, 'turn' | 'height'>) };
};

/** Throws StoreError where the file cannot be had. */
export const openDisk = (file: string) => {
  const store = openStore(file, { migrations: MIGRATIONS });
  const policies = store.statement<[], Row>('SELECT id, body, digest FROM policies');
  const put = store.statement<[string, string, string]>(
    `INSERT INTO policies VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET
     body = excluded.body, digest = excluded.digest`,
  );
  const drop = store.statement<[string]>('DELETE FROM policies WHERE id = ?');
  const outbox = store.statement<[], { id: string; policy: string; body: Uint8Array }>(
    'SELECT id, policy, body FROM outbox ORDER BY seq',
  );
  const enqueue = store.statement<[string, string, Uint8Array]>(
    'INSERT INTO outbox (id, policy, body) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING',
  );
  const admissions = admissionRows(store);
  const sent = store.statement<[string]>('DELETE FROM outbox WHERE id = ?');
  const acked: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  /** Within a transaction. What does not come to its end is taken off by another one. */
  const takeOff = (): void => {
    for (const id of acked) sent.run(id);
  };
  const settle = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (acked.length > 0) store.transaction(takeOff);
    acked.length = 0;
  };
  return {
    load: () => ({
      entries: policies.all().map(entryOf),
      acks: outbox.all().map((row): Ack => ({ id: row.id, policyId: row.policy, bytes: row.body })),
      admitted: admissions.all(),
    }),
    /** Returns the acks that were not in the outbox before. */
    save: ({ entries, acks, forgotten, admitted }: Commands['save']): readonly Ack[] => {
      const fresh = store.transaction(() => {
        takeOff();
        for (const entry of entries) {
          const body = JSON.stringify(entry);
          put.run(entry.id, body, digestOf(body));
        }
        for (const id of forgotten) drop.run(id);
        admissions.add(admitted);
        return acks.filter((ack) => enqueue.run(ack.id, ack.policyId, ack.bytes).changes > 0);
      });
      acked.length = 0;
      return fresh;
    },
    /** Taken off the outbox with others, soon; what a crash leaves there is sent again. */
    acked: (id: string): void => {
      acked.push(id);
      if (acked.length >= ACKED_MAX) settle();
      else if (timer === undefined) timer = setTimeout(settle, SETTLE_MS);
      else timer.refresh();
    },
    close: () => {
      try {
        settle();
      } finally {
        store.close();
      }
    },
  };
};
