import { expect, test } from 'vitest';
import { crypto, verifyBatch } from '#native/crypto.ts';
import { encodeAnomaly } from '#proto/wire/anomaly.ts';
import { encodeEvidence } from '#proto/wire/evidence.ts';
import { encodePolicyEvent } from '#proto/wire/policy-event.ts';
import { answeredCrypto, signaturesOf } from '#proto/wire/signature-batch.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import { CHECKS, DETERMINISTIC_CHECKS, verifier, verify } from '#proto/wire/verification.ts';
import { int } from '#test/kit/protobuf-writer.ts';
import {
  anomaly,
  contextOf,
  evidence,
  KEYS,
  NOW_S,
  payload,
  policyEvent,
} from '#test/kit/wire-messages.ts';
import { outcomeOf, WIRE_SCENARIOS } from '#test/kit/wire-scenarios.ts';

test.each(WIRE_SCENARIOS)('$check: $title', (scenario) => {
  expect(outcomeOf(scenario, verify)).toBe(scenario.code);
});

test('every check has a scenario', () => {
  const covered = new Set(WIRE_SCENARIOS.map((scenario) => scenario.check));
  expect(CHECKS.map((check) => check.name).filter((name) => !covered.has(name))).toEqual([]);
});

test('the checks stand in the order of the wire contract', () => {
  expect(CHECKS.map((check) => check.name)).toEqual([
    ...['size', 'parse', 'structure', 'limits', 'producer-key', 'signature', 'custody'],
    ...['producer', 'content-hash', 'id', 'content', 'envelope', 'timestamp', 'nonce'],
    'duplicate',
  ]);
});

test('good messages of each kind are accepted with their content', () => {
  const context = contextOf();
  const first = verify(TOPICS.anomalies, encodeAnomaly(anomaly()), context);
  expect(first).toMatchObject({ ok: true, value: { kind: 'anomaly', content: payload } });
  const second = verify(TOPICS.evidence, encodeEvidence(evidence()), context);
  expect(second).toMatchObject({ ok: true, value: { kind: 'evidence' } });
  const third = verify(TOPICS.policy, encodePolicyEvent(policyEvent()), context);
  expect(third).toMatchObject({ ok: true, value: { kind: 'policy' } });
});

test('exactly 300 s of skew and a confidence within 1e-6 are accepted', () => {
  for (const ts of [NOW_S - 300, NOW_S + 300]) {
    const bytes = encodeAnomaly(anomaly({ ts, confidence: payload.confidence + 9e-7 }));
    expect(verify(TOPICS.anomalies, bytes, contextOf()).ok).toBe(true);
  }
});

test('a field of a later version is ignored', () => {
  const bytes = Uint8Array.from([...encodeAnomaly(anomaly()), ...int(4000, 1)]);
  expect(verify(TOPICS.anomalies, bytes, contextOf()).ok).toBe(true);
});

test('a detector proposes policies only where genesis lets it', () => {
  const bytes = encodePolicyEvent(policyEvent({}, KEYS.detector));
  const open = contextOf({ detectorsMayPropose: true });
  expect(verify(TOPICS.policy, bytes, open).ok).toBe(true);
});

test('of two faults the earlier one is reported', () => {
  const old = anomaly({ ts: NOW_S - 4000 }, KEYS.stranger);
  const known = contextOf({ contentKnown: () => true });
  const codes = [
    { ...old, severity: 12, signature: new Uint8Array(64) },
    { ...old, id: 'x', signature: new Uint8Array(64) },
    { ...old, id: 'x' },
    { ...anomaly({ ts: NOW_S - 4000 }), id: 'x', type: 'ddos' },
    { ...anomaly({ ts: NOW_S - 4000 }), type: 'ddos' },
    anomaly({ ts: NOW_S - 4000 }),
    anomaly(),
  ].map((event) => {
    const result = verify(TOPICS.anomalies, encodeAnomaly(event), known);
    return result.ok ? 'accepted' : result.error.code;
  });
  expect(codes).toEqual([
    ...['bad-structure', 'bad-signature', 'unknown-producer', 'bad-id', 'envelope-mismatch'],
    ...['timestamp', 'duplicate'],
  ]);
});

test('block validity repeats everything but what needs memory', () => {
  const deterministic = verifier(DETERMINISTIC_CHECKS);
  const memory = contextOf({
    contentKnown: () => true,
    nonceSeen: () => ({ contentHash: new Uint8Array(32) }),
  });
  const bytes = encodeAnomaly(anomaly());
  expect(deterministic(TOPICS.anomalies, bytes, memory).ok).toBe(true);
  expect(DETERMINISTIC_CHECKS).toHaveLength(CHECKS.length - 2);
});

test('a topic that carries no ai message is refused', () => {
  const result = verify(TOPICS.commits, encodeAnomaly(anomaly()), contextOf());
  expect(result).toMatchObject({ ok: false, error: { code: 'malformed' } });
});

test('answers of a batch stand for verification one by one', () => {
  const good = encodeEvidence(evidence());
  const forged = encodeAnomaly({ ...anomaly(), signature: new Uint8Array(64).fill(3) });
  const claims = [
    ...signaturesOf(TOPICS.evidence, good),
    ...signaturesOf(TOPICS.anomalies, forged),
    ...signaturesOf(TOPICS.anomalies, good),
  ];
  expect(claims).toHaveLength(3);
  const answers = verifyBatch(claims);
  expect(answers).toEqual([true, true, false]);
  let asked = 0;
  const counting = {
    ...crypto,
    verify: () => {
      asked += 1;
      return true;
    },
  };
  const context = contextOf({ crypto: answeredCrypto(counting, claims, answers) });
  expect(verify(TOPICS.evidence, good, context).ok).toBe(true);
  const refused = verify(TOPICS.anomalies, forged, context);
  expect(refused).toMatchObject({ ok: false, error: { code: 'bad-signature' } });
  expect(asked).toBe(0);
  expect(verify(TOPICS.anomalies, encodeAnomaly(anomaly()), context).ok).toBe(true);
  expect(asked).toBe(1);
});
