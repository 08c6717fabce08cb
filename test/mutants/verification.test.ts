/** A verifier that skips one check accepts what the scenario of that check must see refused: so
 * each check is needed, and its scenario would notice its loss. */
import { expect, test } from 'vitest';
import { CHECKS, verifier } from '#proto/wire/verification.ts';
import { outcomeOf, WIRE_SCENARIOS } from '#test/kit/wire-scenarios.ts';

const without = (name: string) => verifier(CHECKS.filter((check) => check.name !== name));

test.each(WIRE_SCENARIOS)('without "$check" the scenario "$title" fails', (scenario) => {
  const outcome = outcomeOf(scenario, without(scenario.check));
  expect(outcome).not.toBe(scenario.code);
});

test.each(CHECKS.map((check) => check.name))('a mutant without "%s" is caught', (name) => {
  const scenarios = WIRE_SCENARIOS.filter((scenario) => scenario.check === name);
  const survivors = scenarios.filter((s) => outcomeOf(s, without(name)) === s.code);
  expect(scenarios.length).toBeGreaterThan(0);
  expect(survivors).toEqual([]);
});

test('the mutants let faulty messages through whole', () => {
  const accepted = WIRE_SCENARIOS.filter((s) => outcomeOf(s, without(s.check)) === 'accepted');
  const checks = new Set(accepted.map((scenario) => scenario.check));
  const masked = CHECKS.filter((check) => !checks.has(check.name)).map((check) => check.name);
  expect(masked).toEqual([]);
});
