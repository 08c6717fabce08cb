/**
 * The 79 features of a flow, in the order of the vector: ports, protocol and the 76 statistics of
 * CICFlowMeter V4 as corrected by Engelen et al. 2021 and Liu et al. 2022. Float32; times in
 * microseconds, sizes in bytes.
 */

export const FEATURE_NAMES = [
  'src_port',
  'dst_port',
  'protocol',
  'flow_duration',
  'tot_fwd_pkts',
  'tot_bwd_pkts',
  'totlen_fwd_pkts',
  'totlen_bwd_pkts',
  'fwd_pkt_len_max',
  'fwd_pkt_len_min',
  'fwd_pkt_len_mean',
  'fwd_pkt_len_std',
  'bwd_pkt_len_max',
  'bwd_pkt_len_min',
  'bwd_pkt_len_mean',
  'bwd_pkt_len_std',
  'flow_byts_s',
  'flow_pkts_s',
  'flow_iat_mean',
  'flow_iat_std',
  'flow_iat_max',
  'flow_iat_min',
  'fwd_iat_tot',
  'fwd_iat_mean',
  'fwd_iat_std',
  'fwd_iat_max',
  'fwd_iat_min',
  'bwd_iat_tot',
  'bwd_iat_mean',
  'bwd_iat_std',
  'bwd_iat_max',
  'bwd_iat_min',
  'fwd_psh_flags',
  'bwd_psh_flags',
  'fwd_urg_flags',
  'bwd_urg_flags',
  'fwd_header_len',
  'bwd_header_len',
  'fwd_pkts_s',
  'bwd_pkts_s',
  'pkt_len_min',
  'pkt_len_max',
  'pkt_len_mean',
  'pkt_len_std',
  'pkt_len_var',
  'fin_flag_cnt',
  'syn_flag_cnt',
  'rst_flag_cnt',
  'psh_flag_cnt',
  'ack_flag_cnt',
  'urg_flag_cnt',
  'cwe_flag_count',
  'ece_flag_cnt',
  'down_up_ratio',
  'pkt_size_avg',
  'fwd_seg_size_avg',
  'bwd_seg_size_avg',
  'fwd_byts_b_avg',
  'fwd_pkts_b_avg',
  'fwd_blk_rate_avg',
  'bwd_byts_b_avg',
  'bwd_pkts_b_avg',
  'bwd_blk_rate_avg',
  'subflow_fwd_pkts',
  'subflow_fwd_byts',
  'subflow_bwd_pkts',
  'subflow_bwd_byts',
  'init_fwd_win_byts',
  'init_bwd_win_byts',
  'fwd_act_data_pkts',
  'fwd_seg_size_min',
  'active_mean',
  'active_std',
  'active_max',
  'active_min',
  'idle_mean',
  'idle_std',
  'idle_max',
  'idle_min',
] as const;

export type FeatureName = (typeof FEATURE_NAMES)[number];

export const FEATURE_COUNT = FEATURE_NAMES.length;

/** Column of each feature in a vector: `F.flow_duration`. */
export const F: { readonly [N in FeatureName]: number } = Object.fromEntries(
  FEATURE_NAMES.map((name, index) => [name, index]),
) as { [N in FeatureName]: number };

/** One flow's features in a row-major matrix: a view, not a copy. */
export const vectorAt = (vectors: Float32Array, row: number): Float32Array =>
  vectors.subarray(row * FEATURE_COUNT, (row + 1) * FEATURE_COUNT);

/** A vector that is not 79 finite numbers never reaches a model. */
export const isVector = (vector: Float32Array): boolean => {
  if (vector.length !== FEATURE_COUNT) return false;
  for (const value of vector) if (!Number.isFinite(value)) return false;
  return true;
};
