/**
 * Scores finished flows with one model and answers each batch to the ensemble, in the order of the
 * batches. It abstains where the model knows nothing (windows, flows of other protocols or of one
 * packet, vectors that are not finite) and on a whole batch when the run fails, is late, or too
 * many batches wait.
 */

import { ensemble } from '#actors/ensemble/protocol.ts';
import { floatsOf, recordsOf, vectorAt } from '#proto/flow-batch.ts';
import { unreachable } from '#proto/result.ts';
import { newScores, setScore, type Threat } from '#proto/threats.ts';
import { ABSTAINED, type EncodedVerdict, encodeVerdict } from '#proto/verdict.ts';
import type { Core, Effects, MessagesTo } from '#runtime/actor.ts';
import type { MlConfig } from './config.ts';
import type { Manifest, ModelEntry } from './manifest.ts';
import type { ml } from './protocol.ts';
import { EXPLAINED_FROM, type Explainer, explainer } from './reasons.ts';
import { type Selection, select } from './selection.ts';

export type Self =
  | MessagesTo<typeof ml>
  /** The model is open and has answered a probe. */
  | { readonly kind: 'opened'; readonly manifest: Manifest; readonly model: ModelEntry }
  /**
   * One score a row of the selection; `vectors` holds those that need reasons, in the same order.
   */
  | {
      readonly kind: 'scored';
      readonly ticket: number;
      readonly scores: Float32Array;
      readonly vectors: Float32Array;
      readonly tookMs: number;
    }
  | { readonly kind: 'failed'; readonly ticket: number; readonly reason: string }
  | { readonly kind: 'late'; readonly ticket: number };

export type Commands = {
  describe: Record<never, never>;
  /**
   * Scores `rows` of `vectors`, one run at a time; copies out the vectors scored `explainFrom` or
   * more.
   */
  score: {
    readonly ticket: number;
    readonly vectors: Uint8Array;
    readonly rows: Uint32Array;
    readonly explainFrom: number;
  };
};

type Fx = Effects<Self, Commands>;
type Pending = {
  readonly ticket: number;
  readonly epoch: number;
  readonly seq: number;
  readonly subjects: number;
  readonly rows: Uint32Array;
  verdict: EncodedVerdict | undefined;
};

export type State = {
  readonly config: MlConfig;
  model: ModelEntry | undefined;
  explain: Explainer | undefined;
  epoch: number;
  tickets: number;
  /**
   * Runs handed to io that have not come back, late ones included: what bounds the shared memory
   * held.
   */
  running: number;
  /** Oldest first; told to the ensemble from the front, so that batches keep their order. */
  pending: Pending[];
};

const init = (config: MlConfig): State => ({
  config,
  model: undefined,
  explain: undefined,
  epoch: 0,
  tickets: 0,
  running: 0,
  pending: [],
});

const timerOf = (ticket: number): string => `run-${ticket}`;

/** Tells every verdict that nothing older waits for. */
const answer = (state: State, fx: Fx): void => {
  while (state.pending[0]?.verdict !== undefined) {
    const { epoch, seq, verdict, ticket } = state.pending.shift()!;
    fx.cancel(timerOf(ticket));
    fx.tell(ensemble, { kind: 'verdict', engine: 'ml', epoch, seq, ...verdict! });
  }
};

const settle = (state: State, ticket: number, verdict: EncodedVerdict, fx: Fx): void => {
  const waiting = state.pending.find((entry) => entry.ticket === ticket);
  if (waiting === undefined || waiting.verdict !== undefined) return;
  waiting.verdict = verdict;
  answer(state, fx);
};

const count = (selection: Selection, windows: number, fx: Fx): void => {
  const { rows, unknown, broken } = selection;
  if (rows.length > 0) fx.emit('flows_scored', rows.length);
  if (unknown > 0) fx.emit('flows_unknown', unknown);
  if (broken > 0) fx.emit('vectors_broken', broken);
  if (windows > 0) fx.emit('windows_abstained', windows);
};

const onBatch = (state: State, batch: Extract<Self, { readonly kind: 'batch' }>, fx: Fx): void => {
  if (batch.epoch < state.epoch) return;
  if (batch.epoch > state.epoch) {
    for (const { ticket } of state.pending) fx.cancel(timerOf(ticket));
    state.pending = [];
    state.epoch = batch.epoch;
  }
  state.tickets += 1;
  const ticket = state.tickets;
  const { epoch, seq, flows, windows } = batch;
  const put = (rows: Uint32Array, verdict?: EncodedVerdict): void => {
    state.pending.push({ ticket, epoch, seq, subjects: flows + windows, rows, verdict });
  };
  const none = new Uint32Array(0);
  if (state.model === undefined || state.running >= state.config.inFlightMax) {
    fx.emit('batches_shed', 1);
    put(none, ABSTAINED);
    return answer(state, fx);
  }
  const { knows } = state.model;
  const selection = select(knows, floatsOf(batch.vectors), recordsOf(batch.columns), flows);
  count(selection, windows, fx);
  if (selection.rows.length === 0) {
    put(none, ABSTAINED);
    return answer(state, fx);
  }
  put(selection.rows);
  state.running += 1;
  fx.io('score', {
    ticket,
    vectors: batch.vectors,
    rows: selection.rows,
    explainFrom: EXPLAINED_FROM,
  });
  fx.after(state.config.runTimeoutMs, { kind: 'late', ticket }, timerOf(ticket));
};

const verdictOf = (
  waiting: Pending,
  threat: Threat,
  explain: Explainer,
  scores: Float32Array,
  vectors: Float32Array,
): EncodedVerdict => {
  const matrix = newScores(waiting.subjects);
  const confidences = newScores(waiting.subjects);
  const reasons: unknown[] = [];
  waiting.rows.forEach((subject, k) => {
    const score = scores[k] ?? 0;
    setScore(matrix, subject, threat, score);
    // A calibrated score is the probability of attack: sureness is that of the likelier side.
    setScore(confidences, subject, threat, Math.max(score, 1 - score));
    if (score >= EXPLAINED_FROM) {
      reasons.push({ subject, threat, reasons: explain(vectorAt(vectors, reasons.length), score) });
    }
  });
  return encodeVerdict(matrix, confidences, reasons);
};

const isUsable = (scores: Float32Array, rows: number): boolean =>
  scores.length === rows && scores.every((score) => score >= 0 && score <= 1);

const onScored = (
  state: State,
  message: Extract<Self, { readonly kind: 'scored' }>,
  fx: Fx,
): void => {
  const { ticket, scores, vectors, tookMs } = message;
  fx.emit('run_seconds', tookMs / 1000);
  const waiting = state.pending.find((entry) => entry.ticket === ticket);
  if (waiting === undefined || state.model === undefined || state.explain === undefined) return;
  if (!isUsable(scores, waiting.rows.length)) {
    fx.emit('runs_failed', 1);
    fx.log('error', 'the model answered what is no score', { model: state.model.version });
    return settle(state, ticket, ABSTAINED, fx);
  }
  const verdict = verdictOf(waiting, state.model.threat, state.explain, scores, vectors);
  settle(state, ticket, verdict, fx);
};

const step = (state: State, message: Self, fx: Fx): void => {
  switch (message.kind) {
    case 'batch':
      return onBatch(state, message, fx);
    case 'opened':
      state.model = message.model;
      state.explain = explainer(message.manifest, message.model);
      fx.signal({ kind: 'fact', name: 'model', value: message.model.version });
      fx.log('info', 'model opened', { model: message.model.version });
      return;
    case 'scored':
      state.running -= 1;
      return onScored(state, message, fx);
    case 'failed':
      state.running -= 1;
      fx.emit('runs_failed', 1);
      fx.log('error', 'a run of the model failed', { reason: message.reason });
      return settle(state, message.ticket, ABSTAINED, fx);
    case 'late':
      fx.emit('runs_late', 1);
      return settle(state, message.ticket, ABSTAINED, fx);
    default:
      return unreachable(message);
  }
};

export const core: Core<MlConfig, State, Self, Commands> = {
  init,
  start: (_state, fx) => fx.io('describe', {}),
  step,
};
