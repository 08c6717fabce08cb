/** Signed ai.* messages and transactions for tests, with every field at a sensible value. */
import { crypto } from '#native/crypto.ts';
import { type AnomalyPayload, encodeAnomalyPayload } from '#proto/anomaly-payload.ts';
import { utf8 } from '#proto/bytes.ts';
import type { Transaction } from '#proto/consensus/transaction.ts';
import type { KeyPair } from '#proto/crypto.ts';
import { canonicalJsonBytes } from '#proto/json.ts';
import type { PolicyRule } from '#proto/policy.ts';
import { signAnomaly, signPolicyEvent } from '#proto/wire/ai-message.ts';
import { nonceOf } from '#proto/wire/ai-signature.ts';
import { type AnomalyEvent, encodeAnomaly } from '#proto/wire/anomaly.ts';
import { encodePolicyEvent, type PolicyEvent } from '#proto/wire/policy-event.ts';
import { GENESIS_TIME_MS, keys } from './chain-genesis.ts';

export const payloadOf = (over: Partial<AnomalyPayload> = {}): AnomalyPayload => ({
  type: 'port_scan',
  source: 'detector',
  severity: 6,
  confidence: 0.9,
  model_version: 'test-1',
  src_ip: '198.51.100.7',
  dst_ip: '192.168.10.50',
  dst_ports: [22],
  protocol: 'tcp',
  spoofable: false,
  first_seen_ms: 1000,
  last_seen_ms: 2000,
  flows: 10,
  packets: 20,
  bytes: 3000,
  engines: [],
  thresholds: { port_scan: 0.7 },
  previous: '',
  capture: { source: 'synthetic', path: '' },
  evidence_hash: '',
  ...over,
});

export type Stamp = {
  /** Unix milliseconds; the message carries whole seconds. */
  readonly tsMs?: number;
  readonly counter?: number;
  readonly key?: KeyPair;
};

export const anomalyOf = (
  over: Partial<AnomalyPayload> = {},
  { tsMs = GENESIS_TIME_MS + 1000, counter = 1, key = keys.detector }: Stamp = {},
): AnomalyEvent => {
  const payload = payloadOf(over);
  const { type, source, severity, confidence } = payload;
  return signAnomaly(
    {
      type,
      source,
      severity,
      confidence,
      ts: Math.floor(tsMs / 1000),
      payload: encodeAnomalyPayload(payload),
      modelVersion: payload.model_version,
      nonce: nonceOf(tsMs, 1, counter),
    },
    key,
    crypto,
  );
};

export const anomalyTx = (over: Partial<AnomalyPayload> = {}, stamp: Stamp = {}): Transaction => ({
  kind: 'anomaly',
  bytes: encodeAnomaly(anomalyOf(over, stamp)),
});

export const ruleOf = (over: Partial<PolicyRule> = {}): PolicyRule => ({
  policy_id: 'policy-1',
  rule_type: 'block',
  action: 'drop',
  target: { ips: ['203.0.113.9'] },
  guardrails: { ttl_seconds: 600 },
  ...over,
});

export const policyOf = (
  over: Partial<PolicyRule> = {},
  { tsMs = GENESIS_TIME_MS + 1000, counter = 1, key = keys.operator }: Stamp = {},
): PolicyEvent => {
  const rule = ruleOf(over);
  return signPolicyEvent(
    {
      action: rule.action,
      rule: rule.rule_type,
      params: canonicalJsonBytes(rule),
      ts: Math.floor(tsMs / 1000),
      nonce: nonceOf(tsMs, 2, counter),
    },
    key,
    crypto,
  );
};

export const policyTx = (over: Partial<PolicyRule> = {}, stamp: Stamp = {}): Transaction => ({
  kind: 'policy',
  bytes: encodePolicyEvent(policyOf(over, stamp)),
});

export const garbageTx: Transaction = { kind: 'anomaly', bytes: utf8('garbage') };
