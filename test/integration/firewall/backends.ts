/** Both backends that touch a kernel, and policies for them. */
import type { Backend } from '#actors/enforcer/backend.ts';
import { iptablesBackend } from '#actors/enforcer/backends/iptables.ts';
import { nftablesBackend } from '#actors/enforcer/backends/nftables.ts';
import { parseFailsafe } from '#actors/enforcer/failsafe.ts';
import type { Entry } from '#actors/enforcer/registry.ts';
import type { PolicyRule } from '#proto/policy.ts';
import { ATTACKER, isRoot, type Namespace } from '#test/kit/namespaces.ts';
import { hasPrograms } from '#test/kit/programs.ts';

export const hasNft = isRoot && hasPrograms('ip', 'nft', 'ping');
export const hasIptables = isRoot && hasPrograms('ip', 'nft', 'iptables', 'ipset', 'ping');

/** Of the tests: not 22, which the machine may use. */
export const FAILSAFE_PORT = 2222;

const optionsFor = ({ name }: Pick<Namespace, 'name'>) => ({
  failsafe: [parseFailsafe(`tcp/${FAILSAFE_PORT}`)!, parseFailsafe(`udp/${FAILSAFE_PORT}`)!],
  netns: name,
  timeoutMs: 20_000,
  now: () => Date.now(),
});

export type Kind = {
  readonly name: string;
  readonly has: boolean;
  readonly needs: string;
  /** An element may last so much longer than asked: ipset counts whole seconds. */
  readonly lateMs: number;
  readonly backend: (within: Pick<Namespace, 'name'>) => Backend;
  /** The rules and sets of the kernel as a text. */
  readonly shown: (within: Namespace) => string;
};

export const KINDS: readonly Kind[] = [
  {
    name: 'nftables',
    has: hasNft,
    needs: '(needs root and ip and nft and ping)',
    lateMs: 150,
    backend: (within) => nftablesBackend(optionsFor(within)),
    shown: (within) => within.exec('nft', 'list', 'ruleset'),
  },
  {
    name: 'iptables',
    has: hasIptables,
    needs: '(needs root and ip and nft and iptables and ipset and ping)',
    lateMs: 1150,
    backend: (within) => iptablesBackend(optionsFor(within)),
    shown: (within) =>
      ['iptables-save', 'ip6tables-save'].map((one) => within.exec(one)).join('') +
      within.exec('ipset', 'save'),
  },
];

export type Wish = {
  readonly action?: 'drop' | 'reject' | 'rate_limit';
  readonly target: PolicyRule['target'];
  readonly ttlMs?: number;
  readonly dryRun?: boolean;
  readonly criteria?: PolicyRule['criteria'];
};

let count = 0;

/** A committed policy as the agent keeps it. */
export const entryOf = ({ action = 'drop', target, ttlMs = 60_000, ...rest }: Wish): Entry => {
  const id = `policy-${count++}`;
  return {
    id,
    rule: {
      policy_id: id,
      rule_type: 'block',
      action,
      target,
      ...(rest.criteria !== undefined && { criteria: rest.criteria }),
      guardrails: { ttl_seconds: 60, dry_run: rest.dryRun ?? false },
    },
    ruleHash: '',
    committedMs: Date.now(),
    expiresMs: Date.now() + ttlMs,
    anomaly: '',
    anchorHeight: 1,
    height: 1,
    anchorHash: '',
    status: 'pending',
    reason: '',
    appliedAtMs: 0,
    endedAtMs: 0,
    turn: 0,
  };
};

/** The same ones in every process: the usual attacker, then hosts of 10.128.0.0/9. */
export const manyHosts = (many: number): readonly Entry[] =>
  Array.from({ length: many }, (_, k) => {
    const host = `10.${128 + ((k >> 16) & 127)}.${(k >> 8) & 255}.${k & 255}`;
    const ips = [k === 0 ? ATTACKER[4] : host];
    const entry = entryOf({ target: { ips, direction: 'ingress' }, ttlMs: 600_000 });
    const id = `many-${String(k).padStart(6, '0')}`;
    return { ...entry, id, rule: { ...entry.rule, policy_id: id } };
  });

/** Brings them into force; throws when one is refused. */
export const bring = async (backend: Backend, ...entries: readonly Entry[]): Promise<void> => {
  const outcomes = await backend.change(entries, [], Date.now());
  for (const one of outcomes) if (!one.ok) throw new Error(`${one.code}: ${one.reason}`);
};

/** Ids that the kernel says are in force whole. */
export const inForce = async (backend: Backend): Promise<readonly string[]> => {
  const census = await backend.census(Date.now());
  if (!census.ok) throw new Error(census.error.reason);
  return [...census.value.ids].sort();
};

/** Writes batch after batch, each in place of the one before, until somebody kills the process. */
export const writeOnAndOn = async (
  backend: Backend,
  batchOf: (batch: number) => readonly Entry[],
): Promise<never> => {
  let before: string[] = [];
  for (let batch = 0; ; batch++) {
    const entries = batchOf(batch);
    const outcomes = await backend.change(entries, before, Date.now());
    const refused = outcomes.find((one) => !one.ok);
    if (refused !== undefined) throw new Error(JSON.stringify(refused));
    before = entries.map((entry) => entry.id);
  }
};
