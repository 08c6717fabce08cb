import { EMPTY } from '../bytes.ts';
import { cybermesh } from '../generated/wire.js';
import type { Result } from '../result.ts';
import { decodeMessage, wireType } from './codec.ts';
import type { WireError } from './errors.ts';
import {
  aCount,
  aKey,
  anId,
  anOptionalId,
  anOptionalText,
  anything,
  aSignature,
  aText,
  atMost,
  each,
  firstProblem,
  notNegative,
  oneOfTexts,
  type Rules,
  theAlgorithm,
} from './structure.ts';
import { WIRE_LIMITS } from './topics.ts';

export const EVIDENCE_REQUEST_TYPES = [
  'request_additional',
  'validation_result',
  'request_reprocess',
  'challenge',
] as const;
export type EvidenceRequestType = (typeof EVIDENCE_REQUEST_TYPES)[number];

const REQUESTED_TYPES_MAX = 100;

/** A question or an answer about one message (`cybermesh.control.v1.EvidenceRequestEvent`). */
export type EvidenceRequestEvent = {
  readonly requestId: string;
  readonly anomalyId: string;
  readonly evidenceId: string;
  readonly requestType: EvidenceRequestType;
  readonly requestedTypes: readonly string[];
  readonly requestReason: string;
  /** Unix seconds; 0 = none. */
  readonly deadlineTs: number;
  /** Of a validation_result: admitted. */
  readonly evidenceAccepted: boolean;
  /** Of a validation_result: the WireErrorCode. */
  readonly rejectionReason: string;
  readonly evidenceQualityScore: number;
  readonly challengeReason: string;
  readonly challengeData: Uint8Array;
  /** Unix seconds. */
  readonly timestamp: number;
  readonly blockHeight: number;
  /** The raw public key of the sender, 32 bytes. */
  readonly producerId: Uint8Array;
  readonly signature: Uint8Array;
  readonly pubkey: Uint8Array;
  readonly alg: string;
};

const RULES: Rules<EvidenceRequestEvent> = {
  requestId: anId,
  anomalyId: anOptionalId,
  evidenceId: anOptionalId,
  requestType: oneOfTexts(EVIDENCE_REQUEST_TYPES),
  requestedTypes: each(aText),
  requestReason: anOptionalText,
  deadlineTs: notNegative,
  evidenceAccepted: anything,
  rejectionReason: anOptionalText,
  evidenceQualityScore: aCount,
  challengeReason: anOptionalText,
  challengeData: anything,
  timestamp: notNegative,
  blockHeight: notNegative,
  producerId: aKey,
  signature: aSignature,
  pubkey: aKey,
  alg: theAlgorithm,
};

export const evidenceRequestWire = wireType<EvidenceRequestEvent>({
  name: 'EvidenceRequestEvent',
  generated: cybermesh.control.v1.EvidenceRequestEvent,
  repeated: [5],
  empty: {
    requestId: '',
    anomalyId: '',
    evidenceId: '',
    requestType: 'validation_result',
    requestedTypes: [],
    requestReason: '',
    deadlineTs: 0,
    evidenceAccepted: false,
    rejectionReason: '',
    evidenceQualityScore: 0,
    challengeReason: '',
    challengeData: EMPTY,
    timestamp: 0,
    blockHeight: 0,
    producerId: EMPTY,
    signature: EMPTY,
    pubkey: EMPTY,
    alg: '',
  },
  structure: (message) => firstProblem(message, RULES),
  limits: (message) =>
    atMost('requested types', message.requestedTypes.length, REQUESTED_TYPES_MAX) ??
    atMost('challenge bytes', message.challengeData.length, WIRE_LIMITS.proofBlobBytes),
});

export const encodeEvidenceRequest = evidenceRequestWire.encode;

/** Shape and limits only; `control.ts` says whether to believe it. */
export const decodeEvidenceRequest = (bytes: Uint8Array): Result<EvidenceRequestEvent, WireError> =>
  decodeMessage(evidenceRequestWire, bytes);
