import fc from 'fast-check';
import { expect, test } from 'vitest';
import { config } from '#actors/ensemble/config.ts';
import type { Engine } from '#actors/ensemble/protocol.ts';
import { calibrate, type Opinion, vote } from '#actors/ensemble/vote.ts';

const settings = config.parse({});
const says = (engine: Engine, score: number, confidence = 1): Opinion => ({
  engine,
  score,
  confidence,
  reasons: [],
});
const voted = (...opinions: readonly Opinion[]) => vote(settings, 'ddos', opinions);

test('weights are .5 ml, .3 rules, .2 math, and confidence is their mean', () => {
  const all = voted(says('ml', 0.9), says('rules', 0.5), says('math', 1));
  expect(all?.confidence).toBeCloseTo(0.5 * 0.9 + 0.3 * 0.5 + 0.2, 6);
  expect(all?.voices.map(({ engine, weight }) => [engine, weight])).toEqual([
    ['ml', 0.5],
    ['rules', 0.3],
    ['math', 0.2],
  ]);
});

test('weights are renormalised over those that did not abstain', () => {
  const two = voted(says('ml', 1), says('math', 1), says('rules', Number.NaN));
  expect(two).toMatchObject({ confidence: 1, publish: true });
  expect(two?.voices[0]?.weight).toBeCloseTo(5 / 7, 6);
});

test('it is published above the threshold, not at it', () => {
  expect(voted(says('ml', 0.7), says('rules', 0.7))).toMatchObject({
    confidence: 0.7,
    publish: false,
  });
  expect(voted(says('ml', 0.71), says('rules', 0.7))?.publish).toBe(true);
});

test('a lone engine needs nine tenths', () => {
  expect(voted(says('rules', 0.899))).toMatchObject({ threshold: 0.9, publish: false });
  expect(voted(says('rules', 0.9))).toMatchObject({ threshold: 0.9, publish: true });
  expect(voted(says('rules', 0.95), says('math', 0.3, 0.1))?.voices).toHaveLength(1);
});

test('each threat has a threshold of its own', () => {
  const pair = [says('ml', 0.8), says('rules', 0.8)];
  expect(vote(settings, 'malware_c2', pair)?.publish).toBe(false);
  expect(vote(settings, 'anomaly', pair)?.publish).toBe(true);
});

test('nobody heard is no vote', () => {
  expect(voted()).toBeUndefined();
  expect(voted(says('ml', Number.NaN), says('math', 0.9, 0.2))).toBeUndefined();
});

test('a confidence lies between the scores that were heard', () => {
  const score = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(score, score, score, (ml, rules, math) => {
      const confidence = voted(
        says('ml', ml),
        says('rules', rules),
        says('math', math),
      )!.confidence;
      expect(confidence).toBeGreaterThanOrEqual(Math.min(ml, rules, math) - 1e-6);
      expect(confidence).toBeLessThanOrEqual(Math.max(ml, rules, math) + 1e-6);
    }),
    { seed: 4_711 },
  );
});

test('calibration is the identity unless set, and keeps the order', () => {
  expect(calibrate(0.3, { slope: 1, offset: 0 })).toBe(0.3);
  const softer = { slope: 0.5, offset: -1 };
  expect(calibrate(0.9, softer)).toBeGreaterThan(calibrate(0.8, softer));
  expect(calibrate(1, softer)).toBeLessThanOrEqual(1);
});
