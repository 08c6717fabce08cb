/** A table of made-up flows in a PostgreSQL database, filled by the server itself. */
import { FEATURE_NAMES } from '#proto/flow-batch.ts';
import type { PostgresServer } from './postgres.ts';

/** A value of row `i` (a SQL expression), deterministic and plausible for each feature. */
const expressionOf = (name: string, at: number): string => {
  if (name === 'src_port') return '(i * 7919) % 65536';
  if (name === 'dst_port') return '(ARRAY[80, 443, 22, 53])[(1 + i % 4)::INT4]';
  if (name === 'protocol') return '6';
  return `((i * ${2 * at + 3}) % 1009)::FLOAT8 / ${at % 3 === 0 ? 1 : 4}`;
};

const integers = new Set(['tot_fwd_pkts', 'tot_bwd_pkts', 'syn_flag_cnt', 'ack_flag_cnt']);

/** A scan: one SYN and the reset that answers it, a port a row, `PORTS` rows a scanner. */
const PORTS = 200;
const scanOf = (name: string): string => {
  if (name === 'src_port') return `40000 + i % ${PORTS}`;
  if (name === 'dst_port') return `1 + i % ${PORTS}`;
  const ones = ['tot_fwd_pkts', 'tot_bwd_pkts', 'syn_flag_cnt', 'rst_flag_cnt', 'ack_flag_cnt'];
  if (ones.includes(name)) return '1';
  if (name.endsWith('header_len')) return '20';
  return name === 'protocol' ? '6' : name === 'flow_duration' ? '300' : '0';
};

type Filling = {
  readonly rows: string;
  readonly source: string;
  readonly from: number;
  readonly to: number;
};

const fill = async (server: PostgresServer, table: string, filling: Filling): Promise<void> => {
  const { rows, source, from, to } = filling;
  const select = `SELECT i::INT8 AS id, ${source}::INET AS src_ip, '192.0.2.9'::INET AS dst_ip,
    TIMESTAMPTZ '2026-01-01 00:00:00+00' + i * INTERVAL '1 millisecond' AS timestamp,
    ${rows} FROM generate_series(${from}::INT8, ${to}::INT8) AS i`;
  if (from > 1) {
    await server.execute(`INSERT INTO ${table} ${select}`);
    return;
  }
  await server.execute(`CREATE TABLE ${table} AS ${select}`);
  await server.execute(`ALTER TABLE ${table} ADD PRIMARY KEY (id)`);
};

/** `id` from 1 to `rows`; three columns besides those of CICFlowMeter: addresses and time. */
export const fillFlowTable = (
  server: PostgresServer,
  table: string,
  rows: number,
  from = 1,
): Promise<void> => {
  const columns = FEATURE_NAMES.map((name, at) => {
    const value = integers.has(name) ? `1 + (i * ${at}) % 13` : expressionOf(name, at);
    return `${value} AS ${name}`;
  });
  const source = "('10.' || i % 4 || '.' || i % 200 || '.' || i % 250)";
  return fill(server, table, { rows: columns.join(', '), source, from, to: from + rows - 1 });
};

/** So many scanners one after the other, each 200 ports in 200 ms: what detectors find. */
export const fillScanTable = (
  server: PostgresServer,
  table: string,
  scanners: number,
): Promise<void> => {
  const rows = FEATURE_NAMES.map((name) => `${scanOf(name)} AS ${name}`).join(', ');
  const source = `('198.51.100.' || (i - 1) / ${PORTS})`;
  return fill(server, table, { rows, source, from: 1, to: scanners * PORTS });
};
