import { afterAll, beforeAll, expect, test } from 'vitest';
import type {
  AnomalyList,
  BlockPage,
  BlockView,
  ConsensusView,
  OverviewView,
  PolicyDetail,
  PolicyList,
  RootView,
  StateView,
  ValidatorList,
  ValidatorView,
} from '#actors/api/views.ts';
import { crypto } from '#native/crypto.ts';
import { fromHex, hex } from '#proto/bytes.ts';
import { verifyCommitProof } from '#proto/commit-proof.ts';
import { decodeAnchor, verifyAnchor } from '#proto/consensus/anchor.ts';
import { genesisCommittee } from '#proto/genesis.ts';
import { listRoot, verifyProof } from '#proto/merkle.ts';
import { decodeState, policyKey } from '#proto/state.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';
import { type CommittedChain, committedChain } from '#test/kit/committed-chain.ts';
import { anomalyTx, policyTx } from '#test/kit/messages.ts';
import { type Answering, AT_MS, executorAnswers, hostOf, json } from './core-host.ts';

const genesis = testGenesis();
const committee = genesisCommittee(genesis, crypto);
const trust = { committee, crypto };
let chain: CommittedChain;
let empty: CommittedChain;
let policyId = '';

beforeAll(async () => {
  chain = await committedChain(genesis, [
    [anomalyTx({}, { counter: 1 })],
    [policyTx({}, { counter: 1 }), anomalyTx({ src_ip: '198.51.100.9' }, { counter: 2 })],
    [],
  ]);
  empty = await committedChain(genesis, []);
  policyId = block(1).policies[0]!;
});
afterAll(() => {
  chain.host.close();
  empty.host.close();
});

const status = (over: object = {}) => ({
  height: 3,
  view: 4,
  highQcView: 3,
  leader: 'v2',
  peers: 3,
  committee: JSON.stringify(
    committee.validators.map(({ id, name, weight }) => ({
      ...{ id, name, weight, leader: name === 'v2', connected: name !== 'v4' },
    })),
  ),
  viewChanges: 0,
  genesis: 'agreed',
  halted: false,
  ...over,
});
const replicas = (over: Answering = {}): Answering => ({
  ...Object.fromEntries(
    ['v1', 'v2', 'v3', 'v4'].map((v) => [`${v}.replica.status`, () => status()]),
  ),
  ...over,
});
const agentOf = (id: string, over: object = {}) => ({
  ...{ id, action: 'drop', targets: ['198.51.100.7'], status: 'applied', reason: 'noop' },
  ...{ committedMs: AT_MS - 1000, expiresMs: AT_MS + 599_000, appliedAtMs: AT_MS },
  ...over,
});
const agents = (...list: object[]): Answering => ({
  'enforcer.list': () => ({ policies: json(list) }),
  'enforcer.summary': () => ({ json: json({ backend: 'noop' }) }),
});
const withChain = (...more: Answering[]) =>
  hostOf(Object.assign({}, executorAnswers(chain), ...more) as Answering);
const block = (height: number) => withChain().view<BlockView>({ kind: 'block', height });

test('ready needs the head of the executor and nothing of the quorum', () => {
  const host = hostOf(executorAnswers(empty));
  expect(host.view({ kind: 'ready' })).toEqual({ ready: true, height: 0 });
  expect(host.asked()).toEqual([
    {
      effect: 'ask',
      to: 'v1.executor',
      message: { kind: 'head' },
      resume: expect.anything(),
      deadlineMs: 2000,
    },
  ]);
  expect(hostOf({ 'v1.executor.head': 'timeout' }).problem({ kind: 'ready' })).toMatchObject({
    status: 503,
    detail: 'the executor of v1 does not answer within 2000 ms',
  });
});

test('the pages of blocks, one after the other, are all heights in order', () => {
  const host = withChain();
  const heights: number[] = [];
  let from = 1;
  for (;;) {
    const page = host.view<BlockPage>({ kind: 'blocks', from, limit: 2 });
    heights.push(...page.blocks.map((one) => one.height));
    expect(page.head).toBe(3);
    if (page.next === null) break;
    const next = new URL(page.next, 'http://x').searchParams;
    expect(next.get('limit')).toBe('2');
    from = Number(next.get('from'));
  }
  expect(heights).toEqual([1, 2, 3]);
});

test('a page above the head is empty and the last one', () => {
  const page = withChain().view<BlockPage>({ kind: 'blocks', from: 9, limit: 5 });
  expect(page).toEqual({ blocks: [], head: 3, next: null });
});

test('a block shows header, transactions, receipts, and a proof that verifies', () => {
  const shown = block(2);
  expect(shown.header).toMatchObject({ height: 2, chainId: 'test', txCount: 2 });
  expect(shown.transactions.map((tx) => tx.kind).sort()).toEqual(['anomaly', 'policy']);
  expect(shown.receipts.map((one) => one.txId)).toEqual(shown.transactions.map((tx) => tx.id));
  const ids = shown.transactions.map((tx) => fromHex(tx.id));
  expect(hex(listRoot(ids, crypto))).toBe(shown.header.txRoot);
  const anchor = decodeAnchor(Buffer.from(shown.proof.base64, 'base64'));
  if (!anchor.ok) throw new Error(anchor.error);
  expect(verifyAnchor(anchor.value, trust).ok).toBe(true);
  expect(shown.proof).toMatchObject({ anchorHeight: 2, anchorHash: shown.hash });
  expect(shown.proof.signers).toHaveLength(3);
});

test('the latest block is the one at the head', () => {
  expect(withChain().view<BlockView>({ kind: 'latestBlock' })).toEqual(block(3));
  expect(hostOf(executorAnswers(empty)).problem({ kind: 'latestBlock' }).status).toBe(404);
});

test('an unknown height is 404 and names the newest', () => {
  expect(withChain().problem({ kind: 'block', height: 99 })).toMatchObject({
    status: 404,
    detail: 'no block has height 99; the newest has 3',
    head: 3,
  });
});

test('the state root is that of the header at the head', () => {
  const root = withChain().view<RootView>({ kind: 'stateRoot' });
  expect(root.root).toBe(block(3).header.stateRoot);
  expect(root.blockHash).toBe(block(3).hash);
  expect(hostOf(executorAnswers(empty)).view<RootView>({ kind: 'stateRoot' })).toMatchObject({
    height: 0,
    proof: null,
  });
});

const checks = (view: Pick<StateView, 'key' | 'root' | 'proof'>, value: Uint8Array | null) => {
  const siblings = view.proof.siblings.map(fromHex);
  const { other } = view.proof;
  const merkle = {
    siblings,
    other: other && { path: fromHex(other.path), valueHash: fromHex(other.valueHash) },
  };
  return verifyProof(fromHex(view.root), view.key, value, merkle, crypto);
};

test('a value of the state comes with a proof that verifies under the root of its height', () => {
  const host = withChain();
  const key = policyKey(policyId);
  for (const height of [0, 1, 3]) {
    const view = host.view<StateView>({ kind: 'state', key, height });
    expect(view.root).toBe(block(height === 0 ? 3 : height).header.stateRoot);
    expect(view.value).toEqual(decodeState(key, fromHex(view.valueHex)));
    expect(checks(view, fromHex(view.valueHex))).toBe(true);
    expect(checks(view, Buffer.from('{}'))).toBe(false);
  }
});

test('an absent key is 404 with a proof of its absence', () => {
  const problem = withChain().problem({ kind: 'state', key: 'policies/none', height: 0 });
  expect(problem).toMatchObject({ status: 404, detail: 'the state has no key policies/none' });
  expect(checks(problem as unknown as StateView, null)).toBe(true);
});

test('a height that the executor does not keep is 404 and names the parameter', () => {
  const problem = withChain().problem({ kind: 'state', key: 'params', height: 77 });
  expect(problem).toMatchObject({ status: 404, parameter: 'height' });
});

test('validators show their record from one version of the state', () => {
  const host = withChain(replicas());
  const list = host.view<ValidatorList>({ kind: 'validators' });
  expect(list.validators).toHaveLength(4);
  expect(list.validators.reduce((sum, one) => sum + one.proposed, 0)).toBe(3);
  expect(list.validators.find((one) => one.leader)?.name).toBe('v2');
  expect(list.validators.find((one) => !one.connected)?.name).toBe('v4');
  const states = host.asked().filter((one) => one.message.kind === 'state');
  expect(states.map((one) => one.message.height)).toEqual([3, 3, 3, 3]);
});

test('a validator is found by its id and by its name', () => {
  const host = withChain(replicas());
  const byName = host.view<ValidatorView>({ kind: 'validator', id: 'v3' });
  expect(byName.name).toBe('v3');
  expect(host.view({ kind: 'validator', id: byName.id })).toEqual(byName);
  expect(host.problem({ kind: 'validator', id: 'v9' })).toMatchObject({
    status: 404,
    detail: expect.stringContaining('there are v'),
  });
});

test('consensus shows every replica that answers and names those that do not', () => {
  const host = withChain(replicas({ 'v3.replica.status': 'timeout' }));
  expect(host.view<ConsensusView>({ kind: 'consensus' })).toMatchObject({
    ...{ height: 3, view: 4, leader: 'v2', totalWeight: 4, quorumWeight: 3, silent: ['v3'] },
    replicas: [{ name: 'v1' }, { name: 'v2' }, { name: 'v4' }],
  });
  expect(hostOf({}).problem({ kind: 'consensus' }).status).toBe(503);
});

test('anomalies are filtered by feedback, and a full page leads to the next', () => {
  const host = hostOf({
    'feedback.list': ({ limit }) => ({
      anomalies: json(
        Array.from({ length: Number(limit) }, (_, n) => ({ id: `a${n}`, detectedAtMs: 1000 - n })),
      ),
      total: 7,
    }),
  });
  const filter = { state: 'COMMITTED', severityMin: 5, limit: 3, before: 2000 };
  const page = host.view<AnomalyList>({ kind: 'anomalies', ...filter });
  expect(host.asked()[0]).toMatchObject({ to: 'feedback', message: { kind: 'list', ...filter } });
  expect(page.total).toBe(7);
  expect(page.next).toBe('/api/v1/anomalies?state=COMMITTED&severity=5&limit=3&before=998');
});

test('the last page of anomalies has no next', () => {
  const host = hostOf({ 'feedback.list': () => ({ anomalies: json([{ id: 'a' }]), total: 1 }) });
  const all = { state: '', severityMin: 0, limit: 2, before: 0 };
  expect(host.view({ kind: 'anomalies', ...all })).toMatchObject({ next: null });
});

test('one anomaly is found by its id', () => {
  const one: Answering = {
    'feedback.one': ({ id }) => ({
      found: id === 'a',
      anomaly: json({ id }),
    }),
  };
  expect(hostOf(one).view({ kind: 'anomaly', id: 'a' })).toEqual({ id: 'a' });
  expect(hostOf(one).problem({ kind: 'anomaly', id: 'b' }).status).toBe(404);
  const silent = hostOf({ 'feedback.one': 'target-restarted' }).problem({
    kind: 'anomaly',
    id: 'a',
  });
  expect(silent).toMatchObject({ status: 503, detail: 'feedback is being restarted' });
});

test('policies are those that the chain knows, active as the chain says', () => {
  const known = agents(agentOf(policyId), agentOf('policy-1'), agentOf('invented'));
  const host = withChain(known);
  const list = host.view<PolicyList>({ kind: 'policies', active: undefined, limit: 50 });
  expect(list.policies.map((one) => one.id)).toEqual([policyId, 'policy-1']);
  expect(list.policies[0]).toMatchObject({
    ...{ type: 'block', action: 'drop', targets: ['198.51.100.7'], ttlS: 600, active: true },
    enforcement: { status: 'applied' },
  });
  expect(list.activeInState).toBe(block(1).policies.length + block(2).policies.length);
  const active = host.view<PolicyList>({ kind: 'policies', active: true, limit: 50 });
  expect(active.policies).toHaveLength(2);
  const over = host.view<PolicyList>({ kind: 'policies', active: false, limit: 50 });
  expect(over.policies).toEqual([]);
});

test('a policy comes with a proof that an agent would obey', () => {
  const host = withChain(agents(agentOf(policyId)));
  const detail = host.view<PolicyDetail>({ kind: 'policy', id: policyId });
  const claim = { policyId, action: 'add', ruleData: Buffer.from(detail.rule) };
  const bytes = Buffer.from(detail.proof.commitProof.base64, 'base64');
  const proven = verifyCommitProof(bytes, trust, claim);
  expect(proven).toMatchObject({ ok: true, value: { height: 3 } });
  expect(detail.enforcement).toMatchObject({ status: 'applied' });
});

test('a policy is shown without an enforcer, too', () => {
  const detail = withChain().view<PolicyDetail>({ kind: 'policy', id: policyId });
  expect(detail).toMatchObject({ active: true, enforcement: null });
});

test('an unknown policy is 404, at genesis as later', () => {
  const unknown = { kind: 'policy', id: 'none' } as const;
  expect(withChain(agents()).problem(unknown).status).toBe(404);
  expect(hostOf({ ...executorAnswers(empty), ...agents() }).problem(unknown).status).toBe(404);
});

const system = {
  node: 'local',
  stages: { flows: 1 } as never,
  restarts: 0,
  projection: { height: 3, lag: 0, connected: true },
  notices: Array.from({ length: 20 }, (_, n) => ({ atMs: n, path: 'x', topic: 't', text: '' })),
};

test('the overview has stages, height, validators, last blocks and policies in one answer', () => {
  const host = withChain(replicas(), agents(agentOf(policyId)), {
    'feedback.summary': () => ({ json: json({ open: 0 }) }),
  });
  const view = host.view<OverviewView>({ kind: 'overview', system });
  expect(view).toMatchObject({
    ...{ node: 'local', height: 3, stages: { flows: 1 }, feedback: { open: 0 }, missing: [] },
    policies: [{ id: policyId }],
    projection: { height: 3, lag: 0, connected: true },
  });
  expect(view.blocks?.map((one) => one.height)).toEqual([1, 2, 3]);
  expect(view.consensus?.committee).toHaveLength(4);
  expect(view.notices.map((one) => one.atMs)).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
});

test('the overview shows what there is and names what is missing', () => {
  const view = hostOf({}).view<OverviewView>({
    kind: 'overview',
    system: { ...system, projection: null },
  });
  expect(view).toMatchObject({ height: null, blocks: null, consensus: null });
  expect(view.missing).toEqual([
    ...['executor', 'policies', 'enforcement', 'feedback', 'projection', 'replicas'],
  ]);
});

test('every ask has the configured deadline', () => {
  const host = hostOf({}, { answerMs: 123, from: 'v2', validators: ['v9'] });
  host.view({ kind: 'overview', system });
  const asked = host.asked();
  expect(asked.every((one) => one.deadlineMs === 123)).toBe(true);
  expect(asked.map((one) => one.to)).toEqual(
    expect.arrayContaining(['v2.executor', 'v2.replica', 'v9.replica']),
  );
});

test('a node without a chain is ready by what it has, and asks nobody whom it does not have', () => {
  const summary = () => ({ json: json({}) });
  const detector = hostOf({ 'feedback.summary': summary }, { shows: ['feedback'] });
  expect(detector.view({ kind: 'ready' })).toEqual({ ready: true, height: null });
  const agent = hostOf({ 'enforcer.summary': summary }, { shows: ['enforcement'] });
  expect(agent.view({ kind: 'ready' })).toEqual({ ready: true, height: null });
  agent.asked();
  expect(agent.problem({ kind: 'latestBlock' })).toMatchObject({
    status: 503,
    detail: 'the executor of v1 does not run on this node',
  });
  expect(agent.problem({ kind: 'validators' }).status).toBe(503);
  expect(agent.problem({ kind: 'consensus' }).status).toBe(503);
  expect(agent.asked()).toEqual([]);
  expect(hostOf({}, { shows: ['enforcement'] }).problem({ kind: 'ready' })).toMatchObject({
    detail: 'enforcement does not run on this node',
  });
});

test('an answer that cannot be composed is 500 for that request and for no other', () => {
  const host = hostOf({
    'v1.executor.read': () => ({ blocks: new Uint8Array([1, 2, 3]), head: 1 }),
    ...executorAnswers(chain, 'v0'),
    'v1.executor.head': executorAnswers(chain)['v1.executor.head']!,
  });
  expect(host.problem({ kind: 'block', height: 1 }).status).toBe(500);
  expect(host.view({ kind: 'ready' })).toMatchObject({ ready: true });
  expect(host.state.pending.size).toBe(0);
});

test('each failure of a neighbour is 503 with its own words', () => {
  const words = (['timeout', 'mailbox-full', 'target-restarted', 'no-such-actor'] as const).map(
    (failure) => hostOf({ 'v1.executor.head': failure }).problem({ kind: 'stateRoot' }),
  );
  expect(words.map((one) => one.status)).toEqual([503, 503, 503, 503]);
  expect(new Set(words.map((one) => one.detail)).size).toBe(4);
});
