import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { OTHER_KINDS } from '#actors/enforcer/backends/kubernetes/plugins.ts';
import { formatProblem } from '#runtime/topology/document.ts';
import { loadTopology } from '#runtime/topology/load.ts';
import { actorsOf } from '#runtime/topology/view.ts';
import { NODE, ROOT, temporaryFolder } from '#test/kit/processes.ts';
import { programOf } from '#test/kit/programs.ts';
import {
  binding,
  FOLDER,
  manifestsOf,
  metadata,
  others,
  role,
  workload,
  workloadIn,
} from './manifests.ts';

const COMPONENTS = ['detector', 'validator', 'enforcer'] as const;
type Component = (typeof COMPONENTS)[number];
/** By folder; the agent for NetworkPolicies starts the topology of the enforcer with other settings. */
const FOLDERS = ['kubernetes', 'network-policies'] as const;
const AGENT = 'network-policies/agent.yaml';

const workloadOf = (component: Component) => workloadIn(`kubernetes/${component}.yaml`);
const configOf = (file: string, name: string): Record<string, string> => {
  const found = manifestsOf(file).find(
    (one) => one.kind === 'ConfigMap' && (one.metadata as { name: string }).name === name,
  );
  return (found?.data ?? {}) as Record<string, string>;
};
/** The environment of its container, as far as the manifests give it. */
const environmentOf = (component: Component): Record<string, string> => {
  const { env } = workloadOf(component).spec.template.spec.containers[0];
  return {
    ...configOf('kubernetes/namespace.yaml', 'cybermesh'),
    ...configOf(`kubernetes/${component}.yaml`, component),
    ...Object.fromEntries(env.map(({ name, value }) => [name, value ?? 'node-7'])),
  };
};
const loaded = async (component: Component, set: readonly string[] = []) => {
  const env = environmentOf(component);
  const result = await loadTopology(`config/${component}.yaml`, { cwd: ROOT, env, set });
  if (!result.ok) throw new Error(result.error.map(formatProblem).join('\n'));
  return result.value.view;
};

test.each(FOLDERS)(
  'every manifest of %s has a known kind and version, and the fields that its kind needs',
  (folder) => {
    const files = readdirSync(path.join(FOLDER, folder));
    for (const file of files) {
      for (const manifest of manifestsOf(`${folder}/${file}`)) {
        const { apiVersion, kind } = manifest;
        const known = others.find(([version, name]) => version === apiVersion && name === kind);
        const checked = (known?.[2] ?? workload).safeParse(manifest);
        expect(checked.error?.issues ?? [], `${file}: ${kind}`).toEqual([]);
        const { namespace } = (manifest.metadata ?? {}) as { namespace?: string };
        const isElsewhere = /^(?:Namespace|Kustomization|RoleBinding|Cluster\w+)$/.test(kind);
        if (!isElsewhere) expect(namespace).toBe('cybermesh');
      }
    }
    const [kustomization] = manifestsOf(`${folder}/kustomization.yaml`);
    const listed = [...(kustomization!.resources as string[]), 'kustomization.yaml'];
    expect(listed.sort()).toEqual(files.sort());
  },
);

const WORKLOADS = [...COMPONENTS.map((one) => `kubernetes/${one}.yaml`), AGENT];

test.each(WORKLOADS)(
  '%s selects its own pods, and every volume that it mounts is there',
  (file) => {
    const { spec } = workloadIn(file);
    const { template } = spec;
    expect(template.metadata.labels).toMatchObject(spec.selector.matchLabels);
    const volumes = [
      ...template.spec.volumes.map((one) => one.name),
      ...(spec.volumeClaimTemplates ?? []).map((one) => one.metadata.name),
    ];
    const containers = [...template.spec.containers, ...(template.spec.initContainers ?? [])];
    for (const { volumeMounts } of containers) {
      for (const { name } of volumeMounts) expect(volumes).toContain(name);
    }
    expect(template.spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(30);
  },
);

test.each(COMPONENTS)(
  'the settings of the %s are ones that its topology knows, and its probes ask where its API listens',
  async (component) => {
    const view = await loaded(component);
    expect(view.node.dataDir).toBe('/var/lib/cybermesh');
    expect(view.genesis.file).toBe('/etc/cybermesh/genesis.json');
    expect(view.sections.bus).toMatchObject({ brokers: ['kafka.kafka.svc:9092'] });
    const { host, port } = actorsOf(view, 'api')[0]!.config as { host: string; port: number };
    const { containers } = workloadOf(component).spec.template.spec;
    const [{ startupProbe, livenessProbe, readinessProbe, command, args = [] }] = containers;
    const urlOf = (one: typeof startupProbe) => one.exec.command.at(-1);
    const base = `http://${host}:${port}/api/v1`;
    expect(urlOf(startupProbe)).toBe(`${base}/health`);
    expect(urlOf(livenessProbe)).toBe(`${base}/health`);
    expect(urlOf(readinessProbe)).toBe(`${base}/ready`);
    for (const one of [startupProbe, livenessProbe, readinessProbe]) {
      expect(one.exec.command[1]).toBe('config/deploy/probe.js');
    }
    expect([...command, ...args].join(' ')).toContain(`start config/${component}.yaml`);
  },
);

test('validators listen where their Service and their NetworkPolicy let the others in, and nobody else gets in', async () => {
  const view = await loaded('validator', ['validator.with.name=v2', 'node.name=v2']);
  const replica = actorsOf(view, 'replica')[0]?.config as {
    listen: string;
    peers: Record<string, string>;
  };
  const { spec } = workloadOf('validator');
  const [{ ports }] = spec.template.spec.containers;
  const port = ports?.[0]?.containerPort;
  expect(replica.listen).toBe(`/ip4/0.0.0.0/tcp/${port}`);
  const places = [0, 1, 2, 3].map(
    (k) => `/dns4/validator-${k}.${spec.serviceName}.cybermesh.svc.cluster.local/tcp/${port}`,
  );
  expect(Object.values(replica.peers)).toEqual(places);
  expect(spec.replicas).toBe(4);
  const all = manifestsOf('kubernetes/validator.yaml');
  const service = all.find((one) => one.kind === 'Service');
  expect(service).toMatchObject({
    spec: { clusterIP: 'None', publishNotReadyAddresses: true, ports: [{ port }] },
  });
  const policy = all.find((one) => one.kind === 'NetworkPolicy');
  expect(policy).toMatchObject({
    spec: { ingress: [{ from: [{ podSelector: spec.selector }], ports: [{ port }] }] },
  });
  const budget = all.find((one) => one.kind === 'PodDisruptionBudget');
  expect(budget).toMatchObject({ spec: { maxUnavailable: 1, selector: spec.selector } });
  expect(manifestsOf('kubernetes/namespace.yaml')).toContainEqual(
    expect.objectContaining({
      kind: 'NetworkPolicy',
      spec: { podSelector: {}, policyTypes: ['Ingress'] },
    }),
  );
});

test('only the agent has a capability, and only that one; nobody else may be root', () => {
  for (const component of COMPONENTS) {
    const { spec } = workloadOf(component).spec.template;
    const [{ securityContext }] = spec.containers;
    expect(securityContext.capabilities.add).toEqual(
      component === 'enforcer' ? ['NET_ADMIN'] : undefined,
    );
    expect(spec.securityContext.runAsNonRoot).toBe(component === 'enforcer' ? undefined : true);
    expect(spec.hostNetwork).toBe(component === 'enforcer' ? true : undefined);
    expect(spec.automountServiceAccountToken).toBe(false);
  }
  const { spec } = workloadIn(AGENT).spec.template;
  const [{ securityContext }] = spec.containers;
  expect(securityContext.capabilities.add).toBe(undefined);
  expect(spec.securityContext.runAsNonRoot).toBe(true);
  expect(spec).toMatchObject({ automountServiceAccountToken: true });
});

test('the agent for NetworkPolicies has settings that its topology knows, and with them is one alone', async () => {
  const { spec } = workloadIn(AGENT);
  const [{ env: own }] = spec.template.spec.containers;
  const env = {
    ...configOf('kubernetes/namespace.yaml', 'cybermesh'),
    ...configOf(AGENT, 'network-policies'),
    ...Object.fromEntries(own.map(({ name, value }) => [name, value ?? ''])),
  };
  const set = ['enforcer.config.backend=kubernetes'];
  const topology = await loadTopology('config/enforcer.yaml', { cwd: ROOT, env, set });
  if (!topology.ok) throw new Error(topology.error.map(formatProblem).join('\n'));
  const [agent] = actorsOf(topology.value.view, 'enforcer');
  expect(agent?.config).toMatchObject({
    backend: 'kubernetes',
    instance: 'network-policies',
    kubernetes: { kubeconfig: '', namespaces: ['web'], cniEnforces: false },
  });
  expect(spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
});

test('the agent for NetworkPolicies may do what it asks for and nothing else, in the namespaces that it is told to protect', async () => {
  const all = manifestsOf('network-policies/access.yaml');
  const ofKind = (kind: string) => all.filter((one) => one.kind === kind);
  const rulesOf = (name: string) =>
    role.parse(ofKind('ClusterRole').find((one) => metadata.parse(one.metadata).name === name))
      .rules;
  const bound = (kind: string) => ofKind(kind).map((one) => binding.parse(one));
  const account = { kind: 'ServiceAccount', name: 'network-policies', namespace: 'cybermesh' };
  for (const one of [...bound('RoleBinding'), ...bound('ClusterRoleBinding')]) {
    expect(one.subjects).toEqual([account]);
  }
  expect(workloadIn(AGENT).spec.template.spec.serviceAccountName).toBe(account.name);
  const spaces = bound('RoleBinding').map((one) => one.metadata.namespace);
  const settings = configOf(AGENT, 'network-policies');
  expect(settings.CYBERMESH_ENFORCER__CONFIG__KUBERNETES__NAMESPACES).toBe(
    `[${spaces.join(', ')}]`,
  );
  const grants = [...bound('RoleBinding'), ...bound('ClusterRoleBinding')].flatMap(({ roleRef }) =>
    rulesOf(roleRef.name).flatMap(({ apiGroups, resources, verbs }) =>
      resources.flatMap((resource) =>
        verbs.map((verb) => `${verb} ${[...apiGroups, resource].filter(Boolean).join('/')}`),
      ),
    ),
  );
  const kinds = OTHER_KINDS.map(({ group, plural }) => `list ${group}/${plural}`);
  const writing = ['list', 'create', 'patch', 'delete'].map(
    (verb) => `${verb} networking.k8s.io/networkpolicies`,
  );
  const needed = [
    ...writing,
    'list pods',
    'list services',
    'list apps/daemonsets',
    'get configmaps',
    ...kinds,
  ];
  expect([...new Set(grants)].sort()).toEqual([...new Set(needed)].sort());
});

test('a probe says by its exit code whether the answer was good', async () => {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/ok' ? 200 : 503).end();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const probed = promisify(execFile);
  const script = path.join(FOLDER, 'probe.js');
  try {
    await probed(NODE, [script, `http://127.0.0.1:${port}/ok`]);
    await expect(probed(NODE, [script, `http://127.0.0.1:${port}/no`])).rejects.toMatchObject({
      code: 1,
    });
    await expect(probed(NODE, [script, 'http://127.0.0.1:1/'])).rejects.toMatchObject({ code: 1 });
  } finally {
    server.close();
  }
});

const units = readdirSync(path.join(FOLDER, 'systemd'));
const unitText = (unit: string): string => readFileSync(path.join(FOLDER, 'systemd', unit), 'utf8');

test.each(units)(
  '%s starts its topology with settings that it knows, hardened, and does not restart on a bad configuration',
  async (unit) => {
    const component = COMPONENTS.find((one) => unit.includes(one))!;
    const text = unitText(unit).replaceAll('%i', 'v3').replaceAll('%H', 'host-7');
    expect(text).toContain(`runtime/index.js start /opt/cybermesh/config/${component}.yaml\n`);
    const env = Object.fromEntries(
      [...text.matchAll(/^Environment=(\w+)=(.+)$/gm)].map(([, name, value]) => [name, value]),
    );
    const topology = await loadTopology(`config/${component}.yaml`, { cwd: ROOT, env });
    if (!topology.ok) throw new Error(topology.error.map(formatProblem).join('\n'));
    expect(text).toContain(`StateDirectory=${path.basename(topology.value.view.node.dataDir)}\n`);
    for (const line of [
      'RestartPreventExitStatus=78',
      'DynamicUser=yes',
      'ProtectSystem=strict',
      'NoNewPrivileges=yes',
      `CapabilityBoundingSet=${component === 'enforcer' ? 'CAP_NET_ADMIN' : ''}`,
    ]) {
      expect(text.split('\n')).toContain(line);
    }
  },
);

test.skipIf(programOf('systemd-analyze') === undefined)(
  'systemd finds nothing wrong with the units, and little that they expose (needs systemd-analyze)',
  () => {
    const folder = temporaryFolder('cybermesh-units-');
    try {
      const copies = units.map((unit) => {
        const copy = path.join(folder.path, unit);
        writeFileSync(copy, unitText(unit).replaceAll('/opt/cybermesh', ROOT));
        return copy;
      });
      const run = (...args: string[]): string =>
        execFileSync('systemd-analyze', args, { encoding: 'utf8', stdio: 'pipe', timeout: 20_000 });
      expect(run('verify', '--man=no', ...copies)).toBe('');
      // Exposure of 0 (none) to 100; it exits with 1 above the threshold.
      for (const copy of copies) run('security', '--offline=true', '--threshold=35', copy);
    } finally {
      folder.remove();
    }
  },
);
