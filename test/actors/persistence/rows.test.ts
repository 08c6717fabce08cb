import { afterAll, beforeAll, expect, test } from 'vitest';
import { MIGRATIONS } from '#actors/persistence/migrations.ts';
import {
  insertsOf,
  projectBlock,
  type Rows,
  type SqlValue,
  sqlText,
} from '#actors/persistence/rows.ts';
import { crypto } from '#native/crypto.ts';
import { fromHex, hex } from '#proto/bytes.ts';
import { blockOf, decodeCommittedList } from '#proto/consensus/committed.ts';
import { blockHash } from '#proto/consensus/header.ts';
import { txIdBytes } from '#proto/consensus/transaction.ts';
import { decodeState, policyKey } from '#proto/state.ts';
import { decodeAnomaly } from '#proto/wire/anomaly.ts';
import { GENESIS_TIME_MS, keys, testGenesis } from '#test/kit/chain-genesis.ts';
import { type CommittedChain, committedChain } from '#test/kit/committed-chain.ts';
import { anomalyOf, anomalyTx, policyTx } from '#test/kit/messages.ts';

let chain: CommittedChain;
const hidden = 'a\0b\ud800';

const first = anomalyTx({}, { counter: 1 });

beforeAll(async () => {
  chain = await committedChain(testGenesis(), [[first, policyTx({}, { counter: 1 })]]);
  const odd = anomalyTx({ capture: { source: 'pcap', path: hidden } }, { counter: 3 });
  chain.grow([odd], [first]);
  chain.grow([policyTx({ action: 'remove' }, { counter: 4 })]);
});
afterAll(() => chain.host.close());

const committedAt = (height: number) => decodeCommittedList(chain.read(height, 1))[0]!;
const projected = (height: number) => {
  const committed = committedAt(height);
  const hash = fromHex(blockHash(blockOf(committed).header, crypto));
  return projectBlock(committed, crypto, hash);
};

type Row = { readonly [column: string]: SqlValue };
const rowsOf = (height: number, table: string): readonly Row[] => {
  const found = projected(height).tables.find((one) => one.table === table);
  return (found?.rows ?? []).map((row) =>
    Object.fromEntries(row.map((value, k) => [found!.columns[k]!, value])),
  );
};

test('a block row has every field of the header, its hash and its proof', () => {
  const committed = committedAt(1);
  const { header } = blockOf(committed);
  expect(rowsOf(1, 'blocks')).toEqual([
    {
      height: 1,
      block_hash: fromHex(blockHash(header, crypto)),
      parent_hash: fromHex(header.parentHash),
      view: header.view,
      epoch: 0,
      tx_root: fromHex(header.txRoot),
      state_root: fromHex(header.stateRoot),
      proposer_id: fromHex(header.proposerId),
      tx_count: 2,
      payload_bytes: header.payloadBytes,
      proof: committed.proof,
      created_at: new Date(GENESIS_TIME_MS + 1000),
    },
  ]);
  expect(projected(2).parentHash).toEqual(fromHex(blockOf(committedAt(2)).header.parentHash));
});

test('a transaction row keeps the signed bytes and whose they are', () => {
  const { txs } = blockOf(committedAt(1));
  const index = txs.findIndex((tx) => tx.kind === 'anomaly');
  const event = anomalyOf({}, { counter: 1 });
  expect(rowsOf(1, 'transactions')[index]).toEqual({
    tx_id: txIdBytes(txs[index]!, crypto),
    block_height: 1,
    idx: index,
    type: 'anomaly',
    payload: txs[index]!.bytes,
    content_hash: event.contentHash,
    producer_id: keys.detector.publicKey,
    signature: event.signature,
    receipt: 'applied',
    created_at: new Date(GENESIS_TIME_MS + 1000),
  });
});

test('an anomaly row holds what was detected and of whom', () => {
  const event = anomalyOf({}, { counter: 1 });
  const [row] = rowsOf(1, 'anomalies');
  expect(row).toMatchObject({
    ...{ id: event.id, block_height: 1, type: 'port_scan', source: 'detector', severity: 6 },
    ...{ src_ip: '198.51.100.7', dst_ip: '192.168.10.50', confidence_ppm: 900_000 },
    ...{ spoofable: false, lifecycle_state: 'COMMITTED', detected_at: new Date(event.ts * 1000) },
  });
  expect(JSON.parse(row?.payload as string)).toEqual(
    JSON.parse(new TextDecoder().decode(event.payload)),
  );
});

test('a message whose content is known is a transaction, but no second anomaly', () => {
  const receipts = committedAt(2)
    .receipts.map((one) => one.status)
    .sort();
  expect(receipts).toEqual(['applied', 'replayed']);
  expect(rowsOf(2, 'transactions')).toHaveLength(2);
  expect(rowsOf(2, 'anomalies')).toHaveLength(1);
});

test('what SQL cannot hold is replaced in columns and kept in the signed bytes', () => {
  const [row] = rowsOf(2, 'anomalies');
  const { capture } = JSON.parse(row?.payload as string) as { capture: { path: string } };
  expect(capture.path).toBe('a\ufffdb\ufffd');
  const signed = decodeAnomaly(rowsOf(2, 'transactions')[0]?.payload as Uint8Array);
  if (!signed.ok) throw new Error(signed.error.detail);
  const kept = JSON.parse(new TextDecoder().decode(signed.value.payload)) as typeof row;
  expect(kept).toMatchObject({ capture: { path: hidden } });
  expect(sqlText(hidden)).toBe('a\ufffdb\ufffd');
});

test('a policy is one row, a version of the state, and an entry of the audit log', () => {
  const written = committedAt(1).policies.map(
    ({ key, value }) => decodeState(policyKey(''), value) && key,
  );
  const policies = rowsOf(1, 'policies');
  expect(policies.map((row) => `policies/${row.policy_id}`)).toEqual(written);
  const own = policies.find((row) => row.policy_id === 'policy-1');
  expect(own).toMatchObject({
    ...{ block_height: 1, rule_type: 'block', action: 'drop', target: '203.0.113.9', ttl_s: 600 },
    ...{ active: true, committed_at: new Date(GENESIS_TIME_MS + 1000) },
    expires_at: new Date(GENESIS_TIME_MS + 601_000),
  });
  expect(rowsOf(1, 'state_kv').map((row) => row.key)).toEqual(written);
  expect(rowsOf(1, 'audit_log').map((row) => row.action)).toEqual(
    written.map(() => 'policy.committed'),
  );
});

test('a removed policy is inactive from its block on', () => {
  expect(rowsOf(3, 'policies')).toMatchObject([
    { policy_id: 'policy-1', active: false, block_height: 3 },
  ]);
  expect(rowsOf(3, 'audit_log')).toMatchObject([{ action: 'policy.removed', subject: 'policy-1' }]);
});

test('the root of each height is a row of its own', () => {
  const { header } = blockOf(committedAt(2));
  expect(rowsOf(2, 'state_versions')).toEqual([
    {
      height: 2,
      state_root: fromHex(header.stateRoot),
      tx_count: 2,
      created_at: new Date(header.timeMs),
    },
  ]);
});

test('the same block gives the same rows', () => {
  for (const height of [1, 2, 3]) expect(projected(height)).toEqual(projected(height));
});

test('every column of every row exists in the schema', () => {
  const ddl = MIGRATIONS[0]!.statements.join('\n');
  for (const height of [1, 2, 3]) {
    for (const { table, columns, rows } of projected(height).tables) {
      const definition = new RegExp(`EXISTS ${table} \\(([^;]*?)\\)\`?(?:\\nCREATE|$)`).exec(
        ddl,
      )?.[1];
      for (const column of columns) expect(definition).toMatch(new RegExp(`\\b${column} [A-Z]`));
      for (const row of rows) expect(row).toHaveLength(columns.length);
    }
  }
});

const many = (count: number, update?: readonly string[]): Rows => ({
  ...{ table: 't', columns: ['a', 'b'], key: ['a'] },
  rows: Array.from({ length: count }, (_, n) => [n, `x${n}`]),
  ...(update === undefined ? {} : { update }),
});

test('inserts are cut so that no statement has more than 20,000 parameters', () => {
  const statements = insertsOf(many(25_000));
  expect(statements.map((one) => one.values.length)).toEqual([20_000, 20_000, 10_000]);
  expect(insertsOf(many(2))).toEqual([
    {
      text: 'INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) ON CONFLICT (a) DO NOTHING',
      values: [0, 'x0', 1, 'x1'],
    },
  ]);
  expect(insertsOf(many(0))).toEqual([]);
});

test('an update yields to a row of a later block', () => {
  const [statement] = insertsOf(many(1, ['b']));
  expect(statement?.text.replace(/\s+/g, ' ')).toContain(
    'DO UPDATE SET b = excluded.b WHERE t.block_height <= excluded.block_height',
  );
});

test('ids of transactions are theirs by content', () => {
  const ids = rowsOf(2, 'transactions').map((row) => hex(row.tx_id as Uint8Array));
  expect(ids).toEqual(committedAt(2).receipts.map((one) => one.txId));
});
