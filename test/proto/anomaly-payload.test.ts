import { expect, test } from 'vitest';
import { encodeAnomalyPayload, parseAnomalyPayload } from '#proto/anomaly-payload.ts';
import { canonicalJsonBytes } from '#proto/json.ts';
import { payload } from '#test/kit/wire-messages.ts';

test('a payload reads back, and its bytes do not depend on the order of its fields', () => {
  const bytes = encodeAnomalyPayload(payload);
  expect(parseAnomalyPayload(bytes)).toEqual({ ok: true, value: payload });
  const reversed = Object.fromEntries(Object.entries(payload).reverse());
  expect(canonicalJsonBytes(reversed)).toEqual(bytes);
});

test('fields of a later version are ignored', () => {
  const bytes = canonicalJsonBytes({ ...payload, later: { deep: [1] } });
  expect(parseAnomalyPayload(bytes)).toEqual({ ok: true, value: payload });
});

test.each([
  ['type', 'worm'],
  ['severity', 0],
  ['severity', 1.5],
  ['confidence', 1.01],
  ['src_ip', '1.2.3'],
  ['spoofable', undefined],
  ['dst_ports', [70_000]],
  ['evidence_hash', 'abc'],
])('%s = %j is refused by its name', (field, value) => {
  const result = parseAnomalyPayload(canonicalJsonBytes({ ...payload, [field]: value }));
  expect(result).toMatchObject({ ok: false, error: expect.stringContaining(field) });
});
