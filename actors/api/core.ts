/**
 * Answers HTTP requests from what other actors know: asks, each with a deadline, and composes. It keeps nothing
 * but the requests in hand, whose number the HTTP side bounds.
 */
import type { Crypto } from '#proto/crypto.ts';
import { err, type Result, unreachable } from '#proto/result.ts';
import { type Answered, type AskFailure, at, type Core, type Effects } from '#runtime/actor.ts';
import { enforcer } from '../enforcer/protocol.ts';
import { executor } from '../executor/protocol.ts';
import { feedback } from '../feedback/protocol.ts';
import { replica } from '../replica/protocol.ts';
import { type Answers, noAnswers, type Want } from './answers.ts';
import { compose } from './compose.ts';
import type { ApiConfig } from './config.ts';
import { type Problem, problem } from './problem.ts';
import type { Request } from './request.ts';
import type { View } from './views.ts';

type Single = Omit<Required<Answers>, 'states' | 'statuses'>;
type SingleAnswer = {
  [P in keyof Single]: {
    readonly kind: P;
    readonly id: number;
    readonly result: Single[P];
  };
}[keyof Single];

export type Self =
  /** From the HTTP side: `id` is used once. */
  | { readonly kind: 'request'; readonly id: number; readonly request: Request }
  /** From the HTTP side: it listens at `url`. */
  | { readonly kind: 'listening'; readonly url: string }
  | SingleAnswer
  | {
      readonly kind: 'state';
      readonly id: number;
      readonly key: string;
      readonly result: Answered<typeof executor, 'state'>;
    }
  | {
      readonly kind: 'status';
      readonly id: number;
      readonly validator: string;
      readonly result: Answered<typeof replica, 'status'>;
    };

export type Answer =
  | { readonly kind: 'view'; readonly view: View }
  | { readonly kind: 'problem'; readonly problem: Problem };

export type Commands = { respond: { readonly id: number; readonly answer: Answer } };

type Pending = { readonly request: Request; readonly answers: Answers; open: number };

export type State = {
  readonly config: ApiConfig;
  readonly crypto: Crypto;
  readonly pending: Map<number, Pending>;
};

type Fx = Effects<Self, Commands>;

const READ_BYTES_MAX = 8 << 20;

/** An overview shows what is there: it does not wait long for one that is busy. */
const OVERVIEW_ANSWER_MS = 500;

const deadlineOf = ({ kind }: Request, { answerMs, requestMs }: ApiConfig): number => {
  if (kind === 'overview') return Math.min(answerMs, OVERVIEW_ANSWER_MS);
  // A firewall takes its time, and an answer is worth waiting for.
  return kind === 'brake' || kind === 'release' ? Math.max(answerMs, requestMs) : answerMs;
};

/** Of what part of a node an actor is that answers this. */
const PART_OF: { readonly [P in Want['part']]: ApiConfig['shows'][number] } = {
  head: 'chain',
  read: 'chain',
  state: 'chain',
  status: 'chain',
  anomalies: 'feedback',
  anomaly: 'feedback',
  feedback: 'feedback',
  policies: 'enforcement',
  enforcement: 'enforcement',
  brake: 'enforcement',
  release: 'enforcement',
};

/** The answer of an actor that this node is not meant to have: at once, and nothing is sent into the void. */
const absent = (id: number, want: Want): Self => {
  const result: Result<never, AskFailure> = err('no-such-actor');
  if (want.part === 'state') return { kind: 'state', id, key: want.key, result };
  if (want.part === 'status') return { kind: 'status', id, validator: want.validator, result };
  return { kind: want.part, id, result };
};

const ask = ({ config }: State, id: number, want: Want, ms: number, fx: Fx): void => {
  if (!config.shows.includes(PART_OF[want.part])) return fx.after(0, absent(id, want));
  const chain = at(executor, config.from);
  switch (want.part) {
    case 'head':
      return fx.ask(chain, { kind: 'head' }, { kind: 'head', id }, ms);
    case 'read': {
      const { from: fromHeight, limit: maxBlocks } = want;
      const question = { kind: 'read', fromHeight, maxBlocks, maxBytes: READ_BYTES_MAX } as const;
      return fx.ask(chain, { ...question, waitMs: 0 }, { kind: 'read', id }, ms);
    }
    case 'state': {
      const { key, height } = want;
      return fx.ask(chain, { kind: 'state', key, height }, { kind: 'state', id, key }, ms);
    }
    case 'status': {
      const { validator } = want;
      const to = at(replica, validator);
      return fx.ask(to, { kind: 'status' }, { kind: 'status', id, validator }, ms);
    }
    case 'anomalies': {
      const { part: _, ...filter } = want;
      return fx.ask(feedback, { kind: 'list', ...filter }, { kind: 'anomalies', id }, ms);
    }
    case 'anomaly':
      return fx.ask(feedback, { kind: 'one', id: want.id }, { kind: 'anomaly', id }, ms);
    case 'feedback':
      return fx.ask(feedback, { kind: 'summary' }, { kind: 'feedback', id }, ms);
    case 'policies': {
      const question = { kind: 'list', activeOnly: false, limit: want.limit } as const;
      return fx.ask(enforcer, question, { kind: 'policies', id }, ms);
    }
    case 'enforcement':
      return fx.ask(enforcer, { kind: 'summary' }, { kind: 'enforcement', id }, ms);
    case 'brake': {
      const { lastsS, by, reason } = want;
      return fx.ask(enforcer, { kind: 'brake', lastsS, by, reason }, { kind: 'brake', id }, ms);
    }
    case 'release':
      return fx.ask(enforcer, { kind: 'release', by: want.by }, { kind: 'release', id }, ms);
    default:
      return unreachable(want);
  }
};

/** Composes with what there is: asks for more, or answers and forgets the request. */
const advance = (state: State, id: number, fx: Fx, atMs: number): void => {
  const pending = state.pending.get(id)!;
  const { request, answers } = pending;
  const { config, crypto } = state;
  const outcome = compose(request, answers, { config, crypto, atMs });
  if (outcome.kind === 'want') {
    if (outcome.wants.length === 0) throw new Error(`${request.kind} waits for nothing`);
    pending.open = outcome.wants.length;
    for (const want of outcome.wants) ask(state, id, want, deadlineOf(request, config), fx);
    return;
  }
  state.pending.delete(id);
  fx.io('respond', { id, answer: outcome });
};

/** A request that breaks the composing of its answer breaks nothing else. */
const advanceSafely = (state: State, id: number, fx: Fx, atMs: number): void => {
  try {
    advance(state, id, fx, atMs);
  } catch (fault) {
    const { kind } = state.pending.get(id)!.request;
    state.pending.delete(id);
    fx.emit('faults', 1);
    fx.log('error', 'an answer could not be composed', { request: kind, fault: String(fault) });
    const detail = 'the answer could not be composed; the log of the node says why';
    const answer = { kind: 'problem', problem: problem('internal-error', detail) } as const;
    fx.io('respond', { id, answer });
  }
};

type AnyAnswer = Exclude<Self, { readonly kind: 'request' | 'listening' }>;

const keep = (answers: Answers, message: AnyAnswer): void => {
  switch (message.kind) {
    case 'state':
      answers.states.set(message.key, message.result);
      return;
    case 'status':
      answers.statuses.set(message.validator, message.result);
      return;
    default:
      Object.assign(answers, { [message.kind]: message.result });
      return;
  }
};

const step = (state: State, message: Self, fx: Fx, atMs: number): void => {
  if (message.kind === 'listening') {
    fx.signal({ kind: 'fact', name: 'url', value: message.url });
    fx.log('info', 'the API listens', { url: message.url });
    return fx.signal({ kind: 'ready' });
  }
  const { id } = message;
  if (message.kind === 'request') {
    state.pending.set(id, { request: message.request, answers: noAnswers(), open: 0 });
  } else {
    const pending = state.pending.get(id);
    if (pending === undefined) return; // its composing has failed on an earlier answer
    keep(pending.answers, message);
    pending.open -= 1;
    if (pending.open > 0) return;
  }
  advanceSafely(state, id, fx, atMs);
};

export const createCore = (crypto: Crypto): Core<ApiConfig, State, Self, Commands> => ({
  init: (config) => ({ config, crypto, pending: new Map() }),
  step,
});
