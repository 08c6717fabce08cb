import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatProblem } from '#runtime/topology/document.ts';
import { loadText } from '#runtime/topology/load.ts';
import { closest, distance } from '#runtime/topology/nearest.ts';

const actorsRoot = new URL('../fixtures-topology/actors/', import.meta.url);
const good = readFileSync(new URL('../fixtures-topology/good.yaml', import.meta.url), 'utf8');
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);

/** Loads and says only whether every error has a place and a sentence. */
const isOrderly = async (content: string, set: readonly string[] = []): Promise<boolean> => {
  const result = await loadText('t.yaml', content, { actorsRoot, env: {}, set });
  return result.ok
    ? true
    : result.error.length > 0 &&
        result.error
          .map(formatProblem)
          .every((text) => /^(t\.yaml:\d+:\d+|--set) .*: ./s.test(text));
};

test(`a damaged file gives errors with places, never an exception (seed ${seed})`, async () => {
  const damage = fc.record({
    at: fc.nat(good.length),
    cut: fc.nat(12),
    put: fc.oneof(
      fc.string({ maxLength: 6 }),
      fc.constantFrom(
        'null',
        '[]',
        '{}',
        '$self',
        '$x',
        '*a',
        '&a ',
        '- ',
        ': ',
        '\n',
        '\t',
        '!!set',
      ),
    ),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (damages) => {
      let content = good;
      for (const { at, cut, put } of damages) {
        content = content.slice(0, at) + put + content.slice(at + cut);
      }
      return isOrderly(content);
    }),
    { seed, numRuns: 300 },
  );
});

test(`any text and any setting give errors with places, never an exception (seed ${seed})`, async () => {
  const words = fc.constantFrom(
    'v1',
    'main',
    'config',
    'peers',
    'bus',
    'node',
    'with',
    '0',
    '__proto__',
  );
  const path = fc.array(fc.oneof(words, fc.string({ maxLength: 4 })), {
    minLength: 1,
    maxLength: 5,
  });
  const setting = fc
    .tuple(path, fc.string({ maxLength: 8 }))
    .map(([p, v]) => `${p.join('.')}=${v}`);
  await fc.assert(
    fc.asyncProperty(fc.array(setting, { maxLength: 3 }), fc.string(), async (set, text) => {
      return (await isOrderly(good, set)) && (await isOrderly(text));
    }),
    { seed, numRuns: 300 },
  );
});

test('an actor is named by a name, not by a path or a URL', async () => {
  for (const actor of ['A:x', '../bus', '/bus', 'file:///bus', 'bus/../bus']) {
    const content = `genesis: { create: true }\nsupervise: { children: [ { name: a, actor: "${actor}" } ] }`;
    const result = await loadText('t.yaml', content, { actorsRoot, env: {} });
    expect(result.ok ? '' : formatProblem(result.error[0]!)).toMatch(/^t\.yaml:2:44 a\.actor: /);
  }
});

test(`the distance of words is a metric (seed ${seed})`, () => {
  const word = fc.string({ maxLength: 8 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      expect(distance(a, b)).toBe(distance(b, a));
      expect(distance(a, b) === 0).toBe(a === b);
      expect(distance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
    }),
    { seed, numRuns: 300 },
  );
  expect(distance('ab', 'ba')).toBe(1);
  expect(closest('c', ['a', 'b'])).toBeUndefined();
});
