/** An API server that says no, is slow, is not there, or is somebody else: named, retried within bounds, mended. */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Backend } from '#actors/enforcer/backend.ts';
import { OTHER_KINDS } from '#actors/enforcer/backends/kubernetes/plugins.ts';
import { reconcile } from '#actors/enforcer/reconciling.ts';
import { makeCertificates } from '#test/kit/certificates.ts';
import type { Asked, Fault } from '#test/kit/kubernetes/server.ts';
import { manifestsOf, role } from '../../config/manifests.ts';
import { bring, entryOf, inForce } from '../firewall/backends.ts';
import { codes, reasonOf, type Setting, setting } from './setting.ts';

const ATTACKER = '203.0.113.7';
const now = (): number => Date.now();
const blocked = () => entryOf({ target: { ips: [ATTACKER], direction: 'ingress' } });

let world: Setting;
let backend: Backend;
beforeEach(async () => {
  world = await setting();
  backend = world.backend();
});
afterEach(() => world.close());

const isWrite = ({ verb, query }: Asked): boolean => verb === 'patch' && !query.has('dryRun');
const tried = async (by: Backend = backend) => (await by.change([blocked()], [], now()))[0];

/** So often, each time that `when` holds. */
const failing = (fault: Fault, times: number, when: (asked: Asked) => boolean): void => {
  let left = times;
  world.api.before = (asked) => (when(asked) && left-- > 0 ? fault : undefined);
};

test('each permission that is missing is named, by the probe already, with what to do', async () => {
  const { api } = world;
  const needed = [
    ['list', 'networking.k8s.io/networkpolicies'],
    ['patch', 'networking.k8s.io/networkpolicies'],
    ['create', 'networking.k8s.io/networkpolicies'],
    ['delete', 'networking.k8s.io/networkpolicies'],
    ['list', 'apps/daemonsets'],
    ['list', 'pods'],
    ['list', 'services'],
  ] as const;
  for (const [verb, resource] of needed) {
    api.may = (asked) => !(asked.verb === verb && asked.resource === resource);
    const probed = await world.backend().probe();
    expect(probed).toMatchObject({ ok: false, error: { code: 'no-permission' } });
    const reason = probed.ok ? '' : probed.error.reason;
    expect(reason).toContain(`cannot ${verb} resource "${resource.split('/').at(-1)}"`);
    expect(reason).toMatch(/grant it.*access\.yaml/);
  }
  api.may = () => true;
  expect(await backend.probe()).toEqual({ ok: true, value: undefined });
  expect(world.names()).toEqual([]);
});

test('what access.yaml grants is enough for everything that the agent does', async () => {
  const roles = manifestsOf('network-policies/access.yaml').filter(
    ({ kind }) => kind === 'ClusterRole',
  );
  const grants = new Set(
    roles.flatMap((one) =>
      role
        .parse(one)
        .rules.flatMap(({ apiGroups: [group = ''], resources, verbs }) =>
          resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
        ),
    ),
  );
  const { api } = world;
  api.cluster.daemonSets = [{ name: 'cilium', namespace: 'kube-system', ready: 1 }];
  api.cluster.configMaps['kube-system/cilium-config'] = { 'policy-cidr-match-mode': 'nodes' };
  for (const { group, plural } of OTHER_KINDS) api.cluster.others[`${group}/${plural}`] = 0;
  const refused: string[] = [];
  api.may = ({ verb, resource }) => {
    // Anybody who is known may ask which API groups there are (system:discovery).
    if (resource === 'apis') return true;
    const wanted = `${verb} ${resource.includes('/') ? resource : `/${resource}`}`;
    if (!grants.has(wanted)) refused.push(wanted);
    return grants.has(wanted);
  };
  expect(await backend.probe()).toEqual({ ok: true, value: undefined });
  expect(codes([(await tried())!])).toEqual(['applied']);
  expect(await backend.census(now())).toMatchObject({ ok: true });
  expect(await backend.clear()).toEqual({ ok: true, value: undefined });
  expect(refused).toEqual([]);
});

test('a permission that is lost in between fails the batch, and what was in force stays', async () => {
  await bring(backend, blocked());
  world.api.may = ({ verb }) => verb !== 'patch';
  const more = entryOf({ target: { ips: ['198.51.100.9'], direction: 'ingress' } });
  expect(codes(await backend.change([more], [], now()))).toEqual(['no-permission']);
  expect(world.reaches(ATTACKER)).toBe(false);
  world.api.may = () => true;
  expect(codes(await backend.change([more], [], now()))).toEqual(['applied']);
  expect(world.reaches('198.51.100.9')).toBe(false);
});

test('a token that is not known any more is told as such, and a new one in the file is enough', async () => {
  const { api, folder } = world;
  await bring(backend, blocked());
  api.token = 'renewed';
  const outcome = await tried();
  expect(outcome).toMatchObject({ ok: false, code: 'not-authenticated' });
  expect(reasonOf(outcome)).toMatch(/401.*renew the token/);
  api.kubeconfig(folder);
  expect(codes(await world.backend().restore([blocked()], now()))).toEqual(['applied']);
});

test('a namespace that is not there is named', async () => {
  const other = world.backend({ namespaces: ['web', 'nowhere'] });
  const probed = await other.probe();
  expect(probed).toMatchObject({ ok: false, error: { code: 'rejected' } });
  expect(JSON.stringify(probed)).toMatch(/namespace nowhere is not there.*kubernetes\.namespaces/);
});

test('a server that is busy is asked again when it says, and no more often than five times', async () => {
  failing({ status: 429, retryAfterS: 0, reason: 'TooManyRequests' }, 3, isWrite);
  expect(codes([(await tried())!])).toEqual(['applied']);
  world.api.asked.length = 0;
  failing({ status: 429, retryAfterS: 0 }, Number.POSITIVE_INFINITY, isWrite);
  await backend.restore([], now());
  world.api.asked.length = 0;
  expect(codes([(await tried())!])).toEqual(['too-busy']);
  expect(world.api.asked.filter(isWrite)).toHaveLength(5);
});

test('a server that asks for more patience than the deadline has is not waited for', async () => {
  const brief = world.backend({ timeoutMs: 2000 });
  failing({ status: 429, retryAfterS: 60 }, 1, isWrite);
  expect(await tried(brief)).toMatchObject({ ok: false, code: 'too-busy' });
});

test.each([
  ['a connection that breaks', 'reset' as const, 1],
  ['a server that restarts', { status: 503 }, 3],
  ['a gateway that loses its way', { status: 502 }, 2],
])('%s in the midst of a batch is survived', async (_, fault, times) => {
  failing(fault, times, isWrite);
  expect(codes([(await tried())!])).toEqual(['applied']);
  expect(world.reaches(ATTACKER)).toBe(false);
});

test('a server that never answers fails the batch in time, and later the same write succeeds', async () => {
  const brief = world.backend({ timeoutMs: 300 });
  failing('hang', 1, isWrite);
  const entries = [blocked()];
  expect(await brief.restore(entries, now())).toMatchObject([{ ok: false, code: 'timed-out' }]);
  const patient = world.backend();
  expect(codes((await reconcile(patient, entries, now)).outcomes)).toEqual(['applied']);
});

test('a restart while the server is away lifts nothing: what stands goes on until it is asked for again', async () => {
  const entries = [blocked(), entryOf({ target: { ips: ['198.51.100.9'] }, ttlMs: 30_000 })];
  await bring(backend, ...entries);
  const again = world.backend();
  failing({ status: 403 }, 1, ({ verb }) => verb === 'list');
  const outcomes = await again.restore(entries, now());
  expect(codes(outcomes)).toEqual(['no-permission', 'no-permission']);
  // A new policy comes before the old ones are asked for again.
  const next = entryOf({ target: { ips: ['192.0.2.1'], direction: 'ingress' } });
  expect(codes(await again.change([next], [], now()))).toEqual(['applied']);
  expect([ATTACKER, '198.51.100.9', '192.0.2.1'].map((one) => world.reaches(one))).toEqual([
    false,
    false,
    false,
  ]);
  expect(await inForce(again)).toEqual([next.id]);
  const found = await reconcile(again, [...entries, next], now);
  expect(codes(found.outcomes)).toEqual(['applied', 'applied', 'applied']);
  // Nobody tells of the end of what was never said to be in force.
  failing({ status: 403 }, 1, ({ verb }) => verb === 'list');
  await again.restore(entries, now());
  await again.change([], [], entries[1]!.expiresMs);
  expect(world.reaches('198.51.100.9')).toBe(true);
  expect(world.reaches(ATTACKER)).toBe(false);
});

test('a write that came through though its answer was lost is found to be in force', async () => {
  let isLost = false;
  world.api.before = (asked) => {
    if (!isWrite(asked) || isLost) return undefined;
    isLost = true;
    const how = { manager: 'cybermesh-agent-1', isForced: false, isDry: false, mayCreate: true };
    world.api.policies.apply(asked.namespace, asked.name, JSON.parse(asked.body), how);
    return 'reset';
  };
  const entry = blocked();
  expect(codes(await backend.change([entry], [], now()))).toEqual(['applied']);
  expect(isLost).toBe(true);
  expect(await inForce(backend)).toEqual([entry.id]);
});

test('somebody who edits while we write is overruled in what is ours, and after four rounds it is told', async () => {
  await bring(backend, blocked());
  const { api } = world;
  const edit = (): void => {
    const [own] = api.policies.list();
    if (own === undefined) return;
    const { resourceVersion: _, ...metadata } = own.metadata;
    const ports = [{ protocol: 'TCP', port: 1 + (api.asked.length % 60_000) }];
    api.policies.put(
      'web',
      metadata.name,
      { metadata, spec: { ...own.spec, ingress: [{ ports }] } },
      'kubectl',
    );
  };
  let left = 2;
  api.before = (asked) => {
    if (isWrite(asked) && left-- > 0) edit();
    return undefined;
  };
  const entries = [entryOf({ target: { ips: ['198.51.100.9'], direction: 'ingress' } })];
  expect(codes(await backend.change(entries, [], now()))).toEqual(['applied']);
  left = Number.POSITIVE_INFINITY;
  const outcome = await tried();
  expect(outcome).toMatchObject({ ok: false, code: 'conflict' });
  expect(reasonOf(outcome)).toMatch(/as fast as they are written \(4 times\)/);
});

test('a webhook that alters what we write is told, not believed', async () => {
  const { api } = world;
  api.policies.onChange(() => {
    const [own] = api.policies.list();
    if (own === undefined || JSON.stringify(own.spec.ingress) === '[{}]') return;
    const { resourceVersion: _, ...metadata } = own.metadata;
    const spec = { ...own.spec, ingress: [{}] };
    api.policies.put('web', metadata.name, { metadata, spec }, 'webhook');
  });
  const outcome = await tried();
  expect(outcome).toMatchObject({ ok: false, code: 'not-verified' });
  expect(await inForce(backend)).toEqual([]);
});

test('a list that comes in pages is read to its end, and anew when it has run out', async () => {
  for (let k = 0; k < 1200; k++) {
    const spec = { podSelector: { matchLabels: { app: `a${k}` } }, policyTypes: ['Ingress'] };
    world.api.policies.put('web', `other-${k}`, { spec }, 'kubectl');
  }
  const last = { podSelector: {}, policyTypes: ['Ingress'] };
  world.api.policies.put('web', 'zz-last', { spec: last }, 'kubectl');
  failing({ status: 410, reason: 'Expired' }, 1, ({ query }) => query.has('continue'));
  expect(await tried()).toMatchObject({ code: 'not-enforceable' });
  expect(reasonOf(await tried())).toContain('web/zz-last');
});

test('nobody at the address is told with the address', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  const kubeconfig = world.api.kubeconfig(world.folder, { server: `http://127.0.0.1:${port}` });
  const nobody = world.backend({ kubeconfig });
  const probed = await nobody.probe();
  expect(probed).toMatchObject({ ok: false, error: { code: 'unreachable' } });
  expect(JSON.stringify(probed)).toContain(`127.0.0.1:${port}`);
  expect(await tried(nobody)).toMatchObject({ ok: false, code: 'unreachable' });
  expect(await nobody.census(now())).toMatchObject({ ok: false, error: { code: 'unreachable' } });
});

test('a certificate that the given authority did not sign is refused, one that it signed is not', async () => {
  const { ca, otherCa, keystore } = await makeCertificates(world.folder);
  const secure = await setting({ ca, keystore });
  try {
    expect(codes(await secure.backend().restore([blocked()], now()))).toEqual(['applied']);
    expect(secure.reaches(ATTACKER)).toBe(false);
    const before = secure.api.asked.length;
    const kubeconfig = secure.api.kubeconfig(world.folder, { ca: otherCa });
    const probed = await secure.backend({ kubeconfig }).probe();
    expect(probed).toMatchObject({ ok: false, error: { code: 'bad-certificate' } });
    expect(JSON.stringify(probed)).toMatch(/certificate-authority/);
    expect(secure.api.asked).toHaveLength(before);
  } finally {
    await secure.close();
  }
});

test('many requests share a connection', async () => {
  const { ca, keystore } = await makeCertificates(world.folder);
  const secure = await setting({ ca, keystore });
  try {
    const one = secure.backend();
    for (let k = 0; k < 10; k++) await one.restore([blocked()], now());
    expect(secure.api.asked.length).toBeGreaterThan(20);
    expect(secure.api.connections()).toBeLessThan(secure.api.asked.length / 8);
  } finally {
    await secure.close();
  }
});

test('a kubeconfig that cannot be used is named, with what is wrong', async () => {
  const faultOf = async (kubeconfig: string, context = '') => {
    const probed = await world.backend({ kubeconfig, context }).probe();
    return probed.ok ? 'fine' : `${probed.error.code}: ${probed.error.reason}`;
  };
  const missing = path.join(world.folder, 'missing.yaml');
  expect(await faultOf(missing)).toMatch(/^bad-kubeconfig: .*missing\.yaml cannot be read/);
  const broken = path.join(world.folder, 'broken.yaml');
  writeFileSync(broken, 'clusters: {{{');
  expect(await faultOf(broken)).toMatch(/^bad-kubeconfig: .*broken\.yaml cannot be read/);
  const good = world.api.kubeconfig(world.folder);
  expect(await faultOf(good, 'prod')).toMatch(/^bad-kubeconfig: .*no context "prod".*it has fake/);
  expect(await faultOf(good, 'fake')).toBe('fine');
  expect(await faultOf('')).toMatch(/^bad-kubeconfig: .*no pod with a service account/);
});
