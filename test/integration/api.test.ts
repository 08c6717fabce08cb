import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type {
  AnomalyList,
  BlockPage,
  BlockView,
  OverviewView,
  PolicyDetail,
  PolicyList,
  RootView,
  StateView,
  ValidatorList,
} from '#actors/api/views.ts';
import { openDatabase } from '#actors/persistence/database.ts';
import { CHAIN_FILE, openChainFile } from '#native/chain-file.ts';
import { crypto } from '#native/crypto.ts';
import { fromHex, hex, utf8 } from '#proto/bytes.ts';
import { verifyCommitProof } from '#proto/commit-proof.ts';
import { blockOf } from '#proto/consensus/committed.ts';
import { genesisCommittee, parseGenesis } from '#proto/genesis.ts';
import { verifyProof } from '#proto/merkle.ts';
import { TOTALS_KEY } from '#proto/state.ts';
import { reportOf } from '#runtime/metrics/report.ts';
import { freshFolder } from '#test/kit/executor-host.ts';
import { type LocalNode, startLocal } from '#test/kit/local-node.ts';
import { until } from '#test/kit/system.ts';

const RUN_MS = 60_000;
const dataDir = freshFolder();
let node: LocalNode;
const base = (): string => `http://127.0.0.1:${node.apiPort}/api/v1`;
const get = async <T>(path: string): Promise<T> => {
  const response = await fetch(base() + path);
  if (response.status !== 200) throw new Error(`${path}: ${await response.text()}`);
  return (await response.json()) as T;
};
const stages = () => reportOf(node.system.snapshot()).stages;

/** One test after the other on one running system: synthetic traffic, policies acknowledged. */
beforeAll(async () => {
  node = await startLocal(dataDir, []);
  await until(() => stages().acked > 0, RUN_MS);
  // The validator that the API shows may lie behind the one whose policies were acknowledged first.
  await until(async () => (await get<RootView>('/state/root')).height >= 3, RUN_MS);
}, RUN_MS * 3);
afterAll(async () => {
  await node.system.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

test('the node is healthy and ready', async () => {
  expect(await get('/health')).toMatchObject({ status: 'ok' });
  const ready = await get<{ readonly height: number }>('/ready');
  expect(ready.height).toBeGreaterThan(0);
});

test('the pages of blocks are the heights from 1 to the head, each the parent of the next', async () => {
  const blocks: BlockPage['blocks'][number][] = [];
  let next: string | null = '/blocks?limit=3';
  while (next !== null && blocks.length < 30) {
    const page: BlockPage = await get(next);
    blocks.push(...page.blocks);
    next = page.next?.replace('/api/v1', '') ?? null;
  }
  expect(blocks.map((one) => one.height)).toEqual(blocks.map((_, k) => k + 1));
  const second = await get<BlockView>('/blocks/2');
  expect(second.header.parentHash).toBe(blocks[0]?.hash);
  const latest = await get<BlockView>('/blocks/latest');
  expect(latest.header.height).toBeGreaterThanOrEqual(blocks.length);
});

test('the state root is that of the header at its height', async () => {
  const root = await get<RootView>('/state/root');
  const block = await get<BlockView>(`/blocks/${root.height}`);
  expect([root.root, root.blockHash]).toEqual([block.header.stateRoot, block.hash]);
});

test('a value of the state verifies under the root', async () => {
  const view = await get<StateView>(`/state/${TOTALS_KEY}`);
  const { siblings } = view.proof;
  const merkle = { siblings: siblings.map(fromHex), other: null };
  const value = fromHex(view.valueHex);
  expect(verifyProof(fromHex(view.root), TOTALS_KEY, value, merkle, crypto)).toBe(true);
  const block = await get<BlockView>(`/blocks/${view.height}`);
  expect(view.root).toBe(block.header.stateRoot);
});

test('four validators, connected, one of them leading', async () => {
  const { validators } = await get<ValidatorList>('/validators');
  expect(validators.map((one) => one.name).sort()).toEqual(['v1', 'v2', 'v3', 'v4']);
  expect(validators.every((one) => one.connected)).toBe(true);
  expect(validators.filter((one) => one.leader)).toHaveLength(1);
  expect((await fetch(`${base()}/validators/v9`)).status).toBe(404);
});

test('every policy shown as active proves itself against the genesis file', async () => {
  const { policies } = await get<PolicyList>('/policies?active=true');
  expect(policies.length).toBeGreaterThan(0);
  const parsed = parseGenesis(readFileSync(join(dataDir, 'genesis.json')));
  if (!parsed.ok) throw new Error(parsed.error);
  const trust = { committee: genesisCommittee(parsed.value, crypto), crypto };
  for (const { id } of policies) {
    const { rule, proof } = await get<PolicyDetail>(`/policies/${id}`);
    const claim = { policyId: id, action: 'add', ruleData: utf8(rule) };
    const bytes = Buffer.from(proof.commitProof.base64, 'base64');
    expect(verifyCommitProof(bytes, trust, claim).ok).toBe(true);
  }
});

test('anomalies are filtered by state, and each is found by its id', async () => {
  const { anomalies } = await get<AnomalyList>('/anomalies?state=committed');
  expect(anomalies.length).toBeGreaterThan(0);
  for (const one of anomalies as readonly { readonly id: string; readonly state: string }[]) {
    expect(one.state).toBe('COMMITTED');
    expect(await get(`/anomalies/${one.id}`)).toMatchObject({ id: one.id });
  }
});

test('the overview has every part in one answer, once SQL has opened', async () => {
  await expect
    .poll(async () => (await get<OverviewView>('/dashboard/overview')).missing, {
      timeout: RUN_MS,
      interval: 200,
    })
    .toEqual([]);
  const view = await get<OverviewView>('/dashboard/overview');
  expect(view.stages.committed).toBeGreaterThan(0);
  expect(view.blocks?.length).toBeGreaterThan(0);
  expect(view.consensus?.silent).toEqual([]);
});

test('metrics have a type line for every family and no line twice', async () => {
  const text = await (await fetch(`${base()}/metrics`)).text();
  const lines = text.trimEnd().split('\n');
  const samples = lines.filter((line) => !line.startsWith('#'));
  const keys = samples.map((line) => line.slice(0, line.lastIndexOf(' ')));
  expect(new Set(keys).size).toBe(keys.length);
  const types = lines
    .filter((line) => line.startsWith('# TYPE '))
    .map((line) => line.split(' ')[2]);
  for (const key of keys) {
    const family = key.split('{')[0]!.replace(/_(?:bucket|sum|count)$/, '');
    expect(types.some((type) => type === family || type === key.split('{')[0])).toBe(true);
  }
});

test('after the stop SQL holds what the chain holds', async () => {
  await node.system.stop();
  const chain = openChainFile(join(dataDir, 'v1', 'executor', CHAIN_FILE));
  const blocks = [...chain.blocks()].map((one) => blockOf(one));
  chain.close();
  const database = await openDatabase({
    url: 'embedded',
    folder: join(dataDir, 'persistence', 'pglite'),
    connectionsMax: 1,
    statementTimeoutMs: 20_000,
    retriesMax: 3,
    onError: () => {},
  });
  const { rows } = await database.query(
    `SELECT (SELECT count(*) FROM blocks) AS blocks, (SELECT count(*) FROM transactions) AS txs,
       (SELECT state_root FROM state_versions ORDER BY height DESC LIMIT 1) AS root`,
  );
  await database.close();
  const txs = blocks.reduce((sum, one) => sum + one.txs.length, 0);
  expect([Number(rows[0]?.blocks), Number(rows[0]?.txs)]).toEqual([blocks.length, txs]);
  expect(hex(rows[0]?.root as Buffer)).toBe(blocks.at(-1)?.header.stateRoot);
});
