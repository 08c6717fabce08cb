/**
 * Dispatch: reads the chain, never the database, and carries what it says to the bus. A CommitEvent for each height,
 * signed by every validator; a PolicyUpdateEvent with its proof for each policy, from the block's proposer at once and
 * from the others where it is missing. At least once: consumers dedupe by policy and height.
 */
import { executor } from '#actors/executor/protocol.ts';
import { fromHex } from '#proto/bytes.ts';
import { decodeContext } from '#proto/chain-context.ts';
import { decodeCommittedList } from '#proto/consensus/committed.ts';
import { committeeOf, validatorId } from '#proto/consensus/committee.ts';
import type { Crypto } from '#proto/crypto.ts';
import { unreachable } from '#proto/result.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import type { Core } from '#runtime/actor.ts';
import { bus } from '#runtime/bus/protocol.ts';
import { subscription } from '#runtime/bus/subscription.ts';
import type { DispatchConfig } from './config.ts';
import { finish, openBlock } from './jobs.ts';
import { newest, prove, proven } from './proving.ts';
import type { Commands, Fx, Self, State } from './state.ts';
import { watch, watched } from './watching.ts';

const RETRY_MS = 200;
/** The executor reads its whole state at a start and answers after it. */
const INFORM_DEADLINE_MS = 15_000;
const READ_WAIT_MS = 10_000;
const READ_BLOCKS_MAX = 64;
const READ_BYTES_MAX = 4 << 20;
const PUBLISH_DEADLINE_MS = 5000;
const PUBLISH_AGAIN_MS = 500;

const inform = (fx: Fx): void =>
  fx.ask(executor, { kind: 'context' }, { kind: 'informed' }, INFORM_DEADLINE_MS);

const informed = (state: State, message: Extract<Self, { kind: 'informed' }>, fx: Fx): void => {
  if (!message.result.ok) return fx.after(RETRY_MS, { kind: 'inform' }, 'inform');
  const { chainId, validators } = decodeContext(message.result.value.bytes);
  const members = validators.map((one) => ({ ...one, publicKey: fromHex(one.publicKey) }));
  state.committee = committeeOf(chainId, 0, members, state.crypto);
  watch(state, fx);
  readOn(state, fx);
};

const opened = (state: State, message: Extract<Self, { kind: 'opened' }>, fx: Fx): void => {
  state.publicKey = message.publicKey;
  state.ownId = validatorId(message.publicKey, state.crypto);
  state.cursor = message.progress.height;
  state.readHeight = message.progress.height;
  for (const id of message.progress.done) state.done.add(id);
  inform(fx);
};

const readOn = (state: State, fx: Fx): void => {
  if (state.reading || state.open.size >= state.config.blocksOpenMax) return;
  state.reading = true;
  const question = {
    kind: 'read',
    fromHeight: state.readHeight + 1,
    maxBlocks: Math.min(READ_BLOCKS_MAX, state.config.blocksOpenMax - state.open.size),
    maxBytes: READ_BYTES_MAX,
    waitMs: READ_WAIT_MS,
  } as const;
  // Whichever block comes next is no consequence of the last one.
  fx.under('', () => fx.ask(executor, question, { kind: 'blocks' }, READ_WAIT_MS + 2000));
};

const blocks = (state: State, message: Extract<Self, { kind: 'blocks' }>, fx: Fx): void => {
  state.reading = false;
  if (!message.result.ok) return fx.after(RETRY_MS, { kind: 'readOn' }, 'read');
  for (const committed of decodeCommittedList(message.result.value.blocks)) {
    openBlock(state, committed, fx);
  }
  readOn(state, fx);
};

const publish = (state: State, id: string, fx: Fx): void => {
  const job = state.jobs.get(id);
  if (job === undefined) return; // seen on the topic while it was being signed
  const { topic, key, value } = job;
  fx.ask(
    bus,
    { kind: 'publish', topic, key, value, headers: '{}' },
    { kind: 'published', job: id },
    PUBLISH_DEADLINE_MS,
  );
};

const published = (state: State, message: Extract<Self, { kind: 'published' }>, fx: Fx): void => {
  const { job, result } = message;
  const outcome = result.ok ? result.value.outcome : 'unavailable';
  switch (outcome) {
    case 'ok':
      fx.emit('published', 1);
      return finish(state, job, fx);
    case 'unavailable':
      return fx.after(PUBLISH_AGAIN_MS, { kind: 'publish', job }, job);
    case 'too-large':
    case 'unknown-topic':
      fx.log('error', 'the bus refuses for good', { job, outcome });
      fx.emit('undeliverable', 1);
      return finish(state, job, fx);
    default:
      return unreachable(outcome);
  }
};

const save = (state: State, fx: Fx): void => {
  fx.after(state.config.saveMs, { kind: 'save' }, 'save');
  if (!state.dirty) return;
  state.dirty = false;
  fx.io('save', { height: state.cursor, done: [...state.done] });
};

const handle = (state: State, message: Self, fx: Fx, atMs: number): void => {
  switch (message.kind) {
    case 'opened':
      return opened(state, message, fx);
    case 'inform':
      return inform(fx);
    case 'informed':
      return informed(state, message, fx);
    case 'readOn':
      return readOn(state, fx);
    case 'blocks':
      return blocks(state, message, fx);
    case 'due':
      return prove(state, message.job, fx, atMs);
    case 'proven':
      return proven(state, message, fx);
    case 'newest':
      return newest(state, message, fx);
    case 'signed': {
      const job = state.jobs.get(message.job);
      if (job !== undefined) job.value = message.value;
      return publish(state, message.job, fx);
    }
    case 'published':
      published(state, message, fx);
      return readOn(state, fx);
    case 'publish':
      return publish(state, message.job, fx);
    case 'watch':
      return watch(state, fx);
    case 'watched':
      watched(state, message, fx);
      return readOn(state, fx);
    case 'save':
      return save(state, fx);
    default:
      return unreachable(message);
  }
};

export const dispatchCore = (crypto: Crypto): Core<DispatchConfig, State, Self, Commands> => ({
  init: (config) => ({
    config,
    crypto,
    publicKey: undefined,
    ownId: '',
    committee: undefined,
    cursor: 0,
    readHeight: 0,
    reading: false,
    jobs: new Map(),
    open: new Map(),
    done: new Set(),
    seen: new Set(),
    sub: subscription({ topic: TOPICS.policyUpdates, group: `dispatch-${config.name}` }),
    dirty: false,
  }),
  start(state, fx) {
    fx.io('open', {});
    fx.after(state.config.saveMs, { kind: 'save' }, 'save');
  },
  step: handle,
  /** What is published and not yet saved would be published again. */
  drain(state, fx) {
    fx.io('save', { height: state.cursor, done: [...state.done] });
    fx.stop('normal');
  },
});
