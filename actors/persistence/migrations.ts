/**
 * The SQL schema, as numbered migrations in a dialect that PostgreSQL and CockroachDB both take: INT8, BYTEA,
 * TEXT, TIMESTAMPTZ, JSONB, ids from hashes, no SERIAL, no extension. Every statement may run twice.
 */
export type Migration = { readonly version: number; readonly statements: readonly string[] };

const CHAIN = [
  `CREATE TABLE IF NOT EXISTS genesis (
    chain_id TEXT PRIMARY KEY, config_hash BYTEA NOT NULL, document JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS blocks (
    height INT8 PRIMARY KEY, block_hash BYTEA NOT NULL UNIQUE, parent_hash BYTEA NOT NULL,
    view INT8 NOT NULL, epoch INT8 NOT NULL, tx_root BYTEA NOT NULL, state_root BYTEA NOT NULL,
    proposer_id BYTEA NOT NULL, tx_count INT8 NOT NULL, payload_bytes INT8 NOT NULL,
    proof BYTEA NOT NULL, created_at TIMESTAMPTZ NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS transactions (
    tx_id BYTEA NOT NULL, block_height INT8 NOT NULL REFERENCES blocks (height),
    idx INT8 NOT NULL, type TEXT NOT NULL, payload BYTEA NOT NULL, content_hash BYTEA NOT NULL,
    producer_id BYTEA NOT NULL, signature BYTEA NOT NULL, receipt TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL, PRIMARY KEY (block_height, idx))`,
  `CREATE TABLE IF NOT EXISTS anomalies (
    id UUID PRIMARY KEY, tx_id BYTEA NOT NULL,
    block_height INT8 NOT NULL REFERENCES blocks (height), type TEXT NOT NULL, source TEXT NOT NULL, src_ip TEXT NOT NULL,
    dst_ip TEXT NOT NULL, severity INT8 NOT NULL, confidence_ppm INT8 NOT NULL,
    spoofable BOOL NOT NULL, lifecycle_state TEXT NOT NULL, payload JSONB NOT NULL,
    detected_at TIMESTAMPTZ NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS evidence (
    evidence_id UUID PRIMARY KEY, tx_id BYTEA NOT NULL,
    block_height INT8 NOT NULL REFERENCES blocks (height), type TEXT NOT NULL, offender TEXT NOT NULL, proof BYTEA NOT NULL,
    status TEXT NOT NULL, created_at TIMESTAMPTZ NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS policies (
    policy_id TEXT PRIMARY KEY, block_height INT8 NOT NULL, rule_type TEXT NOT NULL,
    action TEXT NOT NULL, target TEXT NOT NULL, ttl_s INT8 NOT NULL, active BOOL NOT NULL,
    rule JSONB NOT NULL, committed_at TIMESTAMPTZ NOT NULL, expires_at TIMESTAMPTZ NOT NULL)`,
];

const STATE = [
  `CREATE TABLE IF NOT EXISTS validators (
    validator_id BYTEA PRIMARY KEY, name TEXT NOT NULL, public_key BYTEA NOT NULL,
    weight INT8 NOT NULL, reputation INT8 NOT NULL, blocks_proposed INT8 NOT NULL,
    blocks_committed INT8 NOT NULL, active BOOL NOT NULL, joined_view INT8 NOT NULL,
    updated_height INT8 NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS state_versions (
    height INT8 PRIMARY KEY, state_root BYTEA NOT NULL, tx_count INT8 NOT NULL,
    created_at TIMESTAMPTZ NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS state_kv (
    namespace TEXT NOT NULL, key_hash BYTEA NOT NULL, version INT8 NOT NULL, key TEXT NOT NULL,
    value BYTEA, created_at TIMESTAMPTZ NOT NULL, PRIMARY KEY (namespace, key_hash, version))`,
  `CREATE TABLE IF NOT EXISTS state_snapshots (
    state_root BYTEA PRIMARY KEY, height INT8 NOT NULL, meta JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS acks (
    ack_event_id TEXT PRIMARY KEY, policy_id TEXT NOT NULL, result TEXT NOT NULL,
    reason TEXT NOT NULL, error_code TEXT NOT NULL, applied_at TIMESTAMPTZ NOT NULL,
    acked_at TIMESTAMPTZ NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS audit_log (
    id UUID PRIMARY KEY, block_height INT8 NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL,
    detail JSONB NOT NULL, created_at TIMESTAMPTZ NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS projector_lease (
    name TEXT PRIMARY KEY, holder TEXT NOT NULL, fence INT8 NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL)`,
];

const INDEXES = [
  // A message may stand in two blocks: its second time is skipped there, but counted.
  'CREATE INDEX IF NOT EXISTS transactions_by_id ON transactions (tx_id)',
  'CREATE INDEX IF NOT EXISTS transactions_by_content ON transactions (content_hash)',
  'CREATE INDEX IF NOT EXISTS anomalies_by_state ON anomalies (lifecycle_state, detected_at)',
  'CREATE INDEX IF NOT EXISTS anomalies_by_source ON anomalies (src_ip)',
  'CREATE INDEX IF NOT EXISTS evidence_by_offender ON evidence (offender)',
  'CREATE INDEX IF NOT EXISTS policies_by_active ON policies (active, expires_at)',
  'CREATE INDEX IF NOT EXISTS validators_by_active ON validators (active)',
  'CREATE INDEX IF NOT EXISTS acks_by_policy ON acks (policy_id)',
  'CREATE INDEX IF NOT EXISTS audit_by_height ON audit_log (block_height)',
];

export const MIGRATIONS: readonly Migration[] = [
  { version: 1, statements: [...CHAIN, ...STATE] },
  { version: 2, statements: INDEXES },
];

/**
 * Tables that hold what the chain can rebuild, children first: what `rebuild-sql` empties. Acknowledgements come from
 * the bus and stay.
 */
export const PROJECTED_TABLES = [
  'audit_log',
  'state_snapshots',
  'state_kv',
  'state_versions',
  'validators',
  'policies',
  'evidence',
  'anomalies',
  'transactions',
  'blocks',
] as const;
