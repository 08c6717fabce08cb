import fc from 'fast-check';
import { expect, test } from 'vitest';
import { committeeOf } from '#proto/consensus/committee.ts';
import { eligibleLeaders, leaderOf } from '#proto/consensus/leader.ts';
import { faultyMax, quorum, someHonest } from '#proto/consensus/quorum.ts';
import { simulatedCrypto, simulatedKey } from '#test/kit/simulator/signatures.ts';

test('the quorums of 4..10 validators are 3, 4, 5, 5, 6, 7, 7', () => {
  expect([4, 5, 6, 7, 8, 9, 10].map(quorum)).toEqual([3, 4, 5, 5, 6, 7, 7]);
});

test('two quorums share an honest validator, and the honest ones are a quorum', () => {
  for (let n = 1; n <= 100; n += 1) {
    const q = quorum(n);
    const f = faultyMax(n);
    expect(f).toBe(Math.floor((n - 1) / 3));
    expect(2 * q - n).toBeGreaterThanOrEqual(f + 1);
    expect(q).toBeLessThanOrEqual(n - f);
    expect(someHonest(n)).toBe(f + 1);
  }
});

test('the same holds for voting power of any size', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000_000_000 }), (total) => {
      const q = quorum(total);
      const f = total - q;
      expect(2 * q - total).toBeGreaterThanOrEqual(f + 1);
      expect(3 * f).toBeLessThan(total);
    }),
  );
});

const committee = committeeOf(
  'test',
  0,
  [0, 1, 2, 3].map((index) => ({
    name: `v${index + 1}`,
    publicKey: simulatedKey(index).publicKey,
    weight: 1,
  })),
  simulatedCrypto,
);

test('leaders take turns in the order of their ids, view % count', () => {
  const ids = committee.validators.map((validator) => validator.id);
  expect(ids).toEqual([...ids].sort());
  for (let view = 0; view < 12; view += 1) {
    expect(leaderOf(committee, view)).toBe(ids[view % 4]);
  }
});

test('reputation bars from leading, but never so many that no honest one is left', () => {
  const [first, second, third] = committee.eligible;
  const barred = (...ids: (string | undefined)[]) =>
    eligibleLeaders(committee, (id) => (ids.includes(id) ? 0 : 10), 5);
  expect(barred(first)).toEqual(committee.eligible.slice(1));
  expect(barred(first, second)).toHaveLength(2);
  expect(barred(first, second, third)).toEqual(committee.eligible);
});

test('a committee with a key twice, or without members, cannot be made', () => {
  const member = { name: 'v1', publicKey: simulatedKey(0).publicKey, weight: 1 };
  expect(() => committeeOf('test', 0, [member, member], simulatedCrypto)).toThrow('twice');
  expect(() => committeeOf('test', 0, [], simulatedCrypto)).toThrow('1..100');
});
