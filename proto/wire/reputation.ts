import { EMPTY } from '../bytes.ts';
import { cybermesh } from '../generated/wire.js';
import type { Result } from '../result.ts';
import { decodeMessage, wireType } from './codec.ts';
import type { WireError } from './errors.ts';
import {
  aKey,
  anId,
  anOptionalText,
  anything,
  aSignature,
  aText,
  firstProblem,
  integerWithin,
  notNegative,
  type Rules,
  theAlgorithm,
} from './structure.ts';

/** What a message of detection turned out to be worth (`cybermesh.control.v1.ReputationEvent`). */
export type ReputationEvent = {
  readonly aiMessageId: string;
  readonly aiProducerId: Uint8Array;
  readonly messageType: string;
  /** -100..100. */
  readonly score: number;
  readonly reason: string;
  readonly confirmed: boolean;
  readonly falsePositive: boolean;
  readonly analystNotes: string;
  /** 1..10; 0 = not said. */
  readonly incidentSeverity: number;
  readonly preventedAttack: boolean;
  /** Unix seconds. */
  readonly timestamp: number;
  readonly blockHeight: number;
  /** The raw public key of the sender, 32 bytes. */
  readonly producerId: Uint8Array;
  readonly signature: Uint8Array;
  readonly pubkey: Uint8Array;
  readonly alg: string;
};

const RULES: Rules<ReputationEvent> = {
  aiMessageId: anId,
  aiProducerId: aKey,
  messageType: aText,
  score: integerWithin(-100, 100),
  reason: anOptionalText,
  confirmed: anything,
  falsePositive: anything,
  analystNotes: anOptionalText,
  incidentSeverity: integerWithin(0, 10),
  preventedAttack: anything,
  timestamp: notNegative,
  blockHeight: notNegative,
  producerId: aKey,
  signature: aSignature,
  pubkey: aKey,
  alg: theAlgorithm,
};

export const reputationWire = wireType<ReputationEvent>({
  name: 'ReputationEvent',
  generated: cybermesh.control.v1.ReputationEvent,
  repeated: [],
  empty: {
    aiMessageId: '',
    aiProducerId: EMPTY,
    messageType: '',
    score: 0,
    reason: '',
    confirmed: false,
    falsePositive: false,
    analystNotes: '',
    incidentSeverity: 0,
    preventedAttack: false,
    timestamp: 0,
    blockHeight: 0,
    producerId: EMPTY,
    signature: EMPTY,
    pubkey: EMPTY,
    alg: '',
  },
  structure: (message) => firstProblem(message, RULES),
});

export const encodeReputation = reputationWire.encode;

/** Shape and limits only; `control.ts` says whether to believe it. */
export const decodeReputation = (bytes: Uint8Array): Result<ReputationEvent, WireError> =>
  decodeMessage(reputationWire, bytes);
