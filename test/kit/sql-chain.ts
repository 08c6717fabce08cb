/** A small chain with everything that SQL shows, and the io adapter of a projector over a database. */
import { config, type PersistenceConfig } from '#actors/persistence/config.ts';
import type { Self } from '#actors/persistence/core.ts';
import type { Database } from '#actors/persistence/database.ts';
import { io } from '#actors/persistence/io.ts';
import { PROJECTED_TABLES } from '#actors/persistence/migrations.ts';
import type { BusRecord } from '#runtime/bus/record.ts';
import { testGenesis } from './chain-genesis.ts';
import { type CommittedChain, committedChain } from './committed-chain.ts';
import { freshFolder, portOf } from './executor-host.ts';
import { anomalyTx, policyTx } from './messages.ts';

export const genesis = testGenesis();

/** Four blocks: an anomaly and a policy, the anomaly again beside another, a policy removed, nothing. */
export const sqlChain = async (folder = freshFolder()): Promise<CommittedChain> => {
  const first = anomalyTx({}, { counter: 1 });
  const chain = await committedChain(genesis, [[first, policyTx({}, { counter: 1 })]], folder);
  const odd = anomalyTx(
    { src_ip: '198.51.100.8', capture: { source: 'p', path: 'a\0\ud800' } },
    { counter: 2 },
  );
  chain.grow([odd], [first]);
  chain.grow([policyTx({ action: 'remove' }, { counter: 4 })]);
  chain.grow([]);
  return chain;
};

/** Another one of the same genesis. */
export const otherChain = (): Promise<CommittedChain> =>
  committedChain(genesis, [[], [anomalyTx({ src_ip: '198.51.100.99' }, { counter: 5 })]]);

export const ackRecord = (value: Uint8Array, offset = 0): BusRecord => ({
  ...{ partition: 0, offset, timestampMs: 0, key: 'k', value, headers: {} },
});

/** The io adapter with its mailbox and what it said in the log. */
export const sqlAdapter = async (
  url: string,
  settings: Partial<PersistenceConfig> = {},
  folder = freshFolder(),
) => {
  const mailbox: Self[] = [];
  const said: string[] = [];
  const port = portOf<Self>(folder, genesis, mailbox);
  const adapter = await io(config.parse({ statementTimeoutMs: 5000, ...settings }), {
    ...port,
    log: (_level, text, fields) => void said.push(`${text} ${JSON.stringify(fields ?? {})}`),
    node: { ...port.node, database: { url } },
  });
  return { ...adapter, mailbox, said };
};

/** Every row of every table, with the order taken out. */
export const dumpOf = async (database: Pick<Database, 'query'>): Promise<string> => {
  const tables = [...PROJECTED_TABLES, 'acks', 'genesis'];
  const rows = [];
  for (const table of tables) {
    const found = await database.query(`SELECT to_jsonb(t)::text AS row FROM ${table} t`);
    rows.push([table, found.rows.map((one) => one.row as string).sort()]);
  }
  return JSON.stringify(rows);
};
