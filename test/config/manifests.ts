/** The manifests for Kubernetes, and what the API says that they look like. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { ROOT } from '#test/kit/processes.ts';

export const FOLDER = path.join(ROOT, 'config', 'deploy');

const labels = z.record(z.string(), z.string());
export const metadata = z.object({ name: z.string(), namespace: z.string().optional() });
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
export const workload = z.object({
  apiVersion: z.literal('apps/v1'),
  kind: z.enum(['StatefulSet', 'DaemonSet', 'Deployment']),
  metadata,
  spec: z.object({
    serviceName: z.string().optional(),
    replicas: z.int().optional(),
    strategy: z.object({ type: z.string() }).optional(),
    selector: z.strictObject({ matchLabels: labels }),
    template: z.strictObject({
      metadata: z.strictObject({ labels }),
      spec: z.object({
        serviceAccountName: z.string().optional(),
        automountServiceAccountToken: z.boolean(),
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
const subject = z.strictObject({
  kind: z.literal('ServiceAccount'),
  name: z.string(),
  namespace: z.string(),
});
export const binding = z.strictObject({
  ...head(),
  metadata,
  roleRef: z.strictObject({
    apiGroup: z.literal('rbac.authorization.k8s.io'),
    kind: z.literal('ClusterRole'),
    name: z.string(),
  }),
  subjects: z.tuple([subject]),
});
export const role = z.strictObject({
  ...head(),
  metadata,
  rules: z.array(
    z.strictObject({
      apiGroups: z.array(z.string()).length(1),
      resources: z.array(z.string().regex(/^[a-z]+$/)).min(1),
      resourceNames: z.array(z.string()).optional(),
      verbs: z.array(z.enum(['get', 'list', 'create', 'patch', 'delete'])).min(1),
    }),
  ),
});
export const others = [
  ['v1', 'Namespace', z.object({ metadata })],
  [
    'v1',
    'ServiceAccount',
    z.strictObject({ ...head(), metadata, automountServiceAccountToken: z.literal(false) }),
  ],
  ['rbac.authorization.k8s.io/v1', 'ClusterRole', role],
  ['rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', binding],
  ['rbac.authorization.k8s.io/v1', 'RoleBinding', binding],
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

export type Manifest = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly [key: string]: unknown;
};
/** `file` with its folder. */
export const manifestsOf = (file: string): Manifest[] =>
  parseAllDocuments(readFileSync(path.join(FOLDER, file), 'utf8')).map((one) => {
    expect(one.errors).toEqual([]);
    return one.toJS() as Manifest;
  });
export const workloadIn = (file: string) =>
  workload.parse(manifestsOf(file).find((one) => /Set$|Deployment/.test(one.kind)));
