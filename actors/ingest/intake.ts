/** From raw bytes to a judged message: which signatures to verify, and what the checks of the wire say. */
import { equal, hex } from '#proto/bytes.ts';
import type { Transaction } from '#proto/consensus/transaction.ts';
import type { Crypto, SignatureClaim } from '#proto/crypto.ts';
import { err, type Result } from '#proto/result.ts';
import { claimsOf, kindOfTopic } from '#proto/wire/ai-message.ts';
import { sizeProblem } from '#proto/wire/codec.ts';
import type { WireError } from '#proto/wire/errors.ts';
import { AI_TOPICS, type AiKind } from '#proto/wire/topics.ts';
import {
  parseSubject,
  shapeProblem,
  type VerificationContext,
  type VerifiedMessage,
  type Verify,
} from '#proto/wire/verification.ts';
import type { Place } from './mempool.ts';
import { nonceKey } from './nonces.ts';

/** A message on its way in. */
export type Item = {
  readonly kind: AiKind;
  /** The original bytes, a copy of their own. */
  readonly bytes: Uint8Array;
  /** Key of the record, '' for a forwarded one. */
  readonly key: string;
  /** null: forwarded by a peer. */
  readonly place: Place | null;
  /** 32 bytes as claimed by the message; undefined where it does not parse. */
  readonly contentHash: Uint8Array | undefined;
  readonly claims: readonly SignatureClaim[];
  /** `nonceKey` as claimed by the message; undefined where it does not parse. */
  readonly nonce?: string;
};

/** Signatures are worth verifying only where the shape holds: the checks stop before them otherwise. */
export const itemOf = (
  topic: string,
  bytes: Uint8Array,
  key: string,
  place: Place | null,
): Item => {
  const kind = kindOfTopic(topic);
  if (kind === undefined) throw new Error(`ingest reads no such topic: ${topic}`);
  const shapeless: Item = { kind, bytes, key, place, contentHash: undefined, claims: [] };
  if (sizeProblem(bytes) !== undefined) return shapeless;
  const { subject, problem } = parseSubject(kind, bytes);
  const broken = problem ?? shapeProblem(subject, 'structure') ?? shapeProblem(subject, 'limits');
  if (broken !== undefined) return shapeless;
  const { contentHash, producerId, nonce: bare } = subject.message;
  const nonce = nonceKey(hex(producerId), hex(bare));
  return { kind, bytes, key, place, contentHash, claims: claimsOf(subject), nonce };
};

/** A crypto that answers with what the pool has found, for exactly these claims. */
const answersOf = (item: Item, results: readonly boolean[], crypto: Crypto): Crypto => ({
  sha256: crypto.sha256,
  verify: (publicKey, message, signature) => {
    const at = item.claims.findIndex(
      (claim) =>
        equal(claim.signature, signature) &&
        equal(claim.publicKey, publicKey) &&
        equal(claim.message, message),
    );
    return results[at] ?? false;
  },
});

export type Surroundings = Omit<VerificationContext, 'crypto'> & { readonly crypto: Crypto };

export const judge = (
  item: Item,
  results: readonly boolean[],
  verify: Verify,
  context: Surroundings,
): Result<VerifiedMessage, WireError> => {
  if (item.claims.length !== results.length) {
    return err({ code: 'bad-signature', detail: 'not all signatures were looked at' });
  }
  const crypto = answersOf(item, results, context.crypto);
  return verify(AI_TOPICS[item.kind], item.bytes, { ...context, crypto });
};

export const transactionOf = (item: Item): Transaction => ({ kind: item.kind, bytes: item.bytes });

/** How urgent a message is in the pool: an anomaly says it, an operator's word goes first. */
export const severityOf = (message: VerifiedMessage): number => {
  switch (message.kind) {
    case 'anomaly':
      return message.message.severity;
    case 'policy':
      return 10;
    default:
      return 1;
  }
};

export const producerOf = ({ message }: VerifiedMessage): string => hex(message.producerId);
