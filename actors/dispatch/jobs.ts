/** From a committed block to jobs, and from finished jobs to the cursor. */
import { hex, utf8 } from '#proto/bytes.ts';
import type { Block } from '#proto/consensus/block.ts';
import { blockOf, type CommittedBlock, type Receipt } from '#proto/consensus/committed.ts';
import { blockHash } from '#proto/consensus/header.ts';
import { hashBytes } from '#proto/consensus/shape.ts';
import type { TxKind } from '#proto/consensus/transaction.ts';
import { decodeState, type PolicyState, policyKey } from '#proto/state.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import type { CommitNotice, Fx, Job, PolicyNotice, State } from './state.ts';

export const policyJobId = (policyId: string, height: number): string => `${policyId}@${height}`;

const appliedOf = (block: Block, receipts: readonly Receipt[], kind: TxKind): readonly Receipt[] =>
  receipts.filter((one, at) => one.status === 'applied' && block.txs[at]?.kind === kind);

export const commitNotice = (
  { crypto }: Pick<State, 'crypto'>,
  committed: CommittedBlock,
  block: Block,
): CommitNotice => {
  const { header } = block;
  const anomalies = appliedOf(block, committed.receipts, 'anomaly');
  const evidence = [
    ...appliedOf(block, committed.receipts, 'evidence'),
    ...appliedOf(block, committed.receipts, 'misbehaviour'),
  ];
  const added = committed.policies.filter(
    ({ value }) => decodeState(policyKey(''), value).status === 'active',
  );
  return {
    height: header.height,
    blockHash: hashBytes(blockHash(header, crypto)),
    stateRoot: hashBytes(header.stateRoot),
    txCount: header.txCount,
    anomalyCount: anomalies.length,
    evidenceCount: evidence.length,
    policyCount: added.length,
    timestamp: Math.floor(header.timeMs / 1000),
    anomalyIds: anomalies.map((one) => one.id),
  };
};

export const policyNotice = (
  { height }: Job,
  policyId: string,
  policy: PolicyState,
  commitProof: Uint8Array,
): PolicyNotice => ({
  policyId,
  action: policy.status === 'active' ? 'add' : 'remove',
  ruleType: 'block',
  ruleData: utf8(policy.rule),
  ruleHash: hashBytes(policy.ruleHash),
  requiresAck: true,
  rollbackPolicyId: '',
  timestamp: Math.floor(policy.committedMs / 1000),
  effectiveHeight: height,
  expirationHeight: 0,
  commitProof,
});

const NOTHING = new Uint8Array(0);

/** Opens the jobs of a block, those left out that were done before a restart. */
export const openBlock = (state: State, committed: CommittedBlock, fx: Fx): void => {
  const block = blockOf(committed);
  const { height, proposerId } = block.header;
  if (height <= state.readHeight) return;
  state.readHeight = height;
  const open = new Set<string>();
  state.open.set(height, open);
  const add = (job: Job): boolean => {
    if (state.done.has(job.id)) return false;
    state.jobs.set(job.id, job);
    open.add(job.id);
    return true;
  };
  const notice: Job = {
    id: `commit@${height}`,
    height,
    topic: TOPICS.commits,
    key: hex(state.publicKey ?? NOTHING),
    value: NOTHING,
  };
  if (add(notice)) {
    const message = commitNotice(state, committed, block);
    fx.io('sign', { job: notice.id, notice: { kind: 'commit', message } });
  }
  const seen: string[] = [];
  for (const { key, value } of committed.policies) {
    const id = key.slice('policies/'.length);
    const job: Job = {
      id: policyJobId(id, height),
      height,
      topic: TOPICS.policyUpdates,
      key: id,
      policy: { id, stateKey: key, value, anchor: committed.proof },
      value: NOTHING,
    };
    if (!add(job)) continue;
    if (state.seen.has(job.id)) {
      seen.push(job.id);
    } else {
      const delayMs = proposerId === state.ownId ? 0 : state.config.othersAfterMs;
      fx.after(delayMs, { kind: 'due', job: job.id }, job.id);
    }
  }
  // Only now: the height counts as done when all of its jobs are, so all of them have to stand there first.
  for (const id of seen) finish(state, id, fx);
  settle(state, fx);
};

/** A job is out, or nobody needs it any more. */
export const finish = (state: State, id: string, fx: Fx): void => {
  const job = state.jobs.get(id);
  if (job === undefined) return;
  state.jobs.delete(id);
  fx.cancel(id);
  state.open.get(job.height)?.delete(id);
  state.done.add(id);
  state.dirty = true;
  settle(state, fx);
};

/** Moves the cursor over everything that is done without a gap. */
const settle = (state: State, fx: Fx): void => {
  for (const [height, open] of state.open) {
    if (open.size > 0) break;
    state.open.delete(height);
    state.cursor = height;
    state.dirty = true;
  }
  for (const id of state.done) if (heightOf(id) <= state.cursor) state.done.delete(id);
  for (const id of state.seen) if (heightOf(id) <= state.cursor) state.seen.delete(id);
  fx.gauge('cursor', state.cursor);
};

const heightOf = (id: string): number => Number(id.slice(id.lastIndexOf('@') + 1));
