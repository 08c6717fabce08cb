/** `decisions delete`: an operator takes back what is in force; the removal is committed and proven like a policy. */
import { formatCidr } from '#proto/ip.ts';
import { type PolicyRule, targetNetworks } from '#proto/policy.ts';
import { err, ok, type Result } from '#proto/result.ts';
import { readArguments, readDuration } from '#runtime/cli/arguments.ts';
import { type Command, EXIT, refuse } from '#runtime/cli/command.ts';
import { KEY_DEFAULT, WAIT_DEFAULT } from './add.ts';
import { give, showRules, withBus } from './ordering.ts';
import { removal } from './rule.ts';
import { failure } from './saying.ts';
import { freshStamp, operatorOf } from './signing.ts';
import { meant, type Standing, standingPolicies, wantedOf } from './standing.ts';

const MS_PER_S = 1000;
const ID_BYTES_MAX = 128;
const MOST = 100;
const OTHERS_SHOWN = 5;

const OPTIONS = {
  set: { type: 'string', multiple: true },
  reason: { type: 'string' },
  key: { type: 'string' },
  wait: { type: 'string' },
  'dry-run': { type: 'boolean' },
} as const;

const named = ({ id, target }: Standing): string =>
  `${id} (${targetNetworks(target).map(formatCidr).join(', ')})`;

/** Each word means at least one policy, or nothing is done. */
const choose = (
  words: readonly string[],
  standing: readonly Standing[],
): Result<readonly Standing[], string> => {
  const chosen = new Map<string, Standing>();
  for (const word of words) {
    const found = meant(wantedOf(word), standing);
    for (const one of found.chosen) chosen.set(one.id, one);
    if (found.chosen.length > 0) continue;
    const others = found.others.slice(0, OTHERS_SHOWN).map(named);
    const hint = others.length === 0 ? '' : `; delete by id what holds it: ${others.join(', ')}`;
    return err(`no-such-policy: no policy in force is called or is for ${word}${hint}`);
  }
  return ok([...chosen.values()]);
};

const rulesOf = (
  chosen: readonly Standing[],
  reason: string | undefined,
  nowMs: number,
): Result<readonly PolicyRule[], string> => {
  const rules: PolicyRule[] = [];
  for (const { id, target, expiresMs } of chosen) {
    const ttlS = Math.ceil((expiresMs - nowMs) / MS_PER_S);
    const rule = removal(target, { ...freshStamp(), policyId: id, ttlS }, reason);
    if (!rule.ok) return rule;
    rules.push(rule.value);
  }
  return ok(rules);
};

export const remove: Command = {
  summary: 'take back a policy before its time is over',
  usage: `decisions delete <topology> <policy id or address>... [options] [-o json]

Signs the removal of policies in force with the key of an operator and gives it to the validators; every agent
takes them out of its firewall. An address or network means each policy that is for it and nothing else.
The detectors may block it anew: to keep them from it, put it on the never-block list.
  --reason text   stands in the removal on the chain
  --key file      key of the operator: a name under <data folder>/keys (operator.pem), or a path
  --wait 30s      how long to wait for what becomes of it
  --dry-run       show what would be signed; nothing is published
  --set path=value   set anything in the tree, as at the start of the node`,
  run: async (args, io) => {
    const parsed = readArguments(
      args,
      OPTIONS,
      ['the topology file', 'a policy id or an address'],
      MOST - 1,
    );
    if (!parsed.ok) return refuse(io, remove, parsed.error);
    const { options, positionals } = parsed.value;
    const [file, ...words] = positionals;
    const wait = readDuration(options.wait ?? WAIT_DEFAULT);
    if (!wait.ok) return refuse(io, remove, `--wait: ${wait.error}`);
    const strange = words.find((word) => Buffer.byteLength(word) > ID_BYTES_MAX);
    if (strange !== undefined) return refuse(io, remove, `${strange} is longer than any policy id`);
    const topology = await io.topology(file!, options.set);
    if (topology === undefined) return EXIT.configuration;
    const operator = operatorOf(topology, options.key ?? KEY_DEFAULT);
    if (!operator.ok) return failure(io, operator.error);
    return withBus(io, topology, async (bus) => {
      const nowMs = Date.now();
      const { believed } = operator.value;
      const standing = await standingPolicies(bus, words.map(wantedOf), believed, nowMs);
      const chosen = choose(words, standing);
      if (!chosen.ok) return failure(io, chosen.error, { code: 'no-such-policy' });
      const rules = rulesOf(chosen.value, options.reason, nowMs);
      if (!rules.ok) return failure(io, rules.error);
      if (options['dry-run'] === true) return showRules(io, rules.value);
      return give(io, bus, operator.value, rules.value, wait.value);
    });
  },
};
