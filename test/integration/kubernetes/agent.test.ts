/** From a proven policy to a NetworkPolicy: the agent, its acknowledgements, its commands. */
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { prepare } from '#actors/enforcer/cli.ts';
import { config } from '#actors/enforcer/config.ts';
import { writeKeyPair } from '#native/crypto.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';
import { cybermesh, ROOT } from '#test/kit/processes.ts';
import { committedPolicy, updateOf } from '../../actors/enforcer/policies.ts';
import { type Agent, agentIn } from '../firewall/agent.ts';
import { CLUSTER_NETWORKS, type Setting, setting, stranger } from './setting.ts';

const ATTACKER = '203.0.113.50';
const FRIEND = '198.51.100.1';
const genesis = testGenesis({}, []);
const policy = committedPolicy(ATTACKER, genesis);

let world: Setting;
let agent: Agent;
let atMs: number;
const settings = () => ({
  instance: 'agent-1',
  kubernetes: {
    kubeconfig: world.api.kubeconfig(world.folder),
    namespaces: ['web'],
    podLabels: { app: 'web' },
    clusterNetworks: CLUSTER_NETWORKS,
  },
});
const begin = (over = {}) =>
  agentIn({
    dataDir: world.folder,
    genesis,
    keyFile: path.join(world.folder, 'agent.pem'),
    netns: '',
    now: () => atMs,
    settings: { backend: 'kubernetes', ...settings(), ...over },
  });
beforeEach(async () => {
  world = await setting();
  writeKeyPair(path.join(world.folder, 'agent.pem'));
  atMs = policy.state.committedMs;
  agent = await begin();
});
afterEach(async () => {
  await agent.close();
  await world.close();
});

test('a committed policy shuts its address out of the pods for its time and no longer', async () => {
  await agent.receive(updateOf(policy));
  expect(agent.acks()).toEqual(['applied']);
  expect(world.reaches(ATTACKER)).toBe(false);
  expect(world.reaches(FRIEND)).toBe(true);
  atMs = policy.state.expiresMs + 1;
  await agent.tell({ kind: 'tick' });
  expect(world.reaches(ATTACKER)).toBe(true);
  expect(world.names()).toEqual([]);
  expect(agent.acks()).toEqual([]);
});

test('what ended while the agent was dead is over before the first new policy is read', async () => {
  await agent.receive(updateOf(policy));
  await agent.close();
  expect(world.reaches(ATTACKER)).toBe(false);
  atMs = policy.state.expiresMs + 1;
  agent = await begin();
  expect(world.reaches(ATTACKER)).toBe(true);
});

test('what somebody deleted while the agent was dead is in force before the first new policy is read', async () => {
  await agent.receive(updateOf(policy));
  await agent.close();
  world.api.policies.clear();
  agent = await begin();
  expect(world.reaches(ATTACKER)).toBe(false);
  expect(agent.acks()).toEqual([]);
});

test('what cannot be enforced is acknowledged as not-enforceable, and as applied once it can', async () => {
  const theirs = { podSelector: {}, policyTypes: ['Ingress'] };
  world.api.policies.put('web', 'theirs', stranger(theirs), 'kubectl');
  await agent.receive(updateOf(policy));
  expect(agent.acks()).toEqual(['failed not-enforceable']);
  await agent.tell({ kind: 'reconcile' });
  expect(agent.acks()).toEqual([]);
  world.api.policies.remove('web', 'theirs');
  await agent.tell({ kind: 'reconcile' });
  expect(agent.acks()).toEqual(['applied']);
  expect(world.reaches(ATTACKER)).toBe(false);
  world.api.policies.put('web', 'theirs', stranger(theirs), 'kubectl');
  await agent.tell({ kind: 'reconcile' });
  expect(agent.acks()).toEqual(['failed not-enforceable']);
  expect(world.names()).toEqual(['theirs']);
  expect(new Set(agent.ackIds).size).toBe(agent.ackIds.length);
});

test('while the API server is away policies fail by name, and come into force when it is back', async () => {
  world.api.before = () => ({ status: 403, message: 'not now' });
  await agent.receive(updateOf(policy));
  expect(agent.acks()).toEqual(['failed no-permission']);
  world.api.before = () => undefined;
  await agent.tell({ kind: 'reconcile' });
  expect(agent.acks()).toEqual(['applied']);
  expect(world.reaches(ATTACKER)).toBe(false);
});

test('with the kill switch on, a restart takes away what was in force', async () => {
  await agent.receive(updateOf(policy));
  agent.acks();
  await agent.close();
  agent = await begin({ killSwitch: true });
  expect(agent.acks()).toEqual(['failed kill-switch']);
  expect(world.names()).toEqual([]);
});

/** Words for a command that make the agent of config/local.yaml this one. */
const words = (): string[] => {
  const { kubeconfig, namespaces, clusterNetworks } = settings().kubernetes;
  return [
    `node.dataDir=${world.folder}`,
    'enforcer.config.backend=kubernetes',
    `enforcer.config.kubernetes.kubeconfig=${kubeconfig}`,
    `enforcer.config.kubernetes.namespaces=[${namespaces}]`,
    'enforcer.config.kubernetes.podLabels={ app: web }',
    `enforcer.config.kubernetes.clusterNetworks=[${clusterNetworks.map((one) => `"${one}"`)}]`,
  ].flatMap((one) => ['--set', one]);
};
const LOCAL = path.join(ROOT, 'config', 'local.yaml');

test('the command panic removes what is ours beside a stopped agent, and nothing else', async () => {
  const { policies } = world.api;
  const database = { podSelector: { matchLabels: { app: 'db' } }, policyTypes: ['Ingress'] };
  policies.put('web', 'database', stranger(database), 'kubectl');
  await agent.receive(updateOf(policy));
  expect(world.reaches(ATTACKER)).toBe(false);
  const pulled = await cybermesh(['panic', LOCAL, '--for', '10m', ...words()]);
  expect(pulled).toMatchObject({ code: 0 });
  expect(pulled.stdout).toMatch(/nothing of ours is in force \(kubernetes\)/);
  expect(world.names()).toEqual(['database']);
});

const viewOf = (over: object) => ({
  file: '',
  node: { name: 'x', dataDir: world.folder },
  genesis: { create: false, file: '', sha256: '' },
  database: { url: '' },
  sections: {},
  actors: [
    {
      path: 'enforcer',
      name: 'enforcer',
      actor: 'enforcer',
      branch: [],
      config: config.parse({ backend: 'kubernetes', ...settings(), ...over }),
      thread: 'enforcer',
    },
  ],
});

test('a start that could enforce nothing is refused by name, with what to do', async () => {
  expect(await prepare(viewOf({}))).toEqual({ ok: true, value: {} });
  world.api.cluster.daemonSets = [];
  expect(await prepare(viewOf({}))).toMatchObject({
    error: expect.stringMatching(
      /backend kubernetes: not-enforceable: .*kubernetes\.cniEnforces: true/,
    ),
  });
  const kubernetes = { ...settings().kubernetes, context: 'elsewhere' };
  expect(await prepare(viewOf({ kubernetes }))).toMatchObject({
    error: expect.stringMatching(/bad-kubeconfig: .*it has fake: set kubernetes\.context/),
  });
});

test('a topology that names no pods, or nonsense, is refused with the field', async () => {
  const check = async (...sets: string[]) => {
    const all = ['enforcer.config.backend=kubernetes', ...sets].flatMap((one) => ['--set', one]);
    return cybermesh(['check', LOCAL, ...all]);
  };
  const bare = await check();
  expect(bare.code).toBe(78);
  expect(bare.stdout + bare.stderr).toMatch(/kubernetes\.namespaces[\s\S]*needs the namespaces/);
  expect(bare.stdout + bare.stderr).toMatch(/kubernetes\.clusterNetworks[\s\S]*networks of pods/);
  const full = await check(
    'enforcer.config.kubernetes.namespaces=[web]',
    'enforcer.config.kubernetes.clusterNetworks=[10.0.0.0/8]',
    'enforcer.config.kubernetes.podLabels={ app: web }',
  );
  expect(full).toMatchObject({ code: 0 });
  const wrong = await check('enforcer.config.kubernetes.namespaces=[Web!]');
  expect(wrong.stdout + wrong.stderr).toMatch(/not the name of a namespace/);
});
