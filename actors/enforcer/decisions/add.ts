/** `decisions add`: an operator's policy, with the guardrails that every policy has. */

import { encodePolicyRule, type PolicyRule } from '#proto/policy.ts';
import { err, ok, type Result } from '#proto/result.ts';
import { readArguments, readDuration } from '#runtime/cli/arguments.ts';
import { type CliIo, type Command, EXIT, refuse } from '#runtime/cli/command.ts';
import { actorsOf, type TopologyView } from '#runtime/topology/view.ts';
import { config } from '../config.ts';
import { NOWHERE, type Surroundings } from '../neighbourhood.ts';
import { surveyor } from '../surroundings.ts';
import { type AgentSettings, objectionTo, stayingOpen } from './guard.ts';
import { give, showRules, withBus } from './ordering.ts';
import { addition } from './rule.ts';
import { failure } from './saying.ts';
import { freshStamp, operatorOf } from './signing.ts';

const MS_PER_S = 1000;
export const KEY_DEFAULT = 'operator.pem';
export const WAIT_DEFAULT = '30s';

const OPTIONS = {
  set: { type: 'string', multiple: true },
  block: { type: 'string', multiple: true },
  cidr: { type: 'string', multiple: true },
  action: { type: 'string' },
  ports: { type: 'string' },
  protocol: { type: 'string' },
  direction: { type: 'string' },
  for: { type: 'string' },
  reason: { type: 'string' },
  observe: { type: 'boolean' },
  key: { type: 'string' },
  wait: { type: 'string' },
  'dry-run': { type: 'boolean' },
} as const;

type Request = {
  readonly file: string;
  readonly set: readonly string[];
  readonly rule: PolicyRule;
  readonly key: string;
  readonly waitMs: number;
  readonly dryRun: boolean;
};

export const requestOf = (args: readonly string[]): Result<Request, string> => {
  const parsed = readArguments(args, OPTIONS, ['the topology file']);
  if (!parsed.ok) return parsed;
  const { options, positionals } = parsed.value;
  const lasts = readDuration(options.for ?? '1h');
  if (!lasts.ok) return err(`--for: ${lasts.error}`);
  if (lasts.value % MS_PER_S !== 0) return err(`--for takes whole seconds, not ${options.for}`);
  const wait = readDuration(options.wait ?? WAIT_DEFAULT);
  if (!wait.ok) return err(`--wait: ${wait.error}`);
  const rule = addition(options, { ...freshStamp(), ttlS: lasts.value / MS_PER_S });
  if (!rule.ok) return rule;
  return ok({
    file: positionals[0]!,
    set: options.set ?? [],
    rule: rule.value,
    key: options.key ?? KEY_DEFAULT,
    waitMs: wait.value,
    dryRun: options['dry-run'] ?? false,
  });
};

const agentsOf = (topology: TopologyView): readonly AgentSettings[] =>
  actorsOf(topology, 'enforcer').map((one) => ({
    path: one.path,
    config: config.parse(one.config),
  }));

/** What the agent of this host would see; beside a noop or elsewhere, only where the operator sits. */
const aroundHere = async (agents: readonly AgentSettings[]): Promise<Surroundings> => {
  const sshConnection = process.env.SSH_CONNECTION ?? '';
  const real = agents.find((one) => one.config.backend !== 'noop');
  if (real === undefined) return NOWHERE;
  const { netns } = real.config;
  const found = await surveyor({ netns, sshConnection, now: Date.now })();
  // The agent looks again; a host that cannot be seen from here refuses nothing here.
  return found.ok ? found.value : NOWHERE;
};

const USAGE = `decisions add <topology> --block <address> [options] [-o json]

Signs a policy with the key of an operator and gives it to the validators; every agent that holds the chain's
genesis enforces what they commit. The guardrails are checked here first, then by each validator and agent.
With an embedded bus the node must be running.
  --block address     an address; may be given several times
  --cidr network      a network, as 198.51.100.0/24; may be given several times
  --action name       drop (default), reject or rate_limit (100 packets a second)
  --ports list        only these, as 22,8000-8080
  --protocol list     only these, as tcp,udp
  --direction way     ingress (from the address) or egress (to it); both without it
  --for 1h            how long; no block is for ever
  --reason text       stands in the policy on the chain
  --observe           the agents count what they would block and let it pass
  --key file          key of the operator: a name under <data folder>/keys (operator.pem), or a path
  --wait 30s          how long to wait for what becomes of it
  --dry-run           check it and show the rule; nothing is published
  --set path=value    set anything in the tree, as at the start of the node`;

export const add: Command = {
  summary: 'block an address or a network',
  usage: USAGE,
  run: async (args, io) => {
    const request = requestOf(args);
    if (!request.ok) return refuse(io, add, request.error);
    const { file, set, rule, key, waitMs, dryRun } = request.value;
    const topology = await io.topology(file, set);
    if (topology === undefined) return EXIT.configuration;
    const operator = operatorOf(topology, key);
    if (!operator.ok) return failure(io, operator.error);
    const agents = agentsOf(topology);
    const { length } = encodePolicyRule(rule);
    const around = await aroundHere(agents);
    const checked = objectionTo(rule, length, operator.value.genesis, agents, around);
    if (!checked.ok) {
      const { code, reason, remedy } = checked.error;
      return failure(io, `${code}: ${reason}; ${remedy}`, { code });
    }
    notes(io, rule, agents);
    if (dryRun) return showRules(io, [rule]);
    return withBus(io, topology, (bus) => give(io, bus, operator.value, [rule], waitMs));
  },
};

const notes = (io: CliIo, rule: PolicyRule, agents: readonly AgentSettings[]): void => {
  for (const agent of agents) {
    const open = stayingOpen(rule, agent);
    if (open.length > 0)
      io.err(`note: ${open.join(', ')} stays open on ${agent.path} itself (failsafePorts)`);
  }
};
