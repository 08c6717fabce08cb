import { EMPTY } from '../bytes.ts';
import { cybermesh } from '../generated/wire.js';
import type { Result } from '../result.ts';
import { decodeMessage, wireType } from './codec.ts';
import type { WireError } from './errors.ts';
import {
  aHash,
  aKey,
  anId,
  anOptionalId,
  anything,
  aSignature,
  aText,
  atMost,
  firstProblem,
  notNegative,
  oneOfTexts,
  type Rules,
  someBytes,
  theAlgorithm,
} from './structure.ts';
import { WIRE_LIMITS } from './topics.ts';

export const POLICY_UPDATE_ACTIONS = ['add', 'remove', 'update', 'enable', 'disable'] as const;
export type PolicyUpdateAction = (typeof POLICY_UPDATE_ACTIONS)[number];

/** What enforcement is to do (`cybermesh.control.v1.PolicyUpdateEvent`). */
export type PolicyUpdateEvent = {
  readonly policyId: string;
  readonly action: PolicyUpdateAction;
  /** "block". */
  readonly ruleType: string;
  /** UTF-8 JSON, see `proto/policy.ts`. */
  readonly ruleData: Uint8Array;
  /** SHA-256 of ruleData. */
  readonly ruleHash: Uint8Array;
  readonly requiresAck: boolean;
  /** The policy to return to when this one is undone; '' for none. */
  readonly rollbackPolicyId: string;
  /** Unix seconds. */
  readonly timestamp: number;
  readonly effectiveHeight: number;
  /** 0 = none: expiry is absolute time, an idle chain stands still. */
  readonly expirationHeight: number;
  /** The raw public key of the sender, 32 bytes. */
  readonly producerId: Uint8Array;
  readonly signature: Uint8Array;
  readonly pubkey: Uint8Array;
  readonly alg: string;
  /** See CommitProof; the enforcer refuses a policy without one. */
  readonly commitProof: Uint8Array;
};

const RULES: Rules<PolicyUpdateEvent> = {
  policyId: anId,
  action: oneOfTexts(POLICY_UPDATE_ACTIONS),
  ruleType: aText,
  ruleData: someBytes,
  ruleHash: aHash,
  requiresAck: anything,
  rollbackPolicyId: anOptionalId,
  timestamp: notNegative,
  effectiveHeight: notNegative,
  expirationHeight: notNegative,
  producerId: aKey,
  signature: aSignature,
  pubkey: aKey,
  alg: theAlgorithm,
  commitProof: anything,
};

export const policyUpdateWire = wireType<PolicyUpdateEvent>({
  name: 'PolicyUpdateEvent',
  generated: cybermesh.control.v1.PolicyUpdateEvent,
  repeated: [],
  empty: {
    policyId: '',
    action: 'add',
    ruleType: '',
    ruleData: EMPTY,
    ruleHash: EMPTY,
    requiresAck: false,
    rollbackPolicyId: '',
    timestamp: 0,
    effectiveHeight: 0,
    expirationHeight: 0,
    producerId: EMPTY,
    signature: EMPTY,
    pubkey: EMPTY,
    alg: '',
    commitProof: EMPTY,
  },
  structure: (message) => firstProblem(message, RULES),
  limits: (message) => atMost('rule_data bytes', message.ruleData.length, WIRE_LIMITS.paramsBytes),
});

export const encodePolicyUpdate = policyUpdateWire.encode;

/** Shape and limits only; `control.ts` says whether to believe it. */
export const decodePolicyUpdate = (bytes: Uint8Array): Result<PolicyUpdateEvent, WireError> =>
  decodeMessage(policyUpdateWire, bytes);
