/**
 * Binds the consensus machine to the actor: what its neighbours, peers, disk and timers say becomes its
 * events, and its effects become asks, frames and io. It decides nothing about agreement itself.
 */
import { fromHex, hex } from '#proto/bytes.ts';
import type { AnchorProof } from '#proto/consensus/anchor.ts';
import { decodeBlock } from '#proto/consensus/block.ts';
import { blockOf, decodeCommittedList } from '#proto/consensus/committed.ts';
import { type Header, ZERO_HASH } from '#proto/consensus/header.ts';
import { leaderOf } from '#proto/consensus/leader.ts';
import { decodeTransactions, encodeTransactions } from '#proto/consensus/transaction.ts';
import type { Crypto } from '#proto/crypto.ts';
import { unreachable } from '#proto/result.ts';
import type { Core } from '#runtime/actor.ts';
import { executor } from '../executor/protocol.ts';
import { genesisSummary, openCeremony, tellCeremony } from './attesting.ts';
import type { CeremonyEvent } from './ceremony.ts';
import type { ReplicaConfig } from './config.ts';
import {
  carryOut,
  EXECUTE_DEADLINE_MS,
  NEIGHBOUR_DEADLINE_MS,
  SYNC_BYTES_MAX,
  send,
  toAnchor,
} from './effects.ts';
import { type Effect, type Event, LIMITS, type Outcome, type Seq } from './machine/events.ts';
import { step as advance, init } from './machine/machine.ts';
import { RULES } from './machine/rules.ts';
import { assembleSyncReply } from './machine/sync-reply.ts';
import type { Commands, Fx, Self, State, Status } from './messages.ts';

const HEAD_RETRY_MS = 100;

type Heard = Extract<Self, { kind: 'heard' }>;

/** Hands an event to the machine and carries out what it says, in its order. */
const tell = (state: State, event: Event, fx: Fx, atMs: number): void => {
  const { machine } = state;
  if (machine === undefined) return; // before its start the machine hears nothing: peers repeat
  const effects: Effect[] = [];
  advance(machine, event, (effect) => effects.push(effect), atMs);
  for (const effect of effects) carryOut(state, effect, fx, atMs);
  if (effects.some((effect) => effect.kind === 'count-pending')) {
    tell(state, { kind: 'txs-ready', count: state.pendingCount }, fx, atMs);
  }
};

const begin = (state: State, head: Header, proof: AnchorProof | null, fx: Fx, atMs: number) => {
  const { opened, config, crypto } = state;
  const { id, sign, committee, genesis, acceptanceSkewMs, durable, blocks } = opened!;
  const limits = {
    ...LIMITS,
    viewTimeoutStartMs: config.timeoutMs,
    viewTimeoutMinMs: config.timeoutMinMs,
    viewTimeoutMaxMs: config.timeoutMaxMs,
    heartbeatMs: config.heartbeatMs,
    heartbeatsMissedMax: config.heartbeatsMissedMax,
    acceptanceSkewMs,
  };
  state.machine = init({ self: id, committee, genesis, crypto, sign, limits });
  state.opened = { ...opened!, blocks: [] };
  tell(state, { kind: 'start', durable, blocks, head, proof }, fx, atMs);
  tell(state, { kind: 'txs-ready', count: state.pendingCount }, fx, atMs);
};

const askHead = (fx: Fx): void =>
  fx.ask(executor, { kind: 'head' }, { kind: 'headKnown' }, EXECUTE_DEADLINE_MS);

const headKnown = (
  state: State,
  message: Extract<Self, { kind: 'headKnown' }>,
  fx: Fx,
  atMs: number,
) => {
  const { result } = message;
  if (!result.ok) return fx.after(HEAD_RETRY_MS, { kind: 'askHead' }, 'head');
  if (result.value.height === 0) return begin(state, state.opened!.genesis, null, fx, atMs);
  const question = { fromHeight: result.value.height, maxBlocks: 1, maxBytes: SYNC_BYTES_MAX };
  fx.ask(
    executor,
    { kind: 'read', ...question, waitMs: 0 },
    { kind: 'headRead' },
    NEIGHBOUR_DEADLINE_MS,
  );
};

const headRead = (
  state: State,
  message: Extract<Self, { kind: 'headRead' }>,
  fx: Fx,
  atMs: number,
) => {
  const { result } = message;
  const [committed] = result.ok ? decodeCommittedList(result.value.blocks) : [];
  if (committed === undefined) return fx.after(HEAD_RETRY_MS, { kind: 'askHead' }, 'head');
  begin(state, blockOf(committed).header, toAnchor(committed.proof), fx, atMs);
};

const persisted = (state: State, seq: Seq, fx: Fx, atMs: number): void => {
  state.durableSeq = seq;
  const free = state.held.filter((held) => held.after <= seq);
  if (free.length > 0) {
    state.held.splice(0, state.held.length, ...state.held.filter((held) => held.after > seq));
    for (const { to, frame } of free) fx.io('send', { to, frame });
  }
  tell(state, { kind: 'persisted', seq }, fx, atMs);
};

const taken = (message: Extract<Self, { kind: 'taken' }>, fx: Fx): void => {
  const { build, result } = message;
  // Without an answer of the mempool the leader still proposes: an empty block keeps the chain going.
  const candidates = result.ok ? result.value.transactions : encodeTransactions([]);
  fx.ask(
    executor,
    {
      kind: 'build',
      parentHash: fromHex(build.parentHash),
      height: build.height,
      view: build.view,
      parentView: build.parentView,
      epoch: build.epoch,
      timeMs: build.timeMs,
      proposer: fromHex(build.proposerId),
      candidates,
    },
    { kind: 'built', request: build.request },
    EXECUTE_DEADLINE_MS,
  );
};

const built = (state: State, message: Extract<Self, { kind: 'built' }>, fx: Fx, atMs: number) => {
  const { request, result } = message;
  const fail = (reason: string): void =>
    tell(state, { kind: 'built', request, block: null, reason }, fx, atMs);
  if (!result.ok) return fail(result.error);
  if (!result.value.ok) return fail(result.value.reason);
  const block = decodeBlock(result.value.block);
  if (!block.ok) throw new Error(`our own executor's block does not decode: ${block.error}`);
  tell(state, { kind: 'built', request, block: block.value, reason: '' }, fx, atMs);
};

/** What an executor says that has restarted, dropped the fork or is full: no judgement of the block. */
const TRANSIENT: ReadonlySet<string> = new Set(['unknown-parent', 'unknown-block', 'busy']);

const outcomeOf = ({ ok, reason }: { readonly ok: boolean; readonly reason: string }): Outcome =>
  ok ? 'ok' : TRANSIENT.has(reason) ? 'unavailable' : 'invalid';

const executed = (
  state: State,
  message: Extract<Self, { kind: 'executed' }>,
  fx: Fx,
  atMs: number,
) => {
  const { hash, result } = message;
  const event: Event = result.ok
    ? {
        kind: 'executed',
        hash,
        outcome: outcomeOf(result.value),
        stateRoot: hex(result.value.stateRoot),
        reason: result.value.reason,
      }
    : {
        kind: 'executed',
        hash,
        outcome: 'unavailable',
        stateRoot: ZERO_HASH,
        reason: result.error,
      };
  tell(state, event, fx, atMs);
};

const committed = (
  state: State,
  message: Extract<Self, { kind: 'committed' }>,
  fx: Fx,
  atMs: number,
) => {
  const { hash, result } = message;
  const outcome = result.ok ? outcomeOf(result.value) : 'unavailable';
  const reason = result.ok ? result.value.reason : result.error;
  tell(state, { kind: 'committed', hash, outcome, reason }, fx, atMs);
};

const served = (state: State, message: Extract<Self, { kind: 'served' }>, fx: Fx): void => {
  const { to, fromHeight, blocksMax, result } = message;
  if (!result.ok) return; // the peer asks another one
  const chain = decodeCommittedList(result.value.blocks);
  const reply = assembleSyncReply(
    fromHeight,
    chain.map((one) => ({ block: blockOf(one), proof: toAnchor(one.proof) })),
    blocksMax,
  );
  send(state, to, reply, undefined, fx);
};

const status = (state: State, message: Status, fx: Fx): void => {
  const { machine, opened } = state;
  const view = machine?.view ?? 0;
  const leader = opened === undefined ? '' : leaderOf(opened.committee, view);
  const members = (opened?.committee.validators ?? []).map(({ id, name, weight }) => ({
    id,
    name,
    weight,
    leader: id === leader,
    connected: id === opened?.id || state.connected.has(id),
  }));
  fx.reply(message.replyTo, {
    height: machine?.committedHeight ?? 0,
    view,
    highQcView: machine?.highQc.view ?? 0,
    leader: members.find((one) => one.leader)?.name ?? '',
    peers: state.connected.size,
    committee: JSON.stringify(members),
    viewChanges: machine?.viewChanges ?? 0,
    halted: machine !== undefined && machine.halted !== null,
    genesis: genesisSummary(state),
  });
};

/** The ceremony's messages end here, all others at the machine. */
const heard = (state: State, { from, message }: Heard, fx: Fx, atMs: number): void => {
  if (message.kind === 'genesis-ready' || message.kind === 'genesis-certificate') {
    return ceremony(state, { kind: 'heard', from, message }, fx);
  }
  tell(state, { kind: 'message', from, message }, fx, atMs);
};

/** The machine is not made before the committee has agreed on its genesis: so nothing is voted on before. */
const ceremony = (state: State, event: CeremonyEvent, fx: Fx): void => {
  if (tellCeremony(state, event, fx)) askHead(fx);
};

const peer = (state: State, { id, connected }: Extract<Self, { kind: 'peer' }>, fx: Fx): void => {
  if (connected) state.connected.add(id);
  else state.connected.delete(id);
  fx.gauge('peers', state.connected.size);
  if (connected) ceremony(state, { kind: 'connected', peer: id }, fx);
};

/** Ready to serve: that does not wait for the others. */
const opened = (state: State, message: Extract<Self, { kind: 'opened' }>, fx: Fx): void => {
  state.opened = message;
  fx.signal({ kind: 'ready' });
  if (openCeremony(state, fx)) askHead(fx);
};

const step = (state: State, message: Self, fx: Fx, atMs: number): void => {
  switch (message.kind) {
    case 'opened':
      return opened(state, message, fx);
    case 'askHead':
      return askHead(fx);
    case 'headKnown':
      return headKnown(state, message, fx, atMs);
    case 'headRead':
      return headRead(state, message, fx, atMs);
    case 'heard':
      return heard(state, message, fx, atMs);
    case 'peer':
      return peer(state, message, fx);
    case 'ceremonyTick':
      return ceremony(state, { kind: 'tick' }, fx);
    case 'certificateKept':
      return ceremony(state, { kind: 'kept' }, fx);
    case 'persisted':
      return persisted(state, message.seq, fx, atMs);
    case 'timer':
      return tell(state, { kind: 'timer', id: message.id, view: message.view }, fx, atMs);
    case 'pending':
      state.pendingCount = message.count;
      return tell(state, { kind: 'txs-ready', count: message.count }, fx, atMs);
    case 'forward':
      return forward(state, message.transactions, fx);
    case 'toForward':
      return message.result.ok ? forward(state, message.result.value.transactions, fx) : undefined;
    case 'taken':
      return taken(message, fx);
    case 'built':
      return built(state, message, fx, atMs);
    case 'executed':
      return executed(state, message, fx, atMs);
    case 'committed':
      return committed(state, message, fx, atMs);
    case 'served':
      return served(state, message, fx);
    case 'status':
      return status(state, message, fx);
    default:
      return unreachable(message);
  }
};

/** Own admitted transactions, for every peer: whoever leads next has them. */
const forward = (state: State, transactions: Uint8Array, fx: Fx): void => {
  const txs = decodeTransactions(transactions);
  if (!txs.ok) throw new Error(`our own ingest's transactions do not decode: ${txs.error}`);
  if (txs.value.length > 0) send(state, null, { kind: 'forward', txs: txs.value }, undefined, fx);
};

/** `crypto` hashes and verifies; the private key's `sign` comes with `opened`. */
export const createCore = (crypto: Crypto): Core<ReplicaConfig, State, Self, Commands> => ({
  constants: { rules: RULES },
  init: (config) => ({
    config,
    crypto,
    opened: undefined,
    ceremony: undefined,
    machine: undefined,
    durableSeq: 0,
    held: [],
    connected: new Set(),
    proposed: new Map(),
    pendingCount: 0,
  }),
  start: (_state, fx) => fx.io('load', null),
  step,
});
