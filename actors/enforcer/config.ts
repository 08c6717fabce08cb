import { z } from 'zod';
import { POLICY_SCOPES } from '#proto/policy-rule.ts';
import { BACKENDS } from './backend.ts';
import { FAILSAFE_DEFAULT, parseFailsafe } from './failsafe.ts';

const LABEL_KEY =
  /^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?)?$/;
const NAMESPACE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

const kubernetes = z.strictObject({
  kubeconfig: z
    .string()
    .default('')
    .describe('File that says how to reach the API server; empty: the service account of the pod'),
  context: z.string().default('').describe('Context of that file; empty for its current one'),
  namespaces: z
    .array(z.string().regex(NAMESPACE, 'not the name of a namespace'))
    .max(64)
    .default([])
    .describe('Namespaces whose pods are protected. Run panic before taking one out of the list'),
  podLabels: z
    .record(
      z.string().regex(LABEL_KEY, 'not the key of a label'),
      z.string().regex(LABEL_VALUE, 'not the value of a label'),
    )
    .default({})
    .describe('Labels that the protected pods have; empty for every pod of the namespaces'),
  clusterNetworks: z
    .array(z.union([z.cidrv4(), z.cidrv6()]))
    .max(256)
    .default([])
    .describe(
      'Networks of pods, services and nodes: a NetworkPolicy cannot deny addresses of them',
    ),
  cniEnforces: z
    .boolean()
    .default(false)
    .describe(
      'The network plugin enforces NetworkPolicy, though it is none of those that are known to; its ipBlocks mean nodes, too',
    ),
  sourcesPreserved: z
    .boolean()
    .default(false)
    .describe(
      'Pods see who connects, though a Service of theirs has externalTrafficPolicy: Cluster',
    ),
  exceptionsMax: z
    .int()
    .min(1)
    .max(50_000)
    .default(10_000)
    .describe('Networks denied to the same pods in one direction; beyond it policies fail'),
});

const settings = z.strictObject({
  backend: z
    .enum(BACKENDS)
    .default('noop')
    .describe('What is told to enforce; noop touches nothing and shows what would happen'),
  failsafePorts: z
    .array(z.string().refine((text) => parseFailsafe(text) !== undefined, 'as tcp/22 or udp/67-68'))
    .max(64)
    .default([...FAILSAFE_DEFAULT])
    .describe('Ports of this node that stay open whatever a policy says, as tcp/22 or udp/67-68'),
  killSwitch: z
    .boolean()
    .default(false)
    .describe('Enforce nothing and remove what is in force; policies fail with kill-switch'),
  netns: z
    .string()
    .regex(/^[\w.-]*$/)
    .max(64)
    .default('')
    .describe(
      'Network namespace (ip netns) whose firewall is meant; empty for that of the process',
    ),
  firewallTimeoutMs: z
    .int()
    .min(100)
    .default(30_000)
    .describe('How long one call of nft, iptables or the Kubernetes API may take, ms'),
  kubernetes: kubernetes
    .prefault({})
    .describe('Of the backend kubernetes: whose pods it protects, and how it reaches the API'),
  peersShareMax: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe('Share of the peers seen in five minutes that may be cut off, once there are 20'),
  surveyMs: z
    .int()
    .min(1000)
    .default(10_000)
    .describe('How often own addresses, gateway, resolvers, sessions and peers are looked at, ms'),
  key: z
    .string()
    .min(1)
    .default('enforcer.pem')
    .describe('Private key that signs acknowledgements: under <dataDir>/keys, or an absolute path'),
  instance: z
    .string()
    .min(1)
    .max(128)
    .default('agent-1')
    .describe('Name of this agent in its acks'),
  canaryScopes: z
    .array(z.enum(POLICY_SCOPES))
    .max(POLICY_SCOPES.length)
    .default([])
    .describe(
      'Scopes for which this agent is a canary: a policy with canary_scope is obeyed where its target.scope is one of them, elsewhere it fails with not-canary',
    ),
  neverBlock: z
    .array(z.union([z.cidrv4(), z.cidrv6()]))
    .max(4096)
    .default([])
    .describe('Networks that this agent never touches, beside those of the genesis file'),
  activeMax: z
    .int()
    .min(1)
    .default(10_000)
    .describe('Policies in force at once; beyond it new ones fail with too-many-active'),
  perMinuteMax: z
    .int()
    .min(1)
    .default(1200)
    .describe(
      'New policies in any minute; beyond it they fail with too-many-a-minute. Twice what the chain allows in a minute of header time, two of which may meet here',
    ),
  reconcileMs: z
    .int()
    .min(100)
    .default(30_000)
    .describe('How often the backend is compared with what is committed'),
  tickMs: z.int().min(10).default(1000).describe('How often expiry is looked at'),
  acksOpenMax: z
    .int()
    .min(1)
    .max(512)
    .default(64)
    .describe('Acknowledgements on their way at once'),
  outboxMax: z
    .int()
    .min(100)
    .default(20_000)
    .describe('Acknowledgements that wait for the bus; at the bound no policy is read'),
});

const NEEDED = [
  ['namespaces', 'the namespaces whose pods are protected, as [web]'],
  ['clusterNetworks', 'the networks of pods, services and nodes, as [10.0.0.0/8]'],
] as const;

export const config = settings.superRefine(({ backend, kubernetes: given }, context) => {
  if (backend !== 'kubernetes') return;
  for (const [field, remedy] of NEEDED) {
    if (given[field].length > 0) continue;
    const message = `the backend kubernetes needs ${remedy}`;
    context.addIssue({ code: 'custom', path: ['kubernetes', field], message });
  }
});

export type EnforcerConfig = z.output<typeof config>;
