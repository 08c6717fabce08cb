import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crypto } from '#native/crypto.ts';
import {
  CONTROL_CHECKS,
  type ControlCheck,
  controlVerifier,
  verifyControl,
} from '#proto/wire/control.ts';
import { CONTROL_WIRES } from '#proto/wire/control-signature.ts';
import type { WireErrorCode } from '#proto/wire/errors.ts';
import { CONTROL_DOMAINS, type ControlKind, WIRE_LIMITS } from '#proto/wire/topics.ts';
import { controlMessage } from '#test/kit/control-messages.ts';
import { int, text } from '#test/kit/protobuf-writer.ts';
import { KEYS, roleOf } from '#test/kit/wire-messages.ts';

const KINDS = Object.keys(CONTROL_DOMAINS) as ControlKind[];
const context = { crypto, roleOf };

const outcome = (
  kind: ControlKind,
  bytes: Uint8Array,
  checks: readonly ControlCheck[] = CONTROL_CHECKS,
): string => {
  const result = controlVerifier(checks)(kind, bytes, context);
  return result.ok ? 'accepted' : result.error.code;
};

test.each(KINDS)('a good %s of its sender is accepted', (kind) => {
  const result = verifyControl(kind, controlMessage(kind), context);
  expect(result.ok).toBe(true);
});

test.each(KINDS)('a %s by a key without the role is refused', (kind) => {
  expect(outcome(kind, controlMessage(kind, {}, KEYS.stranger))).toBe('unknown-producer');
  expect(outcome(kind, controlMessage(kind, {}, KEYS.detector))).toBe('unknown-producer');
});

test('a signature for one kind of message does not serve another', () => {
  const bytes = controlMessage('reputation');
  const claim = CONTROL_WIRES.reputation.wire.parse(bytes).message;
  expect(outcome('evidence-request', bytes)).not.toBe('accepted');
  expect(claim.alg).toBe('Ed25519');
});

test('fields of a later version are signed like the others', () => {
  const bytes = controlMessage('commit');
  const extended = Uint8Array.from([...bytes, ...int(40, 1)]);
  expect(outcome('commit', extended)).toBe('bad-signature');
});

const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.map((byte, i) => (i === at ? byte ^ 0x01 : byte));

test('no single flipped bit of a control message is accepted', () => {
  for (const kind of KINDS) {
    const bytes = controlMessage(kind);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), (at) => {
        expect(outcome(kind, flipped(bytes, at))).not.toBe('accepted');
      }),
      { seed: 20_260_101, numRuns: 60 },
    );
  }
});

type Scenario = {
  readonly check: string;
  readonly code: WireErrorCode;
  readonly kind: ControlKind;
  readonly bytes: () => Uint8Array;
};

const SCENARIOS: readonly Scenario[] = [
  {
    ...{ check: 'size', code: 'too-large', kind: 'policy-update' },
    bytes: () =>
      controlMessage('policy-update', { commitProof: new Uint8Array(WIRE_LIMITS.messageBytes) }),
  },
  {
    ...{ check: 'parse', code: 'malformed', kind: 'commit' },
    bytes: () => Uint8Array.from([...controlMessage('commit'), ...text(12, 'Ed25519')]),
  },
  {
    ...{ check: 'structure', code: 'bad-structure', kind: 'policy-ack' },
    bytes: () => controlMessage('policy-ack', { ackEventId: '' }),
  },
  {
    ...{ check: 'limits', code: 'too-large', kind: 'evidence-request' },
    bytes: () =>
      controlMessage('evidence-request', {
        challengeData: new Uint8Array(WIRE_LIMITS.proofBlobBytes + 1),
      }),
  },
  {
    ...{ check: 'producer-key', code: 'producer-mismatch', kind: 'commit' },
    bytes: () => {
      const { wire } = CONTROL_WIRES.commit;
      const signed = controlMessage(
        'commit',
        { producerId: KEYS.validator.publicKey },
        KEYS.stranger,
      );
      return wire.encode({ ...wire.parse(signed).message, pubkey: KEYS.stranger.publicKey });
    },
  },
  {
    ...{ check: 'signature', code: 'bad-signature', kind: 'reputation' },
    bytes: () => {
      const { wire } = CONTROL_WIRES.reputation;
      return wire.encode({ ...wire.parse(controlMessage('reputation')).message, score: 100 });
    },
  },
  {
    ...{ check: 'producer', code: 'unknown-producer', kind: 'policy-ack' },
    bytes: () => controlMessage('policy-ack', {}, KEYS.validator),
  },
  {
    ...{ check: 'content-hash', code: 'content-hash', kind: 'policy-update' },
    bytes: () => controlMessage('policy-update', { ruleHash: new Uint8Array(32).fill(1) }),
  },
];

test.each(SCENARIOS)('$check: a $kind with that fault is refused as $code', (scenario) => {
  expect(outcome(scenario.kind, scenario.bytes())).toBe(scenario.code);
});

test.each(SCENARIOS)('a mutant without "$check" accepts it', (scenario) => {
  const rest = CONTROL_CHECKS.filter((check) => check.name !== scenario.check);
  const got = outcome(scenario.kind, scenario.bytes(), rest);
  // Without `parse` the signature's own scan still refuses a repeated field: two walls.
  expect(got).toBe(scenario.check === 'parse' ? 'bad-signature' : 'accepted');
});

test('every control check has a scenario', () => {
  expect(SCENARIOS.map((scenario) => scenario.check)).toEqual(CONTROL_CHECKS.map((c) => c.name));
});
