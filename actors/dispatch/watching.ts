/** What the others have published: a policy that stands on the topic with a valid proof needs no second one. */

import { hex } from '#proto/bytes.ts';
import { type Committee, validatorId } from '#proto/consensus/committee.ts';
import type { Crypto } from '#proto/crypto.ts';
import { type ProofReader, rememberingReader } from '#proto/known-anchors.ts';
import { verifyControl } from '#proto/wire/control.ts';
import { commitMark, done, follow, onFetched, poll } from '#runtime/bus/subscription.ts';
import { finish, policyJobId } from './jobs.ts';
import type { Fx, Self, State } from './state.ts';

/** Policies seen before our own chain is there: the proposer is a few blocks ahead at most. */
const SEEN_MAX = 4096;

/** Blocks whose certificates are known: the policies of a large one come all together. */
const ANCHORS_MAX = 16;
/** Beside the state: a memory of what was verified, which changes no outcome. */
const readers = new WeakMap<Committee, ProofReader>();

const readerOf = (committee: Committee, crypto: Crypto): ProofReader => {
  const known = readers.get(committee);
  if (known !== undefined) return known;
  const fresh = rememberingReader({ committee, crypto }, ANCHORS_MAX);
  readers.set(committee, fresh);
  return fresh;
};

export const watch = (state: State, fx: Fx): void => poll(state.sub, fx, { kind: 'watched' });

/** A bad signature or a bad proof holds no policy back: it counts as not seen. */
const see = (state: State, bytes: Uint8Array, fx: Fx): void => {
  const { committee, crypto } = state;
  if (committee === undefined) return;
  const roleOf = (publicKey: Uint8Array) => {
    const id = validatorId(publicKey, crypto);
    return committee.validators.some((one) => one.id === id) ? ('validator' as const) : undefined;
  };
  const event = verifyControl('policy-update', bytes, { crypto, roleOf });
  if (!event.ok) return fx.emit('policies_disbelieved', 1);
  const { policyId, action, ruleData, effectiveHeight, commitProof } = event.value;
  const id = policyJobId(policyId, effectiveHeight);
  if (effectiveHeight <= state.cursor || state.done.has(id)) return;
  const read = readerOf(committee, crypto);
  const proof = read(commitProof, { policyId, action, ruleData });
  if (!proof.ok || proof.value.height < effectiveHeight) {
    fx.log('warn', 'a policy with a proof that does not hold', {
      from: hex(event.value.producerId),
      fault: proof.ok ? 'height' : proof.error,
    });
    return fx.emit('policies_disbelieved', 1);
  }
  if (state.jobs.has(id)) return finish(state, id, fx);
  if (state.seen.size < SEEN_MAX) state.seen.add(id);
};

export const watched = (
  state: State,
  message: Extract<Self, { kind: 'watched' }>,
  fx: Fx,
): void => {
  const { records, retryMs } = onFetched(state.sub, message.result);
  for (const record of records) {
    follow([record], fx, () => see(state, record.value, fx));
    done(state.sub, record.partition, record.offset);
  }
  commitMark(state.sub, fx);
  if (retryMs > 0) return fx.after(retryMs, { kind: 'watch' }, 'watch');
  watch(state, fx);
};
