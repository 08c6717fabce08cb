import { expect, test } from 'vitest';
import { crypto } from '#native/crypto.ts';
import { type Transaction, txIdBytes } from '#proto/consensus/transaction.ts';
import { blockIn, build, genesisParent } from '#test/kit/chain-driver.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';
import { executorHost, freshFolder } from '#test/kit/executor-host.ts';
import { anomalyOf, anomalyTx } from '#test/kit/messages.ts';

/** The same message with a bit of its signature turned. */
const unsigned = (counter: number): Transaction => {
  const bytes = anomalyTx({}, { counter }).bytes.slice();
  const { signature } = anomalyOf({}, { counter });
  const at = Buffer.from(bytes).indexOf(Buffer.from(signature));
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return { kind: 'anomaly', bytes };
};

test('a signature that this validator has verified is not verified again, any other one is', async () => {
  const host = await executorHost(freshFolder(), testGenesis());
  const [known, unknown] = [unsigned(1), unsigned(2)];
  host.tell({ kind: 'verified', ids: [txIdBytes(known, crypto)] });
  // Nobody who verifies would have said so of this one: it shows who was believed.
  const block = build(host, genesisParent(host), [known, unknown]);
  expect(blockIn(block).txs).toEqual([known]);
  host.close();
});

test('no more than the bound is remembered, the oldest is forgotten first', async () => {
  const host = await executorHost(freshFolder(), testGenesis(), { verifiedMax: 2 });
  const txs = [1, 2, 3].map(unsigned);
  host.tell({ kind: 'verified', ids: txs.map((tx) => txIdBytes(tx, crypto)) });
  expect(host.state.chain?.verified.size).toBe(2);
  const block = build(host, genesisParent(host), txs.slice(0, 1));
  expect(blockIn(block).txs).toEqual([]);
  host.close();
});
