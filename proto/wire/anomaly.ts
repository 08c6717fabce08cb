import { EMPTY } from '../bytes.ts';
import { cybermesh } from '../generated/wire.js';
import type { Result } from '../result.ts';
import { decodeMessage, wireType } from './codec.ts';
import type { WireError } from './errors.ts';
import {
  aFraction,
  aHash,
  aKey,
  aNonce,
  anId,
  aSignature,
  aText,
  atMost,
  firstProblem,
  integerWithin,
  notNegative,
  type Rules,
  someBytes,
  theAlgorithm,
} from './structure.ts';
import { WIRE_LIMITS } from './topics.ts';

/** What a detector claims to have seen (`cybermesh.ai.v1.AnomalyEvent`). */
export type AnomalyEvent = {
  /** `messageId(producerId, contentHash)`. */
  readonly id: string;
  /** The threat. */
  readonly type: string;
  /** The detector's name. */
  readonly source: string;
  /** 1..10. */
  readonly severity: number;
  /** 0..1. */
  readonly confidence: number;
  /** Unix seconds of the release by the rate limiter; capture time stands in the payload. */
  readonly ts: number;
  /** SHA-256 of payload. */
  readonly contentHash: Uint8Array;
  /** UTF-8 JSON, see `proto/anomaly-payload.ts`. */
  readonly payload: Uint8Array;
  readonly modelVersion: string;
  /** The raw public key, 32 bytes. */
  readonly producerId: Uint8Array;
  /** timestamp_ms(8) || instance_id(4) || counter(4). */
  readonly nonce: Uint8Array;
  readonly signature: Uint8Array;
  readonly pubkey: Uint8Array;
  readonly alg: string;
};

const RULES: Rules<AnomalyEvent> = {
  id: anId,
  type: aText,
  source: aText,
  severity: integerWithin(1, 10),
  confidence: aFraction,
  ts: notNegative,
  contentHash: aHash,
  payload: someBytes,
  modelVersion: aText,
  producerId: aKey,
  nonce: aNonce,
  signature: aSignature,
  pubkey: aKey,
  alg: theAlgorithm,
};

export const anomalyWire = wireType<AnomalyEvent>({
  name: 'AnomalyEvent',
  generated: cybermesh.ai.v1.AnomalyEvent,
  repeated: [],
  empty: {
    id: '',
    type: '',
    source: '',
    severity: 0,
    confidence: 0,
    ts: 0,
    contentHash: EMPTY,
    payload: EMPTY,
    modelVersion: '',
    producerId: EMPTY,
    nonce: EMPTY,
    signature: EMPTY,
    pubkey: EMPTY,
    alg: '',
  },
  structure: (message) => firstProblem(message, RULES),
  limits: (message) => atMost('payload bytes', message.payload.length, WIRE_LIMITS.payloadBytes),
});

export const encodeAnomaly = anomalyWire.encode;

/** Shape and limits only; `verification.ts` says whether to believe it. */
export const decodeAnomaly = (bytes: Uint8Array): Result<AnomalyEvent, WireError> =>
  decodeMessage(anomalyWire, bytes);
