/** Coming up: from nothing, or from the record that keeps a restarted replica honest. */
import { blockHash } from '#proto/consensus/header.ts';
import type { Message } from '#proto/consensus/messages.ts';
import { adoptQc, rememberQc } from './certificates.ts';
import type { Emit, Start } from './events.ts';
import { armHeartbeat } from './heartbeats.ts';
import { proposalAgain } from './proposing.ts';
import type { DurableRecord } from './record.ts';
import { halt, persist, publish, type State } from './state.ts';
import { insert } from './tree.ts';

const restore = (state: State, record: DurableRecord): void => {
  state.safety = { lastActedView: record.lastActedView, lockedView: record.lockedView };
  state.lastVote = record.lastVote;
  state.lastTimeout = record.lastTimeout;
  state.lastProposal = record.lastProposal;
  state.highQc = record.highQc;
  state.tc = record.tc;
  rememberQc(state, record.highQc);
  state.view = Math.max(record.highQc.view, record.tc?.view ?? 0) + 1;
};

/** What was said in the view that still lasts, said again: the first time may have been lost with the crash. */
const repeat = (state: State, emit: Emit, seq: number): void => {
  const again: Message[] = [];
  const proposal = proposalAgain(state);
  if (proposal !== null) again.push(proposal);
  const { lastVote, lastTimeout, view } = state;
  if (lastVote?.view === view) again.push({ kind: 'vote', vote: lastVote });
  if (lastTimeout?.claim.view === view) again.push({ kind: 'timeout', timeout: lastTimeout });
  for (const message of again) {
    publish(state, emit, message, seq);
    if (message.kind !== 'proposal') state.own.push({ seq, message });
  }
};

export const onStart = (state: State, emit: Emit, start: Start): void => {
  const { committee, crypto } = state.params;
  if (state.started) return halt(state, emit, 'started twice');
  state.started = true;
  const { durable, head, proof } = start;
  if (durable === null && head.height > 0) {
    return halt(state, emit, 'the safety record is lost: this validator needs a new key');
  }
  const foreign =
    durable !== null &&
    (durable.chainId !== committee.chainId || durable.epoch !== committee.epoch);
  if (foreign) return halt(state, emit, 'the safety record is of another chain or epoch');
  const record = state.rules.restore(durable);
  if (record !== null) restore(state, record);
  state.head = { hash: blockHash(head, crypto), header: head };
  state.committedHeight = head.height;
  if (head.height === 0 && state.head.hash !== state.genesisQc.blockHash) {
    return halt(state, emit, 'the executor has another genesis');
  }
  if (proof !== null) {
    rememberQc(state, proof.anchorQc);
    rememberQc(state, proof.nextQc);
    adoptQc(state, proof.nextQc);
  }
  const byHeight = [...start.blocks].sort((a, b) => a.block.header.height - b.block.header.height);
  for (const { block, qc } of byHeight) {
    if (block.header.height <= head.height) continue;
    insert(state, blockHash(block.header, crypto), block, qc);
    rememberQc(state, qc);
  }
  armHeartbeat(state, emit);
  repeat(state, emit, persist(state, emit, null));
};
