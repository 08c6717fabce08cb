/**
 * The bus actor: turns publishes, long polls and marks into commands of its driver. It keeps no record:
 * only the polls that wait, each with its deadline, at most `fetchesOpenMax` of them.
 */
import { unreachable } from '#proto/result.ts';
import type { Core, MessagesTo, ReplyTo } from '#runtime/actor.ts';
import type { FetchOutcome, PublishOutcome } from '#runtime/bus/driver.ts';
import { encodeRecords } from '#runtime/bus/record.ts';
import type { BusConfig } from './config.ts';
import type { bus } from './protocol.ts';

type Incoming = MessagesTo<typeof bus>;
type Fetch = Extract<Incoming, { kind: 'fetch' }>;
type Publish = Extract<Incoming, { kind: 'publish' }>;
type Ends = Extract<Incoming, { kind: 'ends' }>;

export type Self =
  | Incoming
  | {
      readonly kind: 'published';
      readonly topic: string;
      readonly replyTo: Publish['replyTo'];
      readonly outcome: PublishOutcome;
    }
  | { readonly kind: 'fetched'; readonly poll: Poll; readonly outcome: FetchOutcome }
  | {
      readonly kind: 'endsRead';
      readonly replyTo: Ends['replyTo'];
      readonly ends: readonly number[];
      readonly committed: readonly number[];
    }
  | { readonly kind: 'pollDue'; readonly id: number }
  /** Somebody, perhaps in another process, has appended to a topic. */
  | { readonly kind: 'appended'; readonly topic: string };

/** One long poll: `dueMs` is Unix milliseconds. */
export type Poll = {
  readonly id: number;
  readonly topic: string;
  readonly group: string;
  readonly positions: readonly number[];
  readonly maxRecords: number;
  readonly dueMs: number;
  readonly replyTo: Fetch['replyTo'];
};

export type Commands = {
  publish: Publish;
  fetch: Poll;
  commit: Extract<Incoming, { kind: 'commit' }>;
  ends: Ends;
};

export type State = {
  readonly openMax: number;
  /** Polls that found nothing and wait, by id. */
  readonly parked: Map<number, Poll>;
  /** Appends seen for each topic: a poll that raced one reads again. */
  readonly appends: Map<string, number>;
  /** What `appends` was when the poll last read. */
  readonly seen: Map<number, number>;
  nextId: number;
};

const RECORDS_MAX = 4096;
type Fx = Parameters<NonNullable<Core<BusConfig, State, Self, Commands>['step']>>[2];

const read = (state: State, poll: Poll, fx: Fx): void => {
  state.seen.set(poll.id, state.appends.get(poll.topic) ?? 0);
  fx.io('fetch', poll);
};

const answer = (state: State, poll: Poll, outcome: FetchOutcome, fx: Fx): void => {
  state.parked.delete(poll.id);
  state.seen.delete(poll.id);
  fx.cancel(`poll-${poll.id}`);
  const to: ReplyTo<{
    outcome: FetchOutcome['outcome'];
    records: Uint8Array;
    positions: readonly number[];
  }> = poll.replyTo;
  if (outcome.outcome !== 'ok') {
    fx.reply(to, { outcome: outcome.outcome, records: new Uint8Array(0), positions: [] });
    return;
  }
  fx.reply(to, {
    outcome: 'ok',
    records: encodeRecords(outcome.records),
    positions: outcome.positions,
  });
};

const fetched = (state: State, poll: Poll, outcome: FetchOutcome, fx: Fx, atMs: number): void => {
  const isEmpty = outcome.outcome === 'ok' && outcome.records.length === 0;
  if (!isEmpty || atMs >= poll.dueMs) return answer(state, poll, outcome, fx);
  const raced = (state.appends.get(poll.topic) ?? 0) !== state.seen.get(poll.id);
  if (raced) return read(state, poll, fx);
  if (state.parked.size >= state.openMax) return answer(state, poll, outcome, fx);
  // A consumer that began at its mark learns from the empty answer, too, where that is.
  state.parked.set(poll.id, { ...poll, positions: outcome.positions });
  fx.after(poll.dueMs - atMs, { kind: 'pollDue', id: poll.id }, `poll-${poll.id}`);
};

const published = (state: State, message: Extract<Self, { kind: 'published' }>, fx: Fx): void => {
  const { outcome, topic } = message;
  const placed = outcome.outcome === 'ok' ? outcome : { partition: 0, offset: 0 };
  const { partition, offset } = placed;
  fx.reply(message.replyTo, { outcome: outcome.outcome, partition, offset });
  fx.emit(outcome.outcome === 'ok' ? 'published' : 'publish_refused', 1);
  if (outcome.outcome === 'ok') appended(state, topic, fx);
};

/** Whoever waits for the topic reads again. */
const appended = (state: State, topic: string, fx: Fx): void => {
  state.appends.set(topic, (state.appends.get(topic) ?? 0) + 1);
  for (const poll of [...state.parked.values()]) {
    if (poll.topic !== topic) continue;
    state.parked.delete(poll.id);
    read(state, poll, fx);
  }
};

const due = (state: State, id: number, fx: Fx): void => {
  const poll = state.parked.get(id);
  if (poll === undefined) return;
  answer(state, poll, { outcome: 'ok', records: [], positions: poll.positions }, fx);
};

export const core: Core<BusConfig, State, Self, Commands> = {
  init: (settings) => ({
    openMax: settings.fetchesOpenMax,
    parked: new Map(),
    appends: new Map(),
    seen: new Map(),
    nextId: 1,
  }),
  step(state, message, fx, atMs) {
    switch (message.kind) {
      case 'publish':
        return fx.io('publish', message);
      case 'published':
        return published(state, message, fx);
      case 'fetch': {
        const { topic, group, positions, replyTo } = message;
        const maxRecords = Math.max(1, Math.min(message.maxRecords, RECORDS_MAX));
        const dueMs = atMs + message.waitMs;
        const id = state.nextId++;
        return read(state, { id, topic, group, positions, maxRecords, dueMs, replyTo }, fx);
      }
      case 'fetched':
        return fetched(state, message.poll, message.outcome, fx, atMs);
      case 'pollDue':
        return due(state, message.id, fx);
      case 'appended':
        return appended(state, message.topic, fx);
      case 'commit':
        return fx.io('commit', message);
      case 'ends':
        return fx.io('ends', message);
      case 'endsRead':
        return fx.reply(message.replyTo, { ends: message.ends, committed: message.committed });
      default:
        return unreachable(message);
    }
  },
};
