/**
 * An answer is composed from answers of other actors. A composer looks at what it has and either wants more, or
 * gives a view, or a problem; it is called again when everything that it wanted has come or failed.
 */
import type { Crypto } from '#proto/crypto.ts';
import type { Answered, AskFailure } from '#runtime/actor.ts';
import type { enforcer } from '../enforcer/protocol.ts';
import type { executor } from '../executor/protocol.ts';
import type { feedback } from '../feedback/protocol.ts';
import type { replica } from '../replica/protocol.ts';
import type { ApiConfig } from './config.ts';
import { type Problem, problem } from './problem.ts';
import type { View } from './views.ts';

/** One question to one actor. */
export type Want =
  | { readonly part: 'head' }
  | { readonly part: 'read'; readonly from: number; readonly limit: number }
  | { readonly part: 'state'; readonly key: string; readonly height: number }
  | { readonly part: 'status'; readonly validator: string }
  | {
      readonly part: 'anomalies';
      readonly state: string;
      readonly severityMin: number;
      readonly limit: number;
      readonly before: number;
    }
  | { readonly part: 'anomaly'; readonly id: string }
  | { readonly part: 'feedback' }
  | { readonly part: 'policies'; readonly limit: number }
  | { readonly part: 'enforcement' }
  | {
      readonly part: 'brake';
      readonly lastsS: number;
      readonly by: string;
      readonly reason: string;
    }
  | { readonly part: 'release'; readonly by: string };

/** What has come in for one request. */
export type Answers = {
  head?: Answered<typeof executor, 'head'>;
  read?: Answered<typeof executor, 'read'>;
  /** By key. */
  readonly states: Map<string, Answered<typeof executor, 'state'>>;
  /** By validator branch. */
  readonly statuses: Map<string, Answered<typeof replica, 'status'>>;
  anomalies?: Answered<typeof feedback, 'list'>;
  anomaly?: Answered<typeof feedback, 'one'>;
  feedback?: Answered<typeof feedback, 'summary'>;
  policies?: Answered<typeof enforcer, 'list'>;
  enforcement?: Answered<typeof enforcer, 'summary'>;
  brake?: Answered<typeof enforcer, 'brake'>;
  release?: Answered<typeof enforcer, 'release'>;
};

export const noAnswers = (): Answers => ({ states: new Map(), statuses: new Map() });

export type Outcome =
  | { readonly kind: 'want'; readonly wants: readonly Want[] }
  | { readonly kind: 'view'; readonly view: View }
  | { readonly kind: 'problem'; readonly problem: Problem };

export const want = (...wants: readonly Want[]): Outcome => ({ kind: 'want', wants });
export const give = (view: View): Outcome => ({ kind: 'view', view });
export const refuse = (...given: Parameters<typeof problem>): Outcome => ({
  kind: 'problem',
  problem: problem(...given),
});

export type Context = {
  readonly config: ApiConfig;
  readonly crypto: Crypto;
  readonly atMs: number;
};

const WORDS: { readonly [F in AskFailure]: (answerMs: number) => string } = {
  timeout: (answerMs) => `does not answer within ${answerMs} ms`,
  'mailbox-full': () => 'has a full mailbox',
  'target-restarted': () => 'is being restarted',
  'no-such-actor': () => 'does not run on this node',
};

/** `who` could not answer: nothing is wrong with the request. */
export const silent = (who: string, failure: AskFailure, { config }: Context): Outcome =>
  refuse('unavailable', `${who} ${WORDS[failure](config.answerMs)}`);

/** JSON that an actor of ours has encoded. */
export const jsonOf = <T>(bytes: Uint8Array): T => JSON.parse(new TextDecoder().decode(bytes)) as T;
