/**
 * From a detection to the two signed messages of the wire. Pure: key and hash come from outside.
 */
import { EMPTY, fromHex, isHex } from '#proto/bytes.ts';
import type { Crypto, KeyPair } from '#proto/crypto.ts';
import { type Json, type JsonObject, parseJsonObject } from '#proto/json.ts';
import { err, ok, type Result } from '#proto/result.ts';
import { signAnomaly, signEvidence } from '#proto/wire/ai-message.ts';
import { nonceOf } from '#proto/wire/ai-signature.ts';
import { type AnomalyEvent, decodeAnomaly, encodeAnomaly } from '#proto/wire/anomaly.ts';
import { envelopeProblem } from '#proto/wire/envelope.ts';
import {
  type CustodyEntry,
  decodeEvidence,
  type EvidenceEvent,
  encodeEvidence,
} from '#proto/wire/evidence.ts';
import type { MessagesTo } from '#runtime/actor.ts';
import type { signer } from './protocol.ts';

/** What the ensemble hands over, and what of it is repeated in the envelopes. */
export type Detection = Omit<
  Extract<MessagesTo<typeof signer>, { readonly kind: 'detection' }>,
  'kind' | 'epoch' | 'seq'
>;

/** What the limiter gives to a message: its time, and two nonces, `counter` and `counter + 1`. */
export type Release = {
  readonly tsMs: number;
  readonly instance: number;
  readonly counter: number;
};

export type Identity = { readonly keys: KeyPair; readonly crypto: Crypto };
export type Signed = { readonly evidence: EvidenceEvent; readonly anomaly: AnomalyEvent };

const textOf = (object: JsonObject, field: string): string => {
  const value = object[field];
  return typeof value === 'string' ? value : '';
};

const hexOf = (value: Json | undefined): Uint8Array =>
  typeof value === 'string' && isHex(value) ? fromHex(value) : EMPTY;

const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);

const custodyOf = (value: Json): CustodyEntry => {
  const entry = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
  const { ref_hash, actor_id, ts, signature } = entry as JsonObject;
  return {
    refHash: hexOf(ref_hash),
    actorId: hexOf(actor_id),
    ts: typeof ts === 'number' ? ts : -1,
    signature: hexOf(signature),
  };
};

/** What stands both in the blob and in its envelope. */
const headingOf = (blob: JsonObject) => ({
  evidenceType: textOf(blob, 'evidence_type'),
  refs: listOf(blob.refs).map(hexOf),
  coc: listOf(blob.coc).map(custodyOf),
});

/**
 * Both messages; the evidence is sent first, since the anomaly speaks of it. The same arguments,
 * the same bytes.
 */
export const sealed = (
  detection: Detection,
  release: Release,
  { keys, crypto }: Identity,
): Result<Signed, string> => {
  const payload = parseJsonObject(detection.payload);
  if (!payload.ok) return err(`payload: ${payload.error}`);
  const blob = parseJsonObject(detection.evidence);
  if (!blob.ok) return err(`evidence: ${blob.error}`);
  const ts = Math.floor(release.tsMs / 1000);
  const { tsMs, instance, counter } = release;
  const evidence = signEvidence(
    {
      ...headingOf(blob.value),
      proofBlob: detection.evidence,
      ts,
      nonce: nonceOf(tsMs, instance, counter),
    },
    keys,
    crypto,
  );
  const { type, severity, confidence, modelVersion } = detection;
  const anomaly = signAnomaly(
    {
      type,
      source: textOf(payload.value, 'source'),
      severity,
      confidence,
      ts,
      payload: detection.payload,
      modelVersion,
      nonce: nonceOf(tsMs, instance, counter + 1),
    },
    keys,
    crypto,
  );
  return ok({ evidence, anomaly });
};

export const encodeSigned = ({ evidence, anomaly }: Signed) => ({
  evidence: encodeEvidence(evidence),
  anomaly: encodeAnomaly(anomaly),
});

/**
 * What a validator's first look would refuse: a detection that is no message never enters the
 * outbox.
 */
export const problemOf = (detection: Detection, identity: Identity): string | undefined => {
  const unsigned: Identity = {
    ...identity,
    keys: { publicKey: identity.keys.publicKey, sign: () => new Uint8Array(64).fill(1) },
  };
  const tried = sealed(detection, { tsMs: 0, instance: 0, counter: 0 }, unsigned);
  if (!tried.ok) return tried.error;
  const { evidence, anomaly } = tried.value;
  const bytes = encodeSigned(tried.value);
  const evidenceRead = decodeEvidence(bytes.evidence);
  if (!evidenceRead.ok) return `evidence: ${evidenceRead.error.code} ${evidenceRead.error.detail}`;
  const anomalyRead = decodeAnomaly(bytes.anomaly);
  if (!anomalyRead.ok) return `anomaly: ${anomalyRead.error.code} ${anomalyRead.error.detail}`;
  const blob = parseJsonObject(detection.evidence);
  const payload = parseJsonObject(detection.payload);
  if (!blob.ok || !payload.ok) return 'content is no JSON object';
  return (
    envelopeProblem({ kind: 'evidence', message: evidence }, blob.value) ??
    envelopeProblem({ kind: 'anomaly', message: anomaly }, payload.value)
  );
};
