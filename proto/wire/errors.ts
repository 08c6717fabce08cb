import { type Err, err } from '../result.ts';

/** Why a message is refused; what stands in the DLQ's `error-code` header. */
export type WireErrorCode =
  | 'too-large' // more bytes or entries than WIRE_LIMITS allows
  | 'malformed' // not the protobuf message of its topic, or a field twice or out of order
  | 'bad-structure' // a field is missing, has a wrong length or stands outside its range
  | 'producer-mismatch' // producer_id is not the key that signed
  | 'bad-signature' // the producer's, or a custody entry's
  | 'unknown-producer' // not registered, or not for this kind of message
  | 'content-hash' // the hash is not that of the content
  | 'bad-id' // id is not the one derived from producer and content
  | 'bad-payload' // the content is not what its kind demands
  | 'envelope-mismatch' // a field outside the signed bytes differs from the content
  | 'timestamp' // further than TIMESTAMP_TOLERANCE_S from now
  | 'redelivered' // the very record again (same partition and offset): silent, not for the DLQ
  | 'replayed' // nonce and content seen at another place
  | 'nonce-conflict' // nonce seen with other content
  | 'duplicate' // content already known
  | 'guardrail'; // a policy that the rules of block validity refuse

export type WireError = {
  readonly code: WireErrorCode;
  /** The field or limit in question; a sentence for people, without the sender's text. */
  readonly detail: string;
};

export const wireError = (code: WireErrorCode, detail: string): Err<WireError> =>
  err({ code, detail });
