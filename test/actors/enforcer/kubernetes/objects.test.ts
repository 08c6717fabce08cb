/** What a network plugin makes of our objects is what the policies say, for every address. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bodiesOf, openBody } from '#actors/enforcer/backends/kubernetes/objects.ts';
import { piecesOf } from '#actors/enforcer/backends/kubernetes/pieces.ts';
import { canMeet, type Selector } from '#actors/enforcer/backends/kubernetes/selectors.ts';
import { shardsOf, weightOfAll } from '#actors/enforcer/backends/kubernetes/shards.ts';
import { type Seen, stepsOf } from '#actors/enforcer/backends/kubernetes/steps.ts';
import { passes, selects } from '#test/kit/kubernetes/semantics.ts';
import { validated } from '#test/kit/kubernetes/validation.ts';
import { claimsFor, flow, isDenied, isFailsafe, POD, SITE, target } from './wishes.ts';

const DIRECTIONS = ['in', 'out'] as const;
const groupFor = (direction: 'in' | 'out') => ({ namespace: 'web', direction });
const bodiesAll = (targets: Parameters<typeof claimsFor>[0], weightMax?: number) => {
  const claims = claimsFor(targets);
  return DIRECTIONS.flatMap((direction) => {
    const own = claims.filter((claim) => claim.direction === direction);
    return bodiesOf(SITE, groupFor(direction), own, 1_000_000, weightMax);
  });
};
const few = fc.array(flow, { minLength: 1, maxLength: 12 });
const flows = fc.array(flow, { minLength: 1, maxLength: 40 });
const targets = fc.array(target, { maxLength: 12 });

for (const weightMax of [1000, 12]) {
  test(`a flow passes exactly when no policy denies it, or it goes to a failsafe port (at most ${weightMax} exceptions an object)`, () => {
    fc.assert(
      fc.property(targets, flows, (policies, tried) => {
        const objects = bodiesAll(policies, weightMax);
        for (const one of tried) {
          const expected = !isDenied(policies, one) || isFailsafe(one);
          expect(passes(objects, one), JSON.stringify(one)).toBe(expected);
        }
      }),
      { numRuns: 300 },
    );
  });
}

test('whatever is denied, pods of the cluster reach each other as before', () => {
  fc.assert(
    fc.property(targets, fc.constantFrom(...DIRECTIONS), (policies, direction) => {
      const other = { namespace: 'elsewhere', labels: { app: 'db' } };
      const one = { pod: POD, direction, peer: other, protocol: 'TCP', port: 5432 };
      expect(passes(bodiesAll(policies, 12), one)).toBe(true);
    }),
  );
});

test('the API server accepts every object, and reads back what it was given', () => {
  fc.assert(
    fc.property(targets, (policies) => {
      for (const body of bodiesAll(policies, 12)) {
        const found = validated(body);
        if (!('policy' in found)) throw new Error(found.message);
        expect(found.policy.spec).toEqual(body.spec);
      }
    }),
  );
});

test('the number of objects is bounded by the number of exceptions, wherever the addresses lie', () => {
  const clustered = Array.from({ length: 20_000 }, (_, k) => {
    const high = k % 3 === 0 ? 10 : 172;
    return { ips: [`${high}.${(k >> 14) & 3}.${(k >> 7) & 127}.${(k & 127) * 2}`] };
  });
  for (const weightMax of [50, 1000]) {
    const pieces = piecesOf(claimsFor(clustered), 4);
    const weight = weightOfAll(pieces);
    const shards = shardsOf(4, pieces, weightMax);
    expect(weight).toBeGreaterThan(10_000);
    expect(shards.length).toBeLessThanOrEqual((2 * weight) / (weightMax - 2) + 1);
    for (const { pieces: own, carved } of shards) {
      expect(weightOfAll(own) + carved.length).toBeLessThanOrEqual(weightMax);
    }
  }
});

type Body = ReturnType<typeof bodiesOf>[number];
const seenOf = ({ metadata, spec }: Body): Seen => ({
  ...metadata,
  uid: metadata.name,
  resourceVersion: '1',
  spec,
  managers: [],
});

test('after each single write what is open before and after stays open, and what is denied stays denied', () => {
  let several = 0;
  fc.assert(
    fc.property(fc.array(targets, { minLength: 1, maxLength: 3 }), few, (history, tried) => {
      for (const direction of DIRECTIONS) {
        const group = groupFor(direction);
        let standing: readonly Body[] = [];
        for (const policies of [...history, []]) {
          const own = claimsFor(policies).filter((claim) => claim.direction === direction);
          const next = bodiesOf(SITE, group, own, 1, 6);
          const open = openBody(SITE, group);
          const steps = stepsOf(next, standing.map(seenOf), open);
          const isOpened = steps.some((one) => one.kind === 'apply' && one.body === open);
          several += isOpened ? 1 : 0;
          const at = tried.filter((one) => one.direction === direction);
          const before = at.map((one) => passes(standing, one));
          const after = at.map((one) => passes(next, one));
          for (const step of steps) {
            const name = step.kind === 'apply' ? step.body.metadata.name : step.seen.name;
            const rest = standing.filter((one) => one.metadata.name !== name);
            standing = step.kind === 'apply' ? [...rest, step.body] : rest;
            for (const [k, one] of at.entries()) {
              if (before[k] && after[k])
                expect(passes(standing, one), JSON.stringify(one)).toBe(true);
              if (isOpened || before[k] || after[k]) continue;
              expect(passes(standing, one), JSON.stringify(one)).toBe(false);
            }
          }
          // Taking away a base that was only just made waits for the next reading.
          if (next.length === 0) standing = [];
          expect(standing.map((one) => one.metadata.name).sort()).toEqual(
            next.map((one) => one.metadata.name).sort(),
          );
        }
      }
    }),
    { numRuns: 100 },
  );
  expect(several).toBeGreaterThan(10);
});

const values = fc.constantFrom('a', 'b', 'c');
const key = fc.constantFrom('app', 'tier');
const selector: fc.Arbitrary<Selector> = fc.record({
  matchLabels: fc.dictionary(key, values, { maxKeys: 2 }),
  matchExpressions: fc.array(
    fc.record({
      key,
      operator: fc.constantFrom('In', 'NotIn', 'Exists', 'DoesNotExist'),
      values: fc.array(values, { minLength: 1, maxLength: 3 }),
    }),
    { maxLength: 3 },
  ),
});

test('two selectors can meet exactly when there are labels that both select', () => {
  // d stands for every value that nobody names.
  const options = [undefined, 'a', 'b', 'c', 'd'];
  const all = options.flatMap((app) =>
    options.map((tier) => ({
      ...(app !== undefined && { app }),
      ...(tier !== undefined && { tier }),
    })),
  );
  fc.assert(
    fc.property(selector, selector, (a, b) => {
      const found = all.some((labels) => selects(a, labels) && selects(b, labels));
      expect(canMeet(a, b)).toBe(found);
    }),
    { numRuns: 2000 },
  );
});
