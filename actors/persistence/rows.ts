/** A committed block as rows of SQL. Pure: the same block always gives the same rows. */
import { fromHex, hex, utf8 } from '#proto/bytes.ts';
import { blockOf, type CommittedBlock } from '#proto/consensus/committed.ts';
import { type Transaction, txIdBytes } from '#proto/consensus/transaction.ts';
import type { Crypto } from '#proto/crypto.ts';
import type { JsonObject } from '#proto/json.ts';
import { decodeState, policyKey } from '#proto/state.ts';
import { uuidOf } from '#proto/wire/ai-signature.ts';
import { decodeAnomaly } from '#proto/wire/anomaly.ts';
import { decodeEvidence } from '#proto/wire/evidence.ts';
import { decodePolicyEvent } from '#proto/wire/policy-event.ts';

export type SqlValue = string | number | boolean | null | Uint8Array | Date;
/** Rows of one table; `key` are the columns of its conflict target. A repeat changes nothing. */
export type Rows = {
  readonly table: string;
  readonly columns: readonly string[];
  readonly key: readonly string[];
  readonly rows: readonly (readonly SqlValue[])[];
  /** Columns that the same or a later `block_height` overwrites; none: the first row stays. */
  readonly update?: readonly string[];
};

export type ProjectedBlock = {
  readonly height: number;
  readonly hash: Uint8Array;
  readonly parentHash: Uint8Array;
  /** In an order that foreign keys allow. */
  readonly tables: readonly Rows[];
};

const PPM = 1_000_000;
const MS_PER_S = 1000;
/** The last moment of year 9999: what JavaScript and SQL both hold, whatever a message claims. */
const TIME_MAX_MS = 253_402_300_799_999;
export const dateOf = (ms: number): Date => new Date(Math.min(ms, TIME_MAX_MS));
const idOf = (crypto: Pick<Crypto, 'sha256'>, text: string): string =>
  uuidOf(crypto.sha256(utf8(text)));

/**
 * Text as SQL takes it: neither NUL nor half a surrogate pair, which PostgreSQL refuses. The signed bytes themselves
 * stand in `transactions.payload`.
 */
export const sqlText = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd');

const sqlData = (value: unknown): unknown => {
  if (typeof value === 'string') return sqlText(value);
  if (Array.isArray(value)) return value.map(sqlData);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [sqlText(k), sqlData(v)]));
};

/** The same for JSON, where such characters hide in escapes. */
const sqlJson = (value: unknown): string => JSON.stringify(sqlData(value));

/** What every ai.* message has. A transaction in a committed block is decodable: execution refused others. */
const signedPart = (tx: Transaction) => {
  const decoded =
    tx.kind === 'anomaly'
      ? decodeAnomaly(tx.bytes)
      : tx.kind === 'evidence'
        ? decodeEvidence(tx.bytes)
        : tx.kind === 'policy'
          ? decodePolicyEvent(tx.bytes)
          : undefined;
  if (decoded === undefined) return undefined;
  if (!decoded.ok)
    throw new Error(`a committed ${tx.kind} does not decode: ${decoded.error.detail}`);
  return decoded.value;
};

type Context = {
  readonly crypto: Crypto;
  readonly height: number;
  readonly time: Date;
};

const transactionRows = (
  committed: CommittedBlock,
  txs: readonly Transaction[],
  c: Context,
): Rows => ({
  table: 'transactions',
  columns: [
    'tx_id',
    'block_height',
    'idx',
    'type',
    'payload',
    'content_hash',
    'producer_id',
    'signature',
    'receipt',
    'created_at',
  ],
  key: ['block_height', 'idx'],
  rows: txs.map((tx, index) => {
    const signed = signedPart(tx);
    return [
      txIdBytes(tx, c.crypto),
      c.height,
      index,
      tx.kind,
      tx.bytes,
      signed?.contentHash ?? c.crypto.sha256(tx.bytes),
      signed?.producerId ?? new Uint8Array(0),
      signed?.signature ?? new Uint8Array(0),
      committed.receipts[index]?.status ?? 'unknown',
      c.time,
    ];
  }),
});

const anomalyRows = (committed: CommittedBlock, txs: readonly Transaction[], c: Context): Rows => {
  const rows: SqlValue[][] = [];
  txs.forEach((tx, index) => {
    const receipt = committed.receipts[index];
    if (tx.kind !== 'anomaly' || receipt?.status !== 'applied') return;
    const decoded = decodeAnomaly(tx.bytes);
    if (!decoded.ok) return;
    const event = decoded.value;
    const body = JSON.parse(new TextDecoder().decode(event.payload)) as JsonObject;
    const text = (field: string): string => String(body[field] ?? '');
    rows.push([
      receipt.id,
      txIdBytes(tx, c.crypto),
      c.height,
      event.type,
      event.source,
      text('src_ip'),
      text('dst_ip'),
      event.severity,
      Math.round(event.confidence * PPM),
      body.spoofable === true,
      'COMMITTED',
      sqlJson(body),
      dateOf(event.ts * MS_PER_S),
    ]);
  });
  return {
    table: 'anomalies',
    columns: [
      'id',
      'tx_id',
      'block_height',
      'type',
      'source',
      'src_ip',
      'dst_ip',
      'severity',
      'confidence_ppm',
      'spoofable',
      'lifecycle_state',
      'payload',
      'detected_at',
    ],
    key: ['id'],
    rows,
  };
};

const evidenceRows = (committed: CommittedBlock, txs: readonly Transaction[], c: Context): Rows => {
  const rows: SqlValue[][] = [];
  txs.forEach((tx, index) => {
    const receipt = committed.receipts[index];
    if (receipt?.status !== 'applied') return;
    if (tx.kind === 'misbehaviour') {
      const id = idOf(c.crypto, receipt.id);
      const txId = txIdBytes(tx, c.crypto);
      rows.push([id, txId, c.height, 'misbehaviour', receipt.id, tx.bytes, 'confirmed', c.time]);
      return;
    }
    if (tx.kind !== 'evidence') return;
    const decoded = decodeEvidence(tx.bytes);
    if (!decoded.ok) return;
    const { evidenceType, proofBlob, producerId } = decoded.value;
    const txId = txIdBytes(tx, c.crypto);
    const producer = hex(producerId);
    rows.push([receipt.id, txId, c.height, evidenceType, producer, proofBlob, 'admitted', c.time]);
  });
  return {
    table: 'evidence',
    columns: [
      'evidence_id',
      'tx_id',
      'block_height',
      'type',
      'offender',
      'proof',
      'status',
      'created_at',
    ],
    key: ['evidence_id'],
    rows,
  };
};

const POLICY_COLUMNS = [
  'policy_id',
  'block_height',
  'rule_type',
  'action',
  'target',
  'ttl_s',
  'active',
  'rule',
  'committed_at',
  'expires_at',
];

const policyRows = (committed: CommittedBlock, c: Context): readonly Rows[] => {
  const policies: SqlValue[][] = [];
  const versions: SqlValue[][] = [];
  const audit: SqlValue[][] = [];
  for (const { key, value } of committed.policies) {
    const id = key.slice(key.indexOf('/') + 1);
    const state = decodeState(policyKey(id), value);
    const target = state.targets.join(' ');
    const ttlS = Math.round((state.expiresMs - state.committedMs) / MS_PER_S);
    const active = state.status === 'active';
    const times = [dateOf(state.committedMs), dateOf(state.expiresMs)] as const;
    policies.push([
      id,
      c.height,
      'block',
      state.action,
      target,
      ttlS,
      active,
      sqlJson(JSON.parse(state.rule)),
      ...times,
    ]);
    versions.push(['policies', c.crypto.sha256(utf8(key)), c.height, key, value, c.time]);
    const action = active ? 'policy.committed' : 'policy.removed';
    const detail = sqlJson({ action: state.action, targets: state.targets });
    audit.push([idOf(c.crypto, `${key}@${c.height}`), c.height, action, id, detail, c.time]);
  }
  return [
    {
      table: 'policies',
      columns: POLICY_COLUMNS,
      key: ['policy_id'],
      update: POLICY_COLUMNS.slice(1),
      rows: policies,
    },
    {
      table: 'state_kv',
      columns: ['namespace', 'key_hash', 'version', 'key', 'value', 'created_at'],
      key: ['namespace', 'key_hash', 'version'],
      rows: versions,
    },
    {
      table: 'audit_log',
      columns: ['id', 'block_height', 'action', 'subject', 'detail', 'created_at'],
      key: ['id'],
      rows: audit,
    },
  ];
};

/** Everything that one block says to SQL. */
export const projectBlock = (
  committed: CommittedBlock,
  crypto: Crypto,
  hash: Uint8Array,
): ProjectedBlock => {
  const { header, txs } = blockOf(committed);
  const c: Context = { crypto, height: header.height, time: dateOf(header.timeMs) };
  const block: Rows = {
    table: 'blocks',
    columns: [
      'height',
      'block_hash',
      'parent_hash',
      'view',
      'epoch',
      'tx_root',
      'state_root',
      'proposer_id',
      'tx_count',
      'payload_bytes',
      'proof',
      'created_at',
    ],
    key: ['height'],
    rows: [
      [
        header.height,
        hash,
        fromHex(header.parentHash),
        header.view,
        header.epoch,
        fromHex(header.txRoot),
        fromHex(header.stateRoot),
        fromHex(header.proposerId),
        header.txCount,
        header.payloadBytes,
        committed.proof,
        c.time,
      ],
    ],
  };
  const version: Rows = {
    table: 'state_versions',
    columns: ['height', 'state_root', 'tx_count', 'created_at'],
    key: ['height'],
    rows: [[header.height, fromHex(header.stateRoot), header.txCount, c.time]],
  };
  return {
    height: header.height,
    hash,
    parentHash: fromHex(header.parentHash),
    tables: [
      block,
      version,
      transactionRows(committed, txs, c),
      anomalyRows(committed, txs, c),
      evidenceRows(committed, txs, c),
      ...policyRows(committed, c),
    ].filter((rows) => rows.rows.length > 0),
  };
};

const PARAMETERS_MAX = 20_000;

/** INSERT statements of at most 20,000 parameters each; a repeated key changes nothing or what `update` names. */
export const insertsOf = (rows: Rows): readonly { text: string; values: SqlValue[] }[] => {
  const perStatement = Math.max(1, Math.floor(PARAMETERS_MAX / rows.columns.length));
  const onConflict =
    rows.update === undefined
      ? 'DO NOTHING'
      : `DO UPDATE SET ${rows.update.map((c) => `${c} = excluded.${c}`).join(', ')}
         WHERE ${rows.table}.block_height <= excluded.block_height`;
  const statements: { text: string; values: SqlValue[] }[] = [];
  for (let from = 0; from < rows.rows.length; from += perStatement) {
    const part = rows.rows.slice(from, from + perStatement);
    let n = 0;
    const places = part.map((row) => `(${row.map(() => `$${++n}`).join(', ')})`).join(', ');
    const into = `INSERT INTO ${rows.table} (${rows.columns.join(', ')}) VALUES ${places}`;
    const text = `${into} ON CONFLICT (${rows.key.join(', ')}) ${onConflict}`;
    const values = part.flat().map((one) => (typeof one === 'string' ? sqlText(one) : one));
    statements.push({ text, values });
  }
  return statements;
};
