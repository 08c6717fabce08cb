/** From the words of `decisions add` to the rule that an operator signs. Pure; every error names its option. */
import { formatCidr, parseCidr, parseIp } from '#proto/ip.ts';
import { checkPolicyRule, type PolicyRule, type PolicyTarget } from '#proto/policy.ts';
import { err, ok, type Result } from '#proto/result.ts';

const ACTIONS = ['drop', 'reject', 'rate_limit'] as const;
const DIRECTIONS = ['ingress', 'egress'] as const;
const PORT_MAX = 65_535;
const REASON_DEFAULT = 'operator';

/** As they stand on the command line. */
export type Words = {
  readonly block?: readonly string[] | undefined;
  readonly cidr?: readonly string[] | undefined;
  readonly action?: string | undefined;
  readonly ports?: string | undefined;
  readonly protocol?: string | undefined;
  readonly direction?: string | undefined;
  readonly reason?: string | undefined;
  /** The agents count what they would block, and let it pass. */
  readonly observe?: boolean | undefined;
};

/** What no word says. `request` makes the content of each order its own. */
export type Stamp = { readonly policyId: string; readonly request: string; readonly ttlS: number };

const oneOf = <T extends string>(
  option: string,
  word: string,
  known: readonly T[],
): Result<T, string> => {
  const found = known.find((one) => one === word);
  return found === undefined ? err(`${option} takes ${known.join(', ')}, not ${word}`) : ok(found);
};

const hostProblem = (text: string): string | undefined => {
  if (parseIp(text) !== undefined) return undefined;
  return parseCidr(text) === undefined
    ? `--block: ${text} is not an IP address`
    : `--block takes one address; give the network with --cidr ${text}`;
};

const networkProblem = (text: string): string | undefined => {
  const network = parseCidr(text);
  if (network === undefined) {
    return parseIp(text) === undefined
      ? `--cidr: ${text} is not a network such as 198.51.100.0/24`
      : `--cidr takes a network; give the address with --block ${text}`;
  }
  const [given, meant] = [parseIp(text.split('/')[0]!), formatCidr(network)];
  const hasHostBits = given?.some((byte, k) => byte !== network.address[k]) ?? false;
  return hasHostBits ? `--cidr: ${text} is no network; did you mean ${meant}?` : undefined;
};

const portsOf = (text: string): Result<NonNullable<PolicyTarget['ports']>, string> => {
  const ports: (number | { from: number; to: number })[] = [];
  for (const word of text.split(',')) {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(word.trim()) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (first === undefined || from > to || to > PORT_MAX) {
      return err(`--ports takes ports and ranges such as 22,8000-8080, not ${word}`);
    }
    ports.push(from === to ? from : { from, to });
  }
  return ok(ports);
};

const targetOf = (words: Words): Result<PolicyTarget, string> => {
  const { block = [], cidr = [], ports, protocol, direction } = words;
  if (block.length + cidr.length === 0)
    return err('say what: --block <address> or --cidr <network>');
  const problem = [...block.map(hostProblem), ...cidr.map(networkProblem)].find(
    (one) => one !== undefined,
  );
  if (problem !== undefined) return err(problem);
  const parsed = ports === undefined ? undefined : portsOf(ports);
  if (parsed?.ok === false) return parsed;
  const way = direction === undefined ? undefined : oneOf('--direction', direction, DIRECTIONS);
  if (way?.ok === false) return way;
  return ok({
    ...(block.length > 0 && { ips: [...block] }),
    ...(cidr.length > 0 && { cidrs: [...cidr] }),
    ...(way !== undefined && { direction: way.value }),
    ...(parsed !== undefined && { ports: parsed.value }),
    ...(protocol !== undefined && { protocols: protocol.split(',').map((one) => one.trim()) }),
  });
};

const checked = (rule: PolicyRule): Result<PolicyRule, string> => {
  const found = checkPolicyRule(rule as Parameters<typeof checkPolicyRule>[0]);
  return found.ok ? found : err(`${found.error.field}: ${found.error.reason}`);
};

export const addition = (words: Words, stamp: Stamp): Result<PolicyRule, string> => {
  const action = oneOf('--action', words.action ?? 'drop', ACTIONS);
  if (!action.ok) return action;
  const target = targetOf(words);
  if (!target.ok) return target;
  return checked({
    policy_id: stamp.policyId,
    rule_type: 'block',
    action: action.value,
    target: target.value,
    guardrails: { ttl_seconds: stamp.ttlS, ...(words.observe === true && { dry_run: true }) },
    audit: { reason_code: words.reason ?? REASON_DEFAULT, evidence_refs: [stamp.request] },
  });
};

/** The wire wants a target and a time of every rule; the chain goes by the id. */
export const removal = (
  target: PolicyTarget,
  stamp: Stamp,
  reason = REASON_DEFAULT,
): Result<PolicyRule, string> =>
  checked({
    policy_id: stamp.policyId,
    rule_type: 'block',
    action: 'remove',
    target,
    guardrails: { ttl_seconds: Math.max(1, stamp.ttlS) },
    audit: { reason_code: reason, evidence_refs: [stamp.request] },
  });
