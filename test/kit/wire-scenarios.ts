/** One named scenario for each check of the verification of ai.* messages: bytes with exactly that
 * fault, and the code that they must be refused with. `test/proto/wire` runs them against the
 * verifier, `test/mutants` against verifiers that lack the check. */
import { crypto } from '#native/crypto.ts';
import { utf8 } from '#proto/bytes.ts';
import { canonicalJsonBytes } from '#proto/json.ts';
import { encodeAnomaly } from '#proto/wire/anomaly.ts';
import type { WireErrorCode } from '#proto/wire/errors.ts';
import { encodeEvidence } from '#proto/wire/evidence.ts';
import { encodePolicyEvent } from '#proto/wire/policy-event.ts';
import { TOPICS, type Topic, WIRE_LIMITS } from '#proto/wire/topics.ts';
import type { VerificationContext, Verify } from '#proto/wire/verification.ts';
import * as wire from './protobuf-writer.ts';
import {
  anomaly,
  contextOf,
  custodyEntry,
  evidence,
  KEYS,
  NOW_S,
  payload,
  policyEvent,
  rule,
} from './wire-messages.ts';

export type WireScenario = {
  /** Of the check whose absence lets the message through. */
  readonly check: string;
  readonly title: string;
  readonly code: WireErrorCode;
  readonly topic: Topic;
  readonly bytes: () => Uint8Array;
  readonly context?: () => VerificationContext;
};

/** What the verifier answers: the code of the refusal, or 'accepted'. */
export const outcomeOf = (scenario: WireScenario, verify: Verify): string => {
  const context = scenario.context?.() ?? contextOf();
  const result = verify(scenario.topic, scenario.bytes(), context);
  return result.ok ? 'accepted' : result.error.code;
};

const extended = (bytes: Uint8Array, ...tail: readonly number[][]): Uint8Array =>
  Uint8Array.from([...bytes, ...tail.flat()]);

const onAnomalies = (
  check: string,
  title: string,
  code: WireErrorCode,
  bytes: () => Uint8Array,
  context?: () => VerificationContext,
): WireScenario => ({
  check,
  title,
  code,
  topic: TOPICS.anomalies,
  bytes,
  ...(context && { context }),
});

const onEvidence = (
  check: string,
  title: string,
  code: WireErrorCode,
  bytes: () => Uint8Array,
): WireScenario => ({ check, title, code, topic: TOPICS.evidence, bytes });

const onPolicies = (
  check: string,
  title: string,
  code: WireErrorCode,
  bytes: () => Uint8Array,
): WireScenario => ({ check, title, code, topic: TOPICS.policy, bytes });

const forged = (signature: Uint8Array): Uint8Array =>
  signature.map((byte, i) => (i === 40 ? byte ^ 1 : byte));

const seen = (contentHash: Uint8Array, offset: number) => (): VerificationContext =>
  contextOf({
    nonceSeen: () => ({ contentHash, position: { partition: 0, offset: 41 } }),
    position: { partition: 0, offset },
  });

const wide = { ...payload, thresholds: { filler: 0 }, model_version: 'x' };

/** A payload one byte too long for its field but short enough for a message. */
const longPayload = (): Uint8Array => {
  const empty = canonicalJsonBytes({ ...payload, filler: '' }).length;
  const filler = 'x'.repeat(WIRE_LIMITS.payloadBytes + 1 - empty);
  return canonicalJsonBytes({ ...payload, filler });
};

const refs = (count: number): Uint8Array[] =>
  Array.from({ length: count }, () => new Uint8Array(32).fill(9));

const SHAPE: readonly WireScenario[] = [
  onAnomalies('size', 'a message beyond 1 MiB is too large', 'too-large', () =>
    extended(encodeAnomaly(anomaly()), wire.octets(99, new Uint8Array(WIRE_LIMITS.messageBytes))),
  ),
  onAnomalies('parse', 'a message that breaks off in a field is malformed', 'malformed', () =>
    extended(encodeAnomaly(anomaly()), wire.octets(99, [1, 2, 3]).slice(0, -1)),
  ),
  onAnomalies('parse', 'a field that stands twice is malformed', 'malformed', () =>
    extended(encodeAnomaly(anomaly()), wire.text(14, 'Ed25519')),
  ),
  onAnomalies('parse', 'a field out of order is malformed', 'malformed', () =>
    extended(wire.message(wire.text(99, 'x')), [...encodeAnomaly(anomaly())]),
  ),
  onAnomalies('structure', 'severity 11 breaks the structure', 'bad-structure', () =>
    encodeAnomaly(
      anomaly({ severity: 11, payload: canonicalJsonBytes({ ...payload, severity: 11 }) }),
    ),
  ),
  onAnomalies('structure', 'another algorithm breaks the structure', 'bad-structure', () =>
    encodeAnomaly({ ...anomaly(), alg: 'Ed448' }),
  ),
  onAnomalies('structure', 'a source of 257 bytes breaks the structure', 'bad-structure', () => {
    const source = 's'.repeat(257);
    return encodeAnomaly(anomaly({ source, payload: canonicalJsonBytes({ ...payload, source }) }));
  }),
  onPolicies('structure', 'a nonce of 15 bytes breaks the structure', 'bad-structure', () =>
    encodePolicyEvent(policyEvent({ nonce: new Uint8Array(15).fill(1) })),
  ),
  onAnomalies('limits', 'a payload beyond 512 KiB is too large', 'too-large', () =>
    encodeAnomaly(anomaly({ payload: longPayload() })),
  ),
  onEvidence('limits', 'evidence with 1,001 refs is too large', 'too-large', () =>
    encodeEvidence(evidence({ refs: refs(1001) })),
  ),
  onEvidence('limits', 'evidence with 101 custody entries is too large', 'too-large', () =>
    encodeEvidence(evidence({ coc: Array.from({ length: 101 }, () => custodyEntry) })),
  ),
];

const SIGNED: readonly WireScenario[] = [
  onAnomalies(
    'producer-key',
    'a producer_id that is not the key is refused',
    'producer-mismatch',
    () => {
      // Signed by a stranger's key over the detector's producer_id.
      const claimed = anomaly({}, { ...KEYS.stranger, publicKey: KEYS.detector.publicKey });
      return encodeAnomaly({ ...claimed, pubkey: KEYS.stranger.publicKey });
    },
  ),
  onAnomalies('signature', 'a forged signature is refused', 'bad-signature', () => {
    const good = anomaly();
    return encodeAnomaly({ ...good, signature: forged(good.signature) });
  }),
  onPolicies('signature', 'a policy under a forged signature is refused', 'bad-signature', () => {
    const good = policyEvent();
    return encodePolicyEvent({ ...good, signature: forged(good.signature) });
  }),
  onEvidence('custody', 'a forged custody entry is refused', 'bad-signature', () => {
    const entry = { ...custodyEntry, signature: forged(custodyEntry.signature) };
    return encodeEvidence(evidence({ coc: [custodyEntry, entry] }));
  }),
  onAnomalies('producer', 'a key that nobody registered is refused', 'unknown-producer', () =>
    encodeAnomaly(anomaly({}, KEYS.stranger)),
  ),
  onAnomalies('producer', 'an anomaly of an enforcer is refused', 'unknown-producer', () =>
    encodeAnomaly(anomaly({}, KEYS.enforcer)),
  ),
  onPolicies('producer', 'a policy of a detector is refused', 'unknown-producer', () =>
    encodePolicyEvent(policyEvent({}, KEYS.detector)),
  ),
  onAnomalies('content-hash', 'another payload under the hash is refused', 'content-hash', () =>
    encodeAnomaly({ ...anomaly(), payload: canonicalJsonBytes({ ...payload, flows: 1 }) }),
  ),
  onEvidence('content-hash', 'another proof under the hash is refused', 'content-hash', () => {
    const good = evidence();
    return encodeEvidence({ ...good, proofBlob: utf8(`${Buffer.from(good.proofBlob)} `) });
  }),
  onAnomalies('id', 'an id that does not follow from the content is refused', 'bad-id', () =>
    encodeAnomaly({ ...anomaly(), id: '00000000-0000-4000-8000-000000000000' }),
  ),
];

const altered = (title: string, changes: Parameters<typeof anomaly>[0]): WireScenario =>
  onAnomalies('envelope', `an altered ${title} is refused`, 'envelope-mismatch', () =>
    encodeAnomaly({ ...anomaly(), ...changes }),
  );

const CONTENT: readonly WireScenario[] = [
  onAnomalies('content', 'a payload with a key twice is refused', 'bad-payload', () => {
    const twice = `${JSON.stringify(payload).slice(0, -1)},"severity":6}`;
    return encodeAnomaly(anomaly({ payload: utf8(twice) }));
  }),
  onPolicies('content', 'params without a TTL are refused', 'bad-payload', () =>
    encodePolicyEvent(policyEvent({ params: canonicalJsonBytes({ ...rule, guardrails: {} }) })),
  ),
  altered('type', { type: 'ddos' }),
  altered('source', { source: 'detector-2' }),
  altered('severity', { severity: 7 }),
  altered('confidence', { confidence: payload.confidence + 2e-6 }),
  altered('model_version', { modelVersion: 'rules-2' }),
  onAnomalies('envelope', 'a payload without confidence is refused', 'envelope-mismatch', () =>
    encodeAnomaly(anomaly({ payload: canonicalJsonBytes({ ...payload, confidence: undefined }) })),
  ),
  onEvidence('envelope', 'an altered evidence_type is refused', 'envelope-mismatch', () =>
    encodeEvidence({ ...evidence(), evidenceType: 'packet' }),
  ),
  onEvidence('envelope', 'altered refs are refused', 'envelope-mismatch', () =>
    encodeEvidence({ ...evidence(), refs: refs(2) }),
  ),
  onEvidence('envelope', 'dropped custody is refused', 'envelope-mismatch', () =>
    encodeEvidence({ ...evidence(), coc: [] }),
  ),
  onPolicies('envelope', 'an altered action is refused', 'envelope-mismatch', () =>
    encodePolicyEvent({ ...policyEvent(), action: 'remove' }),
  ),
  onPolicies('envelope', 'an altered rule is refused', 'envelope-mismatch', () =>
    encodePolicyEvent({ ...policyEvent(), rule: 'allow' }),
  ),
];

const MEMORY: readonly WireScenario[] = [
  onAnomalies('timestamp', 'a message 301 s old is refused', 'timestamp', () =>
    encodeAnomaly(anomaly({ ts: NOW_S - 301 })),
  ),
  onAnomalies('timestamp', 'a message 301 s ahead is refused', 'timestamp', () =>
    encodeAnomaly(anomaly({ ts: NOW_S + 301 })),
  ),
  onAnomalies(
    'nonce',
    'nonce and content seen at another offset are replayed',
    'replayed',
    () => encodeAnomaly(anomaly()),
    seen(anomaly().contentHash, 42),
  ),
  onAnomalies(
    'nonce',
    'nonce and content at the same offset are redelivered',
    'redelivered',
    () => encodeAnomaly(anomaly()),
    seen(anomaly().contentHash, 41),
  ),
  onAnomalies(
    'nonce',
    'a nonce with other content is a conflict',
    'nonce-conflict',
    () => encodeAnomaly(anomaly()),
    seen(crypto.sha256(canonicalJsonBytes(wide)), 41),
  ),
  onAnomalies(
    'duplicate',
    'content that is known is a duplicate',
    'duplicate',
    () => encodeAnomaly(anomaly()),
    () => contextOf({ contentKnown: () => true }),
  ),
];

export const WIRE_SCENARIOS: readonly WireScenario[] = [...SHAPE, ...SIGNED, ...CONTENT, ...MEMORY];
