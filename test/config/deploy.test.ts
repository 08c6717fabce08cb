import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { formatProblem } from '#runtime/topology/document.ts';
import { loadTopology } from '#runtime/topology/load.ts';
import { actorsOf } from '#runtime/topology/view.ts';
import { NODE, ROOT, temporaryFolder } from '#test/kit/processes.ts';
import { programOf } from '#test/kit/programs.ts';

const FOLDER = path.join(ROOT, 'config', 'deploy');
const KUBERNETES = path.join(FOLDER, 'kubernetes');
const COMPONENTS = ['detector', 'validator', 'enforcer'] as const;
type Component = (typeof COMPONENTS)[number];

const labels = z.record(z.string(), z.string());
const metadata = z.object({ name: z.string(), namespace: z.string().optional() });
const probe = z.strictObject({
  exec: z.strictObject({ command: z.array(z.string()).min(1) }),
  periodSeconds: z.int().min(1),
  timeoutSeconds: z.int().min(1),
  failureThreshold: z.int().min(1).optional(),
});
const mount = z.strictObject({
  name: z.string(),
  mountPath: z.string().startsWith('/'),
  readOnly: z.boolean().optional(),
});
const hardened = z.strictObject({
  runAsUser: z.int().optional(),
  allowPrivilegeEscalation: z.literal(false),
  readOnlyRootFilesystem: z.literal(true),
  capabilities: z.strictObject({
    drop: z.tuple([z.literal('ALL')]),
    add: z.array(z.string()).optional(),
  }),
});
const container = z.strictObject({
  name: z.string(),
  image: z.string(),
  workingDir: z.string().optional(),
  command: z.array(z.string()).min(1),
  args: z.array(z.string()).optional(),
  envFrom: z.array(z.strictObject({ configMapRef: z.strictObject({ name: z.string() }) })),
  env: z.array(
    z.strictObject({
      name: z.string(),
      value: z.string().optional(),
      valueFrom: z.record(z.string(), z.unknown()).optional(),
    }),
  ),
  ports: z
    .array(z.strictObject({ name: z.string(), containerPort: z.int(), protocol: z.string() }))
    .optional(),
  startupProbe: probe,
  livenessProbe: probe,
  readinessProbe: probe,
  resources: z.strictObject({
    requests: z.strictObject({ cpu: z.string(), memory: z.string() }),
    limits: z.strictObject({ memory: z.string() }),
  }),
  securityContext: hardened,
  volumeMounts: z.array(mount),
});
const initContainer = container
  .pick({ name: true, image: true, command: true, args: true })
  .extend({ securityContext: hardened, volumeMounts: z.array(mount) });
const workload = z.object({
  apiVersion: z.literal('apps/v1'),
  kind: z.enum(['StatefulSet', 'DaemonSet', 'Deployment']),
  metadata,
  spec: z.object({
    serviceName: z.string().optional(),
    replicas: z.int().optional(),
    selector: z.strictObject({ matchLabels: labels }),
    template: z.strictObject({
      metadata: z.strictObject({ labels }),
      spec: z.object({
        automountServiceAccountToken: z.literal(false),
        terminationGracePeriodSeconds: z.int(),
        hostNetwork: z.boolean().optional(),
        securityContext: z.object({ runAsNonRoot: z.boolean().optional() }),
        initContainers: z.array(initContainer).optional(),
        containers: z.tuple([container]),
        volumes: z.array(z.object({ name: z.string() })),
      }),
    }),
    volumeClaimTemplates: z.array(z.object({ metadata })).optional(),
  }),
});
const peerRule = z.strictObject({
  from: z.array(z.record(z.string(), z.unknown())).optional(),
  to: z.array(z.record(z.string(), z.unknown())).optional(),
  ports: z.array(z.strictObject({ port: z.int(), protocol: z.enum(['TCP', 'UDP']) })),
});
const others = [
  ['v1', 'Namespace', z.object({ metadata })],
  ['v1', 'ConfigMap', z.strictObject({ ...head(), metadata, data: labels })],
  ['v1', 'Service', z.object({ metadata, spec: z.object({ selector: labels }) })],
  [
    'v1',
    'PersistentVolumeClaim',
    z.object({ metadata, spec: z.object({ resources: z.object() }) }),
  ],
  [
    'policy/v1',
    'PodDisruptionBudget',
    z.object({ spec: z.strictObject({ maxUnavailable: z.literal(1), selector: z.object() }) }),
  ],
  [
    'networking.k8s.io/v1',
    'NetworkPolicy',
    z.object({
      spec: z.strictObject({
        podSelector: z.object({ matchLabels: labels.optional() }),
        policyTypes: z.array(z.enum(['Ingress', 'Egress'])).min(1),
        ingress: z.array(peerRule).optional(),
        egress: z.array(peerRule).optional(),
      }),
    }),
  ],
  [
    'kustomize.config.k8s.io/v1beta1',
    'Kustomization',
    z.object({ resources: z.array(z.string()) }),
  ],
] as const;
function head() {
  return { apiVersion: z.string(), kind: z.string() };
}

type Manifest = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly [key: string]: unknown;
};
const manifestsOf = (file: string): Manifest[] =>
  parseAllDocuments(readFileSync(path.join(KUBERNETES, file), 'utf8')).map((one) => {
    expect(one.errors).toEqual([]);
    return one.toJS() as Manifest;
  });
const files = readdirSync(KUBERNETES);
const workloadOf = (component: Component) =>
  workload.parse(manifestsOf(`${component}.yaml`).find((one) => /Set$|Deployment/.test(one.kind)));
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
    ...configOf('namespace.yaml', 'cybermesh'),
    ...configOf(`${component}.yaml`, component),
    ...Object.fromEntries(env.map(({ name, value }) => [name, value ?? 'node-7'])),
  };
};
const loaded = async (component: Component, set: readonly string[] = []) => {
  const env = environmentOf(component);
  const result = await loadTopology(`config/${component}.yaml`, { cwd: ROOT, env, set });
  if (!result.ok) throw new Error(result.error.map(formatProblem).join('\n'));
  return result.value.view;
};

test('every manifest has a known kind and version, and the fields that its kind needs', () => {
  for (const file of files) {
    for (const manifest of manifestsOf(file)) {
      const { apiVersion, kind } = manifest;
      const known = others.find(([version, name]) => version === apiVersion && name === kind);
      const checked = (known?.[2] ?? workload).safeParse(manifest);
      expect(checked.error?.issues ?? [], `${file}: ${kind}`).toEqual([]);
      const { namespace } = (manifest.metadata ?? {}) as { namespace?: string };
      if (kind !== 'Namespace' && kind !== 'Kustomization') expect(namespace).toBe('cybermesh');
    }
  }
  const [kustomization] = manifestsOf('kustomization.yaml');
  const listed = [...(kustomization!.resources as string[]), 'kustomization.yaml'];
  expect(listed.sort()).toEqual(files.sort());
});

test.each(COMPONENTS)(
  'the %s selects its own pods, and every volume that it mounts is there',
  (component) => {
    const { spec } = workloadOf(component);
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
  const all = manifestsOf('validator.yaml');
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
  expect(manifestsOf('namespace.yaml')).toContainEqual(
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
  }
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
