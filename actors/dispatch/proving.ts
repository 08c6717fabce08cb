/** A policy with the proof that lets anybody who holds the genesis file believe it. */

import { executor } from '#actors/executor/protocol.ts';
import { equal } from '#proto/bytes.ts';
import { encodeCommitProof } from '#proto/commit-proof.ts';
import { decodeAnchor } from '#proto/consensus/anchor.ts';
import { hashBytes } from '#proto/consensus/shape.ts';
import { decodeProof } from '#proto/merkle.ts';
import { decodeState, policyKey } from '#proto/state.ts';
import { finish, policyNotice } from './jobs.ts';
import type { Fx, Job, Self, State } from './state.ts';

const DEADLINE_MS = 2000;
const AGAIN_MS = 100;

type Policy = NonNullable<Job['policy']>;

const again = (job: string, fx: Fx): void => fx.after(AGAIN_MS, { kind: 'due', job }, job);

/** The state under the root of this anchor: where the proof's two blocks end. */
const askState = (job: Job, policy: Policy, anchor: Uint8Array, fx: Fx): void => {
  const decoded = decodeAnchor(anchor);
  if (!decoded.ok) throw new Error(`our own chain's proof does not decode: ${decoded.error}`);
  const { height } = decoded.value.anchor;
  fx.ask(
    executor,
    { kind: 'state', key: policy.stateKey, height },
    { kind: 'proven', job: job.id, anchor },
    DEADLINE_MS,
  );
};

/** It is time, and nobody has published it. */
export const prove = (state: State, id: string, fx: Fx, atMs: number): void => {
  const job = state.jobs.get(id);
  if (job?.policy === undefined) return;
  const { expiresMs } = decodeState(policyKey(''), job.policy.value);
  if (expiresMs <= atMs) return finish(state, id, fx);
  askState(job, job.policy, job.policy.anchor, fx);
};

export const proven = (state: State, message: Extract<Self, { kind: 'proven' }>, fx: Fx): void => {
  const job = state.jobs.get(message.job);
  if (job?.policy === undefined) return;
  const { result, anchor } = message;
  if (!result.ok) return again(job.id, fx);
  const decoded = decodeAnchor(anchor);
  if (!decoded.ok) throw new Error('an anchor that decoded a moment ago');
  const { stateRoot } = decoded.value.anchor;
  if (!equal(result.value.root, hashBytes(stateRoot))) {
    // Outside the horizon, or an anchor above what is committed here: the newest proof serves as well.
    fx.ask(executor, { kind: 'head' }, { kind: 'newest', job: job.id }, DEADLINE_MS);
    return;
  }
  const { found, value, proof } = result.value;
  // Removed or swept since: its successor has a job of its own, or there is nothing to enforce.
  if (!found || !equal(value, job.policy.value)) return finish(state, job.id, fx);
  const merkle = decodeProof(proof);
  if (!merkle.ok) throw new Error('our own Merkle proof does not decode');
  const commitProof = encodeCommitProof({
    anchor: decoded.value,
    key: job.policy.stateKey,
    value,
    merkle: merkle.value,
  });
  const message_ = policyNotice(job, job.policy.id, decodeState(policyKey(''), value), commitProof);
  fx.io('sign', { job: job.id, notice: { kind: 'policy-update', message: message_ } });
};

export const newest = (state: State, message: Extract<Self, { kind: 'newest' }>, fx: Fx): void => {
  const job = state.jobs.get(message.job);
  if (job?.policy === undefined) return;
  const { result } = message;
  const decoded = result.ok ? decodeAnchor(result.value.proof) : undefined;
  // Only a proof whose anchor is the head itself has its state here; otherwise the chain is catching up.
  if (!result.ok || decoded?.ok !== true) return again(job.id, fx);
  if (decoded.value.anchor.height !== result.value.height) return again(job.id, fx);
  askState(job, job.policy, result.value.proof, fx);
};
