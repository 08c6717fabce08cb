/** What a NetworkPolicy cannot do is said and not written: beside others' policies, on plugins, for rules. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Backend } from '#actors/enforcer/backend.ts';
import { reconcile } from '#actors/enforcer/reconciling.ts';
import { bring, entryOf, inForce, type Wish } from '../firewall/backends.ts';
import { codes, reasonOf, type Setting, setting, stranger } from './setting.ts';

const ATTACKER = '203.0.113.7';
const FRIEND = '198.51.100.1';
const now = (): number => Date.now();
const blocked = (direction: 'ingress' | 'egress' = 'ingress') =>
  entryOf({ target: { ips: [ATTACKER], direction } });

let world: Setting;
let backend: Backend;
beforeEach(async () => {
  world = await setting();
  backend = world.backend();
});
afterEach(() => world.close());

const ours = () => world.names().filter((name) => name.startsWith('cybermesh-'));
const tried = async (...wishes: readonly Wish[]) => backend.change(wishes.map(entryOf), [], now());
const CLOSED = { podSelector: {}, policyTypes: ['Ingress'] };

describe('beside a policy of somebody else for the same pods', () => {
  const cases: readonly (readonly [string, object, RegExp])[] = [
    ['that closes them', CLOSED, /has closed the same pods \(ingress\).*would open them/],
    [
      'that lets somebody in',
      {
        podSelector: { matchLabels: { tier: 'front' } },
        ingress: [{ from: [{ ipBlock: { cidr: `${FRIEND}/32` } }] }],
      },
      /has closed the same pods/,
    ],
    [
      'that lets the address in',
      {
        podSelector: { matchLabels: { app: 'web' } },
        ingress: [{ from: [{ ipBlock: { cidr: '0.0.0.0/0', except: [`${FRIEND}/32`] } }] }],
      },
      /lets the address through to the same pods \(ingress\), and policies add up/,
    ],
    [
      'that lets everybody in',
      { podSelector: { matchExpressions: [{ key: 'app', operator: 'Exists' }] }, ingress: [{}] },
      /lets the address through/,
    ],
  ];

  test.each(cases)(
    '%s nothing is written, and nobody gets further than before',
    async (_, spec, reason) => {
      world.api.policies.put('web', 'theirs', stranger(spec), 'kubectl');
      const reach = () => [ATTACKER, FRIEND, '192.0.2.1'].map((peer) => world.reaches(peer));
      const before = reach();
      const reached: boolean[][] = [];
      world.api.policies.onChange(() => reached.push(reach()));
      const [outcome] = await backend.change([blocked()], [], now());
      expect(outcome).toMatchObject({ ok: false, code: 'not-enforceable' });
      expect(reasonOf(outcome)).toMatch(reason);
      expect(reasonOf(outcome)).toMatch(/web\/theirs.*narrow/);
      expect(reached).toEqual([]);
      expect(reach()).toEqual(before);
      expect(await inForce(backend)).toEqual([]);
    },
  );

  test('that governs the other direction, or pods that cannot be the same, what is asked is done', async () => {
    const { policies } = world.api;
    policies.put(
      'web',
      'outward',
      stranger({ podSelector: {}, policyTypes: ['Egress'] }),
      'kubectl',
    );
    const database = { podSelector: { matchLabels: { app: 'db' } }, policyTypes: ['Ingress'] };
    policies.put('web', 'database', stranger(database), 'kubectl');
    world.api.cluster.namespaces.push('shop');
    policies.put('shop', 'closed', stranger(CLOSED), 'kubectl');
    const outcomes = await backend.change([blocked(), blocked('egress')], [], now());
    expect(codes(outcomes)).toEqual(['applied', 'not-enforceable']);
    expect(world.reaches(ATTACKER)).toBe(false);
  });

  test('a policy that asks for both directions is in force in both or in none', async () => {
    const outward = { podSelector: {}, policyTypes: ['Egress'] };
    world.api.policies.put('web', 'outward', stranger(outward), 'kubectl');
    expect(codes(await tried({ target: { ips: [ATTACKER] } }))).toEqual(['not-enforceable']);
    expect(ours()).toEqual([]);
    expect(world.reaches(ATTACKER)).toBe(true);
  });

  test('that comes later, ours gives way within one comparison and comes back when it has gone', async () => {
    const entries = [blocked(), blocked('egress')];
    await bring(backend, ...entries);
    const { policies } = world.api;
    policies.put('web', 'theirs', stranger(CLOSED), 'kubectl');
    // Ours lets in what theirs shuts out.
    expect(world.reaches(FRIEND)).toBe(true);
    const found = await reconcile(backend, entries, now);
    expect(found.missing.map(({ id }) => id)).toEqual([entries[0]!.id]);
    expect(codes(found.outcomes)).toEqual(['not-enforceable', 'applied']);
    expect(world.reaches(FRIEND)).toBe(false);
    expect(world.reaches(ATTACKER, { direction: 'out' })).toBe(false);
    policies.remove('web', 'theirs');
    expect(codes((await reconcile(backend, entries, now)).outcomes)).toEqual([
      'applied',
      'applied',
    ]);
    expect(world.reaches(FRIEND)).toBe(true);
    expect(world.reaches(ATTACKER)).toBe(false);
  });

  test('that comes between reading and writing, nothing is said to be in force', async () => {
    const { api } = world;
    api.before = ({ verb, query }) => {
      const isFirst = verb === 'patch' && query.get('dryRun') === null;
      if (isFirst && api.policies.list().length === 0) {
        api.policies.put('web', 'theirs', stranger(CLOSED), 'kubectl');
      }
      return undefined;
    };
    expect(codes(await backend.change([blocked()], [], now()))).toEqual(['not-enforceable']);
    expect(world.names()).toEqual(['theirs']);
  });

  test('another agent for the same pods is such a somebody', async () => {
    await bring(backend, blocked());
    const second = world.backend({ owner: 'agent-2' });
    const [outcome] = await second.restore([blocked()], now());
    expect(outcome).toMatchObject({ ok: false, code: 'not-enforceable' });
    expect(ours()).toHaveLength(1);
    expect(world.reaches(ATTACKER)).toBe(false);
  });
});

describe('on a network plugin', () => {
  const set = (name: string, over: object = {}) => ({
    name,
    namespace: 'kube-system',
    ready: 2,
    ...over,
  });
  const cilium = (data: Record<string, string>) => ({
    daemonSets: [set('cilium')],
    configMaps: { 'kube-system/cilium-config': data },
  });
  const matched = { 'policy-cidr-match-mode': 'nodes' };
  const cases: readonly (readonly [string, object, RegExp | undefined])[] = [
    [
      'that nobody knows',
      { daemonSets: [set('kube-flannel-ds')] },
      /none of calico-node.*cniEnforces/,
    ],
    ['that is not there', { daemonSets: [] }, /none of calico-node.*kubernetes\.cniEnforces: true/],
    [
      'that is nowhere ready',
      { daemonSets: [set('canal', { ready: 0 })] },
      /no pod of canal is ready/,
    ],
    ['calico', { daemonSets: [set('kindnet'), set('calico-node')] }, undefined],
    ['antrea', { daemonSets: [set('antrea-agent')] }, undefined],
    ['kube-router', { daemonSets: [set('kube-router')] }, undefined],
    [
      'kube-router without its firewall',
      { daemonSets: [set('kube-router', { args: ['--run-firewall=false'] })] },
      /--run-firewall=false/,
    ],
    [
      'weave',
      { daemonSets: [set('weave-net', { containers: ['weave', 'weave-npc'] })] },
      undefined,
    ],
    ['weave without npc', { daemonSets: [set('weave-net')] }, /without weave-npc/],
    ['cilium whose ipBlocks mean nodes', cilium(matched), undefined],
    ['cilium whose ipBlocks leave nodes out', cilium({}), /policy-cidr-match-mode: nodes/],
    ['cilium that never enforces', cilium({ ...matched, 'enable-policy': 'never' }), /never/],
    [
      'cilium that closes every pod',
      cilium({ ...matched, 'enable-policy': 'always' }),
      /would open/,
    ],
    [
      'cilium without NetworkPolicy',
      cilium({ ...matched, 'enable-k8s-networkpolicy': 'false' }),
      /enable-k8s-networkpolicy/,
    ],
  ];

  test.each(cases)('%s', async (_, cluster, objection) => {
    Object.assign(world.api.cluster, cluster);
    const [outcome] = await backend.change([blocked()], [], now());
    const probed = await backend.probe();
    if (objection === undefined) {
      expect(outcome).toMatchObject({ ok: true });
      expect(probed).toMatchObject({ ok: true });
      return;
    }
    expect(outcome).toMatchObject({ ok: false, code: 'not-enforceable' });
    expect(reasonOf(outcome)).toMatch(objection);
    expect(probed).toMatchObject({ ok: false, error: { code: 'not-enforceable' } });
    expect(world.names()).toEqual([]);
  });

  test('whom the operator vouches for nobody is asked', async () => {
    world.api.cluster.daemonSets = [];
    const vouched = world.backend({ cniEnforces: true });
    expect(codes(await vouched.restore([blocked()], now()))).toEqual(['applied']);
    expect(world.api.asked.map(({ resource }) => resource)).not.toContain('apps/daemonsets');
  });

  test('that goes away, what was in force is not said to be any more', async () => {
    let atMs = now();
    const watching = world.backend({ now: () => atMs });
    await watching.restore([blocked()], atMs);
    world.api.cluster.daemonSets = [];
    atMs += 30_000;
    expect(await watching.census(atMs)).toMatchObject({ ok: true, value: { ids: new Set() } });
    const [outcome] = await watching.restore([blocked()], atMs);
    expect(outcome).toMatchObject({ code: 'not-enforceable' });
    expect(world.names()).toEqual([]);
  });
});

test.each([
  ['cilium.io/ciliumnetworkpolicies'],
  ['cilium.io/ciliumclusterwidenetworkpolicies'],
  ['crd.projectcalico.org/networkpolicies'],
  ['crd.projectcalico.org/globalnetworkpolicies'],
  ['crd.antrea.io/clusternetworkpolicies'],
  ['policy.networking.k8s.io/adminnetworkpolicies'],
  ['policy.networking.k8s.io/baselineadminnetworkpolicies'],
])('beside %s nothing is written; where there are none of them it is', async (kind) => {
  world.api.cluster.others = { [kind]: 1 };
  const [outcome] = await backend.change([blocked()], [], now());
  expect(outcome).toMatchObject({ ok: false, code: 'not-enforceable' });
  expect(reasonOf(outcome)).toContain(kind.split('/')[1]);
  expect(world.names()).toEqual([]);
  world.api.cluster.others = { [kind]: 0 };
  expect(codes(await world.backend().restore([blocked()], now()))).toEqual(['applied']);
});

test('pods on the network of their node, or with addresses that nobody named, are told by name', async () => {
  const pod = { namespace: 'web', labels: { app: 'web' } };
  const reasonFor = async (ips: readonly string[], hostNetwork = false) => {
    world.api.cluster.pods = [{ ...pod, name: 'web-7', ips, hostNetwork }];
    return reasonOf((await world.backend().restore([blocked()], now()))[0]);
  };
  expect(await reasonFor(['192.168.77.4'], true)).toMatch(
    /web\/web-7 is on the network of its node/,
  );
  expect(await reasonFor(['172.30.1.1'])).toMatch(
    /web\/web-7 has the address 172\.30\.1\.1.*kubernetes\.clusterNetworks/,
  );
  expect(await reasonFor(['10.244.1.1', 'fd00::1'])).toBe('');
});

test('where a Service hides its clients from the pods, none can be kept from them, but pods from anybody', async () => {
  const service = {
    name: 'shop',
    namespace: 'web',
    type: 'LoadBalancer',
    selector: { app: 'web' },
  };
  const tell = async (over: object, sourcesPreserved = false) => {
    world.api.cluster.services = [{ ...service, ...over }];
    const fresh = world.backend({ sourcesPreserved });
    const outcomes = await fresh.restore([blocked(), blocked('egress')], now());
    const found = reasonOf(outcomes[0]);
    if (found === '') expect(await inForce(fresh)).toHaveLength(2);
    else expect(codes(outcomes)).toEqual(['not-enforceable', 'applied']);
    expect(world.reaches(ATTACKER)).toBe(found !== '');
    expect(world.reaches(ATTACKER, { direction: 'out' })).toBe(false);
    return found;
  };
  const hidden =
    /Service web\/shop hides its clients.*set Local.*kubernetes\.sourcesPreserved: true/;
  expect(await tell({})).toMatch(hidden);
  expect(await tell({ type: 'NodePort', policy: 'Cluster' })).toMatch(hidden);
  expect(await tell({ type: 'ClusterIP', ips: ['192.0.2.80'] })).toMatch(hidden);
  expect(await tell({ policy: 'Local' })).toBe('');
  expect(await tell({ type: 'ClusterIP' })).toBe('');
  expect(await tell({ selector: { app: 'db' } })).toBe('');
  expect(await tell({}, true)).toBe('');
});

const WISHES: readonly (readonly [string, Wish, RegExp])[] = [
  ['a rate', { action: 'rate_limit', target: { ips: [ATTACKER] } }, /no rates/],
  [
    'a refusal that the sender sees',
    { action: 'reject', target: { ips: [ATTACKER] } },
    /no refusal/,
  ],
  ['pings alone', { target: { ips: [ATTACKER], protocols: ['icmp'] } }, /not protocol 1/],
  ['a tunnel alone', { target: { ips: [ATTACKER], protocols: ['tcp', 'gre'] } }, /not protocol 47/],
  ['workloads', { target: { selectors: { app: 'x' } } }, /selectors/],
  [
    'pods of a namespace that is not served',
    { target: { ips: [ATTACKER], namespace: 'x' } },
    /web/,
  ],
  [
    'a pod',
    { target: { ips: ['10.244.3.4'] } },
    /10\.244\.0\.0\/16 of kubernetes\.clusterNetworks/,
  ],
  ['a network that pods lie in', { target: { cidrs: ['10.0.0.0/8'] } }, /clusterNetworks/],
];

test.each(WISHES)('%s cannot be denied, and the rest of its batch can', async (_, wish, reason) => {
  const outcomes = await tried(wish, { target: { ips: [FRIEND] } });
  expect(codes(outcomes)).toEqual(['not-enforceable', 'applied']);
  expect(reasonOf(outcomes[0])).toMatch(reason);
  expect(world.reaches(ATTACKER)).toBe(true);
  expect(world.reaches(FRIEND)).toBe(false);
});

test('where only ports are denied the acknowledgement says what goes with them', async () => {
  const [outcome] = await tried({ target: { ips: [ATTACKER], ports: [22], direction: 'ingress' } });
  expect(outcome).toMatchObject({ ok: true });
  expect(reasonOf(outcome)).toMatch(/neither TCP, UDP nor SCTP/);
  expect(world.reaches(ATTACKER, { port: 22 })).toBe(false);
  expect(world.reaches(ATTACKER, { port: 23 })).toBe(true);
  expect(world.reaches(ATTACKER, { protocol: 'ICMP', port: 0 })).toBe(false);
});

test('a dry run is judged as the others are, and writes nothing', async () => {
  const wish: Wish = { target: { ips: [ATTACKER] }, dryRun: true };
  const entry = entryOf(wish);
  expect(codes(await backend.change([entry], [], now()))).toEqual(['applied dry_run']);
  expect(world.names()).toEqual([]);
  expect(await inForce(backend)).toEqual([entry.id]);
  expect(codes(await tried({ ...wish, target: { ips: ['10.244.0.9'] } }))).toEqual([
    'not-enforceable',
  ]);
  world.api.policies.put('web', 'theirs', stranger(CLOSED), 'kubectl');
  expect(codes(await tried(wish))).toEqual(['not-enforceable']);
});

test('beyond the exceptions that are allowed policies fail by name, and the earlier ones stay', async () => {
  const tight = world.backend({ exceptionsMax: 3 });
  const host = (k: number) =>
    entryOf({ target: { ips: [`203.0.113.${k * 2}`], direction: 'ingress' } });
  const first = await tight.restore([0, 1].map(host), now());
  const second = await tight.change([2, 3, 4].map(host), [], now());
  expect(codes([...first, ...second])).toEqual([
    'applied',
    'applied',
    'applied',
    'not-enforceable',
    'not-enforceable',
  ]);
  expect(reasonOf(second[1])).toMatch(/more than 3 exceptions.*kubernetes\.exceptionsMax/);
  expect([0, 2, 4, 6].map((k) => world.reaches(`203.0.113.${k}`))).toEqual([
    false,
    false,
    false,
    true,
  ]);
  // Ports count for more.
  const wide: Wish = { target: { ips: [ATTACKER], ports: [22], direction: 'ingress' } };
  expect(codes(await tight.restore([entryOf(wide)], now()))).toEqual(['not-enforceable']);
});
