/** What the pool says of messages is what the agent's own thread says, of each of them, and of the pinned genesis alone. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { believing } from '#actors/enforcer/belief.ts';
import beliefTask from '#actors/enforcer/belief-task.ts';
import { crypto } from '#native/crypto.ts';
import { hex, utf8 } from '#proto/bytes.ts';
import { configHash, encodeGenesis, type Genesis, genesisCommittee } from '#proto/genesis.ts';
import { controlClaim } from '#proto/wire/control.ts';
import { openPool } from '#runtime/pool.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { committedBlock, updateOf } from './policies.ts';

const genesis = testGenesis({ policiesPerMinuteMax: 1000 }, []);
const policies = committedBlock(genesis, 8, '198.51');
const updates = policies.map((policy) => updateOf(policy));
const believe = believing(genesis, genesisCommittee(genesis, crypto), crypto);

/** Everything else of the message is as its sender wrote it. */
const withBadSignature = (bytes: Uint8Array): Uint8Array => {
  const { signature } = controlClaim('policy-update', bytes)!;
  const forged = bytes.slice();
  forged[Buffer.from(bytes).indexOf(signature)]! ^= 1;
  return forged;
};

const hostile: readonly (readonly [Uint8Array, string])[] = [
  [withBadSignature(updates[1]!), 'bad-signature'],
  [new Uint8Array([1, 2, 3]), 'malformed'],
  [updateOf(policies[2]!, {}, 'stranger'), 'unknown-producer'],
  [updateOf(policies[2]!, {}, 'detector'), 'unknown-producer'],
  [updateOf(policies[2]!, { commitProof: policies[3]!.proof }), 'proof-policy-key'],
  [updateOf(policies[2]!, { commitProof: policies[2]!.proof.slice(0, -1) }), 'proof-malformed'],
  [updateOf(policies[2]!, { ruleData: utf8('{}') }), 'proof-policy-rule'],
  [updateOf(policies[2]!, { action: 'remove' }), 'proof-policy-status'],
];
const mixed = [...updates.slice(0, 4), ...hostile.map(([bytes]) => bytes), ...updates.slice(4)];

let folder: ReturnType<typeof temporaryFolder>;
const pinned = (name: string, of: Genesis) => {
  const file = path.join(folder.path, name);
  writeFileSync(file, encodeGenesis(of));
  return { file, sha256: hex(configHash(of, crypto)) };
};
beforeAll(() => {
  folder = temporaryFolder();
});
afterAll(() => folder.remove());

test('honest messages are believed and every hostile one is refused by its code, beside each other', () => {
  const answers = mixed.map(believe);
  const codes = answers.map((one) => (one.ok ? one.value.id : one.error.code));
  const ids = policies.map((policy) => policy.policyId);
  expect(codes).toEqual([...ids.slice(0, 4), ...hostile.map(([, code]) => code), ...ids.slice(4)]);
});

test('what is believed names its block, its end and its rule', () => {
  const [answer] = updates.map(believe);
  const { policyId, state } = policies[0]!;
  const { height, committedMs, expiresMs, anomaly, ruleHash } = state;
  expect(answer).toMatchObject({
    ok: true,
    value: {
      ...{ id: policyId, action: 'add', height, committedMs, expiresMs, anomaly, ruleHash },
      ...{ rule: JSON.parse(state.rule), anchorHeight: 1 },
    },
  });
});

test('a thread of the pool says the same of each message', async () => {
  const pool = openPool();
  try {
    const module = new URL('../../../actors/enforcer/belief-task.ts', import.meta.url).href;
    const task = { genesis: pinned('genesis.json', genesis), values: mixed };
    expect(await pool.run(module, 'default', task)).toEqual(mixed.map(believe));
  } finally {
    await pool.close();
  }
});

test('under another genesis nothing of it is believed, and one that is not the pinned one is not read', () => {
  const other = { ...genesis, chainId: 'another' };
  const values = updates.slice(0, 2);
  const own = pinned('own.json', genesis);
  expect(beliefTask({ genesis: own, values }).map((one) => one.ok)).toEqual([true, true]);
  const answers = beliefTask({ genesis: pinned('other.json', other), values });
  expect(answers.map((one) => !one.ok && one.error.code)).toEqual(['proof-chain', 'proof-chain']);
  const exchanged = { file: pinned('third.json', other).file, sha256: 'ab'.repeat(32) };
  expect(() => beliefTask({ genesis: exchanged, values })).toThrow(/third\.json/);
});
