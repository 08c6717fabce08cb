/**
 * What became of every published anomaly, read from the disks of a stopped node: the topic, the dead letters
 * and the four chains. None of it comes from the counters of the node.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { crypto } from '#native/crypto.ts';
import { type AnomalyPayload, parseAnomalyPayload } from '#proto/anomaly-payload.ts';
import { hex } from '#proto/bytes.ts';
import { blockOf, decodeCommitted } from '#proto/consensus/committed.ts';
import { blockHash } from '#proto/consensus/header.ts';
import { anomalyKey, decodeState, type PolicyState, policyKey } from '#proto/state.ts';
import { decodeAck } from '#proto/wire/ack.ts';
import { messageId } from '#proto/wire/ai-signature.ts';
import { decodeAnomaly } from '#proto/wire/anomaly.ts';
import { DLQ_HEADERS, TOPICS } from '#proto/wire/topics.ts';
import { VALIDATORS } from './validators.ts';

export type TopicRecord = {
  readonly key: string;
  readonly value: Uint8Array;
  readonly headers: { readonly [name: string]: string };
  readonly partition: number;
  readonly offset: number;
};

const openReadOnly = (file: string): DatabaseSync =>
  new DatabaseSync(file, { readOnly: true, timeout: 5000 });

/** Every record of a topic, in order within its partition. */
export const topicOf = (dataDir: string, topic: string): readonly TopicRecord[] => {
  const db = openReadOnly(path.join(dataDir, 'bus', 'bus.sqlite'));
  const rows = db
    .prepare(
      'SELECT key, value, headers, part, offset FROM records WHERE topic = ? ORDER BY part, offset',
    )
    .all(topic) as {
    key: string;
    value: Uint8Array;
    headers: string;
    part: number;
    offset: number;
  }[];
  db.close();
  return rows.map(({ key, value, headers, part, offset }) => ({
    key,
    value,
    headers: JSON.parse(headers),
    partition: part,
    offset,
  }));
};

/** What the detector said, however often it had to say it: content hashes (hex), each once, sorted. */
export const publishedContents = (dataDir: string): readonly string[] => {
  const contents = topicOf(dataDir, TOPICS.anomalies).map(({ value }) => {
    const event = decodeAnomaly(value);
    if (!event.ok) throw new Error(event.error.detail);
    return hex(event.value.contentHash);
  });
  return [...new Set(contents)].toSorted();
};

/** One number from a file that a running node writes; 0 before there is anything. */
const numberIn = (file: string, sql: string): number => {
  if (!existsSync(file)) return 0;
  const db = openReadOnly(file);
  try {
    return Number(Object.values(db.prepare(sql).get() ?? {})[0] ?? 0);
  } catch (fault) {
    if (/no such table/.test(String(fault))) return 0;
    throw fault;
  } finally {
    db.close();
  }
};

/** How many records a topic has. */
export const topicLength = (dataDir: string, topic: string): number =>
  numberIn(
    path.join(dataDir, 'bus', 'bus.sqlite'),
    `SELECT count(*) FROM records WHERE topic = '${topic}'`,
  );

/** Height of a validator's newest block. */
export const heightOf = (dataDir: string, validator: string): number =>
  numberIn(
    path.join(dataDir, validator, 'executor', 'chain.sqlite'),
    'SELECT max(height) FROM blocks',
  );

/** How many anomalies a validator has committed. */
export const committedCount = (dataDir: string, validator: string): number =>
  numberIn(
    path.join(dataDir, validator, 'executor', 'chain.sqlite'),
    `SELECT count(*) FROM state WHERE key GLOB '${anomalyKey('*')}'`,
  );

export type ChainBlock = {
  readonly height: number;
  readonly hash: string;
  readonly stateRoot: string;
  /** Ids of anomalies, in block order. */
  readonly anomalies: readonly string[];
  readonly contents: readonly string[];
  /** Policies that the block wrote, by id. */
  readonly policies: readonly CommittedPolicy[];
};

export type CommittedPolicy = { readonly id: string; readonly state: PolicyState };

export const idOf = (bytes: Uint8Array): string | undefined => {
  const event = decodeAnomaly(bytes);
  if (!event.ok) return undefined;
  return messageId(event.value.producerId, event.value.contentHash, crypto);
};

/** What each published anomaly says, in the order of the topic; the first record of an id counts. */
export const payloadsOf = (dataDir: string): ReadonlyMap<string, AnomalyPayload> => {
  const payloads = new Map<string, AnomalyPayload>();
  for (const { value } of topicOf(dataDir, TOPICS.anomalies)) {
    const event = decodeAnomaly(value);
    const id = idOf(value);
    if (!event.ok || id === undefined || payloads.has(id)) continue;
    const payload = parseAnomalyPayload(event.value.payload);
    if (!payload.ok) throw new Error(`the payload of ${id}: ${payload.error}`);
    payloads.set(id, payload.value);
  }
  return payloads;
};

/** The committed chain of one validator, from its own disk. */
export const chainOfValidator = (dataDir: string, validator: string): readonly ChainBlock[] => {
  const file = path.join(dataDir, validator, 'executor', 'chain.sqlite');
  const db = openReadOnly(file);
  const rows = db.prepare('SELECT committed FROM blocks ORDER BY height').all() as {
    committed: Uint8Array;
  }[];
  db.close();
  return rows.map(({ committed }) => {
    const stored = decodeCommitted(committed);
    if (!stored.ok) throw new Error(`${file}: ${stored.error}`);
    const { header, txs } = blockOf(stored.value);
    const policies = stored.value.policies.map(({ key, value }) => {
      const id = key.slice(policyKey('').length);
      return { id, state: decodeState(policyKey(id), value) };
    });
    const events = txs.filter((tx) => tx.kind === 'anomaly').map((tx) => decodeAnomaly(tx.bytes));
    const decoded = events.flatMap((event) => (event.ok ? [event.value] : []));
    return {
      height: header.height,
      hash: blockHash(header, crypto),
      stateRoot: header.stateRoot,
      anomalies: decoded.map((one) => messageId(one.producerId, one.contentHash, crypto)),
      contents: decoded.map((one) => hex(one.contentHash)),
      policies,
    };
  });
};

export type Fates = {
  readonly published: readonly string[];
  readonly committed: readonly string[];
  /** Id to the code of its dead letter. */
  readonly rejected: ReadonlyMap<string, string>;
  /** Published and neither committed nor rejected. */
  readonly open: readonly string[];
  /** In a chain more than once. */
  readonly twice: readonly string[];
  /** In a chain and on no topic. */
  readonly invented: readonly string[];
  readonly heads: {
    readonly [validator: string]: { readonly height: number; readonly root: string };
  };
  /** Heights at which two validators have different blocks. */
  readonly forks: readonly number[];
  /** By id, as the chain wrote them last. */
  readonly policies: ReadonlyMap<string, PolicyState>;
  readonly acks: { readonly applied: readonly string[]; readonly failed: readonly string[] };
};

const acksOf = (dataDir: string): Fates['acks'] => {
  const applied = new Set<string>();
  const failed = new Set<string>();
  for (const { value } of topicOf(dataDir, TOPICS.policyAcks)) {
    const ack = decodeAck(value);
    if (!ack.ok) throw new Error(`an ack does not decode: ${ack.error.detail}`);
    (ack.value.result === 'applied' ? applied : failed).add(ack.value.policyId);
  }
  return { applied: [...applied], failed: [...failed] };
};

export const fatesOf = (dataDir: string, validators: readonly string[] = VALIDATORS): Fates => {
  const present = validators.filter((name) =>
    existsSync(path.join(dataDir, name, 'executor', 'chain.sqlite')),
  );
  const chains = new Map(present.map((name) => [name, chainOfValidator(dataDir, name)]));
  const byHeight = new Map<number, string>();
  const forks: number[] = [];
  for (const chain of chains.values()) {
    for (const { height, hash } of chain) {
      const known = byHeight.get(height);
      if (known !== undefined && known !== hash) forks.push(height);
      byHeight.set(height, hash);
    }
  }
  const longest = [...chains.values()].sort((a, b) => b.length - a.length)[0] ?? [];
  const inChain = longest.flatMap((block) => block.anomalies);
  const committed = [...new Set(inChain)];
  const published = [
    ...new Set(
      topicOf(dataDir, TOPICS.anomalies).flatMap(({ value }) => {
        const id = idOf(value);
        return id === undefined ? [] : [id];
      }),
    ),
  ];
  const rejected = new Map<string, string>();
  for (const { value, headers } of topicOf(dataDir, TOPICS.dlq)) {
    const id = headers[DLQ_HEADERS.topic] === TOPICS.anomalies ? idOf(value) : undefined;
    if (id !== undefined) rejected.set(id, headers[DLQ_HEADERS.code] ?? '');
  }
  const heads = Object.fromEntries(
    [...chains].map(([name, chain]) => {
      const head = chain.at(-1);
      return [name, { height: head?.height ?? 0, root: head?.stateRoot ?? '' }];
    }),
  );
  return {
    published,
    committed,
    rejected,
    open: published.filter((id) => !committed.includes(id) && !rejected.has(id)),
    twice: committed.filter((id) => inChain.indexOf(id) !== inChain.lastIndexOf(id)),
    invented: committed.filter((id) => !published.includes(id)),
    heads,
    forks,
    policies: new Map(
      longest.flatMap(({ policies }) => policies.map(({ id, state }) => [id, state] as const)),
    ),
    acks: acksOf(dataDir),
  };
};
