import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { crypto, keyPairFromSeed, readPrivateKey } from '#native/crypto.ts';
import { equal, hex, utf8 } from '#proto/bytes.ts';
import { decodeCommitProof, encodeCommitProof } from '#proto/commit-proof.ts';
import type { KeyPair } from '#proto/crypto.ts';
import { decodeAck } from '#proto/wire/ack.ts';
import { type AnomalyEvent, encodeAnomaly } from '#proto/wire/anomaly.ts';
import { decodeControl, signControl, type UnsignedControl } from '#proto/wire/control.ts';
import { encodePolicyEvent } from '#proto/wire/policy-event.ts';
import type { PolicyUpdateEvent } from '#proto/wire/policy-update.ts';
import { DLQ_HEADERS, TOPICS } from '#proto/wire/topics.ts';
import { fatesOf, idOf, topicOf } from '#test/kit/fates.ts';
import { type LocalNode, sourceSet, startLocal } from '#test/kit/local-node.ts';
import { anomalyOf, policyOf, type Stamp } from '#test/kit/messages.ts';
import { claim, honest } from '#test/kit/proof-forgeries.ts';
import { until } from '#test/kit/system.ts';
import { VALIDATORS } from '#test/kit/validators.ts';

const PATIENCE_MS = 60_000;
const STALE_MS = 600_000;
const dataDir = mkdtempSync(path.join(tmpdir(), 'cybermesh-hostile-'));
const intruder = new URL('./fixtures/intruder.ts', import.meta.url);
let node: LocalNode;

beforeAll(async () => {
  const extra = [{ name: 'intruder', module: intruder }];
  node = await startLocal(dataDir, sourceSet('none'), extra);
}, 120_000);
afterAll(async () => {
  await node?.system.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const keyOf = (name: string): KeyPair => readPrivateKey(path.join(dataDir, 'keys', `${name}.pem`));
const stranger = keyPairFromSeed(new Uint8Array(32).fill(99));

let parcels = 0;
/** Puts bytes on the bus, in the order of the calls for each key; resolves with what the bus said. */
const publish = async (topic: string, value: Uint8Array, key = 'intruder'): Promise<string> => {
  const name = `${String(parcels++).padStart(6, '0')}.json`;
  const file = path.join(dataDir, 'intruder', name);
  writeFileSync(`${file}.part`, JSON.stringify({ topic, key, hex: hex(value) }));
  renameSync(`${file}.part`, file);
  const answer = `${file}.outcome`;
  const read = (): string | undefined => readFileSync(answer, 'utf8') || undefined;
  return until(() => existsSync(answer) && read(), PATIENCE_MS, 20);
};

let counter = 0;
const detected = (key: KeyPair, tsMs = Date.now(), over: object = {}): AnomalyEvent => {
  counter += 1;
  const source = { src_ip: `198.51.100.${counter}`, flows: counter };
  return anomalyOf({ ...source, ...over }, { key, tsMs, counter });
};

/** Which code each validator gave these bytes, where it put them into the dead letters. */
const codesOf = (bytes: Uint8Array): readonly string[] =>
  topicOf(dataDir, TOPICS.dlq)
    .filter(({ value }) => equal(value, bytes))
    .map(({ headers }) => headers[DLQ_HEADERS.code] ?? '');

const hostile = (detector: KeyPair): { readonly [code: string]: Uint8Array } => {
  const forged = detected(detector);
  const altered = detected(detector);
  const other = detected(detector);
  const first = detected(detector);
  return {
    'bad-signature': encodeAnomaly({ ...forged, signature: detected(stranger).signature }),
    'unknown-producer': encodeAnomaly(detected(stranger)),
    timestamp: encodeAnomaly(detected(detector, Date.now() - STALE_MS)),
    'envelope-mismatch': encodeAnomaly({ ...altered, severity: 10 }),
    'content-hash': encodeAnomaly({ ...other, payload: first.payload }),
    malformed: Uint8Array.from([255, 255, 255, 1]),
    'too-large': new Uint8Array((1 << 20) + 1),
  };
};

test('of what is published to the detectors’ topic the good is committed, and each kind of bad ends in the dead letters with its code', {
  timeout: 3 * PATIENCE_MS,
}, async () => {
  const detector = keyOf('detector');
  const good = [detected(detector), detected(detector), detected(detector)];
  const goodBytes = good.map(encodeAnomaly);
  const bad = hostile(detector);
  // Used again with another content, and with the same one at another place.
  const tsMs = Date.now();
  const [one, two] = [1, 2].map((flows) =>
    anomalyOf({ src_ip: '198.51.100.200', flows }, { key: detector, tsMs, counter: 1000 }),
  );
  const conflicting = encodeAnomaly(two!);
  expect(await publish(TOPICS.anomalies, goodBytes[0]!)).toBe('ok');
  expect(await publish(TOPICS.anomalies, encodeAnomaly(one!))).toBe('ok');
  for (const bytes of [...Object.values(bad), conflicting, goodBytes[0]!]) {
    expect(await publish(TOPICS.anomalies, bytes)).toBe('ok');
  }
  for (const bytes of goodBytes.slice(1)) {
    expect(await publish(TOPICS.anomalies, bytes)).toBe('ok');
  }
  const wanted = { ...bad, 'nonce-conflict': conflicting, replayed: goodBytes[0]! };
  const seen = (): object =>
    Object.fromEntries(Object.entries(wanted).map(([code, bytes]) => [code, codesOf(bytes)]));
  await until(
    () => Object.values(wanted).every((bytes) => codesOf(bytes).length >= VALIDATORS.length),
    PATIENCE_MS,
    100,
  ).catch(() => undefined);
  const everyone = (code: string): string[] => VALIDATORS.map(() => code);
  expect(seen()).toEqual(
    Object.fromEntries(Object.keys(wanted).map((code) => [code, everyone(code)])),
  );
  const ids = [...goodBytes, encodeAnomaly(one!)].map((bytes) => idOf(bytes)!).toSorted();
  await until(() => fatesOf(dataDir).committed.length >= ids.length, PATIENCE_MS, 100);
  expect(fatesOf(dataDir).committed.toSorted()).toEqual(ids);
});

test('a message beyond what the bus carries is refused by the bus', async () => {
  expect(await publish(TOPICS.anomalies, new Uint8Array(2 << 20))).toBe('too-large');
});

const updatesOf = (policyId: string, action: string): readonly PolicyUpdateEvent[] =>
  topicOf(dataDir, TOPICS.policyUpdates).flatMap(({ value }) => {
    const event = decodeControl('policy-update', value);
    return event.ok && event.value.policyId === policyId && event.value.action === action
      ? [event.value]
      : [];
  });

/** Every answer of the enforcer to a policy, oldest first: `applied`, or the code of the refusal. */
const answersTo = (policyId: string): readonly string[] =>
  topicOf(dataDir, TOPICS.policyAcks).flatMap(({ value }) => {
    const ack = decodeAck(value);
    if (!ack.ok || ack.value.policyId !== policyId) return [];
    return [ack.value.result === 'applied' ? 'applied' : ack.value.errorCode];
  });

const resigned = (
  event: PolicyUpdateEvent,
  changes: Partial<UnsignedControl<'policy-update'>>,
  key: KeyPair,
): Uint8Array => {
  const { signature: _s, pubkey: _p, alg: _a, ...body } = event;
  return signControl(
    'policy-update',
    { ...body, producerId: key.publicKey, ...changes } as UnsignedControl<'policy-update'>,
    key.sign,
  );
};

const committedPolicy = async (
  policyId: string,
  action: 'drop' | 'remove',
): Promise<PolicyUpdateEvent> => {
  counter += 1;
  const target = { ips: ['198.51.100.77'] };
  const stamp = { key: keyOf('operator'), tsMs: Date.now(), counter };
  const event = policyOf({ policy_id: policyId, action, target }, stamp);
  expect(await publish(TOPICS.policy, encodePolicyEvent(event))).toBe('ok');
  const wanted = action === 'drop' ? 'add' : 'remove';
  return until(() => updatesOf(policyId, wanted)[0], PATIENCE_MS, 100);
};

test('a policy with a broken, a foreign or an old proof, or of a stranger, is refused with its code, and good ones are applied', {
  timeout: 4 * PATIENCE_MS,
}, async () => {
  const v1 = keyOf('v1');
  const added = await committedPolicy('policy-a', 'drop');
  await until(() => answersTo('policy-a').includes('applied'), PATIENCE_MS, 100);

  const proof = decodeCommitProof(added.commitProof);
  if (!proof.ok) throw new Error(proof.error);
  const broken = encodeCommitProof({ ...proof.value, value: utf8('another value') });
  const send = (changes: Partial<UnsignedControl<'policy-update'>>, key = v1) => {
    const policyId = changes.policyId ?? added.policyId;
    return publish(TOPICS.policyUpdates, resigned(added, changes, key), policyId);
  };
  await send({ policyId: 'policy-broken', commitProof: broken });
  await send({ policyId: 'policy-another' });
  await send({ policyId: 'policy-stranger' }, stranger);
  const { ruleData } = claim;
  const ruleHash = crypto.sha256(ruleData);
  await send({ policyId: 'policy-1', ruleData, ruleHash, commitProof: honest.bytes });

  // What was true once: the first update again, after the removal, as somebody has kept it.
  await committedPolicy('policy-a', 'remove');
  await send({});
  await committedPolicy('policy-b', 'drop');
  const expected = {
    'policy-broken': ['proof-merkle'],
    'policy-another': ['proof-policy-key'],
    'policy-stranger': ['unknown-producer'],
    'policy-1': ['proof-chain'],
    // In force, removed, and the old word again.
    'policy-a': ['applied', 'applied', 'proof-old'],
    'policy-b': ['applied'],
  };
  const answers = (): object =>
    Object.fromEntries(Object.keys(expected).map((id) => [id, answersTo(id)]));
  const isSettled = (): boolean => JSON.stringify(answers()) === JSON.stringify(expected);
  await until(isSettled, PATIENCE_MS, 200).catch(() => undefined);
  expect(answers()).toEqual(expected);
});

test('a policy is removed by the fresh word of an operator and by nothing else, and by no name of another', {
  timeout: 4 * PATIENCE_MS,
}, async () => {
  await committedPolicy('policy-c', 'drop');
  await until(() => answersTo('policy-c').includes('applied'), PATIENCE_MS, 100);
  const removalBy = (
    key: KeyPair,
    over: { readonly policy_id?: string } = {},
    stamp: Stamp = {},
  ) => {
    counter += 1;
    const target = { ips: ['198.51.100.77'] };
    const rule = { policy_id: 'policy-c', action: 'remove', target, ...over } as const;
    // Content of its own: else the later ones would be known.
    const audit = { evidence_refs: [`request-${counter}`] };
    return encodePolicyEvent(
      policyOf({ ...rule, audit }, { key, tsMs: Date.now(), counter, ...stamp }),
    );
  };
  const operator = keyOf('operator');
  const signed = removalBy(operator);
  const altered = Uint8Array.from(signed);
  const at = Buffer.from(signed).indexOf('policy-c');
  altered[at + 'policy-'.length] = 'a'.charCodeAt(0);
  const wrong: { readonly [code: string]: Uint8Array } = {
    'unknown-producer': removalBy(keyOf('detector')),
    timestamp: removalBy(operator, {}, { tsMs: Date.now() - STALE_MS }),
    'content-hash': altered,
    'no-such-policy': removalBy(operator, { policy_id: 'policy-of-nobody' }),
  };
  const strange = removalBy(stranger);
  for (const bytes of [...Object.values(wrong), strange]) {
    expect(await publish(TOPICS.policy, bytes)).toBe('ok');
  }
  const codes = (): object =>
    Object.fromEntries(Object.entries(wrong).map(([code, bytes]) => [code, codesOf(bytes)[0]]));
  const isRefused = () => Object.values(wrong).every((bytes) => codesOf(bytes).length > 0);
  await until(isRefused, PATIENCE_MS, 100).catch(() => undefined);
  expect(codes()).toEqual(Object.fromEntries(Object.keys(wrong).map((code) => [code, code])));
  expect(codesOf(strange)[0]).toBe('unknown-producer');
  expect(updatesOf('policy-c', 'remove')).toEqual([]);
  expect(answersTo('policy-c')).toEqual(['applied']);

  expect(await publish(TOPICS.policy, signed)).toBe('ok');
  await until(() => answersTo('policy-c').length === 2, PATIENCE_MS, 100);
  // The same bytes elsewhere are a replay.
  expect(await publish(TOPICS.policy, signed)).toBe('ok');
  await until(() => codesOf(signed).length > 0, PATIENCE_MS, 100);
  expect(codesOf(signed)[0]).toBe('replayed');
  expect(answersTo('policy-c')).toEqual(['applied', 'applied']);
});
