/** The bytes of every message against the field numbers of the wire contract, and every signed
 * layout, built here by hand: no line of the product's codec takes part. */
import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { expect, test } from 'vitest';
import { crypto, keyPairFromSeed } from '#native/crypto.ts';
import { decodeAck, encodeAck } from '#proto/wire/ack.ts';
import { signAnomaly } from '#proto/wire/ai-message.ts';
import { custodySigningBytes, messageId, nonceOf, signingBytes } from '#proto/wire/ai-signature.ts';
import { decodeAnomaly, encodeAnomaly } from '#proto/wire/anomaly.ts';
import { decodeCommit, encodeCommit } from '#proto/wire/commit.ts';
import { signControl } from '#proto/wire/control.ts';
import { controlSigningBytes } from '#proto/wire/control-signature.ts';
import { decodeEvidence, encodeEvidence } from '#proto/wire/evidence.ts';
import { decodeEvidenceRequest, encodeEvidenceRequest } from '#proto/wire/evidence-request.ts';
import { decodePolicyEvent, encodePolicyEvent } from '#proto/wire/policy-event.ts';
import { decodePolicyUpdate, encodePolicyUpdate } from '#proto/wire/policy-update.ts';
import { decodeReputation, encodeReputation } from '#proto/wire/reputation.ts';
import { CONTROL_DOMAINS, TOPICS } from '#proto/wire/topics.ts';
import { double, int, message, octets, text } from '#test/kit/protobuf-writer.ts';

const fill = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);
const HASH = fill(32, 0xa1);
const ROOT = fill(32, 0xa2);
const KEY = fill(32, 0xa3);
const NONCE = fill(16, 0xa4);
const SIGNATURE = fill(64, 0xa5);
const BLOB = Buffer.from('{"a":1}');
const TS = 1_767_225_600;

const same = <T>(encode: (value: T) => Uint8Array, value: T, golden: Uint8Array): void => {
  expect(Buffer.from(encode(value)).toString('hex')).toBe(Buffer.from(golden).toString('hex'));
};

const seal = { signature: SIGNATURE, pubkey: KEY, alg: 'Ed25519' };
const stamp = { contentHash: HASH, producerId: KEY, nonce: NONCE, ...seal };

test('AnomalyEvent has the fields 1 to 14', () => {
  const event = {
    ...{ id: 'id-1', type: 'ddos', source: 'det', severity: 9, confidence: 0.75, ts: TS },
    ...{ payload: Uint8Array.from(BLOB), modelVersion: 'm1', ...stamp },
  };
  const golden = message(
    ...[text(1, 'id-1'), text(2, 'ddos'), text(3, 'det'), int(4, 9), double(5, 0.75), int(6, TS)],
    ...[octets(7, HASH), octets(8, BLOB), text(9, 'm1'), octets(10, KEY), octets(11, NONCE)],
    ...[octets(12, SIGNATURE), octets(13, KEY), text(14, 'Ed25519')],
  );
  same(encodeAnomaly, event, golden);
  expect(decodeAnomaly(golden)).toEqual({ ok: true, value: event });
});

test('EvidenceEvent has the fields 1 to 12 and custody entries the fields 1 to 4', () => {
  const coc = [{ refHash: HASH, actorId: KEY, ts: TS, signature: SIGNATURE }];
  const event = {
    ...{ id: 'id-2', evidenceType: 'window', refs: [HASH, ROOT], coc, ts: TS },
    ...{ proofBlob: Uint8Array.from(BLOB), ...stamp },
  };
  const entry = message(octets(1, HASH), octets(2, KEY), int(3, TS), octets(4, SIGNATURE));
  const golden = message(
    ...[text(1, 'id-2'), text(2, 'window'), octets(3, HASH), octets(3, ROOT), octets(4, BLOB)],
    ...[octets(5, entry), int(6, TS), octets(7, HASH), octets(8, KEY), octets(9, NONCE)],
    ...[octets(10, SIGNATURE), octets(11, KEY), text(12, 'Ed25519')],
  );
  same(encodeEvidence, event, golden);
  expect(decodeEvidence(golden)).toEqual({ ok: true, value: event });
});

test('PolicyEvent has the fields 1 to 11', () => {
  const event = {
    ...{ id: 'id-3', action: 'drop', rule: 'block', params: Uint8Array.from(BLOB), ts: TS },
    ...stamp,
  };
  const golden = message(
    ...[text(1, 'id-3'), text(2, 'drop'), text(3, 'block'), octets(4, BLOB), int(5, TS)],
    ...[octets(6, HASH), octets(7, KEY), octets(8, NONCE), octets(9, SIGNATURE)],
    ...[octets(10, KEY), text(11, 'Ed25519')],
  );
  same(encodePolicyEvent, event, golden);
  expect(decodePolicyEvent(golden)).toEqual({ ok: true, value: event });
});

test('CommitEvent has the fields 1 to 13', () => {
  const event = {
    ...{ height: 2 ** 40, blockHash: HASH, stateRoot: ROOT, txCount: 6, anomalyCount: 3 },
    ...{ evidenceCount: 2, policyCount: 1, timestamp: TS, producerId: KEY, ...seal },
    ...{ anomalyIds: ['a', 'b'] },
  };
  const golden = message(
    ...[int(1, 2 ** 40), octets(2, HASH), octets(3, ROOT), int(4, 6), int(5, 3), int(6, 2)],
    ...[int(7, 1), int(8, TS), octets(9, KEY), octets(10, SIGNATURE), octets(11, KEY)],
    ...[text(12, 'Ed25519'), text(13, 'a'), text(13, 'b')],
  );
  same(encodeCommit, event, golden);
  expect(decodeCommit(golden)).toEqual({ ok: true, value: event });
});

test('PolicyUpdateEvent has the fields 1 to 15', () => {
  const event = {
    ...{ policyId: 'p', action: 'update' as const, ruleType: 'block', ruleHash: HASH },
    ...{ ruleData: Uint8Array.from(BLOB), requiresAck: true, rollbackPolicyId: 'q' },
    ...{ timestamp: TS, effectiveHeight: 7, expirationHeight: 8, producerId: KEY, ...seal },
    ...{ commitProof: fill(5, 1) },
  };
  const golden = message(
    ...[text(1, 'p'), text(2, 'update'), text(3, 'block'), octets(4, BLOB), octets(5, HASH)],
    ...[int(6, true), text(7, 'q'), int(8, TS), int(9, 7), int(10, 8), octets(11, KEY)],
    ...[octets(12, SIGNATURE), octets(13, KEY), text(14, 'Ed25519'), octets(15, fill(5, 1))],
  );
  same(encodePolicyUpdate, event, golden);
  expect(decodePolicyUpdate(golden)).toEqual({ ok: true, value: event });
});

test('PolicyAckEvent has the fields 1 to 26', () => {
  const event = {
    ...{ policyId: 'f1', scopeIdentifier: 'f2', tenant: 'f3', region: 'f4' },
    ...{ result: 'applied' as const, reason: 'f6', errorCode: 'f7', appliedAt: 8, ackedAt: 9 },
    ...{ qcReference: 'f10', controllerInstance: 'f11', fastPath: true, ruleHash: HASH },
    ...{ producerId: KEY, appliedAtMs: 15, ackedAtMs: 16, traceId: 'f17', sourceEventId: 'f18' },
    ...{ sentinelEventId: 'f19', ackEventId: 'f20', requestId: 'f21', commandId: 'f22' },
    ...{ workflowId: 'f23', ...seal },
  };
  const golden = message(
    ...[1, 2, 3, 4].map((number) => text(number, `f${number}`)),
    ...[text(5, 'applied'), text(6, 'f6'), text(7, 'f7'), int(8, 8), int(9, 9), text(10, 'f10')],
    ...[text(11, 'f11'), int(12, true), octets(13, HASH), octets(14, KEY), int(15, 15)],
    ...[int(16, 16), ...[17, 18, 19, 20, 21, 22, 23].map((number) => text(number, `f${number}`))],
    ...[octets(24, SIGNATURE), octets(25, KEY), text(26, 'Ed25519')],
  );
  same(encodeAck, event, golden);
  expect(decodeAck(golden)).toEqual({ ok: true, value: event });
});

test('ReputationEvent has the fields 1 to 16, a negative score as ten bytes', () => {
  const event = {
    ...{ aiMessageId: 'm', aiProducerId: ROOT, messageType: 'anomaly', score: -100 },
    ...{ reason: 'r', confirmed: true, falsePositive: true, analystNotes: 'n' },
    ...{ incidentSeverity: 9, preventedAttack: true, timestamp: TS, blockHeight: 12 },
    ...{ producerId: KEY, ...seal },
  };
  const golden = message(
    ...[text(1, 'm'), octets(2, ROOT), text(3, 'anomaly'), int(4, -100), text(5, 'r')],
    ...[int(6, true), int(7, true), text(8, 'n'), int(9, 9), int(10, true), int(11, TS)],
    ...[int(12, 12), octets(13, KEY), octets(14, SIGNATURE), octets(15, KEY)],
    text(16, 'Ed25519'),
  );
  same(encodeReputation, event, golden);
  expect(decodeReputation(golden)).toEqual({ ok: true, value: event });
});

test('EvidenceRequestEvent has the fields 1 to 18', () => {
  const event = {
    ...{ requestId: 'r', anomalyId: 'a', evidenceId: 'e', requestType: 'challenge' as const },
    ...{ requestedTypes: ['x', 'y'], requestReason: 'f6', deadlineTs: 7, evidenceAccepted: true },
    ...{ rejectionReason: 'f9', evidenceQualityScore: 10, challengeReason: 'f11' },
    ...{ challengeData: Uint8Array.from(BLOB), timestamp: TS, blockHeight: 14 },
    ...{ producerId: KEY, ...seal },
  };
  const golden = message(
    ...[text(1, 'r'), text(2, 'a'), text(3, 'e'), text(4, 'challenge'), text(5, 'x')],
    ...[text(5, 'y'), text(6, 'f6'), int(7, 7), int(8, true), text(9, 'f9'), int(10, 10)],
    ...[text(11, 'f11'), octets(12, BLOB), int(13, TS), int(14, 14), octets(15, KEY)],
    ...[octets(16, SIGNATURE), octets(17, KEY), text(18, 'Ed25519')],
  );
  same(encodeEvidenceRequest, event, golden);
  expect(decodeEvidenceRequest(golden)).toEqual({ ok: true, value: event });
});

const SEED = fill(32, 0x42);
const PKCS8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), SEED]);
const privateKey = createPrivateKey({ key: PKCS8, format: 'der', type: 'pkcs8' });
const ours = keyPairFromSeed(SEED);

const eightBytes = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
};

test.each([
  ['anomaly', 'ai.anomaly.v1'],
  ['evidence', 'ai.evidence.v1'],
  ['policy', 'ai.policy.v1'],
] as const)('%s signs domain, ts, length, producer, nonce and content hash', (kind, domain) => {
  const golden = Buffer.concat([
    ...[Buffer.from(domain), eightBytes(TS), Buffer.from([0, 32]), KEY, NONCE, HASH],
  ]);
  const signed = { ts: TS, producerId: KEY, nonce: NONCE, contentHash: HASH };
  expect(Buffer.from(signingBytes(kind, signed))).toEqual(golden);
});

test('a custody entry signs domain, ref_hash, actor_id and ts', () => {
  const golden = Buffer.concat([Buffer.from('ai.custody.v1'), HASH, KEY, eightBytes(TS)]);
  const entry = { refHash: HASH, actorId: KEY, ts: TS };
  expect(Buffer.from(custodySigningBytes(entry))).toEqual(golden);
});

test('the nonce is timestamp, instance and counter, big-endian', () => {
  expect(Buffer.from(nonceOf(0x0123456789ab, 0xdeadbeef, 7)).toString('hex')).toBe(
    '00000123456789abdeadbeef00000007',
  );
});

test('the id is the v4-shaped SHA-256 of producer_id and content_hash', () => {
  const digest = createHash('sha256').update(KEY).update(HASH).digest();
  digest[6] = (digest[6]! % 16) + 0x40;
  digest[8] = (digest[8]! % 64) + 0x80;
  const id = messageId(KEY, HASH, crypto);
  expect(id.replaceAll('-', '')).toBe(digest.subarray(0, 16).toString('hex'));
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('a signed anomaly verifies against the layout with plain node:crypto', () => {
  const event = signAnomaly(
    {
      ...{ type: 't', source: 's', severity: 1, confidence: 1, ts: TS, modelVersion: 'm' },
      ...{ payload: Uint8Array.from(BLOB), nonce: NONCE },
    },
    ours,
    crypto,
  );
  const hash = createHash('sha256').update(BLOB).digest();
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const raw = spki.subarray(-32);
  const golden = Buffer.concat([
    ...[Buffer.from('ai.anomaly.v1'), eightBytes(TS), Buffer.from([0, 32]), raw, NONCE, hash],
  ]);
  expect(Buffer.from(event.signature)).toEqual(sign(null, golden, privateKey));
  expect(verify(null, golden, createPublicKey(privateKey), event.signature)).toBe(true);
});

test('a control message signs its domain and its bytes without the three fields', () => {
  const bare = message(
    ...[int(1, 5), octets(2, HASH), octets(3, ROOT), int(4, 1), int(5, 1), int(8, TS)],
    octets(9, ours.publicKey),
  );
  const ids = text(13, 'id-1');
  const toSign = Buffer.concat([Buffer.from('control.commits.v1'), Buffer.from([...bare, ...ids])]);
  const signature = sign(null, toSign, privateKey);
  const golden = Uint8Array.from([
    ...[...bare, ...octets(10, signature), ...octets(11, ours.publicKey), ...text(12, 'Ed25519')],
    ...ids,
  ]);
  const signed = signControl(
    'commit',
    {
      ...{ height: 5, blockHash: HASH, stateRoot: ROOT, txCount: 1, anomalyCount: 1 },
      ...{ evidenceCount: 0, policyCount: 0, timestamp: TS, producerId: ours.publicKey },
      anomalyIds: ['id-1'],
    },
    ours.sign,
  );
  expect(Buffer.from(signed).toString('hex')).toBe(Buffer.from(golden).toString('hex'));
  const cut = controlSigningBytes('commit', golden);
  expect(cut.ok && Buffer.from(cut.value)).toEqual(toSign);
});

test('domains are constants, topics are the names of the wire contract', () => {
  expect(CONTROL_DOMAINS).toEqual({
    commit: 'control.commits.v1',
    'policy-update': 'control.policy.v1',
    'policy-ack': 'control.policy.ack.v1',
    reputation: 'control.reputation.v1',
    'evidence-request': 'control.evidence.v1',
  });
  expect(Object.values(TOPICS)).toEqual([
    ...['ai.anomalies.v1', 'ai.evidence.v1', 'ai.policy.v1', 'control.commits.v1'],
    ...['control.policy.v1', 'control.reputation.v1', 'control.evidence.v1'],
    ...['control.policy.ack.v1', 'ai.dlq.v1'],
  ]);
});
