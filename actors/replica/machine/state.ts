/** Everything that one replica knows. Only the files of this folder change it, within `step`. */
import type { AnchorProof } from '#proto/consensus/anchor.ts';
import type { Block } from '#proto/consensus/block.ts';
import type { Qc, Tc, Timeout, TimeoutClaim, Trust, Vote } from '#proto/consensus/certificate.ts';
import { totalWeight, validatorOf } from '#proto/consensus/committee.ts';
import type { SignedHeader } from '#proto/consensus/evidence.ts';
import { blockHash, type Header } from '#proto/consensus/header.ts';
import type { Message } from '#proto/consensus/messages.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import type {
  BuildRequest,
  Emit,
  IdentifiedBlock,
  Note,
  Params,
  Seq,
  StoredBlock,
} from './events.ts';
import { type Pacemaker, pacemaker } from './pacemaker.ts';
import type { DurableRecord, ProposalRecord } from './record.ts';
import type { Ballot, Rules, Safety } from './rules.ts';

/** waiting: the executor could not say, or may have lost it; asked again at the next heartbeat. */
export type Execution = 'none' | 'running' | 'waiting' | 'ok' | 'invalid';

/** An uncommitted block. */
export type Node = {
  readonly hash: HashHex;
  readonly block: Block;
  /** Of its parent; null where it came with a proof of its commit instead. */
  readonly qc: Qc | null;
  execution: Execution;
};

/** The proposal of the current view that came last. */
export type Candidate = { readonly hash: HashHex; readonly ballot: Ballot };

/** What a peer was heard to say, by signer; newest views only. */
export type Heard = {
  readonly votes: Vote[];
  readonly claims: TimeoutClaim[];
  timeout: Timeout | null;
};

export type Peer = {
  /** Its own word for it: chooses whom to ask, proves nothing. */
  committedHeight: number;
  heardAtMs: number;
  suspected: boolean;
  /** Requests answered since the last own heartbeat. */
  served: number;
};

/** The block whose lack stops us, and the height from which a peer was asked for committed ones. */
export type Fetch = {
  readonly hash: HashHex;
  readonly peer: HashHex;
  readonly fromHeight: number;
};

/** The block that is being built here, and what it will rest on. */
export type Building = {
  readonly build: BuildRequest;
  readonly qc: Qc;
  readonly tc: Tc | null;
  /** Transactions were announced after the request: an empty block says nothing about them. */
  newsSince: boolean;
  failed: boolean;
};

/** Decided, and not yet confirmed by the executor. */
export type Decided = IdentifiedBlock & { readonly proof: AnchorProof };

/** Verified blocks of a peer on their way into the executor; the last is `hash`. */
export type SyncBatch = { readonly hash: HashHex; readonly proof: AnchorProof };

export type State = {
  readonly params: Params;
  readonly rules: Rules;
  readonly trust: Trust;
  readonly genesisQc: Qc;
  started: boolean;
  halted: string | null;

  safety: Safety;
  lastVote: Vote | null;
  lastTimeout: Timeout | null;
  lastProposal: ProposalRecord | null;
  highQc: Qc;
  tc: Tc | null;
  view: number;

  seq: Seq;
  durableSeq: Seq;
  /** Own votes and timeouts, which count here too, but not before they are durable. */
  readonly own: { readonly seq: Seq; readonly message: Message }[];

  head: { hash: HashHex; header: Header };
  /** Up to here the executor has confirmed; what follows it is on the way there, oldest first. */
  committedHeight: number;
  readonly deciding: Decided[];
  /** The executor may have lost what it executed: at the next heartbeat it is asked for again. */
  executorLost: boolean;
  readonly nodes: Map<HashHex, Node>;
  candidate: Candidate | null;
  building: Building | null;
  requests: number;
  pendingCount: number;

  readonly heard: Map<HashHex, Heard>;
  readonly peers: Map<HashHex, Peer>;
  /** QCs that were verified here, by block. */
  readonly verified: Map<HashHex, Qc>;
  readonly headers: Map<HashHex, Header>;
  /** By view: the first proposal, and the hashes of those accepted. */
  readonly proposals: Map<number, { readonly first: SignedHeader; readonly hashes: HashHex[] }>;
  /** Misbehaviour that was reported already. */
  readonly convicted: Set<string>;

  pacemaker: Pacemaker;
  /** The view that the timer runs for, and how often it rang in it. */
  timer: { readonly view: number } | null;
  repetitions: number;
  viewChanges: number;
  fetch: Fetch | null;
  fetchAttempts: number;
  batch: SyncBatch | null;
};

const genesisQcOf = (params: Params, hash: HashHex): Qc => ({
  epoch: params.committee.epoch,
  view: 0,
  blockHash: hash,
  signatures: [],
});

/** Throws where `self` is not of the committee: a configuration that was checked before. */
export const initialState = (params: Params, rules: Rules): State => {
  const { committee, crypto, genesis, self } = params;
  if (validatorOf(committee, self) === undefined) throw new Error('not of the committee');
  const genesisHash = blockHash(genesis, crypto);
  const genesisQc = genesisQcOf(params, genesisHash);
  const others = committee.validators.filter((validator) => validator.id !== self);
  return {
    params,
    rules,
    trust: { committee, crypto, genesisHash, rules: rules.certificates },
    genesisQc,
    started: false,
    halted: null,
    safety: { lastActedView: 0, lockedView: 0 },
    lastVote: null,
    lastTimeout: null,
    lastProposal: null,
    highQc: genesisQc,
    tc: null,
    view: 1,
    seq: 0,
    durableSeq: 0,
    own: [],
    head: { hash: genesisHash, header: genesis },
    committedHeight: 0,
    deciding: [],
    executorLost: false,
    nodes: new Map(),
    candidate: null,
    building: null,
    requests: 0,
    pendingCount: 0,
    heard: new Map(
      committee.validators.map(({ id }) => [id, { votes: [], claims: [], timeout: null }]),
    ),
    peers: new Map(
      others.map(({ id }) => [
        id,
        { committedHeight: 0, heardAtMs: 0, suspected: true, served: 0 },
      ]),
    ),
    verified: new Map([[genesisHash, genesisQc]]),
    headers: new Map(),
    proposals: new Map(),
    convicted: new Set(),
    pacemaker: pacemaker(params.limits),
    timer: null,
    repetitions: 0,
    viewChanges: 0,
    fetch: null,
    fetchAttempts: 0,
    batch: null,
  };
};

export const leads = (state: State, view: number): boolean =>
  state.rules.leader(state.params.committee, view) === state.params.self;

export const weightOf = (state: State, signer: HashHex): number =>
  validatorOf(state.params.committee, signer)?.weight ?? 0;

export const isQuorum = (state: State, weight: number): boolean =>
  weight >= state.rules.certificates.quorum(totalWeight(state.params.committee));

export const recordOf = (state: State): DurableRecord => ({
  chainId: state.params.committee.chainId,
  epoch: state.params.committee.epoch,
  lastActedView: state.safety.lastActedView,
  lockedView: state.safety.lockedView,
  lastVote: state.lastVote,
  lastTimeout: state.lastTimeout,
  lastProposal: state.lastProposal,
  highQc: state.highQc,
  tc: state.tc,
  committedHeight: state.committedHeight,
});

export const persist = (state: State, emit: Emit, block: StoredBlock | null): Seq => {
  state.seq += 1;
  emit({ kind: 'persist', seq: state.seq, record: recordOf(state), block });
  return state.seq;
};

/** Shows an own signature to all, once the record that covers it is durable. */
export const publish = (state: State, emit: Emit, message: Message, seq: Seq): void => {
  const after = state.rules.after(seq);
  emit({ kind: 'broadcast', message, ...(after === undefined ? {} : { after }) });
};

export const note = (emit: Emit, what: Note): void => emit({ kind: 'note', note: what });

/** A broken invariant: this replica says so and does nothing more. */
export const halt = (state: State, emit: Emit, reason: string): void => {
  if (state.halted !== null) return;
  state.halted = reason;
  emit({ kind: 'halt', reason });
};

/** Keeps a map to its newest entries. */
export const bound = <K, V>(map: Map<K, V>, entriesMax: number): void => {
  for (const key of map.keys()) {
    if (map.size <= entriesMax) return;
    map.delete(key);
  }
};

export const rejectFrom = (emit: Emit, from: HashHex, reason: string): void =>
  note(emit, { name: 'rejected', from, reason });
