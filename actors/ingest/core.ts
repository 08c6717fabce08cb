/**
 * Ingest: reads the ai.* topics, verifies in batches, keeps the mempool, and answers for each record until it is
 * committed, in the DLQ or expired. Back-pressure is silence: a topic whose messages wait is not read further.
 */

import { executor } from '#actors/executor/protocol.ts';
import { decodeContext } from '#proto/chain-context.ts';
import type { Crypto } from '#proto/crypto.ts';
import { unreachable } from '#proto/result.ts';
import { type Verify, verify as verifyAll } from '#proto/wire/verification.ts';
import type { Core } from '#runtime/actor.ts';
import { poll } from '#runtime/bus/subscription.ts';
import { askKnown, batchKnown, batchVerified, fetched, forwarded, retryHeld } from './batches.ts';
import type { IngestConfig } from './config.ts';
import { housekeep, included, rechecked, refused, take, tellOthers } from './lifecycle.ts';
import { post, posted, wakeBoxes } from './posting.ts';
import { postReports, signReports } from './reports.ts';
import { type Commands, chainOf, type Fx, initialState, type Self, type State } from './state.ts';

const INFORM_RETRY_MS = 200;
/** The executor reads its whole state at a start and answers after it. */
const INFORM_DEADLINE_MS = 15_000;
const TICK_MS = 1000;

const inform = (fx: Fx): void =>
  fx.ask(executor, { kind: 'context' }, { kind: 'informed' }, INFORM_DEADLINE_MS);

const informed = (state: State, message: Extract<Self, { kind: 'informed' }>, fx: Fx): void => {
  if (!message.result.ok) return fx.after(INFORM_RETRY_MS, { kind: 'inform' }, 'inform');
  const context = decodeContext(message.result.value.bytes);
  state.chain = chainOf(context, state.crypto);
  state.height = context.height;
  for (const topic of state.lanes.keys()) pollTopic(state, topic, fx);
};

const pollTopic = (state: State, topic: string, fx: Fx): void => {
  const lane = state.lanes.get(topic);
  if (lane === undefined) throw new Error(`a topic that nobody reads: ${topic}`);
  if (!lane.busy) poll(lane.sub, fx, { kind: 'fetched', topic });
};

const handle = (state: State, message: Self, fx: Fx, atMs: number): void => {
  switch (message.kind) {
    case 'opened':
      state.publicKey = message.publicKey;
      return;
    case 'inform':
      return inform(fx);
    case 'informed':
      return informed(state, message, fx);
    case 'fetched':
      return fetched(state, message, fx);
    case 'poll':
      return pollTopic(state, message.topic, fx);
    case 'verifiedBatch':
      return batchVerified(state, message, fx, atMs);
    case 'askKnown':
      return askKnown(state, message.batch, fx);
    case 'knownBatch':
      return batchKnown(state, message, fx, atMs);
    case 'forwarded':
      return forwarded(state, message, fx, atMs);
    case 'retry':
      return retryHeld(state, fx, atMs);
    case 'published':
      return posted(state, message, fx);
    case 'publishAgain':
      return wakeBoxes(state);
    case 'signed':
      return postReports(state, message.reports, fx);
    case 'take':
      return take(state, message, fx);
    case 'included':
      return included(state, message, fx);
    case 'refused':
      return refused(state, message, fx);
    case 'rechecked':
      return rechecked(state, message);
    case 'tick':
      fx.after(TICK_MS, { kind: 'tick' }, 'tick');
      return housekeep(state, fx, atMs);
    default:
      return unreachable(message);
  }
};

/** `verify` is there for mutants; everybody else leaves it out. */
export const ingestCore = (
  crypto: Crypto,
  verify: Verify = verifyAll,
): Core<IngestConfig, State, Self, Commands> => ({
  init: (config) => initialState(config, crypto, verify),
  start(_state, fx) {
    fx.io('open', {});
    inform(fx);
    fx.after(TICK_MS, { kind: 'tick' }, 'tick');
  },
  step(state, message, fx, atMs) {
    handle(state, message, fx, atMs);
    tellOthers(state, fx, atMs);
    signReports(state, fx);
    post(state, fx);
  },
});
