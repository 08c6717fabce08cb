/**
 * The content of an anomaly: UTF-8 JSON, canonical as we write it. Its SHA-256 is what the
 * detector signs and what makes two reports the same report, so it holds capture time only: `id`,
 * `ts` and nonce belong to the envelope.
 */
import { z } from 'zod';
import { parseIp } from './ip.ts';
import { canonicalJsonBytes, type Json, parseJsonObject } from './json.ts';
import { err, ok, type Result } from './result.ts';
import { THREATS } from './threats.ts';

const DST_PORTS_MAX = 1024;
const ENGINES_MAX = 16;
const REASONS_MAX = 64;

const name = z.string().min(1).max(256);
const fraction = z.number().min(0).max(1);
const count = z.int().min(0);
const timeMs = z.number().min(0);
const address = z
  .string()
  .refine((text) => text === '' || parseIp(text) !== undefined, 'not an IP address');

const reasonSchema = z.object({
  feature: name.describe('feature or window statistic'),
  value: z.number().describe('as observed, in the unit of the feature'),
  limit: z.number().describe('what it was compared with'),
  technique: z.string().max(32).optional().describe('ATT&CK technique, as T1046'),
});

const engineSchema = z.object({
  engine: name,
  score: fraction,
  confidence: fraction,
  weight: fraction.describe('after renormalising over the engines that did not abstain'),
  reasons: z.array(reasonSchema).max(REASONS_MAX),
});

export const anomalyPayloadSchema = z.object({
  type: z.enum(THREATS).describe('equals type of the envelope'),
  source: name.describe("the detector's name; equals source of the envelope"),
  severity: z.int().min(1).max(10).describe('equals severity of the envelope'),
  confidence: fraction.describe('equals confidence of the envelope within 1e-6'),
  model_version: name.describe('equals model_version of the envelope'),
  src_ip: address.describe("'' where there are many"),
  dst_ip: address.describe("'' where there are many"),
  dst_ports: z.array(z.int().min(0).max(65_535)).max(DST_PORTS_MAX),
  protocol: z.string().max(16).describe("tcp, udp, icmp or ''"),
  spoofable: z.boolean().describe('an attacker could have chosen the source address'),
  first_seen_ms: timeMs.describe('capture time'),
  last_seen_ms: timeMs.describe('capture time'),
  flows: count,
  packets: count,
  bytes: count,
  engines: z.array(engineSchema).max(ENGINES_MAX).describe('those that did not abstain'),
  thresholds: z.record(z.string(), z.number()).describe('what the confidence had to pass'),
  previous: z.string().max(128).describe("id of the anomaly that this one grows from, or ''"),
  capture: z.object({
    source: name.describe('kind of the telemetry source'),
    path: z.string().max(256).describe("base name of the file, or ''"),
    sha256: z.string().max(64).optional().describe('of the file, hex'),
  }),
  evidence_hash: z
    .string()
    .regex(/^(?:[0-9a-f]{64})?$/)
    .describe("SHA-256 of the evidence blob, hex, or ''"),
});

export type AnomalyPayload = z.output<typeof anomalyPayloadSchema>;

/** The bytes to hash and sign. */
export const encodeAnomalyPayload = (payload: AnomalyPayload): Uint8Array =>
  canonicalJsonBytes(payload);

/** All that policy and reader need. The wire itself demands less (`verification.ts`): a payload of
 * another implementation may be a valid anomaly and yet fail here. The error names the field. */
export const parseAnomalyPayload = (bytes: Uint8Array): Result<AnomalyPayload, string> => {
  const json = parseJsonObject(bytes);
  return json.ok ? checkAnomalyPayload(json.value) : json;
};

export const checkAnomalyPayload = (data: Json): Result<AnomalyPayload, string> => {
  const parsed = anomalyPayloadSchema.safeParse(data);
  if (parsed.success) return ok(parsed.data);
  const [issue] = parsed.error.issues;
  return err(`${issue?.path.join('.') || 'payload'}: ${issue?.message ?? 'not valid'}`);
};
