/**
 * Which column of a flow file is which feature. CICFlowMeter has named its columns in several ways
 * (V3 of CIC-IDS2017, V4 of CSE-CIC-IDS2018, the corrected edition, the Python ports); names are
 * compared without case, spaces and punctuation, so only real differences stand here.
 */
import { FEATURE_COUNT, FEATURE_NAMES, type FeatureName } from '#proto/flow-batch.ts';
import { err, ok, type Result } from '#proto/result.ts';

export const normalised = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '');

const ALIASES: { readonly [N in FeatureName]?: readonly string[] } = {
  src_port: ['source port', 'sport'],
  dst_port: ['destination port', 'dport'],
  protocol: ['proto'],
  tot_fwd_pkts: ['total fwd packet', 'total fwd packets'],
  tot_bwd_pkts: ['total bwd packets', 'total backward packets', 'total bwd packet'],
  totlen_fwd_pkts: ['total length of fwd packet', 'total length of fwd packets'],
  totlen_bwd_pkts: ['total length of bwd packet', 'total length of bwd packets'],
  fwd_pkt_len_max: ['fwd packet length max'],
  fwd_pkt_len_min: ['fwd packet length min'],
  fwd_pkt_len_mean: ['fwd packet length mean'],
  fwd_pkt_len_std: ['fwd packet length std'],
  bwd_pkt_len_max: ['bwd packet length max'],
  bwd_pkt_len_min: ['bwd packet length min'],
  bwd_pkt_len_mean: ['bwd packet length mean'],
  bwd_pkt_len_std: ['bwd packet length std'],
  flow_byts_s: ['flow bytes/s'],
  flow_pkts_s: ['flow packets/s'],
  fwd_iat_tot: ['fwd iat total'],
  bwd_iat_tot: ['bwd iat total'],
  fwd_header_len: ['fwd header length'],
  bwd_header_len: ['bwd header length'],
  fwd_pkts_s: ['fwd packets/s'],
  bwd_pkts_s: ['bwd packets/s'],
  pkt_len_min: ['packet length min', 'min packet length'],
  pkt_len_max: ['packet length max', 'max packet length'],
  pkt_len_mean: ['packet length mean'],
  pkt_len_std: ['packet length std'],
  pkt_len_var: ['packet length variance'],
  fin_flag_cnt: ['fin flag count'],
  syn_flag_cnt: ['syn flag count'],
  rst_flag_cnt: ['rst flag count'],
  psh_flag_cnt: ['psh flag count'],
  ack_flag_cnt: ['ack flag count'],
  urg_flag_cnt: ['urg flag count'],
  cwe_flag_count: ['cwr flag count', 'cwe flag cnt', 'cwr flag cnt'],
  ece_flag_cnt: ['ece flag count'],
  pkt_size_avg: ['average packet size', 'avg packet size'],
  fwd_seg_size_avg: ['fwd segment size avg', 'avg fwd segment size'],
  bwd_seg_size_avg: ['bwd segment size avg', 'avg bwd segment size'],
  fwd_byts_b_avg: ['fwd bytes/bulk avg', 'fwd avg bytes/bulk'],
  fwd_pkts_b_avg: ['fwd packet/bulk avg', 'fwd avg packets/bulk'],
  fwd_blk_rate_avg: ['fwd bulk rate avg', 'fwd avg bulk rate'],
  bwd_byts_b_avg: ['bwd bytes/bulk avg', 'bwd avg bytes/bulk'],
  bwd_pkts_b_avg: ['bwd packet/bulk avg', 'bwd avg packets/bulk'],
  bwd_blk_rate_avg: ['bwd bulk rate avg', 'bwd avg bulk rate'],
  subflow_fwd_pkts: ['subflow fwd packets'],
  subflow_fwd_byts: ['subflow fwd bytes'],
  subflow_bwd_pkts: ['subflow bwd packets'],
  subflow_bwd_byts: ['subflow bwd bytes'],
  init_fwd_win_byts: ['fwd init win bytes', 'init_win_bytes_forward'],
  init_bwd_win_byts: ['bwd init win bytes', 'init_win_bytes_backward'],
  fwd_act_data_pkts: ['act_data_pkt_fwd', 'act_data_pkt_forward'],
  fwd_seg_size_min: ['min_seg_size_forward'],
};

const SIDE = {
  source: ['src_ip', 'source ip', 'srcip'],
  destination: ['dst_ip', 'destination ip', 'dstip'],
  timestamp: ['timestamp', 'start time'],
  label: ['label', 'attack', 'class'],
} as const;

/** Index of the column of each feature, and of the side columns; -1 where a file has none. */
export type Columns = {
  readonly features: readonly number[];
  readonly source: number;
  readonly destination: number;
  readonly timestamp: number;
  readonly label: number;
  readonly count: number;
};

/** The columns by a file's header; the error names every feature that has none. */
export const columnsOf = (header: readonly string[]): Result<Columns, string> => {
  const places = new Map<string, number>();
  header.forEach((name, index) => {
    const key = normalised(name);
    if (!places.has(key)) places.set(key, index);
  });
  const place = (names: readonly string[]): number => {
    for (const name of names) {
      const index = places.get(normalised(name));
      if (index !== undefined) return index;
    }
    return -1;
  };
  const features = FEATURE_NAMES.map((name) => place([name, ...(ALIASES[name] ?? [])]));
  const missing = FEATURE_NAMES.filter((_, index) => features[index] === -1);
  if (missing.length > 0) {
    const shown = missing
      .slice(0, 8)
      .map((name) => `${name} (${(ALIASES[name] ?? [])[0] ?? name})`);
    const more = missing.length > shown.length ? ` and ${missing.length - shown.length} more` : '';
    return err(
      `${missing.length} of ${FEATURE_COUNT} columns are missing: ${shown.join(', ')}${more}` +
        '; the columns must be those of CICFlowMeter',
    );
  }
  return ok({
    features,
    source: place(SIDE.source),
    destination: place(SIDE.destination),
    timestamp: place(SIDE.timestamp),
    label: place(SIDE.label),
    count: header.length,
  });
};
