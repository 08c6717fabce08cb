/** Rows of text cells, whatever they come from, as vectors and FLOW records. Labels go aside, never into a vector. */
import {
  CLOSE_REASONS,
  F,
  FEATURE_COUNT,
  FLOW,
  FLOW_MARK,
  HANDSHAKES,
  type Handshake,
} from '#proto/flow-batch.ts';
import { putAddress, timeOf } from './cells.ts';
import type { Columns } from './columns.ts';

export type RowBatch = {
  readonly count: number;
  readonly vectors: Float32Array<ArrayBuffer>;
  readonly columns: Uint8Array<ArrayBuffer>;
};
/** Labels in the order of their first row; index 0 = none. FOR EVALUATION ONLY. */
export type LabelTable = string[];
const LABELS_MAX = 65_535;
const TCP = 6;

const at = (vector: Float32Array, index: number): number => vector[index] ?? 0;

/**
 * A row holds no sequence numbers: the handshake is inferred from its flags. Complete = SYN both
 * ways, later ACKs, and either payload both ways or no reset.
 */
const handshakeOf = (v: Float32Array): Handshake => {
  if (at(v, F.protocol) !== TCP || at(v, F.syn_flag_cnt) === 0) return 'none';
  const answered = at(v, F.syn_flag_cnt) >= 2 && at(v, F.tot_bwd_pkts) >= 1;
  const acknowledged = at(v, F.tot_fwd_pkts) >= 2 && at(v, F.ack_flag_cnt) >= 2;
  const talked = at(v, F.totlen_fwd_pkts) > 0 && at(v, F.totlen_bwd_pkts) > 0;
  const proven = answered && acknowledged && (talked || at(v, F.rst_flag_cnt) === 0);
  return proven ? 'complete' : 'syn';
};

/** Ports, protocol and counts that fit their columns. */
const isPlausible = (v: Float32Array): boolean => {
  const within = (index: number, max: number): boolean => {
    const value = at(v, index);
    return value >= 0 && value <= max && Number.isInteger(value);
  };
  return (
    within(F.src_port, 65_535) &&
    within(F.dst_port, 65_535) &&
    within(F.protocol, 255) &&
    within(F.tot_fwd_pkts, 0xffff_ffff) &&
    within(F.tot_bwd_pkts, 0xffff_ffff)
  );
};

type Writer = {
  readonly vectors: Float32Array<ArrayBuffer>;
  readonly columns: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  count: number;
};

const newWriter = (batchMax: number): Writer => {
  const columns = new Uint8Array(batchMax * FLOW.size);
  const vectors = new Float32Array(batchMax * FEATURE_COUNT);
  return { vectors, columns, view: new DataView(columns.buffer), count: 0 };
};

const batchOf = ({ vectors, columns, count }: Writer): RowBatch => ({
  count,
  vectors: vectors.subarray(0, count * FEATURE_COUNT),
  columns: columns.subarray(0, count * FLOW.size),
});

/** The 79 numbers of a row; false where one of them is none. */
const putVector = (cells: readonly string[], columns: Columns, vector: Float32Array): boolean =>
  columns.features.every((column, index) => {
    const text = cells[column] ?? '';
    const value = Math.fround(text.trim() === '' ? Number.NaN : Number(text));
    vector[index] = value;
    return Number.isFinite(value);
  });

/** Address and time of a row where the file has them; false where what it has is none. */
const putSides = (
  cells: readonly string[],
  columns: Columns,
  view: DataView,
  row: number,
  number: number,
): boolean => {
  let marks = 0;
  if (columns.source === -1 || columns.destination === -1) marks |= FLOW_MARK.addressUnknown;
  else {
    const source = FLOW.address.source(view, row);
    const destination = FLOW.address.destination(view, row);
    if (!putAddress(cells[columns.source] ?? '', source)) return false;
    if (!putAddress(cells[columns.destination] ?? '', destination)) return false;
    if (source[10] !== 0xff || source[11] !== 0xff) marks |= FLOW_MARK.ipv6;
  }
  let firstUs = number * 1e6;
  if (columns.timestamp === -1) marks |= FLOW_MARK.timeUnknown;
  else firstUs = timeOf(cells[columns.timestamp] ?? '');
  FLOW.set.firstUs(view, row, firstUs);
  FLOW.set.marks(view, row, marks);
  return Number.isFinite(firstUs);
};

const putColumns = (view: DataView, row: number, v: Float32Array): void => {
  const payload = at(v, F.totlen_fwd_pkts) + at(v, F.totlen_bwd_pkts);
  const headers = at(v, F.fwd_header_len) + at(v, F.bwd_header_len);
  FLOW.set.lastUs(view, row, FLOW.get.firstUs(view, row) + Math.max(0, at(v, F.flow_duration)));
  FLOW.set.bytes(view, row, payload + headers);
  FLOW.set.payloadBytes(view, row, payload);
  FLOW.set.packets(view, row, at(v, F.tot_fwd_pkts) + at(v, F.tot_bwd_pkts));
  FLOW.set.forwardPackets(view, row, at(v, F.tot_fwd_pkts));
  FLOW.set.sourcePort(view, row, at(v, F.src_port));
  FLOW.set.destinationPort(view, row, at(v, F.dst_port));
  FLOW.set.protocol(view, row, at(v, F.protocol));
  FLOW.set.handshake(view, row, HANDSHAKES.indexOf(handshakeOf(v)));
  FLOW.set.closeReason(view, row, CLOSE_REASONS.indexOf('row'));
};

const labelIndex = (labels: LabelTable, label: string): number => {
  if (labels.length === 0) labels.push('');
  const known = labels.indexOf(label);
  if (known !== -1) return known;
  return labels.length < LABELS_MAX ? labels.push(label) - 1 : 0;
};

/** Writes the row of these cells behind the rows of `writer`; false where they are malformed. */
const putRow = (
  writer: Writer,
  cells: readonly string[],
  columns: Columns,
  place: { readonly fileIndex: number; readonly number: number },
  labels: LabelTable,
): boolean => {
  if (cells.length !== columns.count) return false;
  const row = writer.count;
  const vector = writer.vectors.subarray(row * FEATURE_COUNT, (row + 1) * FEATURE_COUNT);
  writer.columns.fill(0, row * FLOW.size, (row + 1) * FLOW.size);
  if (!putVector(cells, columns, vector) || !isPlausible(vector)) return false;
  if (!putSides(cells, columns, writer.view, row, place.number)) return false;
  putColumns(writer.view, row, vector);
  FLOW.set.originNumber(writer.view, row, place.number);
  FLOW.set.fileIndex(writer.view, row, place.fileIndex);
  if (columns.label !== -1) {
    FLOW.set.labelIndex(writer.view, row, labelIndex(labels, cells[columns.label] ?? ''));
  }
  writer.count += 1;
  return true;
};

export type RowWriter = {
  /** `number`: of the row in its file or table, from 1. False where the row is malformed; nothing is written. */
  put(cells: readonly string[], columns: Columns, number: number): boolean;
  isFull(): boolean;
  isEmpty(): boolean;
  /** What was put since the last time. */
  take(): RowBatch;
};

export const rowWriter = (fileIndex: number, batchMax: number, labels: LabelTable): RowWriter => {
  let writer = newWriter(batchMax);
  return {
    put: (cells, columns, number) => putRow(writer, cells, columns, { fileIndex, number }, labels),
    isFull: () => writer.count >= batchMax,
    isEmpty: () => writer.count === 0,
    take: () => {
      const batch = batchOf(writer);
      writer = newWriter(batchMax);
      return batch;
    },
  };
};
