import { concat, hex, i64be, u16be, u32be, utf8 } from '../bytes.ts';
import type { Crypto, Sign } from '../crypto.ts';
import type { CustodyEntry } from './evidence.ts';
import { AI_DOMAINS, type AiKind, CUSTODY_DOMAIN } from './topics.ts';

/** The fields of an ai.* message that its signature covers. */
export type AiSigned = {
  /** Unix seconds. */
  readonly ts: number;
  readonly producerId: Uint8Array;
  readonly nonce: Uint8Array;
  readonly contentHash: Uint8Array;
};

/** `domain || ts(8) || len(producer_id)(2) || producer_id || nonce(16) || content_hash(32)`,
 * big-endian. Type, source, severity and the like are not in it: they must equal fields of the
 * hashed content. */
export const signingBytes = (kind: AiKind, message: AiSigned): Uint8Array =>
  concat(
    utf8(AI_DOMAINS[kind]),
    i64be(message.ts),
    u16be(message.producerId.length),
    message.producerId,
    message.nonce,
    message.contentHash,
  );

/** `ai.custody.v1 || ref_hash || actor_id || ts(8)`. */
export const custodySigningBytes = (entry: Omit<CustodyEntry, 'signature'>): Uint8Array =>
  concat(utf8(CUSTODY_DOMAIN), entry.refHash, entry.actorId, i64be(entry.ts));

export const signCustody = (entry: Omit<CustodyEntry, 'signature'>, sign: Sign): CustodyEntry => ({
  ...entry,
  signature: sign(custodySigningBytes(entry)),
});

/** The id of an ai.* message, in the shape of a UUID version 4, so that the same producer and
 * content always have the same id, and nobody else's content has it.
 *
 * Derivation: d = SHA-256(producer_id (32) || content_hash (32)); u = the first 16 bytes of d;
 * u[6] = (u[6] & 0x0f) | 0x40 (version 4); u[8] = (u[8] & 0x3f) | 0x80 (variant of RFC 9562);
 * lower-case hex with hyphens after bytes 4, 6, 8 and 10. */
export const messageId = (
  producerId: Uint8Array,
  contentHash: Uint8Array,
  crypto: Pick<Crypto, 'sha256'>,
): string => uuidOf(crypto.sha256(concat(producerId, contentHash)));

/** The first 16 bytes of a digest in the shape of a UUID version 4. */
export const uuidOf = (digest: Uint8Array): string => {
  const bytes = digest.slice(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const text = hex(bytes);
  const groups = [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20)];
  return [...groups, text.slice(20)].join('-');
};

/** `timestamp_ms(8) || instance_id(4) || counter(4)`, big-endian. Unique as long as a producer
 * that restarts takes a new instance id or does not go back in time. */
export const nonceOf = (timestampMs: number, instanceId: number, counter: number): Uint8Array =>
  concat(i64be(timestampMs), u32be(instanceId), u32be(counter));
