import type { Crypto, KeyPair, SignatureClaim } from '../crypto.ts';
import { custodySigningBytes, messageId, signingBytes } from './ai-signature.ts';
import { type AnomalyEvent, anomalyWire } from './anomaly.ts';
import type { WireType } from './codec.ts';
import { type EvidenceEvent, evidenceWire } from './evidence.ts';
import { type PolicyEvent, policyEventWire } from './policy-event.ts';
import { AI_TOPICS, type AiKind, SIGNATURE_ALGORITHM } from './topics.ts';

export type AiMessages = {
  readonly anomaly: AnomalyEvent;
  readonly evidence: EvidenceEvent;
  readonly policy: PolicyEvent;
};
export type AiMessage<K extends AiKind = AiKind> = AiMessages[K];

/** A message with its kind. */
export type AiSubject =
  | { readonly kind: 'anomaly'; readonly message: AnomalyEvent }
  | { readonly kind: 'evidence'; readonly message: EvidenceEvent }
  | { readonly kind: 'policy'; readonly message: PolicyEvent };

export const AI_WIRES: { readonly [K in AiKind]: WireType<AiMessages[K]> } = {
  anomaly: anomalyWire,
  evidence: evidenceWire,
  policy: policyEventWire,
};

/** undefined for a topic that carries no ai.* message. */
export const kindOfTopic = (topic: string): AiKind | undefined => {
  for (const kind of ['anomaly', 'evidence', 'policy'] as const) {
    if (AI_TOPICS[kind] === topic) return kind;
  }
  return undefined;
};

/** The hashed content: payload, proof blob or params. */
export const contentOf = (subject: AiSubject): Uint8Array => {
  switch (subject.kind) {
    case 'anomaly':
      return subject.message.payload;
    case 'evidence':
      return subject.message.proofBlob;
    default:
      return subject.message.params;
  }
};

/** Everything that is signed in a message: its own signature first, then custody in order. */
export const claimsOf = (subject: AiSubject): SignatureClaim[] => {
  const { kind, message } = subject;
  const claims = [
    {
      publicKey: message.pubkey,
      message: signingBytes(kind, message),
      signature: message.signature,
    },
  ];
  if (kind !== 'evidence') return claims;
  for (const entry of message.coc) {
    const { actorId: publicKey, signature } = entry;
    claims.push({ publicKey, message: custodySigningBytes(entry), signature });
  }
  return claims;
};

type Stamped = 'id' | 'contentHash' | 'producerId' | 'signature' | 'pubkey' | 'alg';
export type Unsigned<K extends AiKind> = Omit<AiMessages[K], Stamped>;

/** Everything that follows from content and key; `ts` and `nonce` are the caller's. */
type Seal = Pick<AnomalyEvent, Stamped>;

const seal = (
  kind: AiKind,
  content: Uint8Array,
  stamp: { readonly ts: number; readonly nonce: Uint8Array },
  key: KeyPair,
  crypto: Pick<Crypto, 'sha256'>,
): Seal => {
  const contentHash = crypto.sha256(content);
  const producerId = key.publicKey;
  const signature = key.sign(signingBytes(kind, { ...stamp, producerId, contentHash }));
  const id = messageId(producerId, contentHash, crypto);
  return { id, contentHash, producerId, signature, pubkey: producerId, alg: SIGNATURE_ALGORITHM };
};

export const signAnomaly = (
  event: Unsigned<'anomaly'>,
  key: KeyPair,
  crypto: Pick<Crypto, 'sha256'>,
): AnomalyEvent => ({ ...event, ...seal('anomaly', event.payload, event, key, crypto) });

export const signEvidence = (
  event: Unsigned<'evidence'>,
  key: KeyPair,
  crypto: Pick<Crypto, 'sha256'>,
): EvidenceEvent => ({ ...event, ...seal('evidence', event.proofBlob, event, key, crypto) });

export const signPolicyEvent = (
  event: Unsigned<'policy'>,
  key: KeyPair,
  crypto: Pick<Crypto, 'sha256'>,
): PolicyEvent => ({ ...event, ...seal('policy', event.params, event, key, crypto) });
