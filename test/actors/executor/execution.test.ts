import { expect, test } from 'vitest';
import { executeBlock } from '#actors/executor/execution.ts';
import { branchOf, type Version } from '#actors/executor/version.ts';
import { crypto } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { decodeBlock } from '#proto/consensus/block.ts';
import type { Transaction } from '#proto/consensus/transaction.ts';
import { txIdBytes } from '#proto/consensus/transaction.ts';
import { get, listRoot, rootOf } from '#proto/merkle.ts';
import {
  activeKey,
  anomalyKey,
  decodeState,
  policyKey,
  producerKey,
  type StateKey,
  TOTALS_KEY,
  validatorKey,
} from '#proto/state.ts';
import { buildOn, chainOf, commitTo, draftOn, type TestChain } from '#test/kit/chain.ts';
import { GENESIS_TIME_MS, keys, testGenesis } from '#test/kit/chain-genesis.ts';
import { anomalyOf, anomalyTx, garbageTx, policyTx } from '#test/kit/messages.ts';

const stateAt = <T>(version: Version, key: StateKey<T>): T | null => {
  const bytes = get(version.tree, key, crypto);
  return bytes === null ? null : decodeState(key, bytes);
};

const run = (chain: TestChain, parent: Version, version: Version) => {
  const block = decodeBlock(version.block);
  if (!block.ok) throw new Error(block.error);
  return executeBlock(chain.rules, branchOf(parent, chain.book), block.value, () => false);
};

/** The same block with another body or header, honest about its transactions. */
const forged = (chain: TestChain, parent: Version, txs: readonly Transaction[], over = {}) => {
  const built = buildOn(chain, parent, []);
  const header = {
    ...built.version.header,
    ...draftOn(chain, parent),
    txRoot: hex(
      listRoot(
        txs.map((tx) => txIdBytes(tx, crypto)),
        crypto,
      ),
    ),
    txCount: txs.length,
    payloadBytes: txs.reduce((sum, tx) => sum + tx.bytes.length, 0),
    ...over,
  };
  const result = executeBlock(
    chain.rules,
    branchOf(parent, chain.book),
    { header, txs },
    () => false,
  );
  return result.ok ? 'ok' : result.error;
};

test('a built block executes elsewhere to the same root', () => {
  const chain = chainOf(testGenesis());
  const other = chainOf(testGenesis());
  const txs = [1, 2, 3].map((n) => anomalyTx({ src_ip: `198.51.100.${n}` }, { counter: n }));
  const { version, refused } = buildOn(chain, chain.head, txs);
  expect(refused).toEqual([]);
  const executed = run(other, other.head, version);
  expect(executed.ok && hex(rootOf(executed.value.tree))).toBe(version.header.stateRoot);
  expect(executed.ok && executed.value.receipts).toEqual(version.receipts);
});

test('an anomaly derives one policy, and the next one against the same target is suppressed', () => {
  const chain = chainOf(testGenesis());
  const txs = [anomalyTx({ flows: 1 }, { counter: 1 }), anomalyTx({ flows: 2 }, { counter: 2 })];
  const { version } = buildOn(chain, chain.head, txs);
  const [first, second] = version.receipts;
  expect(first?.policyId).not.toBe('');
  expect(second).toMatchObject({ status: 'applied', policyId: '', suppressed: 'active' });
  const policy = stateAt(version, policyKey(first?.policyId ?? ''));
  expect(policy).toMatchObject({
    status: 'active',
    action: 'drop',
    targets: ['198.51.100.7'],
    offence: 1,
    expiresMs: version.header.timeMs + 600_000,
  });
  expect(stateAt(version, activeKey('198.51.100.7', 'drop'))).toEqual({
    policy: first?.policyId,
    expiresMs: version.header.timeMs + 600_000,
  });
});

test('a spoofable flood never ends in a drop', () => {
  const chain = chainOf(testGenesis());
  const { version } = buildOn(chain, chain.head, [
    anomalyTx({ type: 'ddos', spoofable: true, src_ip: '', dst_ports: [80] }),
  ]);
  const policy = stateAt(version, policyKey(version.receipts[0]?.policyId ?? ''));
  expect(policy?.action).toBe('rate_limit');
});

test('a guardrail suppresses a derived policy with a receipt and keeps the anomaly', () => {
  const chain = chainOf(testGenesis({}, ['198.51.100.0/24']));
  const { version, refused } = buildOn(chain, chain.head, [anomalyTx()]);
  expect(refused).toEqual([]);
  expect(version.receipts[0]).toMatchObject({ status: 'applied', suppressed: 'never-block' });
  expect(version.policies).toEqual([]);
});

test('a failed guardrail makes the policy of an operator invalid', () => {
  const chain = chainOf(testGenesis({}, ['203.0.113.0/24']));
  const tx = policyTx();
  const { version, refused } = buildOn(chain, chain.head, [tx]);
  expect(version.header.txCount).toBe(0);
  expect(refused.map((one) => one.reason)).toEqual(['guardrail-never-block']);
  expect(forged(chain, chain.head, [tx])).toBe('transaction-0-guardrail-never-block');
});

test('one invalid transaction refuses the whole block', () => {
  const chain = chainOf(testGenesis());
  const good = anomalyTx();
  const cases: [string, Transaction][] = [
    ['malformed', garbageTx],
    ['unknown-producer', anomalyTx({}, { key: keys.stranger, counter: 9 })],
    ['unknown-producer', policyTx({}, { key: keys.detector })],
    ['timestamp', anomalyTx({ flows: 9 }, { tsMs: GENESIS_TIME_MS + 400_000, counter: 9 })],
    ['nonce-conflict', anomalyTx({ flows: 77 }, { counter: 1 })],
  ];
  for (const [code, bad] of cases) {
    expect(forged(chain, chain.head, [good, bad])).toBe(`transaction-1-${code}`);
  }
});

test('a wrong signature refuses the block', () => {
  const chain = chainOf(testGenesis());
  const tx = anomalyTx();
  const bytes = tx.bytes.slice();
  const signature = anomalyOf().signature;
  const at = Buffer.from(bytes).indexOf(Buffer.from(signature));
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  expect(forged(chain, chain.head, [{ kind: 'anomaly', bytes }])).toBe(
    'transaction-0-bad-signature',
  );
});

test('a header that does not fit its parent or its body is refused by name', () => {
  const chain = chainOf(testGenesis());
  const over: [string, object][] = [
    ['header-chain', { chainId: 'other' }],
    ['header-epoch', { epoch: 1 }],
    ['header-height', { height: 2 }],
    ['header-view', { view: 0 }],
    ['header-view', { parentView: 7 }],
    ['header-time', { timeMs: GENESIS_TIME_MS }],
    ['header-proposer', { proposerId: 'ab'.repeat(32) }],
    ['header-sums', { txCount: 2 }],
    ['header-tx-root', { txRoot: 'ab'.repeat(32) }],
    ['state-root', {}],
  ];
  for (const [reason, change] of over) {
    expect(forged(chain, chain.head, [anomalyTx()], change)).toBe(reason);
  }
});

test('the same nonce and content again is skipped with a receipt, in the fork and after the commit', () => {
  const chain = chainOf(testGenesis());
  const tx = anomalyTx();
  const first = buildOn(chain, chain.head, [tx]).version;
  expect(buildOn(chain, first, [tx]).version.header.txCount).toBe(0);
  expect(forged(chain, first, [tx])).toBe('ok');
  const conflict = anomalyTx({ flows: 5 }, { counter: 1 });
  expect(forged(chain, first, [conflict])).toBe('transaction-0-nonce-conflict');
  commitTo(chain, first);
  expect(buildOn(chain, chain.head, [tx]).version.header.txCount).toBe(0);
  expect(forged(chain, chain.head, [conflict])).toBe('transaction-0-nonce-conflict');
});

test('known content under a new nonce is left out by the builder', () => {
  const chain = chainOf(testGenesis());
  const first = buildOn(chain, chain.head, [anomalyTx({}, { counter: 1 })]).version;
  const again = anomalyTx({}, { counter: 2 });
  const { version, refused } = buildOn(chain, first, [again]);
  expect([version.header.txCount, refused]).toEqual([0, []]);
});

test('what an uncommitted block below carries is no candidate, and takes no room', () => {
  const chain = chainOf(testGenesis({ blockTxMax: 2 }));
  const txs = [1, 2, 3, 4].map((n) => anomalyTx({ flows: n }, { counter: n }));
  const first = buildOn(chain, chain.head, txs).version;
  const { version, skipped, refused } = buildOn(chain, first, txs);
  expect([version.header.txCount, skipped, refused]).toEqual([2, [], []]);
  expect(version.receipts.map((one) => one.id)).not.toEqual(first.receipts.map((one) => one.id));
});

test('forks do not see one another', () => {
  const chain = chainOf(testGenesis());
  const left = buildOn(chain, chain.head, [anomalyTx({ flows: 1 }, { counter: 1 })]).version;
  const right = buildOn(chain, chain.head, [anomalyTx({ flows: 2 }, { counter: 1 })]).version;
  const onRight = buildOn(chain, right, [anomalyTx({ flows: 3 }, { counter: 3 })]).version;
  expect(stateAt(left, anomalyKey(left.receipts[0]?.id ?? ''))).not.toBeNull();
  expect(stateAt(onRight, anomalyKey(left.receipts[0]?.id ?? ''))).toBeNull();
  expect(stateAt(onRight, anomalyKey(right.receipts[0]?.id ?? ''))).not.toBeNull();
});

test('offences climb the TTL ladder once their policy has expired, and expired ones are swept', () => {
  const chain = chainOf(testGenesis());
  const lasting: number[] = [];
  let version = chain.head;
  for (const [step, afterMs] of [0, 601_000, 3_601_000, 86_401_000].entries()) {
    const timeMs = version.header.timeMs + 1000 + afterMs;
    const tx = anomalyTx({ flows: step }, { tsMs: timeMs, counter: step });
    version = buildOn(chain, version, [tx], { timeMs }).version;
    const policy = stateAt(version, policyKey(version.receipts[0]?.policyId ?? ''));
    lasting.push(((policy?.expiresMs ?? 0) - timeMs) / 1000);
    expect(stateAt(version, TOTALS_KEY)?.active).toBe(1);
  }
  expect(lasting).toEqual([600, 3600, 86_400, 604_800]);
});

test('a sweep does the same on a replica that has committed more', () => {
  const one = chainOf(testGenesis());
  const two = chainOf(testGenesis());
  const txs = Array.from({ length: 150 }, (_, n) =>
    anomalyTx({ src_ip: `198.51.100.${n}` }, { counter: n }),
  );
  const first = buildOn(one, one.head, txs).version;
  const again = run(two, two.head, first);
  if (!again.ok) throw new Error(again.error);
  commitTo(two, again.value);
  const timeMs = first.header.timeMs + 700_000;
  const swept = buildOn(one, first, [], { timeMs }).version;
  expect(stateAt(swept, TOTALS_KEY)?.active).toBe(50);
  const same = run(two, two.head, swept);
  expect(same.ok && same.value.hash).toBe(swept.hash);
  const rest = buildOn(one, swept, [], { timeMs: timeMs + 300_000 }).version;
  expect(stateAt(rest, TOTALS_KEY)?.active).toBe(0);
});

test('nonces are forgotten 15 minutes behind header time', () => {
  const chain = chainOf(testGenesis());
  const first = buildOn(chain, chain.head, [anomalyTx()]).version;
  const nonce = [...first.changes.keys()].find((key) => key.startsWith('nonces/')) ?? '';
  const soon = buildOn(chain, first, [], { timeMs: first.header.timeMs + 899_000 }).version;
  expect(stateAt(soon, nonce)).not.toBeNull();
  const later = buildOn(chain, first, [], { timeMs: first.header.timeMs + 961_000 }).version;
  expect(stateAt(later, nonce)).toBeNull();
});

test('an operator removes a policy; the tombstone stays until it would have expired', () => {
  const chain = chainOf(testGenesis());
  const added = buildOn(chain, chain.head, [policyTx({}, { counter: 1 })]).version;
  const removal = policyTx({ action: 'remove' }, { counter: 2 });
  const removed = buildOn(chain, added, [removal]).version;
  expect(stateAt(removed, policyKey('policy-1'))).toMatchObject({ status: 'removed' });
  expect(stateAt(removed, activeKey('203.0.113.9', 'drop'))).toBeNull();
  expect(stateAt(removed, TOTALS_KEY)?.active).toBe(0);
  const again = policyTx({ action: 'remove', tenant: 't' }, { counter: 3 });
  expect(buildOn(chain, removed, [again]).refused[0]?.reason).toBe('no-such-policy');
  const later = buildOn(chain, removed, [], { timeMs: added.header.timeMs + 601_000 }).version;
  expect(stateAt(later, policyKey('policy-1'))).toBeNull();
});

test('nobody but an operator removes a policy, whatever detectors may propose', () => {
  const chain = chainOf(testGenesis({ detectorsMayPropose: true }));
  const proposed = policyTx({}, { key: keys.detector, counter: 1 });
  const added = buildOn(chain, chain.head, [proposed]).version;
  expect(stateAt(added, policyKey('policy-1'))).toMatchObject({ status: 'active' });
  const removal = policyTx({ action: 'remove' }, { key: keys.detector, counter: 2 });
  expect(buildOn(chain, added, [removal]).refused[0]?.reason).toBe('removal-needs-operator');
  expect(forged(chain, added, [removal])).toBe('transaction-0-removal-needs-operator');
  const closed = chainOf(testGenesis());
  expect(forged(closed, closed.head, [removal])).toBe('transaction-0-unknown-producer');
});

test('the removal of a policy that is not there, or not any more, stands in no block', () => {
  const chain = chainOf(testGenesis());
  const unknown = policyTx({ action: 'remove', policy_id: 'nobody' }, { counter: 9 });
  expect(forged(chain, chain.head, [unknown])).toBe('transaction-0-no-such-policy');
  // More than a block sweeps: what has ended counts for nothing, though it still stands in the state.
  const ids = Array.from({ length: 120 }, (_, k) => `policy-${1000 + k}`);
  const brief = ids.map((policy_id, k) =>
    policyTx({ policy_id, guardrails: { ttl_seconds: 1 } }, { counter: k + 1 }),
  );
  const added = buildOn(chain, chain.head, brief).version;
  const tsMs = added.header.timeMs + 2000;
  const late = buildOn(chain, added, [], { timeMs: tsMs }).version;
  const left = ids.find((id) => stateAt(late, policyKey(id)) !== null)!;
  const removal = policyTx({ policy_id: left, action: 'remove' }, { counter: 200, tsMs });
  const refused = buildOn(chain, added, [removal], { timeMs: tsMs }).refused;
  expect(refused[0]?.reason).toBe('no-such-policy');
});

test('caps on active policies and on policies a minute hold', () => {
  const many = [1, 2, 3].map((n) => anomalyTx({ src_ip: `198.51.100.${n}` }, { counter: n }));
  const active = chainOf(testGenesis({ activePoliciesMax: 2 }));
  const byActive = buildOn(active, active.head, many).version.receipts;
  expect(byActive.map((one) => one.suppressed)).toEqual(['', '', 'too-many-active']);
  const minute = chainOf(testGenesis({ policiesPerMinuteMax: 1 }));
  const byMinute = buildOn(minute, minute.head, many).version.receipts;
  expect(byMinute.map((one) => one.suppressed)).toEqual([
    '',
    'too-many-a-minute',
    'too-many-a-minute',
  ]);
});

test('producers and validators are counted', () => {
  const chain = chainOf(testGenesis());
  const first = buildOn(chain, chain.head, [anomalyTx()]).version;
  const second = buildOn(chain, first, []).version;
  const producer = stateAt(second, producerKey(hex(keys.detector.publicKey)));
  expect(producer).toMatchObject({ count: 1, lastTsMs: GENESIS_TIME_MS + 1000 });
  expect(stateAt(second, validatorKey(first.header.proposerId))).toMatchObject({
    proposed: 1,
    committed: 1,
  });
  expect(stateAt(second, validatorKey(second.header.proposerId))).toMatchObject({
    proposed: 1,
    committed: 0,
  });
});

test('a block keeps within the limits of genesis', () => {
  const txs = [1, 2, 3, 4].map((n) => anomalyTx({ flows: n }, { counter: n }));
  const chain = chainOf(testGenesis({ blockTxMax: 2 }));
  expect(buildOn(chain, chain.head, txs).version.header.txCount).toBe(2);
  const size = txs[0]?.bytes.length ?? 0;
  const narrow = chainOf(testGenesis({ blockBytesMax: size * 3 }));
  expect(buildOn(narrow, narrow.head, txs).version.header.txCount).toBe(3);
  expect(forged(chain, chain.head, txs)).toBe('header-too-many-transactions');
  const smaller = chainOf(testGenesis({ blockBytesMax: size * 3 }));
  expect(forged(smaller, smaller.head, txs)).toBe('header-too-many-bytes');
});
