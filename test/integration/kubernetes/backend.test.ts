/** NetworkPolicies through the official client, against an API server that keeps its rules. */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Backend } from '#actors/enforcer/backend.ts';
import { reconcile } from '#actors/enforcer/reconciling.ts';
import {
  flow,
  isDenied,
  isFailsafe,
  POD,
  target,
} from '../../actors/enforcer/kubernetes/wishes.ts';
import { bring, entryOf, inForce } from '../firewall/backends.ts';
import { codes, FAILSAFE_PORT, type Setting, setting, stranger } from './setting.ts';

const ATTACKER = '203.0.113.7';
const FRIEND = '198.51.100.1';
const now = (): number => Date.now();
const blocked = () => entryOf({ target: { ips: [ATTACKER], direction: 'ingress' } });

let world: Setting;
let backend: Backend;
beforeEach(async () => {
  world = await setting();
  backend = world.backend();
});
afterEach(() => world.close());

test('a denied address is shut out of the pods, in the directions that the policy names; all else goes on', async () => {
  const { reaches } = world;
  expect(reaches(ATTACKER)).toBe(true);
  await bring(backend, blocked());
  expect(reaches(ATTACKER)).toBe(false);
  expect(reaches(ATTACKER, { direction: 'out' })).toBe(true);
  expect(reaches(ATTACKER, { port: FAILSAFE_PORT })).toBe(true);
  expect(reaches(FRIEND)).toBe(true);
  expect(reaches('2001:db8::1')).toBe(true);
  expect(reaches({ namespace: 'elsewhere', labels: {} })).toBe(true);
  const unprotected = { namespace: 'web', labels: { app: 'batch' } };
  expect(reaches(ATTACKER, { pod: unprotected })).toBe(true);
  await bring(backend, entryOf({ target: { ips: [ATTACKER] } }));
  expect(reaches(ATTACKER, { direction: 'out' })).toBe(false);
  expect(reaches(FRIEND, { direction: 'out' })).toBe(true);
});

test('what random policies deny is denied and nothing else, through the client and back', async () => {
  world.api.cluster.pods = [];
  const property = fc.asyncProperty(
    fc.array(target, { maxLength: 8 }),
    fc.array(flow, { minLength: 10, maxLength: 30 }),
    async (targets, flows) => {
      const cluster = world.backend({ clusterNetworks: ['100.64.0.0/10'] });
      const entries = targets.map((one) => entryOf({ target: one }));
      const outcomes = await cluster.restore(entries, now());
      expect(outcomes.filter((one) => !one.ok)).toEqual([]);
      expect(await inForce(cluster)).toEqual(entries.map(({ id }) => id).sort());
      for (const one of flows) {
        const expected = !isDenied(targets, one) || isFailsafe(one);
        expect(world.reaches(one.peer, { ...one, pod: POD }), JSON.stringify(one)).toBe(expected);
      }
      await cluster.close();
    },
  );
  await fc.assert(property, { numRuns: 25 });
});

test('nothing is written before the server has agreed to all of it in a dry run', async () => {
  const { api } = world;
  const writes = () =>
    api.asked
      .filter(({ verb }) => verb === 'patch')
      .map(({ query, name }) => `${query.get('dryRun') ?? 'real'} ${name.split('-')[2]}`);
  await bring(backend, entryOf({ target: { ips: [ATTACKER] } }));
  expect(writes()).toEqual(['All in', 'All out', 'real in', 'real out']);
  for (const { query } of api.asked.filter(({ verb }) => verb === 'patch')) {
    expect(query.get('fieldManager')).toBe('cybermesh-agent-1');
    expect(query.get('force')).toBe('false');
  }
  const before = JSON.stringify(api.policies.list());
  // An admission webhook that says no to the last of them.
  api.before = ({ verb, name, query }) =>
    verb === 'patch' && query.get('dryRun') === 'All' && name.includes('-out-')
      ? { status: 422, reason: 'Invalid', message: 'denied by the webhook of somebody' }
      : undefined;
  const [outcome] = await backend.change([entryOf({ target: { ips: [FRIEND] } })], [], now());
  expect(outcome).toMatchObject({ ok: false, code: 'rejected' });
  expect(outcome?.reason).toContain('webhook of somebody');
  expect(JSON.stringify(api.policies.list())).toBe(before);
});

test('with the last policy the last object goes, and pods that nobody selects are open again', async () => {
  const entries = [blocked(), entryOf({ target: { cidrs: ['2001:db8::/48'] } })];
  await bring(backend, ...entries);
  expect(world.names()).toHaveLength(2);
  const gone = await backend.change([], [entries[0]!.id], now());
  expect(gone).toEqual([]);
  expect(world.reaches(ATTACKER)).toBe(true);
  expect(world.reaches('2001:db8::7')).toBe(false);
  await backend.change([], [entries[1]!.id, 'never-there'], now());
  expect(world.names()).toEqual([]);
});

test('each object says whose it is and when the last of what it denies is over', async () => {
  const entry = blocked();
  await bring(backend, entry);
  const [policy] = world.api.policies.list();
  expect(policy?.metadata).toMatchObject({
    labels: { 'app.kubernetes.io/managed-by': 'cybermesh', 'cybermesh/agent': 'agent-1' },
    annotations: { 'cybermesh/until': new Date(entry.expiresMs).toISOString() },
  });
});

test('an address that several policies deny stays denied until the last of them ends', async () => {
  const entries = [blocked(), entryOf({ target: { cidrs: ['203.0.113.0/29'] } }), blocked()];
  await bring(backend, ...entries);
  for (const { id } of entries) {
    expect(world.reaches(ATTACKER)).toBe(false);
    await backend.change([], [id], now());
  }
  expect(world.reaches(ATTACKER)).toBe(true);
});

test('a policy for one namespace says nothing to the pods of another', async () => {
  world.api.cluster.namespaces.push('shop');
  const both = world.backend({ namespaces: ['web', 'shop'] });
  const shop = { pod: { namespace: 'shop', labels: { app: 'web' } } };
  await bring(both, entryOf({ target: { ips: [ATTACKER], namespace: 'shop' } }), blocked());
  expect(world.reaches(ATTACKER, { direction: 'out' })).toBe(true);
  expect(world.reaches(ATTACKER, { ...shop, direction: 'out' })).toBe(false);
  expect(world.reaches(ATTACKER)).toBe(false);
  expect(world.reaches(ATTACKER, shop)).toBe(false);
});

test('what was left by an agent that is no more is over at its next start', async () => {
  const [long, short] = [blocked(), entryOf({ target: { ips: [FRIEND] }, ttlMs: 5 })];
  await bring(backend, long, short);
  // Nobody takes it out while the agent is dead.
  expect(world.reaches(FRIEND)).toBe(false);
  const again = world.backend();
  const outcomes = await again.restore([long, short], short.expiresMs + 1);
  expect(codes(outcomes)).toEqual(['applied', 'expired']);
  expect(world.reaches(FRIEND)).toBe(true);
  expect(world.reaches(ATTACKER)).toBe(false);
});

test('after another choice of pods the objects for the former ones are gone', async () => {
  const entries = Array.from({ length: 1500 }, (_, k) =>
    entryOf({ target: { ips: [`100.64.${k >> 7}.${(k & 127) * 2}`], direction: 'ingress' } }),
  );
  await bring(backend, ...entries);
  const former = world.names();
  expect(former.length).toBeGreaterThan(1);
  const other = world.backend({ podLabels: { app: 'web', tier: 'front' } });
  const never: string[] = [];
  world.api.policies.onChange(() => {
    if (!world.reaches(FRIEND)) never.push(world.names().join());
  });
  expect(await other.restore(entries.slice(0, 2), now())).toMatchObject([
    { ok: true },
    { ok: true },
  ]);
  expect(world.names()).toHaveLength(1);
  expect(former).not.toContain(world.names()[0]);
  expect(world.reaches('100.64.0.0')).toBe(false);
  expect(world.reaches('100.64.0.0', { pod: { namespace: 'web', labels: { app: 'web' } } })).toBe(
    true,
  );
  expect(never).toEqual([]);
});

test('while the choice of pods changes, what is denied to them before and after is denied all the while', async () => {
  const entries = [blocked()];
  await bring(backend, ...entries);
  const open: string[] = [];
  world.api.policies.onChange(() => {
    if (world.reaches(ATTACKER)) open.push(world.names().join());
  });
  await world.backend({ podLabels: { app: 'web', tier: 'front' } }).restore(entries, now());
  expect(world.names()).toHaveLength(1);
  expect(world.reaches(ATTACKER)).toBe(false);
  expect(open).toEqual([]);
});

const DAMAGES: readonly (readonly [string, (world: Setting, name: string) => void])[] = [
  ['deleted', ({ api }, name) => void api.policies.remove('web', name)],
  [
    'emptied by kubectl edit',
    ({ api }, name) => {
      const own = api.policies.list('web').find(({ metadata }) => metadata.name === name)!;
      const { resourceVersion: _, ...metadata } = own.metadata;
      api.policies.put('web', name, { metadata, spec: { ...own.spec, ingress: [{}] } }, 'kubectl');
    },
  ],
  [
    'stripped of its labels and opened',
    ({ api }, name) => {
      const own = api.policies.list('web').find(({ metadata }) => metadata.name === name)!;
      api.policies.put('web', name, { spec: { ...own.spec, ingress: [{}] } }, 'kubectl');
    },
  ],
];

test.each(DAMAGES)(
  'an object of ours that was %s is as it was after one comparison',
  async (_, damage) => {
    const entries = [blocked()];
    await bring(backend, ...entries);
    const [name = ''] = world.names();
    damage(world, name);
    expect(world.reaches(ATTACKER)).toBe(true);
    expect(await inForce(backend)).toEqual([]);
    const found = await reconcile(backend, entries, now);
    expect(found.missing).toHaveLength(1);
    expect(codes(found.outcomes)).toEqual(['applied']);
    expect(world.reaches(ATTACKER)).toBe(false);
    expect(await reconcile(backend, entries, now)).toMatchObject({ missing: [], foreign: 0 });
  },
);

test('labels and annotations that others add to an object of ours stay', async () => {
  const entries = [blocked()];
  await bring(backend, ...entries);
  const [own] = world.api.policies.list();
  const metadata = { ...own!.metadata, labels: { ...own!.metadata.labels, team: 'blue' } };
  world.api.policies.put('web', own!.metadata.name, { metadata, spec: own!.spec }, 'kubectl');
  expect(await reconcile(backend, entries, now)).toMatchObject({ missing: [], foreign: 0 });
  await bring(backend, entryOf({ target: { ips: [FRIEND], direction: 'ingress' } }));
  expect(world.api.policies.list()[0]?.metadata.labels).toMatchObject({ team: 'blue' });
});

test('policies of others are as they were, after everything that we do', async () => {
  const { policies } = world.api;
  const other = { podSelector: { matchLabels: { app: 'db' } }, policyTypes: ['Ingress'] };
  policies.put('web', 'database', stranger(other), 'kubectl');
  const labelled = {
    metadata: {
      labels: { 'app.kubernetes.io/managed-by': 'cybermesh', 'cybermesh/agent': 'agent-1' },
    },
    spec: other,
  };
  policies.put('web', 'looks-like-ours', labelled, 'kubectl');
  const before = JSON.stringify(policies.list());
  await backend.restore([blocked()], now());
  await bring(backend, entryOf({ target: { cidrs: ['192.0.2.0/24'], ports: [80] } }));
  await backend.restore([blocked()], now());
  expect(await backend.clear()).toEqual({ ok: true, value: undefined });
  expect(JSON.stringify(policies.list())).toBe(before);
  expect(await backend.clear()).toEqual({ ok: true, value: undefined });
});

test('an object of somebody else that has the name of one of ours is named, not overwritten', async () => {
  await bring(backend, blocked());
  const [name = ''] = world.names();
  world.api.policies.clear();
  const spec = { podSelector: { matchLabels: { app: 'db' } }, policyTypes: ['Egress'] };
  world.api.policies.put('web', name, stranger(spec), 'kubectl');
  const before = JSON.stringify(world.api.policies.list());
  const [outcome] = await backend.restore([blocked()], now());
  expect(outcome).toMatchObject({ ok: false, code: 'conflict' });
  expect(outcome?.reason).toMatch(new RegExp(`web/${name} is not one of ours.*remove it`));
  expect(JSON.stringify(world.api.policies.list())).toBe(before);
});

test('a batch that changes nothing writes nothing', async () => {
  const entries = [blocked()];
  await bring(backend, ...entries);
  const { api } = world;
  api.asked.length = 0;
  expect(codes(await backend.restore(entries, now()))).toEqual(['applied']);
  expect(api.asked.map(({ verb }) => verb)).not.toContain('patch');
});
