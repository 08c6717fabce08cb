/** The agent's disk and its backend. Entries and acknowledgements are durable before the bus hears of them. */
import { isAbsolute, join } from 'node:path';
import { crypto, readPrivateKey } from '#native/crypto.ts';
import { readGenesis } from '#native/genesis-file.ts';
import { openStore, type Store } from '#native/store.ts';
import { hex } from '#proto/bytes.ts';
import { genesisCommittee } from '#proto/genesis.ts';
import type { Io, IoPort } from '#runtime/actor.ts';
import type { Ack } from './acks.ts';
import { type Fault, failed } from './backend.ts';
import { backendOf } from './backends/choice.ts';
import type { EnforcerConfig } from './config.ts';
import type { Commands, Self } from './core.ts';
import { NOWHERE, type Surroundings } from './neighbourhood.ts';
import { readPanic } from './panic.ts';
import { reconcile, restore, suspend } from './reconciling.ts';
import type { Entry } from './registry.ts';
import { surveyor } from './surroundings.ts';

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

/** Why nothing is enforced, asked anew before every write. */
const brakeOf = (config: EnforcerConfig, port: IoPort<Self>): (() => Fault | undefined) => {
  if (config.killSwitch) {
    return () => ({ code: 'kill-switch', reason: 'killSwitch is set in the topology' });
  }
  return () => {
    const panic = readPanic(port.node.dataDir, port.now());
    if (panic === undefined) return undefined;
    const until = Number.isFinite(panic.untilMs)
      ? `until ${new Date(panic.untilMs).toISOString()}`
      : 'until somebody ends it';
    return { code: 'panic', reason: `panic by ${panic.by} ${until}: ${panic.reason}` };
  };
};

const surveys = (config: EnforcerConfig, port: IoPort<Self>): (() => Promise<Surroundings>) => {
  const survey = surveyor({
    netns: config.netns,
    sshConnection: process.env.SSH_CONNECTION ?? '',
    now: port.now,
  });
  let last = NOWHERE;
  return async () => {
    if (config.backend === 'noop') return NOWHERE;
    const found = await survey();
    if (found.ok) last = found.value;
    else port.log('warn', 'the surroundings of this host cannot be seen', { ...found.error });
    return last;
  };
};

/** One call of the backend after the other, in the order of the commands. */
const queue = () => {
  let last: Promise<void> = Promise.resolve();
  return (work: () => Promise<void>): Promise<void> => {
    last = last.then(work);
    return last;
  };
};

export const io: Io<EnforcerConfig, Self, Commands> = async (config, port) => {
  const store = openStore(join(port.dataDir, 'enforcer.sqlite'), { migrations: MIGRATIONS });
  const disk = storage(store);
  const backend = backendOf(config, port.now);
  const brake = brakeOf(config, port);
  const survey = surveys(config, port);
  const inTurn = queue();
  const keys = join(port.node.dataDir, 'keys');
  const pair = readPrivateKey(isAbsolute(config.key) ? config.key : join(keys, config.key));
  const genesis = readGenesis(port.node.genesis);
  const deliver = (message: Self): void => {
    // One result a command, commands come in batches of one fetch: a full mailbox here is a bug.
    if (!port.deliver(message)) throw new Error('the enforcer cannot take its own result');
  };
  const equalize = (desired: readonly Entry[], how: typeof reconcile) =>
    inTurn(async () => {
      const why = brake();
      const found = await (why === undefined
        ? how(backend, desired, port.now)
        : suspend(backend, desired, why));
      deliver({ kind: 'reconciled', desired, found });
    });
  let braked: string | undefined;
  const probed = await backend.probe();
  if (!probed.ok) port.log('error', 'policies cannot be enforced', { ...probed.error });
  return {
    commands: {
      open: async () => {
        const around = await survey();
        const committee = genesisCommittee(genesis, crypto);
        deliver({ kind: 'opened', genesis, committee, pair, around, ...disk.load() });
      },
      enforce: (batch) =>
        inTurn(async () => {
          const why = brake();
          const gone = batch.remove.map((entry) => entry.id);
          const outcomes =
            why === undefined
              ? await backend.change(batch.apply, gone, port.now())
              : batch.apply.map((entry) => failed(entry, why));
          deliver({ kind: 'enforced', batch, outcomes });
        }),
      save: (work) => {
        const acks = disk.save(work);
        deliver({ kind: 'saved', places: work.places, acks });
      },
      acked: ({ id }) => {
        disk.acked(id);
      },
      restore: (desired) => equalize(desired, restore),
      reconcile: (desired) => equalize(desired, reconcile),
      look: () => {
        const why = brake();
        if (why?.reason === braked) return;
        braked = why?.reason;
        deliver({ kind: 'braked', why });
      },
      survey: async () => deliver({ kind: 'surveyed', around: await survey() }),
    },
    close: async () => {
      await inTurn(() => backend.close());
      store.close();
    },
  };
};
