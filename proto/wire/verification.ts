/**
 * Whether to believe an ai.* message (WIRE.md, "Verification"): named checks in a fixed order, each
 * with the code of its failure; of two faults the earlier is reported. Block validity repeats those
 * that need no memory (`DETERMINISTIC_CHECKS`); nonces and known content are state of the chain,
 * which the executor looks up by itself.
 */
import { equal } from '../bytes.ts';
import type { Crypto } from '../crypto.ts';
import { type JsonObject, parseJsonObject } from '../json.ts';
import { checkPolicyRule } from '../policy-rule.ts';
import { err, ok, type Result, unreachable } from '../result.ts';
import { AI_WIRES, type AiSubject, claimsOf, contentOf, kindOfTopic } from './ai-message.ts';
import { messageId } from './ai-signature.ts';
import { sizeProblem } from './codec.ts';
import type { KeyRole } from './control.ts';
import { envelopeProblem } from './envelope.ts';
import { type WireError, type WireErrorCode, wireError } from './errors.ts';
import type { Problem } from './structure.ts';
import { type AiKind, TIMESTAMP_TOLERANCE_S } from './topics.ts';

/** Where a record stands in its topic. */
export type Position = { readonly partition: number; readonly offset: number };

/** A nonce that was seen before; `position` unless it came from a peer. */
export type NonceSighting = {
  readonly contentHash: Uint8Array;
  readonly position?: Position | undefined;
};

export type VerificationContext = {
  readonly crypto: Crypto;
  /** Unix milliseconds: the local clock at admission, header time in a block. */
  readonly nowMs: number;
  /** How far `ts` may lie from nowMs, either way; TIMESTAMP_TOLERANCE_S unless genesis differs. */
  readonly timeSkewMs?: number;
  /** undefined for a key that nobody registered. */
  readonly roleOf: (publicKey: Uint8Array) => KeyRole | undefined;
  /** Whether detectors may send policies, too (a parameter of genesis). */
  readonly detectorsMayPropose: boolean;
  readonly nonceSeen: (producerId: Uint8Array, nonce: Uint8Array) => NonceSighting | undefined;
  /** Content that is admitted or committed already. */
  readonly contentKnown: (contentHash: Uint8Array) => boolean;
  /** Where these bytes were read; absent for those of a peer. */
  readonly position?: Position;
};

export type VerifiedMessage = AiSubject & {
  readonly bytes: Uint8Array;
  /** The parsed payload, proof blob or params. */
  readonly content: JsonObject;
};

type Case = {
  readonly bytes: Uint8Array;
  readonly subject: AiSubject;
  /** Of the protobuf layer. */
  readonly parseProblem: Problem;
  readonly content: Result<JsonObject, string>;
  readonly context: VerificationContext;
};

export type Check = {
  readonly name: string;
  readonly fault: (one: Case) => WireError | undefined;
};

const check = (
  name: string,
  code: WireErrorCode,
  problem: (one: Case) => Problem | false,
): Check => ({
  name,
  fault: (one) => {
    const detail = problem(one);
    return detail === undefined || detail === false ? undefined : { code, detail };
  },
});

/** Who may send what; genesis may open policies to detectors. */
const mayProduce = (
  kind: AiKind,
  role: KeyRole | undefined,
  detectorsMayPropose: boolean,
): boolean =>
  kind === 'policy'
    ? role === 'operator' || (role === 'detector' && detectorsMayPropose)
    : role === 'detector';

const signatureHolds = ({ subject, context }: Case): boolean => {
  const own = claimsOf(subject)[0]!;
  return context.crypto.verify(own.publicKey, own.message, own.signature);
};

const brokenCustody = ({ subject, context }: Case): number =>
  claimsOf(subject)
    .slice(1)
    .findIndex((one) => !context.crypto.verify(one.publicKey, one.message, one.signature));

const contentProblem = ({ subject, content }: Case): Problem => {
  if (!content.ok) return content.error;
  if (subject.kind !== 'policy') return undefined;
  const rule = checkPolicyRule(content.value);
  return rule.ok ? undefined : `${rule.error.code}: ${rule.error.field} ${rule.error.reason}`;
};

const nonceFault = ({ subject: { message }, context }: Case): WireError | undefined => {
  const seen = context.nonceSeen(message.producerId, message.nonce);
  if (seen === undefined) return undefined;
  if (!equal(seen.contentHash, message.contentHash)) {
    return { code: 'nonce-conflict', detail: 'this nonce came with other content' };
  }
  return samePosition(seen.position, context.position)
    ? { code: 'redelivered', detail: 'the same record again' }
    : { code: 'replayed', detail: 'this nonce came with the same content elsewhere' };
};

const samePosition = (a: Position | undefined, b: Position | undefined): boolean =>
  a !== undefined && b !== undefined && a.partition === b.partition && a.offset === b.offset;

/** In this order. */
export const CHECKS: readonly Check[] = [
  check('size', 'too-large', ({ bytes }) => sizeProblem(bytes)),
  check('parse', 'malformed', ({ parseProblem }) => parseProblem),
  check('structure', 'bad-structure', ({ subject }) => shapeProblem(subject, 'structure')),
  check('limits', 'too-large', ({ subject }) => shapeProblem(subject, 'limits')),
  check(
    'producer-key',
    'producer-mismatch',
    ({ subject: { message } }) =>
      !equal(message.producerId, message.pubkey) && 'producer_id is not pubkey',
  ),
  check('signature', 'bad-signature', (one) => !signatureHolds(one) && 'does not verify'),
  check('custody', 'bad-signature', (one) => {
    const index = brokenCustody(one);
    return index >= 0 && `custody entry ${index} does not verify`;
  }),
  check('producer', 'unknown-producer', ({ subject, context }) => {
    const role = context.roleOf(subject.message.producerId);
    const allowed = mayProduce(subject.kind, role, context.detectorsMayPropose);
    return !allowed && `role ${role ?? 'none'} may not send this kind (${subject.kind})`;
  }),
  check('content-hash', 'content-hash', ({ subject, context }) => {
    const hash = context.crypto.sha256(contentOf(subject));
    return !equal(hash, subject.message.contentHash) && 'not the hash of the content';
  }),
  check('id', 'bad-id', ({ subject: { message }, context }) => {
    const id = messageId(message.producerId, message.contentHash, context.crypto);
    return id !== message.id && `derived from producer and content is ${id}`;
  }),
  check('content', 'bad-payload', contentProblem),
  check('envelope', 'envelope-mismatch', ({ subject, content }) =>
    envelopeProblem(subject, content.ok ? content.value : {}),
  ),
  check('timestamp', 'timestamp', ({ subject, context }) => {
    const skewMs = Math.abs(subject.message.ts * 1000 - context.nowMs);
    const maxMs = context.timeSkewMs ?? TIMESTAMP_TOLERANCE_S * 1000;
    return skewMs > maxMs && `${skewMs} ms off, at most ${maxMs}`;
  }),
  { name: 'nonce', fault: nonceFault },
  check(
    'duplicate',
    'duplicate',
    ({ subject, context }) =>
      context.contentKnown(subject.message.contentHash) && 'this content is known',
  ),
];

/** What every validator finds alike for the same bytes and header time. */
export const DETERMINISTIC_CHECKS: readonly Check[] = CHECKS.filter(
  ({ name }) => name !== 'nonce' && name !== 'duplicate',
);

export type Verify = (
  topic: string,
  bytes: Uint8Array,
  context: VerificationContext,
) => Result<VerifiedMessage, WireError>;

/** Never throws on received bytes. A mutant is a verifier with a check left out. */
export const verifier =
  (checks: readonly Check[] = CHECKS): Verify =>
  (topic, bytes, context) => {
    const kind = kindOfTopic(topic);
    if (kind === undefined) return wireError('malformed', 'the topic carries no such message');
    const one = caseOf(kind, bytes, context);
    for (const { fault } of checks) {
      const error = fault(one);
      if (error !== undefined) return err(error);
    }
    return ok({ ...one.subject, bytes, content: one.content.ok ? one.content.value : {} });
  };

export const verify = verifier();
export const verifyDeterministic = verifier(DETERMINISTIC_CHECKS);

/** Reads once and only what a check asks for: an oversized message is not even parsed. */
const caseOf = (kind: AiKind, bytes: Uint8Array, context: VerificationContext): Case => {
  const parsed = once(() => parseSubject(kind, bytes));
  const content = once(() => parseJsonObject(contentOf(parsed().subject)));
  return {
    bytes,
    context,
    get subject() {
      return parsed().subject;
    },
    get parseProblem() {
      return parsed().problem;
    },
    get content() {
      return content();
    },
  };
};

const once = <T>(compute: () => T): (() => T) => {
  let known: { readonly value: T } | undefined;
  return () => {
    known ??= { value: compute() };
    return known.value;
  };
};

/** With a problem, the subject is what could be read before it. */
export const parseSubject = (
  kind: AiKind,
  bytes: Uint8Array,
): { readonly subject: AiSubject; readonly problem: Problem } => {
  switch (kind) {
    case 'anomaly': {
      const { message, problem } = AI_WIRES.anomaly.parse(bytes);
      return { subject: { kind, message }, problem };
    }
    case 'evidence': {
      const { message, problem } = AI_WIRES.evidence.parse(bytes);
      return { subject: { kind, message }, problem };
    }
    case 'policy': {
      const { message, problem } = AI_WIRES.policy.parse(bytes);
      return { subject: { kind, message }, problem };
    }
    default:
      return unreachable(kind);
  }
};

export const shapeProblem = (subject: AiSubject, part: 'structure' | 'limits'): Problem => {
  switch (subject.kind) {
    case 'anomaly':
      return AI_WIRES.anomaly[part](subject.message);
    case 'evidence':
      return AI_WIRES.evidence[part](subject.message);
    case 'policy':
      return AI_WIRES.policy[part](subject.message);
    default:
      return unreachable(subject);
  }
};
