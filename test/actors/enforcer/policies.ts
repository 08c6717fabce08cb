/** Committed policies with real proofs, for the tests of the agent. */

import type { Draft } from '#actors/executor/execution.ts';
import { crypto } from '#native/crypto.ts';
import { fromHex, utf8 } from '#proto/bytes.ts';
import { encodeCommitProof } from '#proto/commit-proof.ts';
import type { Transaction } from '#proto/consensus/transaction.ts';
import type { Genesis } from '#proto/genesis.ts';
import { get, prove } from '#proto/merkle.ts';
import type { PolicyRule } from '#proto/policy.ts';
import { decodeState, policyKey } from '#proto/state.ts';
import { signControl, type UnsignedControl } from '#proto/wire/control.ts';
import type { PolicyUpdateEvent } from '#proto/wire/policy-update.ts';
import { anchorFor, buildOn, chainOf, commitTo, type TestChain } from '#test/kit/chain.ts';
import { keys, testGenesis } from '#test/kit/chain-genesis.ts';
import { anomalyTx, policyTx } from '#test/kit/messages.ts';

export const genesis = testGenesis();

/** A chain on which the policy of one anomaly has been committed, the same proven again later, and its removal. */
export const committedPolicy = (srcIp = '198.51.100.7', on = genesis) => {
  const chain = chainOf(on);
  const first = buildOn(chain, chain.head, [anomalyTx({ src_ip: srcIp })]).version;
  const key = first.policies[0]!.key;
  const policyId = key.slice('policies/'.length);
  commitTo(chain, first);
  const second = buildOn(chain, chain.head, []).version;
  commitTo(chain, second);
  const removal = policyTx({ policy_id: policyId, action: 'remove', target: { ips: [srcIp] } });
  const third = buildOn(chain, chain.head, [removal]).version;
  commitTo(chain, third);
  const fourth = buildOn(chain, chain.head, []).version;
  const proofOf = (anchor: typeof first, next: typeof first): Uint8Array =>
    encodeCommitProof({
      anchor: anchorFor(anchor.header, next.header),
      key,
      value: get(anchor.tree, key, crypto),
      merkle: prove(anchor.tree, key, crypto),
    });
  const state = decodeState(policyKey(policyId), get(first.tree, key, crypto)!);
  const gone = decodeState(policyKey(policyId), get(third.tree, key, crypto)!);
  return {
    policyId,
    state,
    proof: proofOf(first, second),
    later: proofOf(second, third),
    removed: { state: gone, proof: proofOf(third, fourth) },
  };
};

/** Many policies of one block, each with its proof. The first octets of a source address are `net`. */
export const committedBlock = (on: Genesis, count: number, net: string) => {
  const chain = chainOf(on);
  const txs = Array.from({ length: count }, (_, k) =>
    anomalyTx({ src_ip: `${net}.${k >> 8}.${k & 255}` }, { counter: k + 1 }),
  );
  const first = buildOn(chain, chain.head, txs).version;
  commitTo(chain, first);
  const second = buildOn(chain, chain.head, []).version;
  const anchor = anchorFor(first.header, second.header);
  return first.policies.map(({ key }) => {
    const value = get(first.tree, key, crypto);
    const merkle = prove(first.tree, key, crypto);
    const policyId = key.slice('policies/'.length);
    const state = decodeState(policyKey(policyId), value!);
    const proof = encodeCommitProof({ anchor, key, value, merkle });
    return { policyId, state, proof };
  });
};

export const updateOf = (
  policy: Pick<ReturnType<typeof committedPolicy>, 'policyId' | 'state' | 'proof'>,
  over: Partial<PolicyUpdateEvent> = {},
  by: 'v1' | 'v2' | 'stranger' | 'detector' = 'v1',
): Uint8Array => {
  const ruleData = over.ruleData ?? utf8(policy.state.rule);
  const pair = keys[by];
  return signControl(
    'policy-update',
    {
      policyId: policy.policyId,
      action: 'add',
      ruleType: 'block',
      requiresAck: true,
      rollbackPolicyId: '',
      timestamp: Math.floor(policy.state.committedMs / 1000),
      effectiveHeight: 1,
      expirationHeight: 0,
      commitProof: policy.proof,
      ...over,
      ruleData,
      ruleHash: over.ruleHash ?? crypto.sha256(ruleData),
      producerId: pair.publicKey,
    },
    pair.sign,
  );
};

/** The policy, or its tombstone, that one transaction makes, proven by the block that carries it. */
export const provenBlock = (chain: TestChain, tx: Transaction, over: Partial<Draft> = {}) => {
  const version = buildOn(chain, chain.head, [tx], over).version;
  commitTo(chain, version);
  const { key } = version.policies[0]!;
  const next = buildOn(chain, chain.head, []).version;
  const value = get(version.tree, key, crypto)!;
  const merkle = prove(version.tree, key, crypto);
  const anchor = anchorFor(version.header, next.header);
  const proof = encodeCommitProof({ anchor, key, value, merkle });
  const state = decodeState(policyKey(''), value);
  return { policyId: key.slice('policies/'.length), state, proof, later: proof };
};

/** An operator's policy and its removal, each proven by the block that carries it. */
export const orderedPolicy = (over: Partial<PolicyRule> = {}, on = genesis) => {
  const chain = chainOf(on);
  const blockOf = (tx: Transaction) => provenBlock(chain, tx);
  const added = blockOf(policyTx(over, { counter: 1 }));
  const removed = blockOf(policyTx({ ...over, action: 'remove' }, { counter: 2 }));
  return { added, removed, removal: updateOf(removed, { action: 'remove' }) };
};

/** What an agent would say of a policy; `ruleHash` is hex. */
export const ackBytes = (
  policyId: string,
  ruleHash: string,
  over: object = {},
  by: keyof typeof keys = 'enforcer',
): Uint8Array => {
  const pair = keys[by];
  const ack = {
    ...{ policyId, scopeIdentifier: '', tenant: '', region: '', result: 'applied' },
    ...{ reason: 'noop', errorCode: '', appliedAt: 0, ackedAt: 0, qcReference: '' },
    ...{ controllerInstance: 'agent-1', fastPath: false, traceId: '', sourceEventId: '' },
    ...{ ruleHash: fromHex(ruleHash), appliedAtMs: 0, ackedAtMs: 0, sentinelEventId: '' },
    ...{ ackEventId: 'ack', requestId: '', commandId: '', workflowId: '' },
    ...{ producerId: pair.publicKey, ...over },
  } as UnsignedControl<'policy-ack'>;
  return signControl('policy-ack', ack, pair.sign);
};
