/**
 * How fast a policy lets itself be followed by others, or follow a milder one for the same target: guardrails of its own
 * rule. The agent holds what is faster, as beyond its other caps. Validators do not judge them: the state counts the
 * policies of one minute of header time, by no tenant and by no region, what is in force differs from agent to agent, and
 * what a block refuses nobody can approve.
 */
import type { Crypto } from '#proto/crypto.ts';
import type { PolicyRule } from '#proto/policy.ts';
import { groupOf, passesPerS, targetName } from './admissions.ts';
import { before, countSince, knowsSince, lastMinuteOf, mildestSince, type Pace } from './pace.ts';
import type { Cap } from './verdict.ts';

const MS_PER_S = 1000;

export type Moment = {
  readonly pace: Pace;
  readonly atMs: number;
  readonly crypto: Pick<Crypto, 'sha256'>;
};

export type PaceCheck = {
  /** Carried by the acknowledgement. */
  readonly code: string;
  /** Why a policy may not come into force now, with the figures. */
  readonly problem: (rule: PolicyRule, moment: Moment) => string | undefined;
};

const rateProblem = (
  { guardrails: { rate_limit } }: PolicyRule,
  { pace, atMs }: Moment,
): string | undefined => {
  if (rate_limit === undefined) return undefined;
  const { window_s, max_actions } = rate_limit;
  const count = countSince(pace, before(pace, window_s * MS_PER_S, atMs));
  // What is not remembered cannot be counted: an agent lets through no more than it knows.
  const most = Math.min(max_actions, pace.rememberedMax);
  return count < most ? undefined : `${count} of at most ${most} in ${window_s} s`;
};

const groupProblem = (
  kind: 'tenant' | 'region',
  rule: PolicyRule,
  { pace, atMs }: Moment,
): string | undefined => {
  const max = rule.guardrails[`rate_limit_per_${kind}`];
  if (max === undefined) return undefined;
  const name = groupOf(rule, kind);
  const count = lastMinuteOf(pace, kind, name, atMs);
  if (count < max) return undefined;
  const whose = name === '' ? `that name no ${kind}` : `of ${kind} ${name}`;
  return `${count} policies ${whose} of at most ${max} in a minute`;
};

const packets = (perS: number): string =>
  perS === Number.POSITIVE_INFINITY
    ? 'every packet'
    : `${Number(perS.toPrecision(3))} packets a second`;

/**
 * An escalation is a policy that is harsher (`passesPerS`) or has a longer `ttl_seconds` than one for the same target
 * (`targetName`) that came into force here less than `escalation_cooldown_s` ago, whatever has become of that one.
 */
const escalationProblem = (rule: PolicyRule, moment: Moment): string | undefined => {
  const { escalation_cooldown_s: coolDownS = 0, ttl_seconds: ttlS } = rule.guardrails;
  if (coolDownS === 0) return undefined;
  const { pace, atMs, crypto } = moment;
  const sinceMs = before(pace, coolDownS * MS_PER_S, atMs);
  const last = mildestSince(pace, targetName(rule, crypto), sinceMs);
  if (last !== undefined && passesPerS(rule) < last.passesPerS) {
    const change = `${packets(passesPerS(rule))} after ${packets(last.passesPerS)}`;
    return `harsher for the same target (${change}) within ${coolDownS} s`;
  }
  if (last !== undefined && ttlS > last.ttlS) {
    return `longer for the same target (${ttlS} s after ${last.ttlS} s) within ${coolDownS} s`;
  }
  if (knowsSince(pace, sinceMs)) return undefined;
  return `the last ${pace.rememberedMax} policies, all that is remembered, came within ${coolDownS} s`;
};

export const PACE_CHECKS: readonly PaceCheck[] = [
  { code: 'too-many-in-window', problem: rateProblem },
  {
    code: 'too-many-of-tenant',
    problem: (rule, moment) => groupProblem('tenant', rule, moment),
  },
  {
    code: 'too-many-of-region',
    problem: (rule, moment) => groupProblem('region', rule, moment),
  },
  { code: 'escalation-cooldown', problem: escalationProblem },
];

/** The first that speaks against a policy. */
export const paceCap = (
  rule: PolicyRule,
  moment: Moment,
  checks: readonly PaceCheck[] = PACE_CHECKS,
): Cap | undefined => {
  for (const { code, problem } of checks) {
    const reason = problem(rule, moment);
    if (reason !== undefined) return { code, reason };
  }
  return undefined;
};
