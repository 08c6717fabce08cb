import { EMPTY } from '../bytes.ts';
import { cybermesh } from '../generated/wire.js';
import type { Result } from '../result.ts';
import { decodeMessage, wireType } from './codec.ts';
import type { WireError } from './errors.ts';
import {
  aHash,
  aKey,
  aNonce,
  anId,
  aSignature,
  aText,
  atMost,
  firstProblem,
  notNegative,
  type Rules,
  someBytes,
  theAlgorithm,
} from './structure.ts';
import { WIRE_LIMITS } from './topics.ts';

/** A policy that an operator asks for (`cybermesh.ai.v1.PolicyEvent`). */
export type PolicyEvent = {
  readonly id: string;
  /** Equals `action` of params. */
  readonly action: string;
  /** Equals `rule_type` of params. */
  readonly rule: string;
  /** UTF-8 JSON: the rule_data of `proto/policy.ts`. */
  readonly params: Uint8Array;
  /** Unix seconds. */
  readonly ts: number;
  /** SHA-256 of params. */
  readonly contentHash: Uint8Array;
  readonly producerId: Uint8Array;
  readonly nonce: Uint8Array;
  readonly signature: Uint8Array;
  readonly pubkey: Uint8Array;
  readonly alg: string;
};

const RULES: Rules<PolicyEvent> = {
  id: anId,
  action: aText,
  rule: aText,
  params: someBytes,
  ts: notNegative,
  contentHash: aHash,
  producerId: aKey,
  nonce: aNonce,
  signature: aSignature,
  pubkey: aKey,
  alg: theAlgorithm,
};

export const policyEventWire = wireType<PolicyEvent>({
  name: 'PolicyEvent',
  generated: cybermesh.ai.v1.PolicyEvent,
  repeated: [],
  empty: {
    id: '',
    action: '',
    rule: '',
    params: EMPTY,
    ts: 0,
    contentHash: EMPTY,
    producerId: EMPTY,
    nonce: EMPTY,
    signature: EMPTY,
    pubkey: EMPTY,
    alg: '',
  },
  structure: (message) => firstProblem(message, RULES),
  limits: (message) => atMost('params bytes', message.params.length, WIRE_LIMITS.paramsBytes),
});

export const encodePolicyEvent = policyEventWire.encode;

/** Shape and limits only; `verification.ts` says whether to believe it. */
export const decodePolicyEvent = (bytes: Uint8Array): Result<PolicyEvent, WireError> =>
  decodeMessage(policyEventWire, bytes);
