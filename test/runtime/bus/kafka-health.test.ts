import { expect, test } from 'vitest';
import { faultOf, KafkaRefusal } from '#runtime/bus/kafka/faults.ts';
import { openHealth } from '#runtime/bus/kafka/health.ts';

const error = (fields: object, message = 'x'): Error => Object.assign(new Error(message), fields);

test('what is wrong is named with what to do, and whether waiting helps', () => {
  const cases: readonly (readonly [Error, boolean, RegExp])[] = [
    [error({ code: 'ECONNREFUSED', broker: 'b:1' }), false, /nothing listens at b:1/],
    [error({ code: 'ENOTFOUND', broker: 'b:1' }), false, /no address/],
    [error({ code: 'SELF_SIGNED_CERT_IN_CHAIN', broker: 'b:1' }), true, /not signed by/],
    [error({ code: 'CERT_HAS_EXPIRED', broker: 'b:1' }), true, /not valid today/],
    [error({ code: 'ERR_TLS_CERT_ALTNAME_INVALID', broker: 'b:1' }), true, /another name/],
    [error({ code: 'ERR_SSL_WRONG_VERSION_NUMBER', broker: 'b:1' }), true, /no TLS with b:1/],
    [error({ name: 'KafkaJSSASLAuthenticationError' }, 'SASL PLAIN failed'), true, /user or pass/],
    [error({ name: 'KafkaJSSASLAuthenticationError' }, 'Closed connection'), false, /closed/],
    [error({ type: 'TOPIC_AUTHORIZATION_FAILED' }), true, /lacks a right on it/],
    [error({ type: 'INVALID_REPLICATION_FACTOR' }), true, /fewer brokers/],
    [error({ type: 'NOT_LEADER_FOR_PARTITION' }, 'moved'), false, /moved \(NOT_LEADER/],
    [error({}, 'Connection timeout'), false, /does not answer/],
  ];
  for (const [fault, permanent, reason] of cases) {
    expect(faultOf(fault)).toMatchObject({ permanent, reason: expect.stringMatching(reason) });
    expect(faultOf(fault).remedy).not.toBe('');
  }
});

test('the innermost of wrapped errors counts, and a refusal of ours is itself', () => {
  const inner = error({ code: 'ECONNREFUSED', broker: 'b:1' });
  expect(faultOf(new Error('retries', { cause: new Error('more', { cause: inner }) }))).toEqual(
    faultOf(inner),
  );
  const fault = { permanent: true, reason: 'r', remedy: 'do' };
  expect(faultOf(new KafkaRefusal(fault))).toBe(fault);
});

test('trouble is told once when it lasts a second, its end once, and what passes at once never', () => {
  let nowMs = 0;
  const said: string[] = [];
  const health = openHealth(
    (level, text) => void said.push(`${level} ${text}`),
    () => nowMs,
  );
  const refused = error({ code: 'ECONNREFUSED', broker: 'b:1' });
  health.failed('a', refused);
  health.worked('a');
  expect(said).toEqual([]);
  for (nowMs = 0; nowMs < 60_000; nowMs += 500) health.failed('a', refused);
  expect(said).toEqual(['error the bus waits for a: nothing listens at b:1 (ECONNREFUSED)']);
  health.worked('a');
  health.worked('a');
  expect(said.slice(1)).toEqual(['info a works again']);
});

test('at the start, and where waiting does not help, it is told at once; another reason after ten seconds', () => {
  let nowMs = 0;
  const said: string[] = [];
  const health = openHealth(
    (_, text) => void said.push(text),
    () => nowMs,
  );
  health.failed('a', error({ code: 'ECONNREFUSED' }), true);
  health.failed('b', error({ code: 'CERT_HAS_EXPIRED' }));
  expect(said).toHaveLength(2);
  health.failed('a', error({ type: 'LEADER_NOT_AVAILABLE' }));
  expect(said).toHaveLength(2);
  nowMs = 10_000;
  health.failed('a', error({ type: 'LEADER_NOT_AVAILABLE' }));
  expect(said).toHaveLength(3);
});
