/**
 * Packets to flows to vectors, and beside them the windows. A function of the batches of one epoch
 * alone: no clock, no timer, so reading again gives the same bytes again. Output batches have their
 * own numbers; `passed` tells telemetry how far an input batch went.
 */
import { ensemble } from '#actors/ensemble/protocol.ts';
import { math } from '#actors/math/protocol.ts';
import { ml } from '#actors/ml/protocol.ts';
import { rules } from '#actors/rules/protocol.ts';
import { telemetry } from '#actors/telemetry/protocol.ts';
import {
  bytesOf,
  F,
  FEATURE_COUNT,
  FLOW,
  floatsOf,
  isVector,
  PACKET_FACT,
  recordsOf,
  vectorAt,
  WINDOW,
  WINDOWS_MAX,
} from '#proto/flow-batch.ts';
import { unreachable } from '#proto/result.ts';
import type { Core, Effects, MessagesTo } from '#runtime/actor.ts';
import type { FeaturesConfig } from './config.ts';
import { createMeter, type FlowBatch, type Meter } from './meter/meter.ts';
import type { features } from './protocol.ts';
import { observePacket } from './windows/observe.ts';
import { observeFlow } from './windows/observe-flow.ts';
import { WINDOW_DEFAULTS } from './windows/settings.ts';
import {
  createWindows,
  flushWindows,
  pendingWindows,
  resetWindows,
  takeWindows,
  type Windows,
} from './windows/windows.ts';

export type Self = MessagesTo<typeof features>;
type Packets = Extract<Self, { kind: 'packets' }>;
type Rows = Extract<Self, { kind: 'rows' }>;
type Fx = Effects<Self>;

export type State = {
  readonly meter: Meter;
  readonly windows: Windows;
  epoch: number;
  capture: string;
  /** Of the newest output batch of this epoch; 0 = none yet. */
  seq: number;
  /** Of windows.dropped and windows.late, what has been reported. */
  dropped: number;
  late: number;
};

const NOTHING: FlowBatch = { count: 0, vectors: new Float32Array(0), columns: new Uint8Array(0) };

/** Leaves out rows that are not 79 finite numbers: they never reach a model. */
const onlyVectors = (batch: FlowBatch): FlowBatch => {
  const good: number[] = [];
  for (let row = 0; row < batch.count; row++) {
    if (isVector(vectorAt(batch.vectors, row))) good.push(row);
  }
  if (good.length === batch.count) return batch;
  const vectors = new Float32Array(good.length * FEATURE_COUNT);
  const columns = new Uint8Array(good.length * FLOW.size);
  good.forEach((row, index) => {
    vectors.set(vectorAt(batch.vectors, row), index * FEATURE_COUNT);
    columns.set(batch.columns.subarray(row * FLOW.size, (row + 1) * FLOW.size), index * FLOW.size);
  });
  return { count: good.length, vectors, columns };
};

const send = (state: State, flows: FlowBatch, end: boolean, fx: Fx): void => {
  const aggregates = takeWindows(state.windows, WINDOWS_MAX);
  const good = onlyVectors(flows);
  const windows = aggregates.length / WINDOW.size;
  state.seq += 1;
  const batch = {
    kind: 'batch',
    epoch: state.epoch,
    seq: state.seq,
    flows: good.count,
    windows,
    vectors: bytesOf(good.vectors),
    columns: good.columns,
    aggregates,
    end,
  } as const;
  // The ensemble first: it must know a batch before the first verdict on it.
  fx.tell(ensemble, { ...batch, capture: state.capture });
  fx.tell(rules, batch);
  fx.tell(math, batch);
  fx.tell(ml, batch);
  if (flows.count > 0) fx.emit('stage_flows', flows.count);
  if (good.count > 0) fx.emit('stage_vectors', good.count);
  if (good.count < flows.count) fx.emit('vectors_refused', flows.count - good.count);
  if (windows > 0) fx.emit('windows', windows);
};

/** Hands out what is ready; with `end`, at least one batch, the last of which says so. */
const handOut = (state: State, flows: readonly FlowBatch[], end: boolean, fx: Fx): void => {
  const waiting = [...flows];
  let due = end || waiting.length > 0 || pendingWindows(state.windows) > 0;
  while (due) {
    const next = waiting.shift() ?? NOTHING;
    const isLast = waiting.length === 0 && pendingWindows(state.windows) <= WINDOWS_MAX;
    send(state, next, end && isLast, fx);
    due = !isLast;
  }
};

/** Begins anew where the message is of a newer epoch; false where it is of an older one. */
const isCurrent = (state: State, message: Self, fx: Fx): boolean => {
  if (message.epoch < state.epoch) {
    fx.emit('stale_batches', 1);
    return false;
  }
  if (message.epoch > state.epoch) {
    state.meter.reset();
    resetWindows(state.windows);
    state.epoch = message.epoch;
    state.capture = message.capture;
    state.seq = 0;
  }
  return true;
};

const passed = (state: State, message: Self, fx: Fx): void => {
  const { epoch, seq } = message;
  fx.tell(telemetry, { kind: 'passed', epoch, seq, lastSeq: state.seq });
  const { dropped, late } = state.windows;
  if (dropped > state.dropped) fx.emit('windows_dropped', dropped - state.dropped);
  if (late > state.late) fx.emit('window_packets_late', late - state.late);
  state.dropped = dropped;
  state.late = late;
};

const onPackets = (state: State, message: Packets, fx: Fx): void => {
  const view = recordsOf(message.packets);
  let begun = 0;
  for (let row = 0; row < message.count; row++) {
    const facts = state.meter.packet(view, row);
    if ((facts & PACKET_FACT.newFlow) !== 0) begun += 1;
    observePacket(state.windows, view, row);
    // A second may close with many records at once: they go on before the next one has no room.
    if (pendingWindows(state.windows) > WINDOWS_MAX / 2) send(state, NOTHING, false, fx);
  }
  if (message.flush) {
    state.meter.flush();
    flushWindows(state.windows);
  }
  handOut(state, state.meter.take(true), message.end, fx);
  if (message.count > 0) fx.emit('packets', message.count);
  if (begun > 0) fx.emit('flows_begun', begun);
  fx.gauge('flows_open', state.meter.open());
};

const onRows = (state: State, message: Rows, fx: Fx): void => {
  const vectors = floatsOf(message.vectors);
  const view = recordsOf(message.columns);
  let packets = 0;
  for (let row = 0; row < message.count; row++) {
    observeFlow(state.windows, view, row, vectors);
    const vector = vectorAt(vectors, row);
    packets += (vector[F.tot_fwd_pkts] ?? 0) + (vector[F.tot_bwd_pkts] ?? 0);
    if (pendingWindows(state.windows) > WINDOWS_MAX / 2) send(state, NOTHING, false, fx);
  }
  if (message.flush) flushWindows(state.windows);
  const flows = { count: message.count, vectors, columns: message.columns };
  handOut(state, message.count > 0 ? [flows] : [], message.end, fx);
  if (packets > 0) fx.emit('packets', packets);
};

export const core: Core<FeaturesConfig, State, Self> = {
  init: (config) => ({
    meter: createMeter(config),
    windows: createWindows({ ...WINDOW_DEFAULTS, ...config.windows }),
    epoch: 0,
    capture: '',
    seq: 0,
    dropped: 0,
    late: 0,
  }),
  start: (_state, fx) => fx.signal({ kind: 'ready' }),
  step: (state, message, fx) => {
    if (!isCurrent(state, message, fx)) return;
    switch (message.kind) {
      case 'packets':
        onPackets(state, message, fx);
        break;
      case 'rows':
        onRows(state, message, fx);
        break;
      default:
        return unreachable(message);
    }
    passed(state, message, fx);
  },
};
