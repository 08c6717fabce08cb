import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Anomaly,
  believersNeeded,
  elapse,
  isTerminal,
  mayFollow,
  report,
  transition,
} from '#actors/feedback/lifecycle.ts';
import { type LifecycleState, STATES } from '#actors/feedback/protocol.ts';

const anomaly = (state: LifecycleState = 'PUBLISHED'): Anomaly => ({
  id: 'a',
  type: 'port_scan',
  source: 'detector',
  srcIp: '203.0.113.5',
  dstIp: '10.0.0.1',
  severity: 5,
  confidence: 0.9,
  detectedAtMs: 0,
  state,
  transitions: [{ state, atMs: 0, cause: 'test' }],
  admittedBy: [],
  rejectedBy: [],
  committedBy: [],
  height: 0,
});

test('one validator of four moves no state, two do', () => {
  const a = anomaly();
  expect(report(a, { kind: 'admitted', validator: 'v1' }, 4, 1)).toEqual([]);
  expect(report(a, { kind: 'admitted', validator: 'v1' }, 4, 2)).toEqual([]);
  expect(report(a, { kind: 'admitted', validator: 'v2' }, 4, 3)).toEqual(['ADMITTED']);
});

test('a commit that f+1 report implies the admission that was not heard of', () => {
  const a = anomaly();
  report(a, { kind: 'committed', validator: 'v1', height: 7 }, 4, 1);
  expect(report(a, { kind: 'committed', validator: 'v2', height: 7 }, 4, 2)).toEqual([
    'ADMITTED',
    'COMMITTED',
  ]);
  expect(a.height).toBe(7);
});

test('validators that name different heights do not add up', () => {
  const a = anomaly();
  report(a, { kind: 'committed', validator: 'v1', height: 7 }, 4, 1);
  expect(report(a, { kind: 'committed', validator: 'v2', height: 8 }, 4, 2)).toEqual([]);
  expect(a.state).toBe('PUBLISHED');
});

test('validators that name different reasons do not add up to a rejection', () => {
  const a = anomaly();
  report(a, { kind: 'rejected', validator: 'v1', reason: 'timestamp' }, 4, 1);
  expect(report(a, { kind: 'rejected', validator: 'v2', reason: 'replayed' }, 4, 2)).toEqual([]);
  expect(report(a, { kind: 'rejected', validator: 'v3', reason: 'replayed' }, 4, 3)).toEqual([
    'REJECTED',
  ]);
});

test('COMMITTED is final: neither a rejection nor time moves it', () => {
  const a = anomaly('COMMITTED');
  for (const validator of ['v1', 'v2', 'v3']) {
    report(a, { kind: 'rejected', validator, reason: 'x' }, 4, 1);
  }
  expect(elapse(a, { timeoutMs: 1, expiryMs: 2 }, 10)).toBeUndefined();
  expect(transition(a, 'REJECTED', 1, 'x')).toBe(false);
  expect(a.state).toBe('COMMITTED');
});

test('PUBLISHED times out after five minutes, ADMITTED waits on and expires after thirty days', () => {
  const deadlines = { timeoutMs: 300_000, expiryMs: 30 * 86_400_000 };
  const published = anomaly('PUBLISHED');
  expect(elapse(published, deadlines, 299_999)).toBeUndefined();
  expect(elapse(published, deadlines, 300_000)).toBe('TIMEOUT');
  const admitted = anomaly('ADMITTED');
  expect(elapse(admitted, deadlines, 300_000)).toBeUndefined();
  expect(elapse(admitted, deadlines, deadlines.expiryMs)).toBe('EXPIRED');
});

test('whatever is reported, in whatever order, an anomaly walks legal transitions only', () => {
  const validator = fc.constantFrom('v1', 'v2', 'v3', 'v4');
  const word = fc.oneof(
    fc.record({ kind: fc.constant('admitted' as const), validator }),
    fc.record({
      kind: fc.constant('rejected' as const),
      validator,
      reason: fc.constantFrom('a', 'b'),
    }),
    fc.record({
      kind: fc.constant('committed' as const),
      validator,
      height: fc.integer({ min: 1, max: 2 }),
    }),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 30 }), (words) => {
      const a = anomaly();
      for (const w of words) report(a, w, 4, 1);
      for (let k = 1; k < a.transitions.length; k++) {
        expect(mayFollow(a.transitions[k - 1]!.state, a.transitions[k]!.state)).toBe(true);
      }
    }),
    { verbose: 1 },
  );
});

test('every state is terminal or leads on, and f+1 of 4, 5, 7 is 2, 2, 3', () => {
  expect(STATES.filter(isTerminal)).toEqual(['COMMITTED', 'REJECTED', 'TIMEOUT', 'EXPIRED']);
  expect([4, 5, 7].map(believersNeeded)).toEqual([2, 2, 3]);
});
