/** Scripts for `ipset restore` and `iptables-restore --noflush`. Pure. */
import { type Family, rateOf } from '../claims.ts';
import type { Element, SetChange, SetSpec } from '../demand.ts';
import { type FailsafePorts, portList } from '../failsafe.ts';

export const CHAIN = 'CYBERMESH';
export const HOOKS = ['INPUT', 'FORWARD', 'OUTPUT'] as const;
type Hook = (typeof HOOKS)[number];

const STAGES = ['DRY', 'DROP', 'REJECT', 'LIMIT'] as const;
type Stage = (typeof STAGES)[number];
const ELEMENTS_MAX = 1_048_576;
const MS_PER_S = 1000;
/** Neighbour discovery: without it an IPv6 link is cut, not a host. */
const DISCOVERY = [133, 134, 135, 136];

export const CHAINS: readonly string[] = [
  ...HOOKS.map((hook) => `${CHAIN}-${hook}`),
  `${CHAIN}-IN`,
  `${CHAIN}-OUT`,
  ...STAGES.map((stage) => `${CHAIN}-DO-${stage}`),
];

const stageOf = ({ effect }: SetSpec): Stage => {
  if (effect.dryRun) return 'DRY';
  return ({ drop: 'DROP', reject: 'REJECT', rate_limit: 'LIMIT' } as const)[effect.action];
};

/** ipset counts seconds; the last one is given whole. */
const secondsLeft = (expiresMs: number, atMs: number): number =>
  Math.max(1, Math.ceil((expiresMs - atMs) / MS_PER_S));

const create = (name: string, { shape, family }: SetSpec): string => {
  const type = shape === 'port' ? 'hash:net,port' : 'hash:net';
  const inet = family === 4 ? 'inet' : 'inet6';
  return `create ${name} ${type} family ${inet} timeout 0 maxelem ${ELEMENTS_MAX} -exist`;
};

const add = (name: string, { key, expiresMs }: Element, atMs: number): string =>
  `add ${name} ${key} timeout ${secondsLeft(expiresMs, atMs)} -exist`;

/** Stands beside a set while it is filled; the two change places at once. */
const shadow = (name: string): string => `${name}_`;

/** Every set whole: no moment at which one is empty that was not. */
export const fillScript = (sets: readonly SetChange[], atMs: number): string =>
  sets
    .flatMap(({ set, fresh }) => {
      const aside = shadow(set.name);
      return [
        create(set.name, set),
        create(aside, set),
        `flush ${aside}`,
        ...fresh.map((element) => add(aside, element, atMs)),
        `swap ${aside} ${set.name}`,
        `destroy ${aside}`,
      ];
    })
    .join('\n');

export const elementScript = (changes: readonly SetChange[], atMs: number): string =>
  changes
    .flatMap(({ set, gone, fresh }) => {
      const staying = new Set(fresh.map((one) => one.key));
      return [
        ...gone.filter((key) => !staying.has(key)).map((key) => `del ${set.name} ${key} -exist`),
        ...fresh.map((element) => add(set.name, element, atMs)),
      ];
    })
    .join('\n');

/** ipset ends with an error at the first that is not there. */
export const presenceScript = (changes: readonly SetChange[]): string =>
  changes.flatMap(({ set, fresh }) => fresh.map(({ key }) => `test ${set.name} ${key}`)).join('\n');

export const destroyScript = (names: readonly string[]): string =>
  names.map((name) => `destroy ${name}`).join('\n');

/** A rate limit holds for packets of the address as much as for packets to it: it may be a victim's. */
const setRules = (set: SetSpec): readonly string[] => {
  const { direction, effect, name, shape } = set;
  const limited = effect.action === 'rate_limit';
  const inward = limited ? (['src', 'dst'] as const) : (['src'] as const);
  const sides = direction === 'out' ? (['dst'] as const) : inward;
  return sides.map((side) => {
    const protocol = shape.startsWith('p') && shape !== 'port' ? `-p ${shape.slice(1)} ` : '';
    const fields = shape === 'port' ? `${side},dst` : side;
    const { rate, unit } = rateOf(effect);
    const limit = limited
      ? ` -m hashlimit --hashlimit-above ${rate}/${unit} --hashlimit-burst ${effect.packets}` +
        ` --hashlimit-mode ${side}ip --hashlimit-name ${name}_${side}`
      : '';
    const chain = `${CHAIN}-${direction === 'in' ? 'IN' : 'OUT'}`;
    return `-A ${chain} ${protocol}-m set --match-set ${name} ${fields}${limit} -j ${CHAIN}-DO-${stageOf(set)}`;
  });
};

const hookRules = (hook: Hook, family: Family, failsafe: readonly FailsafePorts[]): string[] => {
  const chain = `-A ${CHAIN}-${hook}`;
  if (hook === 'FORWARD') return [`${chain} -j ${CHAIN}-IN`, `${chain} -j ${CHAIN}-OUT`];
  const inward = hook === 'INPUT';
  const rules = [`${chain} ${inward ? '-i' : '-o'} lo -j RETURN`];
  if (family === 6) {
    rules.push(...DISCOVERY.map((type) => `${chain} -p icmpv6 --icmpv6-type ${type} -j RETURN`));
  }
  for (const protocol of ['tcp', 'udp'] as const) {
    for (const ports of portList(failsafe, protocol, ':')) {
      rules.push(`${chain} -p ${protocol} --dport ${ports} -j RETURN`);
      // Answers of our own services; a stranger chooses the source port of what comes in.
      if (!inward) rules.push(`${chain} -p ${protocol} --sport ${ports} -j RETURN`);
    }
  }
  rules.push(`${chain} -j ${CHAIN}-${inward ? 'IN' : 'OUT'}`);
  return rules;
};

const endings = (family: Family): readonly string[] => [
  `-A ${CHAIN}-DO-DRY -j RETURN`,
  `-A ${CHAIN}-DO-DROP -j DROP`,
  `-A ${CHAIN}-DO-REJECT -p tcp -j REJECT --reject-with tcp-reset`,
  `-A ${CHAIN}-DO-REJECT -j REJECT --reject-with ${
    family === 4 ? 'icmp-admin-prohibited' : 'icmp6-adm-prohibited'
  }`,
  `-A ${CHAIN}-DO-LIMIT -j DROP`,
];

/** Our chains whole, and one jump into each; `jumps` are those that stand there. One transaction a family. */
export const rulesScript = (
  family: Family,
  sets: readonly SetSpec[],
  failsafe: readonly FailsafePorts[],
  jumps: readonly string[],
): string => {
  const own = sets.filter((set) => set.family === family);
  const ordered = STAGES.flatMap((stage) => own.filter((set) => stageOf(set) === stage));
  return [
    '*filter',
    ...CHAINS.map((name) => `:${name} - [0:0]`),
    ...endings(family),
    ...ordered.flatMap(setRules),
    ...HOOKS.flatMap((hook) => hookRules(hook, family, failsafe)),
    ...jumps.map((jump) => jump.replace(/^-A/, '-D')),
    ...HOOKS.map((hook) => `-I ${hook} 1 -j ${CHAIN}-${hook}`),
    'COMMIT\n',
  ].join('\n');
};

/** Takes away what is there of ours; `chains` are those that stand there. */
export const removalScript = (jumps: readonly string[], chains: readonly string[]): string =>
  [
    '*filter',
    ...jumps.map((jump) => jump.replace(/^-A/, '-D')),
    // Declared, a chain is empty: then none of them is in use.
    ...chains.map((name) => `:${name} - [0:0]`),
    ...chains.map((name) => `-X ${name}`),
    'COMMIT\n',
  ].join('\n');
