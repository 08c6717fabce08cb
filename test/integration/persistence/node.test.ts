import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { chainOfValidator, heightOf } from '#test/kit/fates.ts';
import { ownPorts } from '#test/kit/local-node.ts';
import {
  hasPostgres,
  NEEDS_POSTGRES,
  type PostgresServer,
  postgresServer,
} from '#test/kit/postgres.ts';
import { launchCybermesh, ROOT, type Running, temporaryFolder } from '#test/kit/processes.ts';
import { until } from '#test/kit/system.ts';

const RUN_MS = 240_000;
const BESIDE = '- { name: persistence, actor: persistence, config: { from: v1 } }';

let folder: ReturnType<typeof temporaryFolder>;
let server: PostgresServer | undefined;
let node: Running | undefined;

beforeEach(async () => {
  folder = temporaryFolder('cybermesh-sql-node-');
  if (hasPostgres) server = await postgresServer();
}, 120_000);
afterEach(async () => {
  node?.signal('SIGINT');
  await node?.done;
  await server?.close();
  folder.remove();
});

/** config/local.yaml with a server instead of the embedded database, and a second projector beside the first. */
const topologyFile = (url: string, passwordFile: string): string => {
  const text = readFileSync(path.join(ROOT, 'config/local.yaml'), 'utf8');
  const line = (name: string, from: string): string =>
    `- { name: ${name}, actor: persistence, config: { from: ${from}, leaseMs: 3000, ` +
    `passwordFile: ${passwordFile} } }`;
  const file = path.join(folder.path, 'node.yaml');
  const other = line('watcher', 'v2').slice(2);
  const two = `${line('persistence', 'v1')}\n    - { name: second, children: [${other}] }`;
  const changed = text.replace(BESIDE, two).replace('{ url: embedded }', `{ url: '${url}' }`);
  expect(changed).toContain('watcher');
  expect(changed).toContain(url);
  writeFileSync(file, changed);
  return file;
};

const heightInSql = async (): Promise<number> => {
  const answer = await server!
    .execute('SELECT max(height) AS height FROM blocks')
    .catch(() => null);
  return Number(answer?.rows[0]?.height ?? 0);
};

test.skipIf(!hasPostgres)(
  `a server that is away at the start and killed twice: consensus goes on, SQL has the chain, and the other projector saw no difference ${NEEDS_POSTGRES}`,
  { timeout: RUN_MS },
  async () => {
    const dataDir = path.join(folder.path, 'data');
    const passwordFile = path.join(folder.path, 'password');
    writeFileSync(passwordFile, server!.password);
    const url = `postgres://cybermesh@127.0.0.1:${server!.port}/postgres`;
    await server!.down();
    const { set } = await ownPorts();
    const sets = [...set, `node.dataDir=${dataDir}`].flatMap((one) => ['--set', one]);
    node = launchCybermesh(['start', topologyFile(url, passwordFile), ...sets], {
      timeoutMs: RUN_MS,
    });
    const chain = (): number => heightOf(dataDir, 'v1');
    await node.saw(/start the server/, 90_000);
    await until(() => chain() >= 3, 90_000, 200);

    await server!.up();
    for (let kill = 0; kill < 2; kill++) {
      const before = chain();
      await until(async () => (await heightInSql()) >= before, 60_000, 200);
      await server!.kill();
      const killed = chain();
      await until(() => chain() >= killed + 2, 60_000, 200);
      await server!.up();
    }
    const last = chain();
    await until(async () => (await heightInSql()) >= last, 60_000, 200);
    const lease = await server!.execute('SELECT holder, fence FROM projector_lease');
    expect(lease.rows).toHaveLength(1);

    node.signal('SIGINT');
    const { code, stdout, stderr } = await node.done;
    expect(code).toBe(0);
    expect(`${stdout}${stderr}`).not.toContain(server!.password);
    expect(`${stdout}${stderr}`).not.toMatch(/SQL holds another block/);
    const inSql = await server!.execute(
      `SELECT b.height, count(t.tx_id) AS txs, b.tx_count FROM blocks b
       LEFT JOIN transactions t ON t.block_height = b.height GROUP BY b.height, b.tx_count
       ORDER BY b.height`,
    );
    const blocks = chainOfValidator(dataDir, 'v1');
    const heights = inSql.rows.map((row) => Number(row.height));
    expect(heights).toEqual(blocks.map((one) => one.height).slice(0, heights.length));
    expect(heights.length).toBeGreaterThanOrEqual(last);
    for (const row of inSql.rows) expect(Number(row.txs)).toBe(Number(row.tx_count));
  },
);
