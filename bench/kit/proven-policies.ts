/** Policies as validators publish them, each with the proof of its commit, on a chain that began a moment ago. */
import { crypto } from '#native/crypto.ts';
import { utf8 } from '#proto/bytes.ts';
import { encodeCommitProof } from '#proto/commit-proof.ts';
import type { Transaction } from '#proto/consensus/transaction.ts';
import type { Genesis } from '#proto/genesis.ts';
import { get, prove } from '#proto/merkle.ts';
import { decodeState, policyKey } from '#proto/state.ts';
import { signControl } from '#proto/wire/control.ts';
import type { BusRecord } from '#runtime/bus/record.ts';
import { anchorFor, buildOn, chainOf, commitTo, type TestChain } from '#test/kit/chain.ts';
import { keys, testGenesis } from '#test/kit/chain-genesis.ts';
import { anomalyTx, policyTx } from '#test/kit/messages.ts';

const BLOCK = 500;
const MANY = 16;
const TTL_S = 3600;

export type Mix = {
  readonly name: string;
  /** Elements of sets that one policy asks for. */
  readonly elements: number;
  readonly tx: (k: number, tsMs: number) => Transaction;
};

const host = (k: number): string => `10.${(k >> 16) & 255}.${(k >> 8) & 255}.${k & 255}`;

const ordered = (k: number, tsMs: number, ips: readonly string[]): Transaction => {
  const guardrails = { ttl_seconds: TTL_S };
  const rule = { policy_id: `policy-${k}`, target: { ips: [...ips] }, guardrails };
  return policyTx(rule, { tsMs, counter: k + 1 });
};

export const MIXES: readonly Mix[] = [
  {
    name: 'from anomalies: one host, inwards',
    elements: 1,
    tx: (k, tsMs) => anomalyTx({ src_ip: host(k) }, { tsMs, counter: k + 1 }),
  },
  {
    name: 'ordered: one host, both directions',
    elements: 2,
    tx: (k, tsMs) => ordered(k, tsMs, [host(k)]),
  },
  {
    name: `ordered: ${MANY} hosts, both directions`,
    elements: 2 * MANY,
    tx: (k, tsMs) => {
      const ips = Array.from({ length: MANY }, (_, one) => host(k * MANY + one));
      return ordered(k, tsMs, ips);
    },
  },
];

/** Without bounds that a benchmark would meet. */
export const benchGenesis = (timeMs: number): Genesis => {
  const made = testGenesis({ policiesPerMinuteMax: 100_000, activePoliciesMax: 100_000 }, []);
  const producers = made.producers.map((one) => ({ ...one, quotaPerMinute: 100_000 }));
  return { ...made, timeMs, producers };
};

const blockOf = (chain: TestChain, txs: readonly Transaction[], first: number): BusRecord[] => {
  const version = buildOn(chain, chain.head, txs).version;
  commitTo(chain, version);
  const next = buildOn(chain, chain.head, []).version;
  const anchor = anchorFor(version.header, next.header);
  return version.policies.map(({ key }, k) => {
    const stored = get(version.tree, key, crypto)!;
    const state = decodeState(policyKey(''), stored);
    const policyId = key.slice('policies/'.length);
    const ruleData = utf8(state.rule);
    const value = signControl(
      'policy-update',
      {
        ...{ policyId, action: 'add', ruleType: 'block', requiresAck: true, rollbackPolicyId: '' },
        ...{ timestamp: Math.floor(state.committedMs / 1000), effectiveHeight: 1 },
        ...{ expirationHeight: 0, ruleData, ruleHash: crypto.sha256(ruleData) },
        producerId: keys.v1.publicKey,
        commitProof: encodeCommitProof({
          ...{ anchor, key, value: stored },
          merkle: prove(version.tree, key, crypto),
        }),
      },
      keys.v1.sign,
    );
    const place = { partition: 0, offset: first + k, timestampMs: state.committedMs };
    return { ...place, key: policyId, headers: {}, value };
  });
};

/** `count` policies in blocks of 500, in the order of their blocks. */
export const provenPolicies = (genesis: Genesis, mix: Mix, count: number): readonly BusRecord[] => {
  const chain = chainOf(genesis);
  const records: BusRecord[] = [];
  for (let k = 0; k < count; k += BLOCK) {
    const tsMs = chain.head.header.timeMs + 1000;
    const size = Math.min(BLOCK, count - k);
    const txs = Array.from({ length: size }, (_, one) => mix.tx(k + one, tsMs));
    records.push(...blockOf(chain, txs, records.length));
  }
  if (records.length !== count) throw new Error(`${records.length} policies of ${count}`);
  return records;
};
