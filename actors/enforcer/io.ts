/** The agent's disk and its backend. Entries and acknowledgements are durable before the bus hears of them. */
import { isAbsolute, join } from 'node:path';
import { crypto, readPrivateKey } from '#native/crypto.ts';
import { readGenesis } from '#native/genesis-file.ts';
import { openStore, type Store } from '#native/store.ts';
import { hex } from '#proto/bytes.ts';
import { genesisCommittee } from '#proto/genesis.ts';
import type { Io } from '#runtime/actor.ts';
import type { Ack } from './acks.ts';
import { type Backend, noopBackend } from './backend.ts';
import type { EnforcerConfig } from './config.ts';
import type { Commands, Self } from './core.ts';
import type { Entry } from './registry.ts';

const MIGRATIONS = [
  `CREATE TABLE policies (id TEXT PRIMARY KEY, body TEXT NOT NULL, digest TEXT NOT NULL);
   CREATE TABLE outbox (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, policy TEXT NOT NULL,
     body BLOB NOT NULL);`,
];
const encoder = new TextEncoder();
const digestOf = (body: string): string => hex(crypto.sha256(encoder.encode(body)));

type Row = { readonly id: string; readonly body: string; readonly digest: string };

/** A row whose checksum differs is damage that must not become a firewall rule, nor be ignored. */
const entryOf = (row: Row): Entry => {
  if (digestOf(row.body) !== row.digest) {
    throw new Error(`policy ${row.id} in the agent's store is damaged: its checksum differs`);
  }
  return JSON.parse(row.body) as Entry;
};

const storage = (store: Store) => {
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
  const sent = store.statement<[string]>('DELETE FROM outbox WHERE id = ?');
  return {
    load: () => ({
      entries: policies.all().map(entryOf),
      acks: outbox.all().map((row): Ack => ({ id: row.id, policyId: row.policy, bytes: row.body })),
    }),
    /** Returns the acks that were not in the outbox before. */
    save: ({ entries, acks, forgotten }: Commands['save']): readonly Ack[] =>
      store.transaction(() => {
        for (const entry of entries) {
          const body = JSON.stringify(entry);
          put.run(entry.id, body, digestOf(body));
        }
        for (const id of forgotten) drop.run(id);
        return acks.filter((ack) => enqueue.run(ack.id, ack.policyId, ack.bytes).changes > 0);
      }),
    acked: (id: string) => sent.run(id),
  };
};

/** Makes the backend equal to `desired`: what is missing is applied, what is ours and not desired is removed. */
const reconcile = async (backend: Backend, desired: readonly Entry[], atMs: number) => {
  const actual = await backend.inForce();
  const missing = desired.filter((entry) => !actual.has(entry.id));
  if (missing.length > 0) await backend.apply(missing, atMs);
  const wanted = new Set(desired.map((entry) => entry.id));
  const foreign = [...actual].filter((id) => !wanted.has(id));
  if (foreign.length > 0) await backend.remove(foreign);
  return { missing: missing.length, foreign: foreign.length };
};

export const io: Io<EnforcerConfig, Self, Commands> = (config, port) => {
  const store = openStore(join(port.dataDir, 'enforcer.sqlite'), { migrations: MIGRATIONS });
  const disk = storage(store);
  const backend = noopBackend();
  const keys = join(port.node.dataDir, 'keys');
  const pair = readPrivateKey(isAbsolute(config.key) ? config.key : join(keys, config.key));
  const genesis = readGenesis(port.node.genesis);
  const deliver = (message: Self): void => {
    // One result a command, commands come in batches of one fetch: a full mailbox here is a bug.
    if (!port.deliver(message)) throw new Error('the enforcer cannot take its own result');
  };
  return {
    commands: {
      open: () =>
        deliver({
          kind: 'opened',
          genesis,
          committee: genesisCommittee(genesis, crypto),
          pair,
          ...disk.load(),
        }),
      enforce: async (batch) => {
        const outcomes = await backend.apply(batch.apply, port.now());
        if (batch.remove.length > 0) await backend.remove(batch.remove.map((entry) => entry.id));
        deliver({ kind: 'enforced', batch, outcomes });
      },
      save: (work) => {
        const acks = disk.save(work);
        deliver({ kind: 'saved', places: work.places, acks });
      },
      acked: ({ id }) => {
        disk.acked(id);
      },
      reconcile: async (desired) => {
        deliver({ kind: 'reconciled', ...(await reconcile(backend, desired, port.now())) });
      },
    },
    close: async () => {
      await backend.close();
      store.close();
    },
  };
};
