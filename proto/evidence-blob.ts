/**
 * The content of an EvidenceEvent: UTF-8 JSON, canonical as we write it. Besides what a stranger
 * needs to check the claim it repeats the envelope's evidence_type, refs and custody, because the
 * signature covers the envelope only through the hash of this blob.
 */
import { hex } from './bytes.ts';
import { canonicalJsonBytes, type JsonObject } from './json.ts';
import type { CustodyEntry } from './wire/evidence.ts';

/** As it stands in the blob: octets as lower-case hex. */
export type CustodyRecord = {
  readonly ref_hash: string;
  readonly actor_id: string;
  /** Unix seconds. */
  readonly ts: number;
  readonly signature: string;
};

export type EvidenceHeading = {
  readonly evidenceType: string;
  readonly refs: readonly Uint8Array[];
  readonly coc: readonly CustodyEntry[];
};

/** The fields of the blob that must equal the envelope. */
export const evidenceHeading = (heading: EvidenceHeading): JsonObject => ({
  evidence_type: heading.evidenceType,
  refs: heading.refs.map(hex),
  coc: heading.coc.map(custodyRecord),
});

/** The bytes to hash and sign. `facts` must not use the names of the heading. */
export const encodeEvidenceBlob = (heading: EvidenceHeading, facts: JsonObject): Uint8Array =>
  canonicalJsonBytes({ ...facts, ...evidenceHeading(heading) });

const custodyRecord = (entry: CustodyEntry): CustodyRecord => ({
  ref_hash: hex(entry.refHash),
  actor_id: hex(entry.actorId),
  ts: entry.ts,
  signature: hex(entry.signature),
});
