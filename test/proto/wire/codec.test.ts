import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AI_WIRES } from '#proto/wire/ai-message.ts';
import { decodeAnomaly, encodeAnomaly } from '#proto/wire/anomaly.ts';
import { decodeMessage, type WireType } from '#proto/wire/codec.ts';
import { CONTROL_WIRES, controlSigningBytes } from '#proto/wire/control-signature.ts';
import { encodeEvidence } from '#proto/wire/evidence.ts';
import { scanFields } from '#proto/wire/fields.ts';
import { CONTROL_DOMAINS, type ControlKind, TOPICS } from '#proto/wire/topics.ts';
import { verify } from '#proto/wire/verification.ts';
import { controlMessage } from '#test/kit/control-messages.ts';
import { int, octets, text } from '#test/kit/protobuf-writer.ts';
import { anomaly, contextOf, evidence } from '#test/kit/wire-messages.ts';

const SEED = 20_260_202;
const KINDS = Object.keys(CONTROL_DOMAINS) as ControlKind[];
/** Erases the message type, so that all can be driven alike. */
const reader =
  <T extends object>(type: WireType<T>) =>
  (bytes: Uint8Array): boolean =>
    decodeMessage(type, bytes).ok;

const READERS = [
  ...[reader(AI_WIRES.anomaly), reader(AI_WIRES.evidence), reader(AI_WIRES.policy)],
  ...[reader(CONTROL_WIRES.commit.wire), reader(CONTROL_WIRES['policy-update'].wire)],
  ...[reader(CONTROL_WIRES['policy-ack'].wire), reader(CONTROL_WIRES.reputation.wire)],
  reader(CONTROL_WIRES['evidence-request'].wire),
];

test('no bytes make a decoder throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      for (const read of READERS) expect(typeof read(bytes)).toBe('boolean');
      for (const kind of KINDS) controlSigningBytes(kind, bytes);
      for (const topic of Object.values(TOPICS)) verify(topic, bytes, contextOf());
    }),
    { seed: SEED, numRuns: 300 },
  );
});

test('no mutilation of a good message makes a decoder throw', () => {
  const good = [encodeAnomaly(anomaly()), encodeEvidence(evidence())];
  const at = fc.double({ min: 0, max: 0.999, noNaN: true });
  fc.assert(
    fc.property(fc.constantFrom(...good), at, fc.nat(255), (bytes, where, byte) => {
      const broken = bytes.slice();
      broken[Math.floor(where * broken.length)] = byte;
      for (const read of READERS) read(broken);
      verify(TOPICS.anomalies, broken, contextOf());
      verify(TOPICS.evidence, broken, contextOf());
    }),
    { seed: SEED, numRuns: 300 },
  );
});

test('every truncation of a good message is refused', () => {
  const bytes = encodeAnomaly(anomaly());
  for (let length = 0; length < bytes.length; length += 1) {
    expect(decodeAnomaly(bytes.subarray(0, length)).ok).toBe(false);
  }
});

test('a Buffer, a view into larger memory and a plain array of octets read alike', () => {
  const bytes = encodeAnomaly(anomaly());
  const larger = new Uint8Array(bytes.length + 20);
  larger.set(bytes, 11);
  const expected = { ok: true, value: anomaly() };
  expect(decodeAnomaly(Buffer.from(bytes))).toEqual(expected);
  expect(decodeAnomaly(larger.subarray(11, 11 + bytes.length))).toEqual(expected);
});

test('an int64 beyond 2^53 is malformed, 2^53 - 1 is not', () => {
  const { ts: _, ...rest } = anomaly();
  const withTs = (ts: bigint): Uint8Array => {
    const head = encodeAnomaly({ ...rest, ts: 0 });
    const scan = scanFields(head);
    const before = scan.fields.find((field) => field.number > 6)!.start;
    return Uint8Array.from([...head.subarray(0, before), ...int(6, ts), ...head.subarray(before)]);
  };
  const safe = decodeAnomaly(withTs(2n ** 53n - 1n));
  expect(safe).toMatchObject({ ok: true, value: { ts: Number.MAX_SAFE_INTEGER } });
  for (const ts of [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n]) {
    expect(decodeAnomaly(withTs(ts))).toMatchObject({ ok: false, error: { code: 'malformed' } });
  }
  const negative = decodeAnomaly(withTs(-1n));
  expect(negative).toMatchObject({ ok: false, error: { code: 'bad-structure' } });
});

test('text that is not UTF-8 is malformed', () => {
  const bytes = Uint8Array.from(octets(1, [0xff, 0xfe]));
  expect(decodeAnomaly(bytes)).toMatchObject({ ok: false, error: { code: 'malformed' } });
});

test('a custody entry with a field twice is malformed', () => {
  const bytes = encodeEvidence(evidence());
  const field = scanFields(bytes).fields.find((one) => one.number === 5)!;
  const entry = bytes.subarray(field.valueStart, field.end);
  const twice = octets(5, [...entry, ...octets(4, new Uint8Array(64))]);
  const broken = Uint8Array.from([
    ...bytes.subarray(0, field.start),
    ...twice,
    ...bytes.subarray(field.end),
  ]);
  const result = verify(TOPICS.evidence, broken, contextOf());
  expect(result).toMatchObject({ ok: false, error: { code: 'malformed' } });
});

test.each(KINDS)('the signed bytes of a %s refuse fields twice or descending', (kind) => {
  const bytes = controlMessage(kind);
  expect(controlSigningBytes(kind, bytes).ok).toBe(true);
  const first = scanFields(bytes).fields[0]!;
  const head = bytes.subarray(first.start, first.end);
  const twice = Uint8Array.from([...head, ...bytes]);
  const descending = Uint8Array.from([...bytes, ...text(7, 'late')]);
  for (const broken of [twice, descending]) {
    const result = controlSigningBytes(kind, broken);
    expect(result).toMatchObject({ ok: false, error: { code: 'malformed' } });
  }
});

test('the scanner finds fields of every wire type and says where bytes break off', () => {
  const bytes = Uint8Array.from([...int(1, 300), 0x15, 1, 2, 3, 4, ...text(3, 'ab')]);
  const scan = scanFields(bytes);
  expect(scan.problem).toBeUndefined();
  expect(scan.fields.map((field) => [field.number, field.wireType, field.end])).toEqual([
    [1, 0, 3],
    [2, 5, 8],
    [3, 2, 12],
  ]);
  expect(scanFields(bytes.subarray(0, 11))).toMatchObject({ end: 8, problem: expect.anything() });
  expect(scanFields(Uint8Array.of(0x0b)).problem).toBe('field 1 has wire type 3');
  expect(scanFields(Uint8Array.of(0x00, 0x00)).problem).toBe('no field has number 0');
});
