/** What the API server refuses in a NetworkPolicy (pkg/apis/networking/validation): by schema, then by sense. */
import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';

const labelKey = z
  .string()
  .regex(/^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?$/);
const labelValue = z.string().regex(/^(?:[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?)?$/);
const name = z
  .string()
  .max(253)
  .regex(/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/);
const selector = z.strictObject({
  matchLabels: z.record(labelKey, labelValue).optional(),
  matchExpressions: z
    .array(
      z.strictObject({
        key: labelKey,
        operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
        values: z.array(labelValue).optional(),
      }),
    )
    .optional(),
});

const cidrParts = (text: string): { address: string; prefix: number } | undefined => {
  const [, address = '', prefix = ''] = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(text) ?? [];
  const bits = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1;
  return Number(prefix) <= bits ? { address, prefix: Number(prefix) } : undefined;
};
const cidr = z.string().refine((text) => cidrParts(text) !== undefined, 'must be a valid CIDR');

/** Longer prefix, same family, within. */
const isStrictlyWithin = (inner: string, outer: string): boolean => {
  const a = cidrParts(inner);
  const b = cidrParts(outer);
  if (a === undefined || b === undefined || a.prefix <= b.prefix) return false;
  const family = isIPv4(a.address) ? 'ipv4' : 'ipv6';
  if (isIPv4(b.address) !== isIPv4(a.address)) return false;
  const list = new BlockList();
  list.addSubnet(b.address, b.prefix, family);
  return list.check(a.address, family);
};

const ipBlock = z
  .strictObject({ cidr, except: z.array(cidr).optional() })
  .refine(
    (block) => (block.except ?? []).every((one) => isStrictlyWithin(one, block.cidr)),
    'except must be a strict subset of cidr',
  );
const peer = z
  .strictObject({
    ipBlock: ipBlock.optional(),
    namespaceSelector: selector.optional(),
    podSelector: selector.optional(),
  })
  .refine((one) => Object.keys(one).length > 0, 'must specify a peer')
  .refine(
    (one) => one.ipBlock === undefined || Object.keys(one).length === 1,
    'may not specify both ipBlock and another peer',
  );
const portNumber = z.int().min(1).max(65_535);
const port = z
  .strictObject({
    protocol: z.enum(['TCP', 'UDP', 'SCTP']).default('TCP'),
    port: z.union([portNumber, z.string().regex(/^[a-z0-9-]{1,15}$/)]).optional(),
    endPort: portNumber.optional(),
  })
  .refine(
    ({ port: first, endPort }) =>
      endPort === undefined || (typeof first === 'number' && endPort >= first),
    'endPort needs a numeric port that is not above it',
  );

const ports = z.array(port).optional();
const spec = z.strictObject({
  podSelector: selector,
  policyTypes: z
    .array(z.enum(['Ingress', 'Egress']))
    .max(2)
    .optional(),
  ingress: z.array(z.strictObject({ from: z.array(peer).optional(), ports })).optional(),
  egress: z.array(z.strictObject({ to: z.array(peer).optional(), ports })).optional(),
});

export const policySchema = z.strictObject({
  apiVersion: z.literal('networking.k8s.io/v1'),
  kind: z.literal('NetworkPolicy'),
  metadata: z.strictObject({
    name,
    namespace: z.string(),
    labels: z.record(labelKey, labelValue).optional(),
    annotations: z.record(labelKey, z.string()).optional(),
    uid: z.string().optional(),
    resourceVersion: z.string().optional(),
    creationTimestamp: z.string().optional(),
    generation: z.int().optional(),
    managedFields: z.array(z.unknown()).optional(),
  }),
  spec,
});
export type PolicyObject = z.output<typeof policySchema>;

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;

/** As Go's `omitempty` leaves fields out: empty lists and maps, but no empty selector that is a pointer. */
export const withoutEmpty = <T>(value: T): T => {
  if (Array.isArray(value)) return value.map(withoutEmpty) as T;
  if (typeof value !== 'object' || value === null) return value;
  const pointers = new Set(['podSelector', 'namespaceSelector', 'ipBlock', 'spec', 'metadata']);
  const kept = Object.entries(value)
    .map(([key, field]) => [key, withoutEmpty(field)] as const)
    .filter(([key, field]) => field !== undefined && (pointers.has(key) || !isEmpty(field)));
  return Object.fromEntries(kept) as T;
};

/** With the defaults of the API server. The error is its sentence. */
export const validated = (
  data: unknown,
): { readonly policy: PolicyObject } | { readonly status: 400 | 422; readonly message: string } => {
  const parsed = policySchema.safeParse(data);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const isUnknown = issue?.code === 'unrecognized_keys';
    const message = `${issue?.path.join('.')}: ${issue?.message}`;
    return isUnknown
      ? { status: 400, message: `strict decoding error: ${message}` }
      : { status: 422, message: `NetworkPolicy is invalid: ${message}` };
  }
  const policy = parsed.data;
  const types = policy.spec.policyTypes ?? [
    'Ingress' as const,
    ...((policy.spec.egress ?? []).length > 0 ? (['Egress'] as const) : []),
  ];
  return { policy: withoutEmpty({ ...policy, spec: { ...policy.spec, policyTypes: types } }) };
};
