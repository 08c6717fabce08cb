/** The leader's part: when there is something to do, a block on the newest QC. */
import type { Block } from '#proto/consensus/block.ts';
import { proposalBytes } from '#proto/consensus/evidence.ts';
import { blockHash, type Header } from '#proto/consensus/header.ts';
import type { Message } from '#proto/consensus/messages.ts';
import { isBusy } from './activity.ts';
import { maximumOf } from './certificates.ts';
import { loseExecutor } from './committing.ts';
import type { BuildRequest, Emit, Event } from './events.ts';
import type { Ballot } from './rules.ts';
import {
  type Building,
  halt,
  leads,
  type Node,
  note,
  persist,
  publish,
  type State,
} from './state.ts';
import { certifiedPath, insert } from './tree.ts';
import { castVote, showVote } from './voting.ts';

/** Asks for a block on QC(v-1), or else on the newest QC under TC(v-1); at once, and once a view. */
export const tryPropose = (state: State, emit: Emit, atMs: number): void => {
  const { view, highQc, params } = state;
  if (state.building !== null || !leads(state, view)) return;
  if (!state.rules.mayPropose(view, state.safety, state.lastProposal?.view ?? 0)) return;
  if (!isBusy(state)) return;
  const path = certifiedPath(state, emit);
  const tip = path?.at(-1);
  if (path === null || (tip !== undefined && tip.execution !== 'ok')) return;
  const parent = tip?.block.header ?? state.head.header;
  const tc = highQc.view + 1 === view ? null : state.tc;
  if ((tip?.hash ?? state.head.hash) !== highQc.blockHash || (tc && tc.view + 1 !== view)) return;
  state.requests += 1;
  const build: BuildRequest = {
    request: state.requests,
    parentHash: highQc.blockHash,
    parentView: highQc.view,
    height: parent.height + 1,
    view,
    epoch: params.committee.epoch,
    timeMs: Math.max(parent.timeMs + 1, atMs),
    proposerId: params.self,
  };
  state.building = { build, qc: highQc, tc, newsSince: false, failed: false };
  emit({ kind: 'request-block', build });
};

const isAsRequested = (header: Header, build: BuildRequest): boolean =>
  header.parentHash === build.parentHash &&
  header.parentView === build.parentView &&
  header.height === build.height &&
  header.view === build.view &&
  header.epoch === build.epoch &&
  header.timeMs === build.timeMs &&
  header.proposerId === build.proposerId;

export const onBuilt = (
  state: State,
  emit: Emit,
  event: Extract<Event, { kind: 'built' }>,
): void => {
  const { building } = state;
  if (building?.build.request !== event.request) return;
  const { block } = event;
  if (block === null) {
    building.failed = true;
    loseExecutor(state);
    return note(emit, { name: 'not-built', view: state.view, reason: event.reason });
  }
  if (!isAsRequested(block.header, building.build)) {
    return halt(state, emit, 'the block built is not the block requested');
  }
  if (block.txs.length === 0 && !building.newsSince) state.pendingCount = 0;
  if (isBusy(state)) return propose(state, emit, block, building);
  state.building = null;
};

/** One record covers the proposal and the own vote for it; the block is stored with it. */
const propose = (state: State, emit: Emit, block: Block, building: Building): void => {
  const { view, params, rules } = state;
  const { qc, tc } = building;
  const ballot: Ballot = {
    view,
    qcView: qc.view,
    tc: tc === null ? null : { view: tc.view, maximum: maximumOf(state, tc) },
  };
  if (!rules.mayPropose(view, state.safety, state.lastProposal?.view ?? 0)) return;
  const hash = blockHash(block.header, params.crypto);
  if (!insert(state, hash, block, qc, 'ok')) {
    return halt(state, emit, 'the block built does not fit its place');
  }
  const node: Node = { hash, block, qc, execution: 'ok' };
  const signature = params.sign(proposalBytes(block.header, hash));
  state.candidate = { hash, ballot };
  state.lastProposal = { view, blockHash: hash, qc, tc, signature };
  const vote = rules.mayVote(state.safety, ballot) ? castVote(state, node, ballot) : null;
  const seq = persist(state, emit, { block, qc });
  publish(state, emit, { kind: 'proposal', block, qc, tc, signature }, seq);
  note(emit, { name: 'proposed', hash, view });
  if (vote !== null) showVote(state, emit, vote, seq);
};

/** After a restart: the same proposal again, if its view still lasts and its block was stored. */
export const proposalAgain = (state: State): Message | null => {
  const own = state.lastProposal;
  const node = own === null ? undefined : state.nodes.get(own.blockHash);
  if (own === null || node === undefined || own.view !== state.view) return null;
  const { qc, tc, signature } = own;
  return { kind: 'proposal', block: node.block, qc, tc, signature };
};
