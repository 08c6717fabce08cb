/**
 * The rule of a policy: `rule_data` of a PolicyUpdateEvent and `params` of a PolicyEvent (WIRE.md,
 * "policy rule_data"). Unknown fields are refused: a limit that a reader does not know is a limit
 * that it would not keep.
 */
import { z } from 'zod';
import { utf8Bytes } from './bytes.ts';
import type { Crypto } from './crypto.ts';
import { parseCidr, parseIp } from './ip.ts';
import { canonicalJsonBytes, type Json, parseJsonObject } from './json.ts';
import { err, ok, type Result } from './result.ts';
import { uuidOf } from './wire/ai-signature.ts';

export const POLICY_ACTIONS = ['drop', 'reject', 'rate_limit', 'remove'] as const;
export type PolicyAction = (typeof POLICY_ACTIONS)[number];

export const POLICY_SCOPES = [
  'cluster',
  'namespace',
  'node',
  'tenant',
  'region',
  'global',
] as const;

const LIST_MAX = 1000;
const ID_BYTES_MAX = 128;
const TEXT_BYTES_MAX = 256;

const sized = (maxBytes: number) =>
  z
    .string()
    .min(1)
    .refine((text) => utf8Bytes(text) <= maxBytes, `more than ${maxBytes} bytes`);
const text = sized(TEXT_BYTES_MAX);
const positive = z.int().min(1);
const fraction = z.number().min(0).max(1);
const port = z.int().min(0).max(65_535);
const ip = z.string().refine((value) => parseIp(value) !== undefined, 'not an IP address');
const cidr = z.string().refine((value) => parseCidr(value) !== undefined, 'not a CIDR');
const list = <T extends z.ZodType>(item: T) => z.array(item).max(LIST_MAX);

const portRange = z
  .strictObject({ from: port, to: port })
  .refine(({ from, to }) => from <= to, 'from lies above to');

const target = z
  .strictObject({
    ips: list(ip).optional(),
    cidrs: list(cidr).optional(),
    direction: z.enum(['ingress', 'egress']).optional(),
    scope: z.enum(POLICY_SCOPES).optional(),
    selectors: z.record(text, z.string().max(TEXT_BYTES_MAX)).optional(),
    namespace: text.optional(),
    ports: list(z.union([port, portRange])).optional(),
    protocols: list(text).optional(),
    tenant: text.optional(),
    region: text.optional(),
  })
  .refine(
    ({ ips, cidrs, selectors }) =>
      (ips?.length ?? 0) + (cidrs?.length ?? 0) + Object.keys(selectors ?? {}).length > 0,
    'names no ips, cidrs or selectors',
  );

const criteria = z.strictObject({
  min_confidence: fraction.optional(),
  attempts_per_window: positive.optional(),
  window_s: positive.optional(),
});

/** A flat list tells addresses and networks by their spelling, namespaces by the prefix `ns:`. */
const flatEntry = text.refine(
  (entry) => /^ns:./.test(entry) || parseIp(entry) !== undefined || parseCidr(entry) !== undefined,
  'neither an address nor a network nor ns:<namespace>',
);

const allowlist = z.union([
  list(flatEntry),
  z.strictObject({
    ips: list(ip).optional(),
    cidrs: list(cidr).optional(),
    namespaces: list(text).optional(),
  }),
]);

const FAST_PATH =
  'of a fast path: allows what never happens, nothing is enforced before its commit';

const guardrails = z.strictObject({
  ttl_seconds: positive.describe('required: no policy is for ever'),
  dry_run: z.boolean().optional(),
  max_targets: positive.optional(),
  cidr_max_prefix_len: z.int().min(1).max(128).optional().describe('wider networks are refused'),
  approval_required: z.boolean().optional(),
  max_active_policies: positive.optional(),
  max_policies_per_minute: positive.optional(),
  rate_limit: z
    .strictObject({ window_s: positive, max_actions: positive })
    .optional()
    .describe('an agent holds it once so many policies came into force there in the window'),
  rate_limit_per_tenant: positive
    .optional()
    .describe('an agent holds it once so many of its tenant came into force there in a minute'),
  rate_limit_per_region: positive
    .optional()
    .describe('an agent holds it once so many of its region came into force there in a minute'),
  escalation_cooldown_s: z
    .int()
    .min(0)
    .optional()
    .describe('an agent holds it so long after a milder or shorter one for the same target'),
  canary_scope: z
    .boolean()
    .optional()
    .describe('only agents that are canaries for target.scope obey it'),
  rollback_if_no_commit_after_s: positive.optional().describe(FAST_PATH),
  pre_consensus_ttl_seconds: positive.optional().describe(FAST_PATH),
  fast_path_enabled: z.boolean().optional().describe(FAST_PATH),
  fast_path_ttl_seconds: positive.optional().describe(FAST_PATH),
  fast_path_signals_required: positive.optional().describe(FAST_PATH),
  fast_path_confidence_min: fraction.optional().describe(FAST_PATH),
  allowlist: allowlist.optional(),
});

export const policyRuleSchema = z.strictObject({
  policy_id: sized(ID_BYTES_MAX),
  rule_type: z.literal('block'),
  action: z.enum(POLICY_ACTIONS),
  target,
  criteria: criteria.optional().describe('of a rate_limit: packets let through a window'),
  guardrails,
  audit: z
    .strictObject({ reason_code: text.optional(), evidence_refs: list(text).optional() })
    .optional(),
  tenant: text.optional(),
  region: text.optional(),
});

export type PolicyRule = z.output<typeof policyRuleSchema>;
export type PolicyTarget = PolicyRule['target'];

export type PolicyErrorCode =
  | 'not-json'
  | 'missing-ttl'
  | 'no-target'
  | 'unknown-field'
  | 'bad-field'
  | 'contradiction';

export type PolicyError = {
  readonly code: PolicyErrorCode;
  /** As `guardrails.ttl_seconds`; '' for the whole. */
  readonly field: string;
  readonly reason: string;
};

/** Bytes of a stranger to a rule. */
export const parsePolicyRule = (bytes: Uint8Array): Result<PolicyRule, PolicyError> => {
  const json = parseJsonObject(bytes);
  return json.ok ? checkPolicyRule(json.value) : refused('not-json', '', json.error);
};

export const checkPolicyRule = (data: Json): Result<PolicyRule, PolicyError> => {
  const parsed = policyRuleSchema.safeParse(data);
  if (parsed.success) return contradictionOf(parsed.data) ?? ok(parsed.data);
  const issue = parsed.error.issues[0]!;
  const field = issue.path.join('.');
  return refused(codeOf(field, issue.code, data), field, issue.message);
};

export const encodePolicyRule = (rule: PolicyRule): Uint8Array => canonicalJsonBytes(rule);

const refused = (code: PolicyErrorCode, field: string, reason: string) =>
  err<PolicyError>({ code, field, reason });

const codeOf = (field: string, issue: string | undefined, data: Json): PolicyErrorCode => {
  if (issue === 'unrecognized_keys') return 'unknown-field';
  if (field === 'target' && issue === 'custom') return 'no-target';
  const missing = field === 'guardrails.ttl_seconds' || field === 'guardrails';
  return missing && !hasTtl(data) ? 'missing-ttl' : 'bad-field';
};

const hasTtl = (data: Json): boolean => {
  const limits = data !== null && typeof data === 'object' ? Reflect.get(data, 'guardrails') : null;
  return typeof limits === 'object' && limits !== null && 'ttl_seconds' in limits;
};

/** What a field says about another one. */
const contradictionOf = (rule: PolicyRule) => {
  const limits = rule.guardrails;
  const within = [
    'rollback_if_no_commit_after_s',
    'pre_consensus_ttl_seconds',
    'fast_path_ttl_seconds',
  ] as const;
  for (const field of within) {
    if ((limits[field] ?? 0) > limits.ttl_seconds) {
      return refused('contradiction', `guardrails.${field}`, 'exceeds ttl_seconds');
    }
  }
  if (limits.canary_scope === true && rule.target.scope === undefined) {
    return refused('contradiction', 'guardrails.canary_scope', 'needs target.scope');
  }
  return undefined;
};

/** UUID of SHA-256 over the canonical JSON [action, anomaly id, target]: every validator that
 * derives a policy from an anomaly gives it the same name. */
export const derivedPolicyId = (
  rule: Pick<PolicyRule, 'action' | 'target'>,
  anomalyId: string,
  crypto: Pick<Crypto, 'sha256'>,
): string => uuidOf(crypto.sha256(canonicalJsonBytes([rule.action, anomalyId, rule.target])));
