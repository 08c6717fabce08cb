/**
 * What would refuse an order, found out before it is signed: the chain's guardrails and those of the agents of this
 * topology. The chain and every agent judge again for themselves. Pure.
 */
import type { Genesis } from '#proto/genesis.ts';
import {
  checkGuardrails,
  type GuardrailCode,
  guardrailLimits,
  type PolicyRule,
} from '#proto/policy.ts';
import { err, ok, type Result, unreachable } from '#proto/result.ts';
import { claimsOf } from '../claims.ts';
import type { EnforcerConfig } from '../config.ts';
import { parseFailsafe } from '../failsafe.ts';
import { checkSurroundings, type LocalCode, type Surroundings } from '../neighbourhood.ts';

export type AgentSettings = { readonly path: string; readonly config: EnforcerConfig };

export type Objection = {
  readonly code: GuardrailCode | LocalCode | 'not-enforceable' | 'policy-too-large';
  readonly reason: string;
  readonly remedy: string;
};

const remedyOf = (code: GuardrailCode | LocalCode, genesis: Genesis): string => {
  const { maxPrefixV4, maxPrefixV6, ttlLadderS } = genesis.parameters;
  switch (code) {
    case 'never-block':
      return 'it is protected by the genesis file or by neverBlock of an agent: choose another target';
    case 'prefix-too-wide':
      return `name networks of at least /${maxPrefixV4} (IPv4) or /${maxPrefixV6} (IPv6)`;
    case 'ttl':
      return `--for takes at most ${Math.max(...ttlLadderS)}s on this chain`;
    case 'own-address':
    case 'default-gateway':
    case 'dns-server':
    case 'admin-session':
      return 'the agent of this host would refuse it: nobody is to cut off the host or those who run it';
    case 'too-many-targets':
    case 'too-many-active':
    case 'too-many-a-minute':
    case 'too-many-peers':
      return 'block less, or wait until others have ended';
    case 'allowlisted':
    case 'spoofable':
      return 'choose another target';
    default:
      return unreachable(code);
  }
};

const objection = (
  { code, reason }: { readonly code: GuardrailCode | LocalCode; readonly reason: string },
  genesis: Genesis,
): Result<never, Objection> => err({ code, reason, remedy: remedyOf(code, genesis) });

const NOTHING_YET = { activePolicies: 0, policiesLastMinute: 0, spoofable: false };

/** `around`: what an agent here would see; NOWHERE where the order comes from another machine. */
export const objectionTo = (
  rule: PolicyRule,
  bytes: number,
  genesis: Genesis,
  agents: readonly AgentSettings[],
  around: Surroundings,
): Result<void, Objection> => {
  const { parameters, neverBlock } = genesis;
  if (bytes > parameters.policyBytesMax) {
    const reason = `the rule has ${bytes} bytes of at most ${parameters.policyBytesMax}`;
    return err({ code: 'policy-too-large', reason, remedy: 'split it into several' });
  }
  const claims = claimsOf(rule);
  if (!claims.ok) {
    const remedy = 'use names such as tcp, udp, icmp, or numbers of IANA';
    return err({ code: 'not-enforceable', reason: claims.error, remedy });
  }
  const own = agents.flatMap(({ config }) => config.neverBlock);
  const limits = guardrailLimits(parameters, [...neverBlock, ...own]);
  const allowed = checkGuardrails(rule, limits, NOTHING_YET);
  if (!allowed.ok) return objection(allowed.error, genesis);
  const local = checkSurroundings(rule, around, new Set(), 1);
  return local.ok ? ok(undefined) : objection(local.error, genesis);
};

/** Failsafe ports that the rule names or covers: they stay open on the agent's host. */
export const stayingOpen = (rule: PolicyRule, { config }: AgentSettings): readonly string[] => {
  const { ports, protocols } = rule.target;
  const named = (protocols ?? []).map((one) => one.toLowerCase());
  return config.failsafePorts.filter((text) => {
    const one = parseFailsafe(text);
    if (one === undefined || (named.length > 0 && !named.includes(one.protocol))) return false;
    return (ports ?? []).some((port) => {
      const { from, to } = typeof port === 'number' ? { from: port, to: port } : port;
      return from <= one.to && to >= one.from;
    });
  });
};
