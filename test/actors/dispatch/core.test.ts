import { expect, test } from 'vitest';
import { crypto } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { decodeCommitProof, provenPolicy, verifyCommitProof } from '#proto/commit-proof.ts';
import { leaderOf } from '#proto/consensus/leader.ts';
import type { KeyPair } from '#proto/crypto.ts';
import { type Genesis, genesisCommittee } from '#proto/genesis.ts';
import { verifyControl } from '#proto/wire/control.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import type { BusRecord } from '#runtime/bus/record.ts';
import { build, commit, genesisParent, parentIn } from '#test/kit/chain-driver.ts';
import { GENESIS_TIME_MS, keys, testGenesis } from '#test/kit/chain-genesis.ts';
import { type DispatchHost, dispatchHost } from '#test/kit/dispatch-host.ts';
import {
  type Answer,
  type ExecutorHost,
  executorHost,
  freshFolder,
} from '#test/kit/executor-host.ts';
import { writeKeyFile } from '#test/kit/key-files.ts';
import { anomalyOf, anomalyTx, policyTx } from '#test/kit/messages.ts';
import { recordsIn, type TestBus, testBus } from '#test/kit/test-bus.ts';

const NOW_MS = GENESIS_TIME_MS + 2000;
const genesis: Genesis = testGenesis();
const committee = genesisCommittee(genesis, crypto);
const trust = { committee, crypto };

/** The key of the validator that leads view 1, and one of another. */
const validators = [keys.v1, keys.v2, keys.v3, keys.v4];
const leader = validators.find(
  (key) => hex(crypto.sha256(key.publicKey)) === leaderOf(committee, 1),
) as KeyPair;
const other = validators.find((key) => key !== leader) as KeyPair;

const seeds = new Map<KeyPair, number>([
  [keys.v1, 1],
  [keys.v2, 2],
  [keys.v3, 3],
  [keys.v4, 4],
]);

type World = { readonly chain: ExecutorHost; readonly bus: TestBus };

const world = async (): Promise<World> => ({
  chain: await executorHost(freshFolder(), genesis),
  bus: testBus(),
});

const dispatchOf = (
  { chain, bus }: World,
  key: KeyPair,
  folder: string,
  { nowMs = NOW_MS, signatures = crypto } = {},
): Promise<DispatchHost> => {
  const seed = seeds.get(key) ?? 0;
  const file = writeKeyFile(folder, 'key', seed);
  return dispatchHost(`v${seed}`, file, folder, chain, bus, nowMs, signatures);
};

const published = (bus: TestBus, topic: string) => recordsIn(bus, topic).map((one) => one.value);

const policiesOn = (bus: TestBus) =>
  published(bus, TOPICS.policyUpdates).map((bytes) => {
    const event = verifyControl('policy-update', bytes, { crypto, roleOf: () => 'validator' });
    if (!event.ok) throw new Error(event.error.detail);
    return event.value;
  });

const commitsOn = (bus: TestBus) =>
  published(bus, TOPICS.commits).map((bytes) => {
    const event = verifyControl('commit', bytes, { crypto, roleOf: () => 'validator' });
    if (!event.ok) throw new Error(event.error.detail);
    return event.value;
  });

/** One block with these transactions, committed by an empty one. */
const grow = (chain: ExecutorHost, on: Answer | undefined, txs: Parameters<typeof build>[2]) => {
  const first = build(chain, on === undefined ? genesisParent(chain) : parentIn(on), txs);
  const second = build(chain, parentIn(first), []);
  commit(chain, first, second);
  return first;
};

test('every validator says of every height that it is final, signed by its own key', async () => {
  const one = await world();
  const left = await dispatchOf(one, leader, freshFolder());
  const right = await dispatchOf(one, other, freshFolder());
  const first = grow(one.chain, undefined, [anomalyTx()]);
  grow(one.chain, first, []);
  for (const host of [left, right]) host.work();
  const commits = commitsOn(one.bus);
  expect(commits.map((event) => event.height)).toEqual([1, 2, 1, 2]);
  expect(commits[0]).toMatchObject({
    txCount: 1,
    anomalyCount: 1,
    policyCount: 1,
    anomalyIds: [anomalyOf().id],
  });
  expect(new Set(commits.map((event) => hex(event.producerId))).size).toBe(2);
});

test('the proposer publishes a policy at once, with a proof from the genesis alone', async () => {
  const one = await world();
  const host = await dispatchOf(one, leader, freshFolder());
  grow(one.chain, undefined, [anomalyTx()]);
  host.work();
  host.advance(0);
  const [event] = policiesOn(one.bus);
  expect(event).toMatchObject({ action: 'add', effectiveHeight: 1, expirationHeight: 0 });
  const proof = verifyCommitProof(event?.commitProof ?? new Uint8Array(0), trust, event);
  if (!proof.ok) throw new Error(proof.error);
  expect(proof.value.height).toBe(1);
  expect(provenPolicy(proof.value)).toMatchObject({ anomaly: anomalyOf().id, status: 'active' });
});

test('the others publish what the proposer has not, after two seconds', async () => {
  const one = await world();
  const host = await dispatchOf(one, other, freshFolder());
  grow(one.chain, undefined, [anomalyTx()]);
  host.work();
  host.advance(1900);
  expect(policiesOn(one.bus)).toEqual([]);
  host.advance(200);
  expect(policiesOn(one.bus)).toHaveLength(1);
});

test('what stands on the topic with a valid proof is not published again', async () => {
  const one = await world();
  const left = await dispatchOf(one, leader, freshFolder());
  const right = await dispatchOf(one, other, freshFolder());
  grow(one.chain, undefined, [anomalyTx()]);
  right.work();
  left.work();
  left.advance(0);
  right.work();
  right.advance(5000);
  expect(policiesOn(one.bus)).toHaveLength(1);
  expect(right.state.cursor).toBe(1);
});

/** Signatures that a validator verifies of a block with so many policies, which another one has published. */
const verifiedOf = async (policies: number): Promise<number> => {
  const one = await world();
  let count = 0;
  const verify: typeof crypto.verify = (...given) => {
    count++;
    return crypto.verify(...given);
  };
  const left = await dispatchOf(one, leader, freshFolder());
  const signatures = { ...crypto, verify };
  const right = await dispatchOf(one, other, freshFolder(), { signatures });
  const txs = Array.from({ length: policies }, (_, n) =>
    anomalyTx({ src_ip: `198.51.100.${n + 1}` }, { counter: n + 1 }),
  );
  grow(one.chain, undefined, txs);
  right.work();
  left.work();
  left.advance(0);
  right.work();
  right.advance(5000);
  expect(policiesOn(one.bus)).toHaveLength(policies);
  return count;
};

test('of the policies of a block each is verified, and the certificates that they share once', async () => {
  const one = await verifiedOf(1);
  expect(one).toBeGreaterThan(2 * 3);
  expect(await verifiedOf(5)).toBe(one + 4);
});

test('a policy on the topic with a broken proof holds nothing back', async () => {
  const one = await world();
  const bad = await world();
  const forger = await dispatchOf(bad, leader, freshFolder());
  grow(bad.chain, undefined, [anomalyTx()]);
  forger.work();
  forger.advance(0);
  const [event] = recordsIn(bad.bus, TOPICS.policyUpdates);
  const value = event?.value.slice() ?? new Uint8Array(0);
  value[value.length - 10] = (value[value.length - 10] ?? 0) ^ 1;
  recordsIn(one.bus, TOPICS.policyUpdates).push({ ...(event as BusRecord), value });
  const host = await dispatchOf(one, other, freshFolder());
  grow(one.chain, undefined, [anomalyTx()]);
  host.work();
  host.advance(2500);
  expect(recordsIn(one.bus, TOPICS.policyUpdates)).toHaveLength(2);
});

test('a removal goes out as a tombstone with a proof of its own', async () => {
  const one = await world();
  const host = await dispatchOf(one, leader, freshFolder());
  const first = grow(one.chain, undefined, [policyTx({}, { counter: 1 })]);
  grow(one.chain, first, [policyTx({ action: 'remove' }, { counter: 2 })]);
  host.work();
  host.advance(3000);
  const events = policiesOn(one.bus);
  expect(events.map((event) => [event.action, event.effectiveHeight])).toEqual([
    ['add', 1],
    ['remove', 2],
  ]);
  for (const event of events)
    expect(verifyCommitProof(event.commitProof, trust, event).ok).toBe(true);
});

test('an expired policy is not published any more', async () => {
  const one = await world();
  grow(one.chain, undefined, [anomalyTx()]);
  const host = await dispatchOf(one, other, freshFolder(), { nowMs: NOW_MS + 700_000 });
  host.work();
  host.advance(3000);
  expect(policiesOn(one.bus)).toEqual([]);
  expect(host.state.cursor).toBe(1);
});

test('while the bus is away nothing is lost, and the cursor stays', async () => {
  const one = await world();
  const host = await dispatchOf(one, leader, freshFolder());
  one.bus.outcome = 'unavailable';
  grow(one.chain, undefined, [anomalyTx()]);
  host.work();
  host.advance(1000);
  expect(host.state.cursor).toBe(0);
  one.bus.outcome = 'ok';
  host.advance(1000);
  expect([commitsOn(one.bus).length, policiesOn(one.bus).length]).toEqual([1, 1]);
  expect(host.state.cursor).toBe(1);
});

test('a restart goes on behind what is out', async () => {
  const one = await world();
  const folder = freshFolder();
  const before = await dispatchOf(one, leader, folder);
  const first = grow(one.chain, undefined, [anomalyTx()]);
  before.work();
  before.advance(1000);
  before.close();
  grow(one.chain, first, [anomalyTx({ src_ip: '198.51.100.8' }, { counter: 2 })]);
  const after = await dispatchOf(one, leader, folder);
  after.work();
  after.advance(3000);
  expect(commitsOn(one.bus).map((event) => event.height)).toEqual([1, 2]);
  expect(policiesOn(one.bus).map((event) => event.effectiveHeight)).toEqual([1, 2]);
});

test('a policy whose height has left the horizon goes out under the newest proof', async () => {
  const chain = await executorHost(freshFolder(), genesis, { horizonBlocks: 16 });
  const one: World = { chain, bus: testBus() };
  let last = grow(chain, undefined, [anomalyTx()]);
  for (let n = 0; n < 20; n++) last = grow(chain, last, []);
  const host = await dispatchOf(one, leader, freshFolder());
  host.work();
  host.advance(3000);
  const [event] = policiesOn(one.bus);
  const proof = decodeCommitProof(event?.commitProof ?? new Uint8Array(0));
  expect(proof.ok && proof.value.anchor.anchor.height).toBe(21);
  expect(verifyCommitProof(event?.commitProof ?? new Uint8Array(0), trust, event).ok).toBe(true);
});

const lines = (text: string): readonly string[] =>
  text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.slice(4));

test('the way of a policy from the chain to the topic, as a transcript', async () => {
  const one = await world();
  const host = await dispatchOf(one, other, freshFolder());
  grow(one.chain, undefined, [anomalyTx()]);
  host.transcript.splice(0);
  host.work();
  host.advance(2001);
  expect(host.transcript.filter((line) => !/save/.test(line))).toEqual(
    lines(`
    > blocks
      io sign
      ask executor read
    > signed
      ask bus publish
    > published
    > due
      ask executor state
    > proven
      io sign
    > signed
      ask bus publish
    > published
    > watched
      tell bus commit
      ask bus fetch
    `),
  );
});
