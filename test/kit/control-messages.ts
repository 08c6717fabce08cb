/** One good signed message of every control kind. */
import { crypto } from '#native/crypto.ts';
import type { KeyPair } from '#proto/crypto.ts';
import { encodePolicyRule } from '#proto/policy.ts';
import { signControl, type UnsignedControl } from '#proto/wire/control.ts';
import type { ControlKind } from '#proto/wire/topics.ts';
import { KEYS, NOW_S, rule } from './wire-messages.ts';

const hash = new Uint8Array(32).fill(8);
const ruleData = encodePolicyRule(rule);

const BODIES: { readonly [K in ControlKind]: Omit<UnsignedControl<K>, 'producerId'> } = {
  commit: {
    ...{ height: 3, blockHash: hash, stateRoot: hash, txCount: 1, anomalyCount: 1 },
    ...{ evidenceCount: 0, policyCount: 1, timestamp: NOW_S, anomalyIds: ['a'] },
  },
  'policy-update': {
    ...{ policyId: rule.policy_id, action: 'add', ruleType: 'block', ruleData },
    ...{ ruleHash: crypto.sha256(ruleData), requiresAck: true, rollbackPolicyId: '' },
    ...{ timestamp: NOW_S, effectiveHeight: 3, expirationHeight: 0 },
    commitProof: new Uint8Array([1]),
  },
  'policy-ack': {
    ...{ policyId: rule.policy_id, scopeIdentifier: '', tenant: '', region: '' },
    ...{ result: 'applied', reason: 'noop', errorCode: '', appliedAt: NOW_S, ackedAt: NOW_S },
    ...{ qcReference: '', controllerInstance: 'agent-1', fastPath: false, ruleHash: hash },
    ...{ appliedAtMs: NOW_S * 1000, ackedAtMs: NOW_S * 1000, traceId: '', sourceEventId: '' },
    ...{ sentinelEventId: '', ackEventId: 'ack-1', requestId: '', commandId: '', workflowId: '' },
  },
  reputation: {
    ...{ aiMessageId: 'a', aiProducerId: hash, messageType: 'anomaly', score: -5, reason: '' },
    ...{ confirmed: false, falsePositive: true, analystNotes: '', incidentSeverity: 0 },
    ...{ preventedAttack: false, timestamp: NOW_S, blockHeight: 3 },
  },
  'evidence-request': {
    ...{ requestId: 'r', anomalyId: 'a', evidenceId: '', requestType: 'validation_result' },
    ...{ requestedTypes: [], requestReason: '', deadlineTs: 0, evidenceAccepted: true },
    ...{ rejectionReason: '', evidenceQualityScore: 0, challengeReason: '' },
    ...{ challengeData: new Uint8Array(0), timestamp: NOW_S, blockHeight: 3 },
  },
};

const SENDERS: Readonly<Record<ControlKind, KeyPair>> = {
  commit: KEYS.validator,
  'policy-update': KEYS.validator,
  'policy-ack': KEYS.enforcer,
  reputation: KEYS.operator,
  'evidence-request': KEYS.validator,
};

export const controlMessage = <K extends ControlKind>(
  kind: K,
  changes: Partial<UnsignedControl<K>> = {},
  key: KeyPair = SENDERS[kind],
): Uint8Array => {
  const body = { ...BODIES[kind], producerId: key.publicKey, ...changes } as UnsignedControl<K>;
  return signControl(kind, body, key.sign);
};
