import { EMPTY } from '../bytes.ts';
import { cybermesh } from '../generated/wire.js';
import type { Result } from '../result.ts';
import { decodeMessage, wireType } from './codec.ts';
import type { WireError } from './errors.ts';
import {
  aCount,
  aHash,
  aKey,
  anId,
  aSignature,
  atMost,
  each,
  firstProblem,
  notNegative,
  type Rules,
  theAlgorithm,
} from './structure.ts';

/** A block holds no more transactions. */
const ANOMALY_IDS_MAX = 5000;

/** A block is final (`cybermesh.control.v1.CommitEvent`); each validator says so by itself. */
export type CommitEvent = {
  readonly height: number;
  readonly blockHash: Uint8Array;
  /** After the block. */
  readonly stateRoot: Uint8Array;
  readonly txCount: number;
  readonly anomalyCount: number;
  readonly evidenceCount: number;
  /** Policies that the block brought into force. */
  readonly policyCount: number;
  /** Unix seconds. */
  readonly timestamp: number;
  /** The raw public key of the sender, 32 bytes. */
  readonly producerId: Uint8Array;
  readonly signature: Uint8Array;
  readonly pubkey: Uint8Array;
  readonly alg: string;
  /** Ids of the anomalies in the block, in its order. */
  readonly anomalyIds: readonly string[];
};

const RULES: Rules<CommitEvent> = {
  height: notNegative,
  blockHash: aHash,
  stateRoot: aHash,
  txCount: aCount,
  anomalyCount: aCount,
  evidenceCount: aCount,
  policyCount: aCount,
  timestamp: notNegative,
  producerId: aKey,
  signature: aSignature,
  pubkey: aKey,
  alg: theAlgorithm,
  anomalyIds: each(anId),
};

export const commitWire = wireType<CommitEvent>({
  name: 'CommitEvent',
  generated: cybermesh.control.v1.CommitEvent,
  repeated: [13],
  empty: {
    height: 0,
    blockHash: EMPTY,
    stateRoot: EMPTY,
    txCount: 0,
    anomalyCount: 0,
    evidenceCount: 0,
    policyCount: 0,
    timestamp: 0,
    producerId: EMPTY,
    signature: EMPTY,
    pubkey: EMPTY,
    alg: '',
    anomalyIds: [],
  },
  structure: (message) => firstProblem(message, RULES),
  limits: (message) => atMost('anomaly ids', message.anomalyIds.length, ANOMALY_IDS_MAX),
});

export const encodeCommit = commitWire.encode;

/** Shape and limits only; `control.ts` says whether to believe it. */
export const decodeCommit = (bytes: Uint8Array): Result<CommitEvent, WireError> =>
  decodeMessage(commitWire, bytes);
