/**
 * The state of a finished flow as its 79 features and its side columns. Never NaN, never infinite.
 */
import { CLOSE_REASONS, type CloseReason, F, FEATURE_COUNT, FLOW } from '#proto/flow-batch.ts';
import {
  BULK,
  BWD_BULK,
  countOf,
  deviationOf,
  FWD_BULK,
  maxOf,
  meanOf,
  minOf,
  ROW,
  S,
  STAT,
  totalOf,
  varianceOf,
} from './state.ts';
import { endOf, type FlowTable } from './table.ts';

const { offset: C, size: COLUMN_BYTES } = FLOW;

const per = (value: number, by: number): number => (by > 0 ? value / by : 0);

const lengths = (out: Float32Array, o: number, slab: Float64Array, b: number): void => {
  const fwd = b + STAT.fwdLength;
  const bwd = b + STAT.bwdLength;
  const all = b + STAT.length;
  out[o + F.tot_fwd_pkts] = countOf(slab, fwd);
  out[o + F.tot_bwd_pkts] = countOf(slab, bwd);
  out[o + F.totlen_fwd_pkts] = totalOf(slab, fwd);
  out[o + F.totlen_bwd_pkts] = totalOf(slab, bwd);
  out[o + F.fwd_pkt_len_max] = maxOf(slab, fwd);
  out[o + F.fwd_pkt_len_min] = minOf(slab, fwd);
  out[o + F.fwd_pkt_len_mean] = meanOf(slab, fwd);
  out[o + F.fwd_pkt_len_std] = deviationOf(slab, fwd);
  out[o + F.bwd_pkt_len_max] = maxOf(slab, bwd);
  out[o + F.bwd_pkt_len_min] = minOf(slab, bwd);
  out[o + F.bwd_pkt_len_mean] = meanOf(slab, bwd);
  out[o + F.bwd_pkt_len_std] = deviationOf(slab, bwd);
  out[o + F.pkt_len_min] = minOf(slab, all);
  out[o + F.pkt_len_max] = maxOf(slab, all);
  out[o + F.pkt_len_mean] = meanOf(slab, all);
  out[o + F.pkt_len_std] = deviationOf(slab, all);
  out[o + F.pkt_len_var] = varianceOf(slab, all);
  out[o + F.pkt_size_avg] = per(totalOf(slab, all), countOf(slab, all));
  out[o + F.fwd_seg_size_avg] = meanOf(slab, fwd);
  out[o + F.bwd_seg_size_avg] = meanOf(slab, bwd);
};

const times = (out: Float32Array, o: number, slab: Float64Array, b: number): void => {
  const durationUs = slab[b + S.lastUs]! - slab[b + S.firstUs]!;
  const durationS = durationUs / 1e6;
  out[o + F.flow_duration] = durationUs;
  out[o + F.flow_byts_s] = per(totalOf(slab, b + STAT.length), durationS);
  out[o + F.flow_pkts_s] = per(countOf(slab, b + STAT.length), durationS);
  out[o + F.fwd_pkts_s] = per(countOf(slab, b + STAT.fwdLength), durationS);
  out[o + F.bwd_pkts_s] = per(countOf(slab, b + STAT.bwdLength), durationS);
  out[o + F.flow_iat_mean] = meanOf(slab, b + STAT.interval);
  out[o + F.flow_iat_std] = deviationOf(slab, b + STAT.interval);
  out[o + F.flow_iat_max] = maxOf(slab, b + STAT.interval);
  out[o + F.flow_iat_min] = minOf(slab, b + STAT.interval);
  out[o + F.fwd_iat_tot] = totalOf(slab, b + STAT.fwdInterval);
  out[o + F.fwd_iat_mean] = meanOf(slab, b + STAT.fwdInterval);
  out[o + F.fwd_iat_std] = deviationOf(slab, b + STAT.fwdInterval);
  out[o + F.fwd_iat_max] = maxOf(slab, b + STAT.fwdInterval);
  out[o + F.fwd_iat_min] = minOf(slab, b + STAT.fwdInterval);
  out[o + F.bwd_iat_tot] = totalOf(slab, b + STAT.bwdInterval);
  out[o + F.bwd_iat_mean] = meanOf(slab, b + STAT.bwdInterval);
  out[o + F.bwd_iat_std] = deviationOf(slab, b + STAT.bwdInterval);
  out[o + F.bwd_iat_max] = maxOf(slab, b + STAT.bwdInterval);
  out[o + F.bwd_iat_min] = minOf(slab, b + STAT.bwdInterval);
  out[o + F.active_mean] = meanOf(slab, b + STAT.active);
  out[o + F.active_std] = deviationOf(slab, b + STAT.active);
  out[o + F.active_max] = maxOf(slab, b + STAT.active);
  out[o + F.active_min] = minOf(slab, b + STAT.active);
  out[o + F.idle_mean] = meanOf(slab, b + STAT.idle);
  out[o + F.idle_std] = deviationOf(slab, b + STAT.idle);
  out[o + F.idle_max] = maxOf(slab, b + STAT.idle);
  out[o + F.idle_min] = minOf(slab, b + STAT.idle);
};

const flags = (out: Float32Array, o: number, slab: Float64Array, b: number): void => {
  out[o + F.fwd_psh_flags] = slab[b + S.fwdPsh]!;
  out[o + F.bwd_psh_flags] = slab[b + S.bwdPsh]!;
  out[o + F.fwd_urg_flags] = slab[b + S.fwdUrg]!;
  out[o + F.bwd_urg_flags] = slab[b + S.bwdUrg]!;
  out[o + F.fin_flag_cnt] = slab[b + S.fin]!;
  out[o + F.syn_flag_cnt] = slab[b + S.syn]!;
  out[o + F.rst_flag_cnt] = slab[b + S.rst]!;
  out[o + F.psh_flag_cnt] = slab[b + S.psh]!;
  out[o + F.ack_flag_cnt] = slab[b + S.ack]!;
  out[o + F.urg_flag_cnt] = slab[b + S.urg]!;
  out[o + F.cwe_flag_count] = slab[b + S.cwr]!;
  out[o + F.ece_flag_cnt] = slab[b + S.ece]!;
};

const bulks = (out: Float32Array, o: number, slab: Float64Array, b: number): void => {
  const fwd = b + FWD_BULK;
  const bwd = b + BWD_BULK;
  out[o + F.fwd_byts_b_avg] = per(slab[fwd + BULK.bytes]!, slab[fwd + BULK.bulks]!);
  out[o + F.fwd_pkts_b_avg] = per(slab[fwd + BULK.packets]!, slab[fwd + BULK.bulks]!);
  out[o + F.fwd_blk_rate_avg] = per(slab[fwd + BULK.bytes]!, slab[fwd + BULK.durationUs]! / 1e6);
  out[o + F.bwd_byts_b_avg] = per(slab[bwd + BULK.bytes]!, slab[bwd + BULK.bulks]!);
  out[o + F.bwd_pkts_b_avg] = per(slab[bwd + BULK.packets]!, slab[bwd + BULK.bulks]!);
  out[o + F.bwd_blk_rate_avg] = per(slab[bwd + BULK.bytes]!, slab[bwd + BULK.durationUs]! / 1e6);
};

const rest = (out: Float32Array, o: number, slab: Float64Array, b: number): void => {
  const fwdPackets = countOf(slab, b + STAT.fwdLength);
  const bwdPackets = countOf(slab, b + STAT.bwdLength);
  const subflows = slab[b + S.subflows]!;
  out[o + F.protocol] = slab[b + S.protocol]!;
  out[o + F.fwd_header_len] = slab[b + S.fwdHeaderBytes]!;
  out[o + F.bwd_header_len] = slab[b + S.bwdHeaderBytes]!;
  out[o + F.down_up_ratio] = per(bwdPackets, fwdPackets);
  out[o + F.subflow_fwd_pkts] = per(fwdPackets, subflows);
  out[o + F.subflow_fwd_byts] = per(totalOf(slab, b + STAT.fwdLength), subflows);
  out[o + F.subflow_bwd_pkts] = per(bwdPackets, subflows);
  out[o + F.subflow_bwd_byts] = per(totalOf(slab, b + STAT.bwdLength), subflows);
  out[o + F.init_fwd_win_byts] = slab[b + S.fwdWindow]!;
  out[o + F.init_bwd_win_byts] = slab[b + S.bwdWindow]!;
  out[o + F.fwd_act_data_pkts] = slab[b + S.fwdDataPackets]!;
  out[o + F.fwd_seg_size_min] = slab[b + S.fwdSegmentMin]!;
};

const columns = (
  view: DataView,
  row: number,
  table: FlowTable,
  slot: number,
  reason: CloseReason,
): void => {
  const { slab } = table;
  const b = slot * ROW;
  const at = row * COLUMN_BYTES;
  const reversed = slab[b + S.reversed] === 1;
  const source = endOf(table, slot, reversed);
  const destination = endOf(table, slot, !reversed);
  for (let i = 0; i < 4; i++) {
    view.setUint32(at + C.source + i * 4, source.words[i] ?? 0, true);
    view.setUint32(at + C.destination + i * 4, destination.words[i] ?? 0, true);
  }
  FLOW.set.sourcePort(view, row, source.port);
  FLOW.set.destinationPort(view, row, destination.port);
  FLOW.set.firstUs(view, row, slab[b + S.firstUs]!);
  FLOW.set.lastUs(view, row, slab[b + S.lastUs]!);
  FLOW.set.originNumber(view, row, slab[b + S.originNumber]!);
  FLOW.set.bytes(view, row, slab[b + S.ipBytes]!);
  FLOW.set.payloadBytes(view, row, slab[b + S.payloadBytes]!);
  FLOW.set.packets(view, row, countOf(slab, b + STAT.length));
  FLOW.set.forwardPackets(view, row, countOf(slab, b + STAT.fwdLength));
  FLOW.set.fileIndex(view, row, slab[b + S.fileIndex]!);
  FLOW.set.labelIndex(view, row, slab[b + S.labelIndex]!);
  FLOW.set.protocol(view, row, slab[b + S.protocol]!);
  FLOW.set.handshake(view, row, slab[b + S.handshake]!);
  FLOW.set.closeReason(view, row, CLOSE_REASONS.indexOf(reason));
  FLOW.set.marks(view, row, slab[b + S.marks]!);
  FLOW.set.icmpType(view, row, slab[b + S.icmpType]!);
  FLOW.set.icmpCode(view, row, slab[b + S.icmpCode]!);
};

/** Writes the flow in `slot` as row `row` of `vectors` and of `view` (records of FLOW). */
export const writeFlow = (
  vectors: Float32Array,
  view: DataView,
  row: number,
  table: FlowTable,
  slot: number,
  reason: CloseReason,
): void => {
  const o = row * FEATURE_COUNT;
  const b = slot * ROW;
  lengths(vectors, o, table.slab, b);
  times(vectors, o, table.slab, b);
  flags(vectors, o, table.slab, b);
  bulks(vectors, o, table.slab, b);
  rest(vectors, o, table.slab, b);
  columns(view, row, table, slot, reason);
  vectors[o + F.src_port] = FLOW.get.sourcePort(view, row);
  vectors[o + F.dst_port] = FLOW.get.destinationPort(view, row);
};
