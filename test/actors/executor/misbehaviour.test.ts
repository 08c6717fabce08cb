import { expect, test } from 'vitest';
import { crypto } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { type Vote, voteBytes } from '#proto/consensus/certificate.ts';
import { encodeEvidence } from '#proto/consensus/evidence.ts';
import type { Transaction } from '#proto/consensus/transaction.ts';
import type { KeyPair } from '#proto/crypto.ts';
import { get } from '#proto/merkle.ts';
import { decodeState, validatorKey } from '#proto/state.ts';
import { buildOn, chainOf } from '#test/kit/chain.ts';
import { keys, testGenesis } from '#test/kit/chain-genesis.ts';

const idOf = (key: KeyPair): string => hex(crypto.sha256(key.publicKey));

const voteOf = (key: KeyPair, view: number, block: string): Vote => {
  const vote = { epoch: 0, view, blockHash: block.repeat(32) };
  return { ...vote, signer: idOf(key), signature: key.sign(voteBytes('test', vote)) };
};

const doubleVote = (key: KeyPair, view: number, other = 'bb'): Transaction => ({
  kind: 'misbehaviour',
  bytes: encodeEvidence({
    kind: 'double-vote',
    first: voteOf(key, view, 'aa'),
    second: voteOf(key, view, other),
  }),
});

test('proven misbehaviour lowers reputation, once for one deed, never below zero', () => {
  const chain = chainOf(testGenesis());
  const reputation = (tx: readonly Transaction[]) => {
    const { version, refused } = buildOn(chain, chain.head, tx);
    const bytes = get(version.tree, validatorKey(idOf(keys.v2)), crypto) ?? new Uint8Array(0);
    const state = decodeState(validatorKey(''), bytes);
    return [state.reputation, version.header.txCount, refused.length];
  };
  expect(reputation([doubleVote(keys.v2, 5)])).toEqual([50, 1, 0]);
  expect(reputation([doubleVote(keys.v2, 5), doubleVote(keys.v2, 5, 'cc')])).toEqual([50, 1, 0]);
  const three = [5, 6, 7].map((view) => doubleVote(keys.v2, view));
  expect(reputation(three)).toEqual([0, 3, 0]);
});

test('what proves nothing stands in no block', () => {
  const chain = chainOf(testGenesis());
  const foreign = doubleVote(keys.stranger, 5);
  const same: Transaction = {
    kind: 'misbehaviour',
    bytes: encodeEvidence({
      kind: 'double-vote',
      first: voteOf(keys.v2, 5, 'aa'),
      second: voteOf(keys.v2, 5, 'aa'),
    }),
  };
  const garbage: Transaction = { kind: 'misbehaviour', bytes: new Uint8Array([1, 2, 3]) };
  const { version, refused } = buildOn(chain, chain.head, [foreign, same, garbage]);
  expect(version.header.txCount).toBe(0);
  expect(refused.map((one) => one.reason)).toEqual([
    'misbehaviour-unverified',
    'misbehaviour-no-contradiction',
    'misbehaviour-malformed',
  ]);
});
