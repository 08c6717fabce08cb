/**
 * Each limit of pace that a rule sets for itself is needed: an agent without its check lets through what the whole one
 * holds (see test/actors/enforcer/guardrails.test.ts for the agent itself).
 */
import { expect, test } from 'vitest';
import { admissionOf } from '#actors/enforcer/admissions.ts';
import { admit, newPace } from '#actors/enforcer/pace.ts';
import { PACE_CHECKS, paceCap } from '#actors/enforcer/pace-caps.ts';
import { crypto } from '#native/crypto.ts';
import type { PolicyRule } from '#proto/policy.ts';
import { ruleOf } from '#test/kit/messages.ts';

const NOW_MS = 1_700_000_000_000;
const ttl_seconds = 600;

/** For each check a rule that only it holds, once a rate_limit of the same target has come into force. */
const TOO_SOON: { readonly [code: string]: PolicyRule['guardrails'] } = {
  'too-many-in-window': { ttl_seconds, rate_limit: { window_s: 60, max_actions: 1 } },
  'too-many-of-tenant': { ttl_seconds, rate_limit_per_tenant: 1 },
  'too-many-of-region': { ttl_seconds, rate_limit_per_region: 1 },
  'escalation-cooldown': { ttl_seconds, escalation_cooldown_s: 60 },
};

const capOf = (code: string, checks = PACE_CHECKS): string | undefined => {
  const pace = newPace([], NOW_MS);
  const owner = { tenant: 'acme', region: 'eu' };
  const before = ruleOf({ ...owner, action: 'rate_limit' });
  admit(pace, admissionOf(before, crypto, NOW_MS - 1000));
  const rule = ruleOf({ ...owner, guardrails: TOO_SOON[code]! });
  return paceCap(rule, { pace, atMs: NOW_MS, crypto }, checks)?.code;
};

const CODES = PACE_CHECKS.map((check) => check.code);

test('there is a scenario for each check', () => {
  expect(Object.keys(TOO_SOON).toSorted()).toEqual(CODES.toSorted());
});

test.each(CODES)('what %s holds passes where that check is missing, and only there', (code) => {
  expect(capOf(code)).toBe(code);
  for (const missing of CODES) {
    const left = PACE_CHECKS.filter((check) => check.code !== missing);
    expect(capOf(code, left)).toBe(missing === code ? undefined : code);
  }
});
