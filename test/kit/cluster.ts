/** Six processes as `cluster` runs them, on a broker and a database of the test, and what they leave behind. */
import { cpSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type pg from 'pg';
import { prepareChain } from '#actors/replica/cluster/chain.ts';
import { pidOf } from '#actors/replica/cluster/readiness.ts';
import { pinFile, readGenesisFile } from '#actors/replica/genesis-create.ts';
import { crypto } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { configHash, encodeGenesis, type Genesis } from '#proto/genesis.ts';
import { decodeAck } from '#proto/wire/ack.ts';
import { decodeAnomaly } from '#proto/wire/anomaly.ts';
import { decodeEvidence } from '#proto/wire/evidence.ts';
import { DLQ_HEADERS, TOPICS } from '#proto/wire/topics.ts';
import type { BusRecord } from '#runtime/bus/record.ts';
import { type ChainFacts, factsOfChain, factsOfDatabase } from './chain-facts.ts';
import { type ChainBlock, chainOfValidator, committedCount, heightOf } from './fates.ts';
import type { Kafka } from './kafka.ts';
import { openBus, readAll } from './kafka-bus.ts';
import { freePorts } from './ports.ts';
import type { PostgresServer } from './postgres.ts';
import { launchCybermesh, type Running } from './processes.ts';
import { until } from './system.ts';
import { VALIDATORS } from './validators.ts';

/** The branch of a validator in config/validator.yaml. */
const BRANCH = 'validator';
const SETTLED_MS = 120_000;
const PROCESSES = 6;

export type Surroundings = {
  /** Folder of the cluster; each process has one of its name in it. */
  readonly data: string;
  readonly kafka: Kafka;
  readonly postgres: PostgresServer;
};

export type ClusterRun = Surroundings & {
  readonly running: Running;
  readonly pidOf: (name: string) => Promise<number | undefined>;
  /** Anomalies that the validator furthest ahead has committed. */
  readonly committed: () => number;
  /** Content hashes in the chain of v1, sorted. */
  readonly contents: () => readonly string[];
  /** Resolves when all chains and SQL have the same blocks, and SQL an acknowledgement of each policy. */
  readonly settled: () => Promise<void>;
  readonly stop: () => Promise<number | null>;
};

export type ClusterOptions = {
  /** As `--source` takes it. */
  readonly source: string;
  /** Lines of `--set`. */
  readonly set?: readonly string[];
  /** Of the genesis, where they are not the usual ones. */
  readonly parameters?: Partial<Genesis['parameters']>;
  /** Folder of a node whose detector's key is used: an anomaly that grows from another cites an id with it. */
  readonly keysOf?: string;
  readonly timeoutMs: number;
};

const query = async (
  { postgres }: Surroundings,
  text: string,
): Promise<readonly pg.QueryResultRow[]> => (await postgres.execute(text)).rows;

const policiesOf = (chain: readonly ChainBlock[]): readonly string[] => [
  ...new Set(chain.flatMap(({ policies }) => policies.map(({ id }) => id))),
];

const contentsOf = (chain: readonly ChainBlock[]): readonly string[] =>
  chain.flatMap((block) => block.contents);

const chainsOf = ({ data }: Surroundings): readonly (readonly ChainBlock[])[] =>
  VALIDATORS.map((name) => chainOfValidator(path.join(data, name), BRANCH));

const SQL_STANDING = `SELECT (SELECT max(height) FROM blocks) AS height,
  (SELECT count(DISTINCT policy_id) FROM acks) AS acks`;

const isSettled = async (at: Surroundings): Promise<boolean> => {
  const heights = VALIDATORS.map((name) => heightOf(path.join(at.data, name), BRANCH));
  if (new Set(heights).size > 1) return false;
  const [sql] = await query(at, SQL_STANDING);
  if (Number(sql?.height) !== heights[0]) return false;
  return Number(sql?.acks) >= policiesOf(chainsOf(at)[0]!).length;
};

/** Keys and genesis as the first start of `cluster` would make them. */
const writeGenesis = (data: string, parameters: Partial<Genesis['parameters']>): void => {
  const made = prepareChain(data);
  if (!made.ok) throw new Error(made.error);
  const usual = readGenesisFile(made.value.file);
  if (!usual.ok) throw new Error(usual.error);
  const genesis = { ...usual.value, parameters: { ...usual.value.parameters, ...parameters } };
  writeFileSync(made.value.file, encodeGenesis(genesis));
  writeFileSync(pinFile(made.value.file), hex(configHash(genesis, crypto)));
};

/** Starts `cluster`; it is not ready yet. */
export const startCluster = async (
  at: Surroundings,
  { source, set = [], parameters = {}, keysOf, timeoutMs }: ClusterOptions,
): Promise<ClusterRun> => {
  const { data, kafka, postgres } = at;
  if (keysOf !== undefined) {
    for (const key of ['detector.pem', 'detector.pub.pem']) {
      cpSync(path.join(keysOf, 'keys', key), path.join(data, 'detector', 'keys', key));
    }
  }
  writeGenesis(data, parameters);
  const [port, apiPort] = [await freePorts(VALIDATORS.length), await freePorts(PROCESSES)];
  const places = ['--port', `${port}`, '--api-port', `${apiPort}`];
  const services = ['--brokers', `127.0.0.1:${kafka.ports.plain}`];
  const database = ['--database', `postgres://cybermesh@127.0.0.1:${postgres.port}/postgres`];
  const sets = set.flatMap((one) => ['--set', one]);
  const running = launchCybermesh(
    ['cluster', '--data', data, '--source', source, ...places, ...services, ...database, ...sets],
    { timeoutMs, env: { ...process.env, PGPASSWORD: postgres.password } },
  );
  return {
    ...at,
    running,
    pidOf: (name) => pidOf(path.join(data, name)),
    committed: () =>
      Math.max(...VALIDATORS.map((name) => committedCount(path.join(data, name), BRANCH))),
    contents: () => contentsOf(chainOfValidator(path.join(data, 'v1'), BRANCH)).toSorted(),
    settled: async () => {
      await until(() => isSettled(at), SETTLED_MS, 250);
    },
    stop: async () => {
      running.signal('SIGINT');
      return (await running.done).code;
    },
  };
};

const COMPLAINTS_MAX = 80;

/** The work, and where it fails what the six processes complained of, for whoever has to find out why. */
export const withComplaints = async <T>(
  { running }: Pick<ClusterRun, 'running'>,
  work: () => Promise<T>,
): Promise<T> => {
  try {
    return await work();
  } catch (cause) {
    const lines = running.output().split('\n');
    const told = lines.filter((line) => /\| (?:warn|error|ended|not ready)|^error/.test(line));
    throw new Error(told.slice(-COMPLAINTS_MAX).join('\n'), { cause });
  }
};

export type Letter = { readonly code: string; readonly topic: string; readonly content: string };

/** What a run has left on the disks, the broker and the database. Lists of hashes and ids are sorted. */
export type Traces = {
  /** Content hashes in the chain of v1, each as often as it is there. */
  readonly contents: readonly string[];
  /** Of the chain of each validator. */
  readonly facts: readonly ChainFacts[];
  readonly sql: ChainFacts;
  readonly sqlAcks: readonly string[];
  /** Content hashes of the topic, each once. */
  readonly published: readonly string[];
  readonly policies: readonly string[];
  /** Failed ones with their codes. */
  readonly acks: { readonly applied: readonly string[]; readonly failed: readonly string[] };
  readonly letters: readonly Letter[];
};

const contentOf = ({ value }: BusRecord): string => {
  const anomaly = decodeAnomaly(value);
  if (anomaly.ok) return hex(anomaly.value.contentHash);
  const evidence = decodeEvidence(value);
  return evidence.ok ? hex(evidence.value.contentHash) : '';
};

const letterOf = (record: BusRecord): Letter => ({
  code: record.headers[DLQ_HEADERS.code] ?? '',
  topic: record.headers[DLQ_HEADERS.topic] ?? '',
  content: contentOf(record),
});

const sortedOnce = (values: Iterable<string>): string[] => [...new Set(values)].toSorted();

const ackedIn = (records: readonly BusRecord[], result: 'applied' | 'failed'): string[] =>
  sortedOnce(
    records.flatMap(({ value }) => {
      const ack = decodeAck(value);
      if (!ack.ok) throw new Error(`an ack does not decode: ${ack.error.detail}`);
      const { policyId, errorCode } = ack.value;
      if (ack.value.result !== result) return [];
      return [result === 'applied' ? policyId : `${policyId} ${errorCode}`];
    }),
  );

/** Of a cluster that has been stopped; broker and database still run. */
export const tracesOf = async (at: Surroundings): Promise<Traces> => {
  const chains = chainsOf(at);
  const topics = [TOPICS.anomalies, TOPICS.policyAcks, TOPICS.dlq];
  const bus = await openBus(at.kafka, topics, { create: undefined, recordBytesMax: 2 << 20 });
  try {
    const [anomalies, acks, dlq] = [
      await readAll(bus, TOPICS.anomalies),
      await readAll(bus, TOPICS.policyAcks),
      await readAll(bus, TOPICS.dlq),
    ];
    const acked = await query(at, 'SELECT DISTINCT policy_id FROM acks');
    return {
      contents: contentsOf(chains[0]!).toSorted(),
      facts: VALIDATORS.map((name) => factsOfChain(path.join(at.data, name), BRANCH)),
      sql: await factsOfDatabase({ query: (text) => at.postgres.execute(text) }),
      sqlAcks: acked.map((row) => String(row.policy_id)).toSorted(),
      published: sortedOnce(anomalies.map(contentOf)),
      policies: policiesOf(chains[0]!).toSorted(),
      acks: { applied: ackedIn(acks, 'applied'), failed: ackedIn(acks, 'failed') },
      letters: dlq.map(letterOf),
    };
  } finally {
    await bus.close();
  }
};
