/**
 * The same finite capture in one process with the embedded bus and SQL, and in six processes over Kafka and
 * PostgreSQL. FAULT_SEED=n draws the moments of the faults from another seed.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { readPrivateKey } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { encodeAnomaly } from '#proto/wire/anomaly.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import { mixedCampaign } from '#test/kit/campaign.ts';
import {
  type ClusterOptions,
  type ClusterRun,
  type Surroundings,
  startCluster,
  type Traces,
  tracesOf,
  withComplaints,
} from '#test/kit/cluster.ts';
import { faultPlan, inflict } from '#test/kit/cluster-faults.ts';
import { chainOfValidator, payloadsOf } from '#test/kit/fates.ts';
import { kafkaNeeds, provideKafka } from '#test/kit/kafka.ts';
import { openBus } from '#test/kit/kafka-bus.ts';
import { ownPorts } from '#test/kit/local-node.ts';
import { anomalyOf } from '#test/kit/messages.ts';
import { hasPostgres, postgresServer } from '#test/kit/postgres.ts';
import { cybermesh, temporaryFolder } from '#test/kit/processes.ts';
import { until } from '#test/kit/system.ts';
import { VALIDATORS } from '#test/kit/validators.ts';

const canRun = kafkaNeeds() === '' && hasPostgres;
const SEED = Number(process.env.FAULT_SEED ?? 1);
const RUN_MS = 480_000;
const READY_MS = 120_000;
const SCANNERS = 100;
/** Anomalies a second, published and taken, so that the faults come in the middle. */
const PACE = 10;
/** On a busy machine an engine that is late abstains, and the anomaly says so: another content. */
const PATIENT = 'detection.ensemble.config.deadlineMs=600000';
const paceOf = (perSecondMax: number): string =>
  `detection.signer.config.perSecondMax=${perSecondMax}`;
/** An anomaly comes with its evidence. */
const TRANSACTIONS = 2 * PACE;
/** What piles up during an outage is not committed at once after it. */
const INTAKE = VALIDATORS.flatMap((name) =>
  ['admissionsPerSecondMax', 'poolTransactionsMax'].map(
    (setting) => `${name}.validator.ingest.config.${setting}=${TRANSACTIONS}`,
  ),
);

const folder = temporaryFolder('cybermesh-cluster-');
const capture = path.join(folder.path, 'campaign.pcap');
const embedded = path.join(folder.path, 'embedded');
let services: Omit<Surroundings, 'data'> | undefined;
let cluster: ClusterRun | undefined;
/** Content hashes that the embedded run commits, sorted. */
let expected: readonly string[] = [];

beforeAll(async () => {
  if (!canRun) return;
  writeFileSync(capture, mixedCampaign(SCANNERS, 40));
  const set = [...(await ownPorts()).set, `node.dataDir=${embedded}`, PATIENT, paceOf(1000)];
  const sets = set.flatMap((one) => ['--set', one]);
  const done = await cybermesh(
    ['start', 'config/local.yaml', '--source', `pcap:${capture}`, ...sets],
    { timeoutMs: RUN_MS },
  );
  expect(done.code, done.stderr.slice(-4000)).toBe(0);
  const contents = chainOfValidator(embedded, 'v1').flatMap((block) => block.contents);
  expected = contents.toSorted();
  expect(new Set(contents).size).toBe(contents.length);
  expect(expected.length).toBeGreaterThan(SCANNERS);
  const kinds = new Set([...payloadsOf(embedded).values()].map(({ type }) => type));
  expect(kinds).toEqual(new Set(['port_scan', 'brute_force', 'dos', 'ddos']));
}, RUN_MS);
afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
  await services?.kafka.remove();
  await services?.postgres.close();
  services = undefined;
}, 60_000);
afterAll(() => folder.remove());

const start = async (
  name: string,
  { set, ...given }: Pick<ClusterOptions, 'parameters'> & { readonly set: readonly string[] },
): Promise<ClusterRun> => {
  const data = path.join(folder.path, name);
  mkdirSync(data);
  const kafka = await provideKafka();
  const [postgres] = await Promise.all([postgresServer(), kafka.start()]);
  services = { kafka, postgres };
  cluster = await startCluster(
    { ...services, data },
    {
      source: `pcap:${capture}`,
      set: [`detector.${PATIENT}`, ...set],
      keysOf: embedded,
      ...given,
      timeoutMs: RUN_MS,
    },
  );
  const run = cluster;
  await withComplaints(run, () => run.running.saw(/all six are ready/, READY_MS));
  return run;
};

/** The end of every run, whatever befell it: these anomalies and no others, each of them once. */
const areSound = (traces: Traces, contents: readonly string[]): void => {
  const { facts, sql, policies, acks } = traces;
  expect(traces.contents).toEqual(contents);
  expect(traces.published).toEqual(contents);
  for (const chain of facts) expect(chain).toEqual(sql);
  expect(policies.length).toBeGreaterThan(0);
  expect(acks).toEqual({ applied: policies, failed: [] });
  expect(traces.sqlAcks).toEqual(policies);
};

/** One anomaly after the other, each when the one before is committed, until `work` is over: their content hashes. */
const agreeDuring = async (run: ClusterRun, work: Promise<unknown>): Promise<string[]> => {
  let isOver = false;
  const over = work.finally(() => {
    isOver = true;
  });
  const key = readPrivateKey(path.join(run.data, 'detector', 'keys', 'detector.pem'));
  const bus = await openBus(run.kafka, [TOPICS.anomalies], { create: undefined });
  const contents: string[] = [];
  const before = run.committed();
  try {
    while (!isOver) {
      const counter = contents.length + 1;
      const event = anomalyOf(
        { src_ip: `192.0.2.${1 + (counter % 250)}`, flows: counter },
        { tsMs: Date.now(), counter, key },
      );
      const value = encodeAnomaly(event);
      const told = { topic: TOPICS.anomalies, key: 'test', value, headers: {} };
      expect(await bus.publish([told])).toMatchObject([{ outcome: 'ok' }]);
      contents.push(hex(event.contentHash));
      await until(() => run.committed() >= before + contents.length, READY_MS, 50);
    }
  } finally {
    await bus.close();
  }
  await over;
  return contents;
};

test.skipIf(!canRun)(
  'six processes over Kafka and PostgreSQL commit the same anomalies as one process does, and go on agreeing while validators are restarted in turn (needs java, mvn, openssl and postgres)',
  { timeout: RUN_MS },
  async () => {
    const run = await start('calm', { set: [`detector.${paceOf(1000)}`] });
    await run.running.saw(/detector +\| has ended with its source/, READY_MS);
    await run.settled();
    expect(run.contents()).toEqual(expected);

    const restart = ['cluster', 'restart', 'v1', 'v2', '--data', run.data];
    const restarting = cybermesh(restart, { timeoutMs: 150_000 });
    const meanwhile = await agreeDuring(run, restarting);
    const { stdout, code } = await restarting;
    expect(stdout).toMatch(/v1 +\| back after .* s\nv2 +\| back after/);
    expect(code).toBe(0);
    expect(meanwhile.length).toBeGreaterThan(1);
    await run.settled();

    const pids = await Promise.all([...VALIDATORS, 'enforcer'].map(run.pidOf));
    expect(await run.stop()).toBe(0);
    for (const pid of pids) expect(() => process.kill(pid!, 0)).toThrow();
    const traces = await tracesOf(run);
    areSound(traces, [...expected, ...meanwhile].toSorted());
    expect(traces.letters).toEqual([]);
  },
);

test.skipIf(!canRun)(
  `the broker killed three times, the database twice, each of six processes once, at the moments of seed ${SEED}: the same anomalies, none twice, all acknowledged (needs java, mvn, openssl and postgres)`,
  { timeout: RUN_MS },
  async () => {
    const run = await start('faults', {
      set: [`detector.${paceOf(PACE)}`, ...INTAKE],
      parameters: { blockTxMax: TRANSACTIONS },
    });
    const told: string[] = [];
    const beganMs = performance.now();
    const tell = (text: string): void => {
      told.push(`${((performance.now() - beganMs) / 1000).toFixed(1)} s: ${text}`);
    };
    try {
      await withComplaints(run, async () => {
        await inflict(run, faultPlan(SEED, expected.length), tell);
        await run.running.saw(/detector +\| has ended with its source/, READY_MS);
        tell('the source has ended');
        await run.settled();
        tell('settled');
      });
    } catch (cause) {
      throw new Error(`seed ${SEED}\n${told.join('\n')}`, { cause });
    }
    expect(await run.stop()).toBe(0);
    const traces = await tracesOf(run);
    areSound(traces, expected);
    // A detector that died between publishing and noting it publishes again, and validators say so of what they have.
    const copies = new Set(['duplicate', 'replayed']);
    const others = traces.letters.filter(({ code }) => !copies.has(code));
    expect(others).toEqual([]);
  },
);

test('an embedded bus serves one process only, and cluster says so', async () => {
  const data = path.join(folder.path, 'refused');
  const refused = await cybermesh(['cluster', '--bus', 'embedded', '--data', data]);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('the embedded bus serves one process only');
  const one = await cybermesh(['cluster', '--database', 'embedded', '--data', data]);
  expect(one.stderr).toContain('an embedded one serves one process');
  const nobody = await cybermesh(['cluster', '--set', 'v9.node.logLevel=debug', '--data', data]);
  expect(nobody.stderr).toContain('there is no v9; there are v1, v2, v3, v4, enforcer, detector');
  const none = await cybermesh(['cluster', 'restart', '--data', data]);
  expect(none).toMatchObject({ code: 1 });
  expect(none.stderr).toContain('no cluster has been started in that folder');
});
