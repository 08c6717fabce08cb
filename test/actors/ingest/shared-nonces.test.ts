import { expect, test } from 'vitest';
import type { SeenNonce } from '#actors/ingest/nonces.ts';
import { keys } from '#test/kit/chain-genesis.ts';
import { ingestHost, letters } from '#test/kit/ingest-host.ts';
import { anomalyTx } from '#test/kit/messages.ts';

const redis = { url: 'redis://127.0.0.1:6379' };
const first = anomalyTx({}, { counter: 1 });
const second = anomalyTx({ src_ip: '198.51.100.99' }, { counter: 2 });

/** Two processes of one validator that share their nonces. */
const pair = () => {
  const nonces = new Map<string, SeenNonce>();
  const host = () => ingestHost({ redis }, undefined, undefined, nonces);
  return { nonces, a: host(), b: host() };
};

test('what one process has admitted the other refuses as replayed at another place', () => {
  const { a, b } = pair();
  a.message(first);
  b.message(second);
  b.message(first);
  expect(a.state.pool.byTx.size).toBe(1);
  expect(b.state.pool.byTx.size).toBe(1);
  expect(letters(b)).toEqual(['replayed@1']);
});

test('the same record, handed to the other process, is admitted there: the first may have died', () => {
  const { a, b } = pair();
  a.message(first);
  b.message(first);
  expect(b.state.pool.byTx.size).toBe(1);
  expect(letters(b)).toEqual([]);
});

test('nothing of a producer that genesis does not know is shared', () => {
  const { nonces, a } = pair();
  a.message(first);
  a.message(anomalyTx({}, { counter: 3, key: keys.stranger }));
  expect(nonces.size).toBe(1);
  a.append('ai.anomalies.v1', new Uint8Array([1, 2, 3]));
  expect(nonces.size).toBe(1);
});

test('without Redis nothing is shared', () => {
  const nonces = new Map<string, SeenNonce>();
  const host = ingestHost({}, undefined, undefined, nonces);
  host.message(first);
  expect(nonces.size).toBe(0);
});
