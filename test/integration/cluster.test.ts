import { writeFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { campaign } from '#test/kit/campaign.ts';
import { chainOfValidator } from '#test/kit/fates.ts';
import { type Kafka, kafkaNeeds, provideKafka } from '#test/kit/kafka.ts';
import { freePort } from '#test/kit/ports.ts';
import { hasPostgres } from '#test/kit/postgres.ts';
import { cybermesh, launchCybermesh, type Running, temporaryFolder } from '#test/kit/processes.ts';
import { until } from '#test/kit/system.ts';

const canRun = kafkaNeeds() === '' && hasPostgres;
const RUN_MS = 290_000;
const SCANNERS = 400;
const VALIDATORS = ['v1', 'v2', 'v3', 'v4'];
const ALL = [...VALIDATORS, 'enforcer', 'detector'];

let folder: ReturnType<typeof temporaryFolder>;
let data = '';
let kafka: Kafka | undefined;
let cluster: Running | undefined;

beforeEach(async () => {
  folder = temporaryFolder('cybermesh-cluster-');
  data = folder.path;
  if (!canRun) return;
  kafka = await provideKafka();
  await kafka.start();
}, 200_000);
afterEach(async () => {
  cluster?.signal('SIGINT');
  await cluster?.done;
  await kafka?.remove();
  folder.remove();
});

const start = async (source: string): Promise<Running> => {
  const ports = { libp2p: await blockOfPorts(), api: await blockOfPorts() };
  const args = [
    ...['cluster', '--data', data, '--brokers', `127.0.0.1:${kafka!.ports.plain}`],
    ...['--port', `${ports.libp2p}`, '--api-port', `${ports.api}`, '--source', source],
  ];
  cluster = launchCybermesh(args, { timeoutMs: RUN_MS });
  return cluster;
};
/** A port with, most likely, five more behind it. */
const blockOfPorts = async (): Promise<number> => Math.min(await freePort(), 65_000);

const pidOf = async (name: string): Promise<number | undefined> => {
  const done = await cybermesh(['status', '--data', path.join(data, name), '-o', 'json']);
  return done.code === 0 ? (JSON.parse(done.stdout) as { pid: number }).pid : undefined;
};
const killNow = async (name: string): Promise<void> => {
  const pid = await pidOf(name);
  if (pid === undefined) throw new Error(`${name} does not run`);
  process.kill(pid, 'SIGKILL');
};
const query = async <Row extends pg.QueryResultRow>(sql: string): Promise<readonly Row[]> => {
  const client = new pg.Client({
    host: path.join(data, 'postgres'),
    user: 'cybermesh',
    database: 'postgres',
  });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
};
/** Content hashes in the chain of a validator, block by block. */
const contentsOf = (name: string): string[] =>
  chainOfValidator(path.join(data, name), 'validator').flatMap((block) => block.contents);

test.skipIf(!canRun)(
  'six processes on a real broker and database: each of three is killed and the broker, too, and every anomaly is in every chain once, in SQL, and acknowledged (needs java, mvn, openssl and postgres)',
  { timeout: RUN_MS },
  async () => {
    const capture = path.join(data, 'campaign.pcap');
    writeFileSync(capture, campaign(SCANNERS, 40));
    const running = await start(`pcap:${capture}`);
    await running.saw(/all six are ready/, 120_000);
    await until(() => contentsOf('v1').length > 0, 60_000, 100);

    await killNow('v2');
    await kafka!.kill();
    await running.saw(/v2 +\| ended with SIGKILL/);
    await kafka!.start();
    await killNow('enforcer');
    await killNow('detector');
    await running.saw(/detector +\| has ended with its source/, 180_000);

    const restarted = await cybermesh(['cluster', 'restart', 'v1', 'v2', '--data', data], {
      timeoutMs: 150_000,
    });
    expect(restarted.stdout).toMatch(/v1 +\| back after .* s\nv2 +\| back after/);
    expect(restarted.code).toBe(0);

    const rows = await until(async () => {
      const [row] = await query<{ anomalies: string; acks: string }>(
        'SELECT (SELECT count(*) FROM anomalies) AS anomalies, (SELECT count(DISTINCT policy_id) FROM acks) AS acks',
      );
      return Number(row?.anomalies) >= SCANNERS && row;
    }, 60_000);

    const pids = await Promise.all(ALL.filter((name) => name !== 'detector').map(pidOf));
    running.signal('SIGINT');
    expect((await running.done).code).toBe(0);
    for (const pid of pids) expect(() => process.kill(pid!, 0)).toThrow();

    const contents = VALIDATORS.map(contentsOf);
    const [first] = contents as [string[], ...string[][]];
    expect(new Set(first).size).toBe(first.length);
    expect(first.length).toBeGreaterThanOrEqual(SCANNERS);
    expect(Number(rows.anomalies)).toBe(first.length);
    for (const other of contents) expect(other).toEqual(first);
    const policies = new Set(
      chainOfValidator(path.join(data, 'v1'), 'validator').flatMap((block) =>
        block.policies.map(({ id }) => id),
      ),
    );
    expect(policies.size).toBeGreaterThan(0);
    expect(Number(rows.acks)).toBe(policies.size);
  },
);

test('an embedded bus serves one process only, and cluster says so', async () => {
  const refused = await cybermesh(['cluster', '--bus', 'embedded', '--data', data]);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('the embedded bus serves one process only');
  const one = await cybermesh(['cluster', '--database', 'embedded', '--data', data]);
  expect(one.stderr).toContain('an embedded one serves one process');
  const none = await cybermesh(['cluster', 'restart', '--data', data]);
  expect(none).toMatchObject({ code: 1 });
  expect(none.stderr).toContain('no cluster has been started in that folder');
});
