/**
 * The projector: reads the chain of one validator in batches, has each written to SQL, and goes on from
 * what SQL holds. It pulls, so a slow or absent database stalls nothing: blocks wait in the chain.
 */
import { unreachable } from '#proto/result.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import { type Answered, at, type Core, type Effects, type MessagesTo } from '#runtime/actor.ts';
import { bus } from '#runtime/bus/protocol.ts';
import type { BusRecord } from '#runtime/bus/record.ts';
import {
  commitMark,
  done,
  onFetched,
  poll,
  type Subscription,
  subscription,
} from '#runtime/bus/subscription.ts';
import { executor } from '../executor/protocol.ts';
import type { PersistenceConfig } from './config.ts';
import type { persistence } from './protocol.ts';

type Place = { readonly partition: number; readonly offset: number };

export type Self =
  | MessagesTo<typeof persistence>
  | {
      readonly kind: 'opened';
      readonly height: number;
      readonly validators: readonly string[];
      /** Whether SQL holds any acknowledgement. */
      readonly hasAcks: boolean;
    }
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

/** Blocks of the chain that are not in SQL yet, as far as the chain has answered. */
const lagOf = ({ head, height }: State): number => Math.max(0, head - Math.max(0, height));

const showLevels = (state: State, fx: Fx): void => {
  fx.gauge('height', Math.max(0, state.height));
  fx.gauge('lag', lagOf(state));
  fx.gauge('connected', state.connected ? 1 : 0);
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
  return fx.io('project', state.pending);
};

const opened = (state: State, message: Extract<Self, { kind: 'opened' }>, fx: Fx): void => {
  state.height = message.height;
  state.validators = message.validators;
  state.checked = message.height === 0;
  state.connected = true;
  state.failures = 0;
  showLevels(state, fx);
  fx.log('info', 'SQL projection open', { height: message.height });
  fx.signal({ kind: 'ready' });
  if (isDrained(state)) return fx.stop('normal');
  followValidators(state, fx);
  readNext(state, fx);
  if (message.hasAcks) poll(state.acks, fx, { kind: 'acks' });
  else askAckEnds(state, fx);
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
  fx.io('project', result.value.blocks);
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
  if (records.length === 0) return poll(state.acks, fx, { kind: 'acks' });
  state.unsavedAcks = records;
  fx.io('acks', records);
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

const isDrained = ({ drainTo, height }: State): boolean =>
  drainTo >= 0 && Math.max(0, height) >= drainTo;

/** What the chain holds now still goes into SQL. What comes later, or finds no database, waits in the chain. */
const drain = (state: State, fx: Fx): void =>
  fx.ask(state.source, { kind: 'head' }, { kind: 'drainTo' }, STATE_DEADLINE_MS);

const onDrainTo = (state: State, result: Answered<typeof executor, 'head'>, fx: Fx): void => {
  state.drainTo = result.ok ? result.value.height : 0;
  if (isDrained(state) || state.failures > 0) fx.stop('normal');
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
    case 'unavailable':
      return unavailable(state, message.reason, fx);
    case 'retry':
      return retry(state, fx);
    case 'read':
      return read(state, message.result, fx);
    case 'projected':
      return projected(state, message, fx);
    case 'diverged':
      fx.log('error', 'SQL holds another block than the chain: run rebuild-sql', {
        height: message.height,
        reason: message.reason,
      });
      return fx.stop('halt', `SQL differs from the chain at height ${message.height}`);
    case 'validator': {
      const { result, id } = message;
      if (!result.ok || !result.value.found) return;
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
      return fx.io('acks', state.unsavedAcks);
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
    failures: 0,
    drainTo: -1,
    pending: 'open',
  }),
  start: (_state, fx) => fx.io('open', null),
  step,
  drain,
};
