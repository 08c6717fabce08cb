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
  each,
  firstProblem,
  notNegative,
  type Rules,
  someBytes,
  theAlgorithm,
} from './structure.ts';
import { WIRE_LIMITS } from './topics.ts';

/** Who had a piece of evidence in hand, signed by that one (`ChainOfCustodyEntry`). */
export type CustodyEntry = {
  /** SHA-256 of what was handed on. */
  readonly refHash: Uint8Array;
  /** The raw public key of the signer, 32 bytes. */
  readonly actorId: Uint8Array;
  /** Unix seconds. */
  readonly ts: number;
  readonly signature: Uint8Array;
};

/** What proves an anomaly (`cybermesh.ai.v1.EvidenceEvent`). */
export type EvidenceEvent = {
  readonly id: string;
  readonly evidenceType: string;
  /** Hashes of what it speaks of, 32 bytes each. */
  readonly refs: readonly Uint8Array[];
  /** UTF-8 JSON, see `proto/evidence-blob.ts`. */
  readonly proofBlob: Uint8Array;
  /** Oldest first. */
  readonly coc: readonly CustodyEntry[];
  /** Unix seconds. */
  readonly ts: number;
  /** SHA-256 of proofBlob. */
  readonly contentHash: Uint8Array;
  readonly producerId: Uint8Array;
  readonly nonce: Uint8Array;
  readonly signature: Uint8Array;
  readonly pubkey: Uint8Array;
  readonly alg: string;
};

const EMPTY_ENTRY: CustodyEntry = { refHash: EMPTY, actorId: EMPTY, ts: 0, signature: EMPTY };

const ENTRY_RULES: Rules<CustodyEntry> = {
  refHash: aHash,
  actorId: aKey,
  ts: notNegative,
  signature: aSignature,
};

const RULES: Rules<EvidenceEvent> = {
  id: anId,
  evidenceType: aText,
  refs: each(aHash),
  proofBlob: someBytes,
  coc: each((entry) => firstProblem(entry, ENTRY_RULES)),
  ts: notNegative,
  contentHash: aHash,
  producerId: aKey,
  nonce: aNonce,
  signature: aSignature,
  pubkey: aKey,
  alg: theAlgorithm,
};

export const evidenceWire = wireType<EvidenceEvent>({
  name: 'EvidenceEvent',
  generated: cybermesh.ai.v1.EvidenceEvent,
  repeated: [3, 5],
  nested: { field: 'coc', number: 5, empty: EMPTY_ENTRY },
  empty: {
    id: '',
    evidenceType: '',
    refs: [],
    proofBlob: EMPTY,
    coc: [],
    ts: 0,
    contentHash: EMPTY,
    producerId: EMPTY,
    nonce: EMPTY,
    signature: EMPTY,
    pubkey: EMPTY,
    alg: '',
  },
  structure: (message) => firstProblem(message, RULES),
  limits: ({ proofBlob, refs, coc }) =>
    atMost('proof_blob bytes', proofBlob.length, WIRE_LIMITS.proofBlobBytes) ??
    atMost('refs', refs.length, WIRE_LIMITS.refsCount) ??
    atMost('custody entries', coc.length, WIRE_LIMITS.custodyCount),
});

export const encodeEvidence = evidenceWire.encode;

/** Shape and limits only; `verification.ts` says whether to believe it. */
export const decodeEvidence = (bytes: Uint8Array): Result<EvidenceEvent, WireError> =>
  decodeMessage(evidenceWire, bytes);
