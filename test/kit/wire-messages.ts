/** Good messages of every kind of the wire, signed with keys that never change. */
import { crypto, keyPairFromSeed } from '#native/crypto.ts';
import { type AnomalyPayload, encodeAnomalyPayload } from '#proto/anomaly-payload.ts';
import type { KeyPair } from '#proto/crypto.ts';
import { encodeEvidenceBlob } from '#proto/evidence-blob.ts';
import { encodePolicyRule, type PolicyRule } from '#proto/policy.ts';
import { signAnomaly, signEvidence, signPolicyEvent } from '#proto/wire/ai-message.ts';
import { nonceOf, signCustody } from '#proto/wire/ai-signature.ts';
import type { AnomalyEvent } from '#proto/wire/anomaly.ts';
import type { KeyRole } from '#proto/wire/control.ts';
import type { CustodyEntry, EvidenceEvent } from '#proto/wire/evidence.ts';
import type { PolicyEvent } from '#proto/wire/policy-event.ts';
import type { VerificationContext } from '#proto/wire/verification.ts';

/** 2026-01-01T00:00:00Z. */
export const NOW_S = 1_767_225_600;

const keyOf = (seed: number): KeyPair => keyPairFromSeed(new Uint8Array(32).fill(seed));

export const KEYS = {
  detector: keyOf(1),
  operator: keyOf(2),
  enforcer: keyOf(3),
  validator: keyOf(4),
  stranger: keyOf(5),
  custodian: keyOf(6),
} as const;

const ROLES: ReadonlyMap<KeyPair, KeyRole> = new Map<KeyPair, KeyRole>([
  [KEYS.detector, 'detector'],
  [KEYS.operator, 'operator'],
  [KEYS.enforcer, 'enforcer'],
  [KEYS.validator, 'validator'],
]);

export const roleOf = (publicKey: Uint8Array): KeyRole | undefined => {
  for (const [key, role] of ROLES) {
    if (Buffer.compare(key.publicKey, publicKey) === 0) return role;
  }
  return undefined;
};

export const contextOf = (changes: Partial<VerificationContext> = {}): VerificationContext => ({
  crypto,
  nowMs: NOW_S * 1000,
  roleOf,
  detectorsMayPropose: false,
  nonceSeen: () => undefined,
  contentKnown: () => false,
  ...changes,
});

export const nonce = nonceOf(NOW_S * 1000, 7, 1);

export const payload: AnomalyPayload = {
  type: 'port_scan',
  source: 'detector-1',
  severity: 6,
  confidence: 0.9375,
  model_version: 'rules-1',
  src_ip: '198.51.100.7',
  dst_ip: '203.0.113.9',
  dst_ports: [22, 80],
  protocol: 'tcp',
  spoofable: false,
  first_seen_ms: 1_700_000_000_000,
  last_seen_ms: 1_700_000_001_000,
  flows: 200,
  packets: 400,
  bytes: 24_000,
  engines: [
    {
      engine: 'rules',
      score: 0.95,
      confidence: 0.9,
      weight: 1,
      reasons: [{ feature: 'distinct_ports', value: 200, limit: 50, technique: 'T1046' }],
    },
  ],
  thresholds: { port_scan: 0.7 },
  previous: '',
  capture: { source: 'pcap', path: 'scan.pcap' },
  evidence_hash: '',
};

export const rule: PolicyRule = {
  policy_id: 'policy-1',
  rule_type: 'block',
  action: 'drop',
  target: { ips: ['198.51.100.7'], direction: 'ingress' },
  guardrails: { ttl_seconds: 600 },
};

export const anomaly = (
  changes: Partial<AnomalyEvent> = {},
  key: KeyPair = KEYS.detector,
): AnomalyEvent =>
  signAnomaly(
    {
      type: payload.type,
      source: payload.source,
      severity: payload.severity,
      confidence: payload.confidence,
      modelVersion: payload.model_version,
      ts: NOW_S,
      payload: encodeAnomalyPayload(payload),
      nonce,
      ...changes,
    },
    key,
    crypto,
  );

export const custodyEntry: CustodyEntry = signCustody(
  { refHash: new Uint8Array(32).fill(8), actorId: KEYS.custodian.publicKey, ts: NOW_S - 60 },
  KEYS.custodian.sign,
);

export const evidence = (
  changes: Partial<EvidenceEvent> = {},
  key: KeyPair = KEYS.detector,
): EvidenceEvent => {
  const heading = {
    evidenceType: 'flow-window',
    refs: [new Uint8Array(32).fill(9)],
    coc: [custodyEntry],
    ...changes,
  };
  const proofBlob = encodeEvidenceBlob(heading, { note: 'window of 1 s' });
  return signEvidence({ proofBlob, ts: NOW_S, nonce, ...heading, ...changes }, key, crypto);
};

export const policyEvent = (
  changes: Partial<PolicyEvent> = {},
  key: KeyPair = KEYS.operator,
): PolicyEvent =>
  signPolicyEvent(
    { action: 'drop', rule: 'block', params: encodePolicyRule(rule), ts: NOW_S, nonce, ...changes },
    key,
    crypto,
  );
