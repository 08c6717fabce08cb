/**
 * The flow meter: packets in, finished flows out. Rules of the corrected CICFlowMeter (Engelen,
 * Rimmer, Joosen, "Troubleshooting an Intrusion Detection Dataset", WTMC 2021; Liu et al., CNS
 * 2022): a TCP connection has ended after FIN both ways and an ACK, or after RST; what still comes
 * belongs to it until a SYN begins the next one. Ours besides: an ended flow is handed out
 * `lingerMs` after its last packet, one that is silent for the flow timeout at once, and the least
 * recently used one where the table is full.
 */
import {
  BATCH_MAX,
  type CloseReason,
  FEATURE_COUNT,
  FLOW,
  PACKET,
  PACKET_FACT,
  TCP_FLAG,
} from '#proto/flow-batch.ts';
import { PHASE, ROW, S } from './state.ts';
import {
  type FlowTable,
  find,
  flowTable,
  insert,
  keyOf,
  type Queue,
  remove,
  touch,
} from './table.ts';
import { addPacket } from './update.ts';
import { writeFlow } from './vector.ts';

export type MeterConfig = {
  readonly flowTimeoutMs: number;
  readonly activityTimeoutMs: number;
  readonly lingerMs: number;
  /**
   * A packet up to this much older than its flow's last is out of order; beyond it time began anew.
   */
  readonly reorderMs: number;
  readonly flowsMax: number;
};

/** At most BATCH_MAX finished flows. */
export type FlowBatch = {
  readonly count: number;
  readonly vectors: Float32Array;
  readonly columns: Uint8Array;
};

export type Meter = {
  /** Adds one PACKET record; returns its PACKET_FACT bits. */
  packet(view: DataView, row: number): number;
  /** Full batches of finished flows, or with `all` the unfilled one, too. */
  take(all: boolean): FlowBatch[];
  /** Capture time has come to this, in microseconds: silent and ended flows leave. */
  advance(timeUs: number): void;
  /** Ends every open flow. */
  flush(): void;
  reset(): void;
  open(): number;
};

const { offset: P, size: PACKET_BYTES } = PACKET;
const TCP = 6;
const UDP = 17;

type Out = {
  full: FlowBatch[];
  vectors: Float32Array;
  columns: Uint8Array;
  view: DataView;
  count: number;
};
type Limits = {
  readonly timeoutUs: number;
  readonly activityUs: number;
  readonly lingerUs: number;
  readonly reorderUs: number;
};
type State = { table: FlowTable; readonly limits: Limits; readonly out: Out; clockUs: number };

const newOut = (out: Out): void => {
  out.vectors = new Float32Array(BATCH_MAX * FEATURE_COUNT);
  out.columns = new Uint8Array(BATCH_MAX * FLOW.size);
  out.view = new DataView(out.columns.buffer);
  out.count = 0;
};

const cut = (out: Out): void => {
  out.full.push({
    count: out.count,
    vectors: out.vectors.subarray(0, out.count * FEATURE_COUNT),
    columns: out.columns.subarray(0, out.count * FLOW.size),
  });
  newOut(out);
};

const queueOf = (table: FlowTable, slot: number): Queue =>
  table.slab[slot * ROW + S.phase]! >= PHASE.closedByFin ? 'ended' : 'open';

const finish = ({ table, out }: State, slot: number, otherwise: CloseReason): void => {
  const phase = table.slab[slot * ROW + S.phase];
  let reason = otherwise;
  if (phase === PHASE.closedByFin) reason = 'fin';
  if (phase === PHASE.closedByRst) reason = 'rst';
  writeFlow(out.vectors, out.view, out.count, table, slot, reason);
  out.count += 1;
  if (out.count === BATCH_MAX) cut(out);
  remove(table, slot, queueOf(table, slot));
};

const sweep = (state: State): void => {
  const { table, limits, clockUs } = state;
  const lastUs = (slot: number): number => table.slab[slot * ROW + S.lastUs]!;
  for (let slot = table.ended.tail; slot !== -1; slot = table.ended.tail) {
    if (clockUs - lastUs(slot) <= limits.lingerUs) break;
    finish(state, slot, 'fin');
  }
  for (let slot = table.open.tail; slot !== -1; slot = table.open.tail) {
    if (clockUs - lastUs(slot) <= limits.timeoutUs) break;
    finish(state, slot, 'idle');
  }
};

/** The clock of the capture: the newest time seen, unless time begins anew (joined captures). */
const tick = (state: State, timeUs: number): void => {
  if (timeUs > state.clockUs || state.clockUs - timeUs > state.limits.reorderUs) {
    state.clockUs = timeUs;
    sweep(state);
  }
};

/** TCP's way to its end, after the packet was added. */
const follow = (table: FlowTable, slot: number, bits: number): void => {
  const base = slot * ROW;
  const { slab } = table;
  const phase = slab[base + S.phase]!;
  let next = phase;
  if (bits & TCP_FLAG.fin) {
    if (phase === PHASE.open) next = PHASE.firstFin;
    else if (phase === PHASE.firstFin && slab[base + S.fwdFin]! > 0 && slab[base + S.bwdFin]! > 0) {
      next = PHASE.bothFin;
    }
  } else if (bits & TCP_FLAG.rst) {
    if (phase < PHASE.closedByFin) next = PHASE.closedByRst;
  } else if (bits & TCP_FLAG.ack && phase === PHASE.bothFin) next = PHASE.closedByFin;
  slab[base + S.phase] = next;
  const was: Queue = phase >= PHASE.closedByFin ? 'ended' : 'open';
  touch(table, slot, was, next >= PHASE.closedByFin ? 'ended' : 'open');
};

/** A later packet of this flow belongs to the next one. */
const isOver = (state: State, slot: number, timeUs: number, bits: number): boolean => {
  const base = slot * ROW;
  const { slab } = state.table;
  return (
    timeUs - slab[base + S.firstUs]! > state.limits.timeoutUs ||
    slab[base + S.lastUs]! - timeUs > state.limits.reorderUs ||
    (slab[base + S.phase]! >= PHASE.closedByFin && (bits & TCP_FLAG.syn) !== 0)
  );
};

/** ICMP of another type and code is another conversation. */
const isOtherIcmp = (slab: Float64Array, base: number, view: DataView, at: number): boolean => {
  const protocol = slab[base + S.protocol];
  if (protocol !== 1 && protocol !== 58) return false;
  return (
    slab[base + S.icmpType] !== view.getUint8(at + P.icmpType) &&
    slab[base + S.icmpCode] !== view.getUint8(at + P.icmpCode)
  );
};

/** What a flow cut by the flow timeout leaves to the part that follows. */
type Inherited = {
  readonly reversed: number;
  readonly handshake: number;
  readonly sequence: number;
};

const inheritance = (
  state: State,
  slot: number,
  timeUs: number,
  bits: number,
): Inherited | undefined => {
  const base = slot * ROW;
  const { slab } = state.table;
  const protocol = slab[base + S.protocol];
  if (protocol !== TCP && protocol !== UDP) return undefined;
  if (slab[base + S.phase]! >= PHASE.closedByFin && bits & TCP_FLAG.syn) return undefined;
  const silentUs = timeUs - slab[base + S.lastUs]!;
  if (protocol === UDP && silentUs > state.limits.timeoutUs) return undefined;
  if (-silentUs > state.limits.reorderUs) return undefined;
  return {
    reversed: slab[base + S.reversed]!,
    handshake: slab[base + S.handshake]!,
    sequence: slab[base + S.bwdNextSequence]!,
  };
};

const open = (state: State, bucket: number, bits: number, from: Inherited | undefined): number => {
  const { table } = state;
  if (table.size >= table.flowsMax) {
    const oldest = table.ended.tail === -1 ? table.open.tail : table.ended.tail;
    finish(state, oldest, 'evicted');
  }
  const slot = insert(table, bucket);
  // An answer without its question: the capture lost or delayed the SYN.
  const isAnswer = (bits & TCP_FLAG.syn) !== 0 && (bits & TCP_FLAG.ack) !== 0;
  const reversed = table.reversed !== isAnswer ? 1 : 0;
  table.slab[slot * ROW + S.reversed] = from?.reversed ?? reversed;
  if (from !== undefined) table.slab[slot * ROW + S.handshake] = from.handshake;
  return slot;
};

const meterPacket = (state: State, view: DataView, row: number): number => {
  const { table, limits } = state;
  const at = row * PACKET_BYTES;
  const timeUs = view.getFloat64(at + P.timeUs, true);
  tick(state, timeUs);
  const bits = view.getUint8(at + P.tcpFlags);
  const bucket = keyOf(table, view, row);
  let slot = find(table, bucket);
  let facts = 0;
  let inherited: Inherited | undefined;
  if (slot !== -1) {
    const other = isOtherIcmp(table.slab, slot * ROW, view, at);
    if (other || isOver(state, slot, timeUs, bits)) {
      inherited = inheritance(state, slot, timeUs, bits);
      finish(state, slot, 'active');
      slot = -1;
    }
  }
  if (slot === -1) {
    slot = open(state, bucket, bits, inherited);
    facts |= PACKET_FACT.newFlow;
  }
  const base = slot * ROW;
  const forward = table.reversed === (table.slab[base + S.reversed] === 1);
  if (forward) facts |= PACKET_FACT.forward;
  const inOrderUs = Math.max(timeUs, table.slab[base + S.lastUs]!);
  if (addPacket(table.slab, base, view, row, inOrderUs, forward, limits.activityUs)) {
    facts |= PACKET_FACT.handshake;
  }
  if (inherited !== undefined && table.slab[base + S.bwdNextSequence] === -1) {
    table.slab[base + S.bwdNextSequence] = inherited.sequence;
  }
  follow(table, slot, bits);
  return facts;
};

export const createMeter = (config: MeterConfig): Meter => {
  const out: Out = {
    full: [],
    vectors: new Float32Array(0),
    columns: new Uint8Array(0),
    view: new DataView(new ArrayBuffer(0)),
    count: 0,
  };
  newOut(out);
  const limits: Limits = {
    timeoutUs: config.flowTimeoutMs * 1000,
    activityUs: config.activityTimeoutMs * 1000,
    lingerUs: config.lingerMs * 1000,
    reorderUs: config.reorderMs * 1000,
  };
  const state: State = { table: flowTable(config.flowsMax), limits, out, clockUs: 0 };
  return {
    packet: (view, row) => meterPacket(state, view, row),
    take: (all) => {
      if (all && out.count > 0) cut(out);
      return out.full.splice(0);
    },
    advance: (timeUs) => tick(state, Math.max(timeUs, state.clockUs)),
    flush: () => {
      const { table } = state;
      while (table.ended.tail !== -1) finish(state, table.ended.tail, 'flush');
      while (table.open.tail !== -1) finish(state, table.open.tail, 'flush');
    },
    reset: () => {
      state.table = flowTable(config.flowsMax);
      state.clockUs = 0;
      out.full = [];
      newOut(out);
    },
    open: () => state.table.size,
  };
};
