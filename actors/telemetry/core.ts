/**
 * Hands out batches, at most so many that are not yet processed to their end, and moves the durable
 * position at the end of each file, when everything of it is. Reading itself is io's.
 */
import { features } from '#actors/features/protocol.ts';
import { unreachable } from '#proto/result.ts';
import type { Core, Effects, MessagesTo } from '#runtime/actor.ts';
import type { TelemetryConfig } from './config.ts';
import type { telemetry } from './protocol.ts';

/** What io read: packets, or rows of a flow table. */
export type SourceBatch =
  | { readonly shape: 'packets'; readonly count: number; readonly packets: Uint8Array }
  | {
      readonly shape: 'rows';
      readonly count: number;
      readonly vectors: Uint8Array;
      readonly columns: Uint8Array;
    };

export type Self =
  | MessagesTo<typeof telemetry>
  /** Reading stands at the durable position, under a new epoch; `complete`: nothing is left. */
  | {
      readonly kind: 'began';
      readonly epoch: number;
      /** `kind:base name`, or the kind alone. */
      readonly capture: string;
      readonly complete: boolean;
    }
  | {
      readonly kind: 'read';
      readonly epoch: number;
      readonly batch: SourceBatch;
      /** The last of its file; the last of all. */
      readonly fileEnd: boolean;
      readonly end: boolean;
    }
  /** The end of a file is durable. */
  | { readonly kind: 'settled'; readonly epoch: number; readonly more: boolean }
  | { readonly kind: 'resumeDue' }
  | { readonly kind: 'stallDue' };

export type Commands = {
  begin: Record<never, never>;
  next: { readonly epoch: number };
  settle: { readonly epoch: number };
};

type Fx = Effects<Self, Commands>;

/**
 * An input batch on its way; `lastSeq`: the output batch that it ends with, once features said so.
 */
type InFlight = { readonly seq: number; lastSeq: number | undefined };

export type State = {
  readonly config: TelemetryConfig;
  epoch: number;
  capture: string;
  seq: number;
  readonly inFlight: InFlight[];
  /** Newest output batch known to be processed. */
  processedSeq: number;
  /** One `next` is on its way at most. */
  isReading: boolean;
  /** The file's last batch has been handed out. */
  fileEnded: boolean;
  isBeginning: boolean;
  progressAtMs: number;
};

const idle = (config: TelemetryConfig): State => ({
  config,
  epoch: 0,
  capture: '',
  seq: 0,
  inFlight: [],
  processedSeq: 0,
  isReading: false,
  fileEnded: false,
  isBeginning: false,
  progressAtMs: 0,
});

const begin = (state: State, fx: Fx): void => {
  fx.cancel('resume');
  // What is on its way belongs to an epoch that is over.
  state.epoch = 0;
  state.inFlight.length = 0;
  if (state.isBeginning) return;
  state.isBeginning = true;
  fx.io('begin', {});
};

const readOn = (state: State, fx: Fx): void => {
  if (state.isReading || state.fileEnded) return;
  if (state.inFlight.length >= state.config.batchesInFlightMax) return;
  state.isReading = true;
  // What is read next is no consequence of what was read last.
  fx.under('', () => fx.io('next', { epoch: state.epoch }));
};

const NO_PACKETS: SourceBatch = { shape: 'packets', count: 0, packets: new Uint8Array(0) };

const handOut = (state: State, batch: SourceBatch, flush: boolean, end: boolean, fx: Fx): void => {
  state.seq += 1;
  state.inFlight.push({ seq: state.seq, lastSeq: undefined });
  const { epoch, seq, capture } = state;
  const head = { epoch, seq, count: batch.count, capture, flush, end };
  if (batch.shape === 'packets') {
    fx.tell(features, { kind: 'packets', ...head, packets: batch.packets });
  } else {
    const { vectors, columns } = batch;
    fx.tell(features, { kind: 'rows', ...head, vectors, columns });
  }
  fx.emit(batch.shape, batch.count);
  fx.gauge('batches_in_flight', state.inFlight.length);
};

const onBegan = (state: State, message: Extract<Self, { kind: 'began' }>, fx: Fx): void => {
  state.isBeginning = false;
  state.epoch = message.epoch;
  state.capture = message.capture;
  fx.signal({ kind: 'fact', name: 'source', value: message.capture });
  state.seq = 0;
  state.processedSeq = 0;
  state.inFlight.length = 0;
  state.isReading = false;
  state.fileEnded = message.complete;
  if (state.config.source.kind === 'none') return;
  if (message.complete) handOut(state, NO_PACKETS, true, true, fx);
  else readOn(state, fx);
};

const onRead = (state: State, message: Extract<Self, { kind: 'read' }>, fx: Fx): void => {
  if (message.epoch !== state.epoch) return;
  state.isReading = false;
  state.fileEnded = message.fileEnd;
  if (message.batch.count > 0 || message.fileEnd) {
    handOut(state, message.batch, message.fileEnd, message.end, fx);
  }
  readOn(state, fx);
};

/** Lets go of what is processed; at the end of a file, makes that durable. */
const settle = (state: State, fx: Fx, atMs: number): void => {
  const before = state.inFlight.length;
  while (state.inFlight[0] !== undefined) {
    const { lastSeq } = state.inFlight[0];
    if (lastSeq === undefined || lastSeq > state.processedSeq) break;
    state.inFlight.shift();
  }
  if (state.inFlight.length === before) return;
  state.progressAtMs = atMs;
  fx.gauge('batches_in_flight', state.inFlight.length);
  if (state.fileEnded && state.inFlight.length === 0) fx.io('settle', { epoch: state.epoch });
  else readOn(state, fx);
};

const onStall = (state: State, fx: Fx, atMs: number): void => {
  const { stallMs } = state.config;
  fx.after(stallMs, { kind: 'stallDue' }, 'stall');
  if (state.inFlight.length === 0) {
    state.progressAtMs = atMs;
    return;
  }
  if (atMs - state.progressAtMs < stallMs) return;
  fx.emit('stalls', 1);
  fx.log('warn', 'batches are in flight without progress', {
    epoch: state.epoch,
    batches: state.inFlight.length,
    oldest: state.inFlight[0]?.seq,
    stillMs: Math.round(atMs - state.progressAtMs),
  });
};

export const core: Core<TelemetryConfig, State, Self, Commands> = {
  init: idle,
  start: (state, fx, atMs) => {
    state.progressAtMs = atMs;
    fx.after(state.config.resumeWaitMs, { kind: 'resumeDue' }, 'resume');
    fx.after(state.config.stallMs, { kind: 'stallDue' }, 'stall');
    fx.signal({ kind: 'ready' });
  },
  step: (state, message, fx, atMs) => {
    switch (message.kind) {
      case 'resume':
        return begin(state, fx);
      case 'resumeDue':
        fx.log('warn', 'nobody asked for the first batch in time; reading begins');
        return begin(state, fx);
      case 'began':
        state.progressAtMs = atMs;
        return onBegan(state, message, fx);
      case 'read':
        return onRead(state, message, fx);
      case 'passed': {
        if (message.epoch !== state.epoch) return;
        const passed = state.inFlight.find((batch) => batch.seq === message.seq);
        if (passed !== undefined) passed.lastSeq = message.lastSeq;
        return settle(state, fx, atMs);
      }
      case 'processed':
        if (message.epoch !== state.epoch) return;
        state.processedSeq = Math.max(state.processedSeq, message.seq);
        return settle(state, fx, atMs);
      case 'settled':
        if (message.epoch === state.epoch && message.more) begin(state, fx);
        return;
      case 'stallDue':
        return onStall(state, fx, atMs);
      default:
        return unreachable(message);
    }
  },
};
