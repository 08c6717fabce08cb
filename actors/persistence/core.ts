/**
 * The projector: reads the chain of one validator in batches, has each written to SQL, and goes on from
 * what SQL holds. It pulls, so a slow or absent database stalls nothing: blocks wait in the chain.
 *
 * Of several that share a database the holder of the lease writes. The others read the same chain and compare it
 * with what is in SQL, and one of them takes over when the lease expires.
 */
import { unreachable } from '#proto/result.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import { type Answered, at, type Core, type Effects, type MessagesTo } from '#runtime/actor.ts';
import { bus } from '#runtime/bus/protocol.ts';
import type { BusRecord } from '#runtime/bus/record.ts';
import {
  commitMark,
  done,
  follow,
  onFetched,
  poll,
  type Subscription,
  subscription,
} from '#runtime/bus/subscription.ts';
import { executor } from '../executor/protocol.ts';
import type { PersistenceConfig } from './config.ts';
import type { persistence } from './protocol.ts';

type Place = { readonly partition: number; readonly offset: number };

/** What SQL holds, and whether this projector may write. */
type Standing = {
  readonly holds: boolean;
  readonly height: number;
  /** Whether SQL holds any acknowledgement. */
  readonly hasAcks: boolean;
};

export type Self =
  | MessagesTo<typeof persistence>
  | ({
      readonly kind: 'opened';
      readonly validators: readonly string[];
    } & Standing)
  | ({ readonly kind: 'lease' } & Standing)
  /** Renewed, or nobody knows: the next time shows. */
  | { readonly kind: 'leaseKept' }
  | { readonly kind: 'fenced' }
  | { readonly kind: 'leaseDue' }
  /** `all`: SQL has all of these blocks; `height` is 0 where it has none. */
  | { readonly kind: 'compared'; readonly height: number; readonly all: boolean }
  | { readonly kind: 'unavailable'; readonly reason: string }
  | { readonly kind: 'retry' }
  | { readonly kind: 'read'; readonly result: Answered<typeof executor, 'read'> }
  | { readonly kind: 'projected'; readonly height: number; readonly seconds: number }
  | { readonly kind: 'diverged'; readonly height: number; readonly reason: string }
  | {
      readonly kind: 'validator';
      readonly id: string;
      readonly result: Answered<typeof executor, 'state'>;
    }
  | { readonly kind: 'drainTo'; readonly result: Answered<typeof executor, 'head'> }
  | { readonly kind: 'acks'; readonly result: Answered<typeof bus, 'fetch'> }
  | { readonly kind: 'pollAcks' }
  | { readonly kind: 'ackEnds'; readonly result: Answered<typeof bus, 'ends'> }
  | { readonly kind: 'askAckEnds' }
  | { readonly kind: 'acksSaved'; readonly places: readonly Place[]; readonly refused: number }
  | { readonly kind: 'acksFailed' }
  | { readonly kind: 'acksAgain' };

export type Commands = {
  open: null;
  /** CBOR list of CommittedBlock. */
  project: Uint8Array;
  /** The same list, for one that does not write. */
  compare: Uint8Array;
  /** Renews the lease or takes it. */
  lease: null;
  validator: { readonly id: string; readonly value: Uint8Array; readonly height: number };
  acks: readonly BusRecord[];
};

export type State = {
  readonly config: PersistenceConfig;
  readonly source: ReturnType<typeof at<(typeof executor)['declaration']>>;
  readonly acks: Subscription;
  /** Ids of the validators whose rows follow the state. */
  validators: readonly string[];
  /** Acknowledgements that SQL has not taken yet. */
  unsavedAcks: readonly BusRecord[];
  /** Newest projected block; -1 before the database has opened. */
  height: number;
  head: number;
  /** Whether the chain has confirmed the newest block that SQL had at the start. */
  checked: boolean;
  connected: boolean;
  /** The lease: this projector writes. */
  holds: boolean;
  failures: number;
  /** At a coordinated shutdown: the block after which the projector may end; -1 otherwise. */
  drainTo: number;
  /** What is to be done again after a pause. */
  pending: 'open' | 'read' | Uint8Array;
};

type Fx = Effects<Self, Commands>;

const READ_WAIT_MS = 2000;
const READ_MARGIN_MS = 5000;
const READ_BYTES_MAX = 8 << 20;
const RETRY_FIRST_MS = 100;
const RETRY_LAST_MS = 10_000;
const STATE_DEADLINE_MS = 2000;
const ACKS_RETRY_MS = 1000;
/** How long one that compares waits for SQL to have more. */
const COMPARE_MS = 1000;
/** Renewed so often while it lasts. */
const RENEWALS = 3;

/** Blocks of the chain that are not in SQL yet, as far as the chain has answered. */
const lagOf = ({ head, height }: State): number => Math.max(0, head - Math.max(0, height));

const showLevels = (state: State, fx: Fx): void => {
  fx.gauge('height', Math.max(0, state.height));
  fx.gauge('lag', lagOf(state));
  fx.gauge('connected', state.connected ? 1 : 0);
  fx.gauge('holds_lease', state.holds ? 1 : 0);
};

/** Begins with the newest block that SQL has: its hash is compared once more, whatever happened meanwhile. */
const readNext = (state: State, fx: Fx): void => {
  state.pending = 'read';
  fx.ask(
    state.source,
    {
      kind: 'read',
      fromHeight: state.checked ? state.height + 1 : Math.max(1, state.height),
      maxBlocks: state.config.blocksMax,
      maxBytes: READ_BYTES_MAX,
      waitMs: READ_WAIT_MS,
    },
    { kind: 'read' },
    READ_WAIT_MS + READ_MARGIN_MS,
  );
};

const again = (state: State, fx: Fx): void => {
  const pauseMs = Math.min(RETRY_FIRST_MS * 2 ** state.failures, RETRY_LAST_MS);
  state.failures = Math.min(state.failures + 1, 16);
  fx.after(pauseMs, { kind: 'retry' }, 'retry');
};

const retry = (state: State, fx: Fx): void => {
  if (state.pending === 'open') return fx.io('open', null);
  if (state.pending === 'read') return readNext(state, fx);
  return hand(state, state.pending, fx);
};

const hand = (state: State, blocks: Uint8Array, fx: Fx): void =>
  state.holds ? fx.io('project', blocks) : fx.io('compare', blocks);

const leaseLater = (state: State, fx: Fx): void =>
  fx.after(state.config.leaseMs / RENEWALS, { kind: 'leaseDue' }, 'lease');

const opened = (state: State, message: Extract<Self, { kind: 'opened' }>, fx: Fx): void => {
  state.height = message.height;
  state.validators = message.validators;
  state.checked = message.height === 0;
  state.connected = true;
  state.failures = 0;
  fx.log('info', 'SQL projection open', { height: message.height });
  fx.signal({ kind: 'ready' });
  stand(state, message, fx);
  if (isDrained(state)) return fx.stop('normal');
  readNext(state, fx);
};

/** Writes from now on, or does not. What is under way goes on, the one way or the other. */
const stand = (state: State, standing: Standing, fx: Fx): void => {
  const held = state.holds;
  if (held && !standing.holds) fencedOut(state, fx);
  state.holds = standing.holds;
  leaseLater(state, fx);
  showLevels(state, fx);
  fx.signal({ kind: 'fact', name: 'projector', value: standing.holds ? 'writes' : 'compares' });
  if (!standing.holds || held || isDrained(state)) return;
  followValidators(state, fx);
  if (state.unsavedAcks.length > 0) return fx.io('acks', state.unsavedAcks);
  if (state.acks.polling) return;
  if (standing.hasAcks) poll(state.acks, fx, { kind: 'acks' });
  else askAckEnds(state, fx);
};

const fencedOut = (state: State, fx: Fx): void => {
  state.holds = false;
  fx.emit('fenced', 1);
  fx.log('warn', 'another projector has taken the lease: this one compares from now on');
};

/** Nothing of the blocks in hand was written: whoever has the lease writes them, this one compares them. */
const onFenced = (state: State, fx: Fx): void => {
  if (state.holds) fencedOut(state, fx);
  state.connected = true;
  showLevels(state, fx);
  fx.signal({ kind: 'fact', name: 'projector', value: 'compares' });
  if (isDrained(state)) return fx.stop('normal');
  readNext(state, fx);
};

/** Goes on behind what SQL has; waits a moment where it has no more. */
const compared = (state: State, message: Extract<Self, { kind: 'compared' }>, fx: Fx): void => {
  state.height = Math.max(state.height, message.height);
  state.checked ||= message.height > 0;
  state.connected = true;
  state.failures = 0;
  showLevels(state, fx);
  if (message.all) return readNext(state, fx);
  state.pending = 'read';
  fx.after(COMPARE_MS, { kind: 'retry' }, 'retry');
};

/** A database made anew lacks what lies below the mark: acknowledgements are read from the start. */
const askAckEnds = (state: State, fx: Fx): void => {
  const { topic, group } = state.acks;
  fx.ask(bus, { kind: 'ends', topic, group }, { kind: 'ackEnds' }, STATE_DEADLINE_MS);
};

const onAckEnds = (state: State, result: Answered<typeof bus, 'ends'>, fx: Fx): void => {
  if (!result.ok) return fx.after(ACKS_RETRY_MS, { kind: 'askAckEnds' }, 'acks');
  state.acks.positions = result.value.ends.map(() => 0);
  poll(state.acks, fx, { kind: 'acks' });
};

/** The rows of validators follow the newest state; a question that fails is asked again with the next block. */
const followValidators = (state: State, fx: Fx): void => {
  for (const id of state.validators) {
    const question = { kind: 'state', key: `validators/${id}`, height: 0 } as const;
    fx.ask(state.source, question, { kind: 'validator', id }, STATE_DEADLINE_MS);
  }
};

const read = (state: State, result: Answered<typeof executor, 'read'>, fx: Fx): void => {
  if (!result.ok) return again(state, fx);
  state.head = result.value.head;
  showLevels(state, fx);
  const { head } = result.value;
  if (head < state.height || (head === state.height && state.checked)) return readNext(state, fx);
  state.pending = result.value.blocks;
  hand(state, result.value.blocks, fx);
};

const projected = (state: State, message: Extract<Self, { kind: 'projected' }>, fx: Fx): void => {
  fx.emit('blocks', message.height - state.height);
  fx.emit('project_seconds', message.seconds);
  state.height = message.height;
  state.checked = true;
  state.connected = true;
  state.failures = 0;
  showLevels(state, fx);
  if (isDrained(state)) return fx.stop('normal');
  // Once the chain is caught up with, not block by block.
  if (state.height >= state.head) followValidators(state, fx);
  readNext(state, fx);
};

const onAcks = (state: State, result: Answered<typeof bus, 'fetch'>, fx: Fx): void => {
  const { records, retryMs } = onFetched(state.acks, result);
  if (retryMs > 0) return fx.after(retryMs, { kind: 'pollAcks' }, 'acks');
  if (records.length > 0) state.unsavedAcks = records;
  // One that does not write any more keeps them until it does.
  if (!state.holds) return;
  if (records.length > 0) follow(records, fx, () => fx.io('acks', records));
  else poll(state.acks, fx, { kind: 'acks' });
};

const acksSaved = (
  state: State,
  { places, refused }: Extract<Self, { kind: 'acksSaved' }>,
  fx: Fx,
): void => {
  if (refused > 0) {
    fx.emit('acks_refused', refused);
    fx.log('warn', 'acknowledgements of nobody that genesis knows are left out', { refused });
  }
  for (const { partition, offset } of places) done(state.acks, partition, offset);
  state.unsavedAcks = [];
  commitMark(state.acks, fx);
  poll(state.acks, fx, { kind: 'acks' });
};

/** Whoever only compares owes SQL nothing. */
const isDrained = ({ drainTo, height, holds }: State): boolean =>
  drainTo >= 0 && ((height >= 0 && !holds) || Math.max(0, height) >= drainTo);

/** What the chain holds now still goes into SQL. What comes later, or finds no database, waits in the chain. */
const drain = (state: State, fx: Fx): void => {
  if (state.height >= 0 && !state.holds) return fx.stop('normal');
  fx.ask(state.source, { kind: 'head' }, { kind: 'drainTo' }, STATE_DEADLINE_MS);
};

const onDrainTo = (state: State, result: Answered<typeof executor, 'head'>, fx: Fx): void => {
  state.drainTo = result.ok ? result.value.height : 0;
  if (isDrained(state) || state.failures > 0) fx.stop('normal');
};

/** The alarm of whoever sees it, the one that writes or one that compares. */
const diverged = (message: Extract<Self, { kind: 'diverged' }>, fx: Fx): void => {
  const { height, reason } = message;
  const text = `SQL differs from the chain at height ${height}`;
  fx.emit('divergences', 1);
  fx.log('error', 'SQL holds another block than the chain: run rebuild-sql', { height, reason });
  fx.signal({ kind: 'notice', topic: 'alarm', text });
  fx.stop('halt', text);
};

const unavailable = (state: State, reason: string, fx: Fx): void => {
  state.connected = false;
  showLevels(state, fx);
  fx.emit('unavailable', 1);
  fx.log('warn', 'the SQL database is not available; the chain keeps what it misses', { reason });
  if (state.drainTo >= 0) return fx.stop('normal');
  again(state, fx);
};

const step = (state: State, message: Self, fx: Fx): void => {
  switch (message.kind) {
    case 'opened':
      return opened(state, message, fx);
    case 'lease':
      return stand(state, message, fx);
    case 'leaseKept':
      return leaseLater(state, fx);
    case 'leaseDue':
      return fx.io('lease', null);
    case 'fenced':
      return onFenced(state, fx);
    case 'compared':
      return compared(state, message, fx);
    case 'unavailable':
      return unavailable(state, message.reason, fx);
    case 'retry':
      return retry(state, fx);
    case 'read':
      return read(state, message.result, fx);
    case 'projected':
      return projected(state, message, fx);
    case 'diverged':
      return diverged(message, fx);
    case 'validator': {
      const { result, id } = message;
      if (!state.holds || !result.ok || !result.value.found) return;
      const { value, height } = result.value;
      return fx.io('validator', { id, value, height });
    }
    case 'drainTo':
      return onDrainTo(state, message.result, fx);
    case 'acks':
      return onAcks(state, message.result, fx);
    case 'pollAcks':
      return poll(state.acks, fx, { kind: 'acks' });
    case 'askAckEnds':
      return askAckEnds(state, fx);
    case 'ackEnds':
      return onAckEnds(state, message.result, fx);
    case 'acksSaved':
      return acksSaved(state, message, fx);
    case 'acksFailed':
      return fx.after(ACKS_RETRY_MS, { kind: 'acksAgain' }, 'acks');
    case 'acksAgain':
      if (state.holds) fx.io('acks', state.unsavedAcks);
      return;
    case 'status':
      return fx.reply(message.replyTo, {
        height: Math.max(0, state.height),
        lag: lagOf(state),
        connected: state.connected,
      });
    default:
      return unreachable(message);
  }
};

export const core: Core<PersistenceConfig, State, Self, Commands> = {
  init: (config) => ({
    config,
    source: at(executor, config.from),
    acks: subscription({ topic: TOPICS.policyAcks, group: 'persistence' }),
    validators: [],
    unsavedAcks: [],
    height: -1,
    head: 0,
    checked: false,
    connected: false,
    holds: false,
    failures: 0,
    drainTo: -1,
    pending: 'open',
  }),
  start: (_state, fx) => fx.io('open', null),
  step,
  drain,
};
