/**
 * Collects the verdicts on each batch, decides the batches in their order, hands what is told to the signer, and
 * lets telemetry go on when every detection of a batch has its fate. All state is of one epoch.
 */
import { math } from '#actors/math/protocol.ts';
import { ml } from '#actors/ml/protocol.ts';
import { rules } from '#actors/rules/protocol.ts';
import { signer } from '#actors/signer/protocol.ts';
import { telemetry } from '#actors/telemetry/protocol.ts';
import type { Crypto } from '#proto/crypto.ts';
import { parseCidr } from '#proto/ip.ts';
import { unreachable } from '#proto/result.ts';
import type { Address, Core, Effects, MessagesTo } from '#runtime/actor.ts';
import {
  type BatchMessage,
  type Pending,
  pendingOf,
  type VerdictMessage,
  verdictOf,
} from './batches.ts';
import type { EnsembleConfig } from './config.ts';
import { abstentions, type Deciding, decide } from './decide.ts';
import { newIncidents } from './incidents.ts';
import {
  answered,
  clearOutbox,
  due,
  enqueue,
  isEmpty,
  newOutbox,
  type Outbox,
  unsend,
} from './outbox.ts';
import { ENGINES, type Engine, type ensemble } from './protocol.ts';
import { newRecall } from './recall.ts';

export type Self =
  | MessagesTo<typeof ensemble>
  | { readonly kind: 'deadline'; readonly epoch: number; readonly seq: number }
  | { readonly kind: 'engineDown'; readonly engine: Engine }
  | { readonly kind: 'signerDown' }
  | { readonly kind: 'watchAgain'; readonly who: Engine | 'signer' };

type Fx = Effects<Self>;

export type State = {
  readonly config: EnsembleConfig;
  deciding: Deciding;
  epoch: number;
  /** In order of seq; decided from the front. */
  pending: Pending[];
  /** Verdicts that came before their batch did. */
  early: VerdictMessage[];
  readonly outbox: Outbox;
  /** Newest batch that was decided, and up to which telemetry may go on. */
  decidedSeq: number;
  processedSeq: number;
  /** Deadlines missed and deaths since the last verdict, by engine. */
  readonly misses: { [E in Engine]: number };
  ended: boolean;
  endTold: boolean;
};

const EARLY_MAX = 64;
/** Addresses whose last words are remembered. */
const RECALL_ENTRIES_MAX = 8_192;

/** After so many misses nobody waits for an engine until it is heard again. */
const MISSES_MAX = 3;
const WATCH_AGAIN_MS = 1_000;

const ENGINE_ADDRESSES: { readonly [E in Engine]: Address } = { rules, math, ml };

const deadlineKey = (seq: number): string => `deadline-${seq}`;

const freshDeciding = (config: EnsembleConfig, crypto: Pick<Crypto, 'sha256'>): Deciding => ({
  config,
  networks: config.protected.flatMap((text) => parseCidr(text) ?? []),
  incidents: newIncidents(),
  recall: newRecall(RECALL_ENTRIES_MAX),
  crypto,
});

/** `pcap:scan.pcap.gz` or `synthetic`, as telemetry names what an epoch reads. */
const citationOf = (capture: string): EnsembleConfig['capture'] => {
  const colon = capture.indexOf(':');
  if (colon === -1) return { source: capture, path: '' };
  return { source: capture.slice(0, colon), path: capture.slice(colon + 1, colon + 257) };
};

const beginEpoch = (state: State, epoch: number, capture: string, fx: Fx): void => {
  for (const { seq } of state.pending) fx.cancel(deadlineKey(seq));
  const config = capture === '' ? state.config : { ...state.config, capture: citationOf(capture) };
  state.deciding = freshDeciding(config, state.deciding.crypto);
  state.epoch = epoch;
  state.pending = [];
  state.early = state.early.filter((verdict) => verdict.epoch >= epoch);
  clearOutbox(state.outbox);
  state.decidedSeq = 0;
  state.processedSeq = 0;
  state.ended = false;
  state.endTold = false;
};

const send = (state: State, fx: Fx): void => {
  for (const detection of due(state.outbox)) {
    fx.tell(signer, { kind: 'detection', epoch: state.epoch, ...detection });
  }
};

/** Everything before the oldest batch that still waits for the signer is processed. */
const settle = (state: State, fx: Fx): void => {
  let mark = state.decidedSeq;
  for (const seq of state.outbox.bySeq.keys()) mark = Math.min(mark, seq - 1);
  if (mark > state.processedSeq) {
    state.processedSeq = mark;
    fx.tell(telemetry, { kind: 'processed', epoch: state.epoch, seq: mark });
  }
  if (state.ended && !state.endTold && state.pending.length === 0 && isEmpty(state.outbox)) {
    state.endTold = true;
    fx.tell(signer, { kind: 'ended', epoch: state.epoch });
  }
};

const report = (batch: Pending, told: number, fx: Fx): void => {
  if (told > 0) fx.emit('stage_detections', told);
  for (const engine of ENGINES) {
    const silent = abstentions(batch, engine);
    if (silent > 0) fx.emit(`abstained_${engine}`, silent);
  }
  fx.emit('subjects', batch.flows + batch.windows);
};

const isComplete = (state: State, batch: Pending): boolean =>
  batch.expired ||
  ENGINES.every((engine) => batch.verdicts.has(engine) || state.misses[engine] >= MISSES_MAX);

const decideReady = (state: State, fx: Fx): void => {
  while (state.pending[0] !== undefined && isComplete(state, state.pending[0])) {
    const batch = state.pending.shift()!;
    fx.cancel(deadlineKey(batch.seq));
    const tellings = decide(state.deciding, batch);
    enqueue(state.outbox, batch.seq, tellings);
    report(batch, tellings.length, fx);
    state.decidedSeq = batch.seq;
    if (batch.end) state.ended = true;
  }
  fx.gauge('batches_pending', state.pending.length);
  fx.gauge('incidents_open', state.deciding.incidents.open.size);
  send(state, fx);
  settle(state, fx);
};

const hear = (batch: Pending, engine: Engine, message: VerdictMessage): void => {
  if (batch.verdicts.has(engine)) return;
  batch.verdicts.set(engine, verdictOf(message, batch.flows + batch.windows));
};

const onBatch = (state: State, message: BatchMessage, fx: Fx): void => {
  if (message.epoch < state.epoch) return;
  if (message.epoch > state.epoch) beginEpoch(state, message.epoch, message.capture, fx);
  const batch = pendingOf(message);
  state.pending.push(batch);
  const isOurs = (verdict: VerdictMessage): boolean =>
    verdict.epoch === message.epoch && verdict.seq === message.seq;
  for (const verdict of state.early.filter(isOurs)) hear(batch, verdict.engine, verdict);
  state.early = state.early.filter((verdict) => !isOurs(verdict));
  const { deadlineMs, pendingMax } = state.config;
  const { epoch, seq } = message;
  fx.after(deadlineMs, { kind: 'deadline', epoch, seq }, deadlineKey(seq));
  const oldest = state.pending[0];
  if (state.pending.length > pendingMax && oldest !== undefined) {
    oldest.expired = true;
    fx.emit('batches_hurried', 1);
  }
  decideReady(state, fx);
};

const onVerdict = (state: State, message: VerdictMessage, fx: Fx): void => {
  const { epoch, seq, engine } = message;
  if (epoch < state.epoch) return;
  if (state.misses[engine] >= MISSES_MAX) fx.log('info', 'an engine is back', { engine });
  state.misses[engine] = 0;
  const batch = epoch === state.epoch ? state.pending.find((one) => one.seq === seq) : undefined;
  if (batch !== undefined) {
    hear(batch, engine, message);
    return decideReady(state, fx);
  }
  if (epoch === state.epoch && seq <= state.decidedSeq) {
    fx.emit('verdicts_late', 1);
    return;
  }
  if (state.early.length >= EARLY_MAX) state.early.shift();
  const kept = { scores: message.scores.slice(), confidences: message.confidences.slice() };
  state.early.push({ ...message, ...kept });
};

const onDeadline = (state: State, epoch: number, seq: number, fx: Fx): void => {
  if (epoch !== state.epoch) return;
  const batch = state.pending.find((one) => one.seq === seq);
  if (batch === undefined) return;
  batch.expired = true;
  const missing = ENGINES.filter((engine) => !batch.verdicts.has(engine));
  for (const engine of missing) state.misses[engine] += 1;
  fx.emit('batches_expired', 1);
  fx.log('warn', 'engines were late and abstain', { seq, engines: missing.join(' ') });
  decideReady(state, fx);
};

/** What it had in its hands is lost; the batches behind it are in its mailbox still. */
const onEngineDown = (state: State, engine: Engine, fx: Fx): void => {
  fx.after(WATCH_AGAIN_MS, { kind: 'watchAgain', who: engine }, `watch-${engine}`);
  state.misses[engine] += 1;
  const batch = state.pending.find((one) => !one.verdicts.has(engine));
  if (batch !== undefined) {
    batch.verdicts.set(engine, undefined);
    fx.emit('batches_bereft', 1);
  }
  decideReady(state, fx);
};

const tellAgain = (state: State, fx: Fx): void => {
  unsend(state.outbox);
  state.endTold = false;
  send(state, fx);
  settle(state, fx);
};

const onSignerDown = (state: State, fx: Fx): void => {
  fx.after(WATCH_AGAIN_MS, { kind: 'watchAgain', who: 'signer' }, 'watch-signer');
  tellAgain(state, fx);
};

const watchOver = (who: Engine | 'signer', fx: Fx): void => {
  if (who === 'signer') fx.watch(signer, { kind: 'signerDown' });
  else fx.watch(ENGINE_ADDRESSES[who], { kind: 'engineDown', engine: who });
};

/** Only after a while: one that is gone for good would be reported at once, for ever. */
const onWatchAgain = (state: State, who: Engine | 'signer', fx: Fx): void => {
  watchOver(who, fx);
  // It may have died again unseen meanwhile. What is told twice is answered with the same id.
  if (who === 'signer') tellAgain(state, fx);
};

const onPublished = (
  state: State,
  message: Extract<Self, { readonly kind: 'published' }>,
  fx: Fx,
): void => {
  if (message.epoch !== state.epoch) return;
  const { seq, id, outcome } = message;
  if (!answered(state.outbox, seq, id, outcome !== 'dropped')) return;
  send(state, fx);
  settle(state, fx);
};

export const ensembleCore = (
  crypto: Pick<Crypto, 'sha256'>,
): Core<EnsembleConfig, State, Self> => ({
  init: (config) => ({
    config,
    deciding: freshDeciding(config, crypto),
    epoch: 0,
    pending: [],
    early: [],
    outbox: newOutbox(2 * config.incidentsMax),
    decidedSeq: 0,
    processedSeq: 0,
    misses: { rules: 0, math: 0, ml: 0 },
    ended: false,
    endTold: false,
  }),
  start: (_state, fx) => {
    for (const engine of ENGINES) watchOver(engine, fx);
    watchOver('signer', fx);
    fx.tell(telemetry, { kind: 'resume' });
    fx.signal({ kind: 'ready' });
  },
  step: (state, message, fx) => {
    switch (message.kind) {
      case 'batch':
        return onBatch(state, message, fx);
      case 'verdict':
        return onVerdict(state, message, fx);
      case 'deadline':
        return onDeadline(state, message.epoch, message.seq, fx);
      case 'published':
        return onPublished(state, message, fx);
      case 'engineDown':
        return onEngineDown(state, message.engine, fx);
      case 'signerDown':
        return onSignerDown(state, fx);
      case 'watchAgain':
        return onWatchAgain(state, message.who, fx);
      default:
        return unreachable(message);
    }
  },
});
