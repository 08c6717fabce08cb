import { EMPTY } from '../bytes.ts';
import { cybermesh } from '../generated/wire.js';
import type { Result } from '../result.ts';
import { decodeMessage, wireType } from './codec.ts';
import type { WireError } from './errors.ts';
import {
  aHash,
  aKey,
  anId,
  anOptionalText,
  anything,
  aSignature,
  firstProblem,
  notNegative,
  oneOfTexts,
  type Rules,
  theAlgorithm,
} from './structure.ts';

export const ACK_RESULTS = ['applied', 'failed'] as const;
export type AckResult = (typeof ACK_RESULTS)[number];

/**
 * The error_code of an agent that is no canary for a policy meant for canaries: it says that the policy is for others,
 * not that it went wrong.
 */
export const NOT_CANARY = 'not-canary';

/** What became of a policy at one agent (`cybermesh.control.v1.PolicyAckEvent`). */
export type PolicyAckEvent = {
  readonly policyId: string;
  readonly scopeIdentifier: string;
  readonly tenant: string;
  readonly region: string;
  readonly result: AckResult;
  /** "noop" where nothing was enforced. */
  readonly reason: string;
  /** '' when applied. */
  readonly errorCode: string;
  /** Unix seconds; 0 = never. */
  readonly appliedAt: number;
  /** Unix seconds. */
  readonly ackedAt: number;
  /** Hex hash of the anchor block of the proof. */
  readonly qcReference: string;
  /** The agent. */
  readonly controllerInstance: string;
  readonly fastPath: boolean;
  /** Of the rule_data that was obeyed. */
  readonly ruleHash: Uint8Array;
  /** The raw public key of the sender, 32 bytes. */
  readonly producerId: Uint8Array;
  readonly appliedAtMs: number;
  readonly ackedAtMs: number;
  readonly traceId: string;
  /** Id of the anomaly behind the policy. */
  readonly sourceEventId: string;
  readonly sentinelEventId: string;
  /** Acks are idempotent by this. */
  readonly ackEventId: string;
  readonly requestId: string;
  readonly commandId: string;
  readonly workflowId: string;
  readonly signature: Uint8Array;
  readonly pubkey: Uint8Array;
  readonly alg: string;
};

const RULES: Rules<PolicyAckEvent> = {
  policyId: anId,
  scopeIdentifier: anOptionalText,
  tenant: anOptionalText,
  region: anOptionalText,
  result: oneOfTexts(ACK_RESULTS),
  reason: anOptionalText,
  errorCode: anOptionalText,
  appliedAt: notNegative,
  ackedAt: notNegative,
  qcReference: anOptionalText,
  controllerInstance: anOptionalText,
  fastPath: anything,
  ruleHash: aHash,
  producerId: aKey,
  appliedAtMs: notNegative,
  ackedAtMs: notNegative,
  traceId: anOptionalText,
  sourceEventId: anOptionalText,
  sentinelEventId: anOptionalText,
  ackEventId: anId,
  requestId: anOptionalText,
  commandId: anOptionalText,
  workflowId: anOptionalText,
  signature: aSignature,
  pubkey: aKey,
  alg: theAlgorithm,
};

export const ackWire = wireType<PolicyAckEvent>({
  name: 'PolicyAckEvent',
  generated: cybermesh.control.v1.PolicyAckEvent,
  repeated: [],
  empty: {
    policyId: '',
    scopeIdentifier: '',
    tenant: '',
    region: '',
    result: 'failed',
    reason: '',
    errorCode: '',
    appliedAt: 0,
    ackedAt: 0,
    qcReference: '',
    controllerInstance: '',
    fastPath: false,
    ruleHash: EMPTY,
    producerId: EMPTY,
    appliedAtMs: 0,
    ackedAtMs: 0,
    traceId: '',
    sourceEventId: '',
    sentinelEventId: '',
    ackEventId: '',
    requestId: '',
    commandId: '',
    workflowId: '',
    signature: EMPTY,
    pubkey: EMPTY,
    alg: '',
  },
  structure: (message) => firstProblem(message, RULES),
});

export const encodeAck = ackWire.encode;

/** Shape and limits only; `control.ts` says whether to believe it. */
export const decodeAck = (bytes: Uint8Array): Result<PolicyAckEvent, WireError> =>
  decodeMessage(ackWire, bytes);
