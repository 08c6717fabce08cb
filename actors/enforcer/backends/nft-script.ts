/** Scripts for `nft -f -`: the whole table, or changes to the elements of its sets. Pure. */
import { type Census, PACKET_COUNTS } from '../backend.ts';
import { type Direction, rateOf } from '../claims.ts';
import type { Element, SetChange, SetSpec } from '../demand.ts';
import { type FailsafePorts, portList } from '../failsafe.ts';

export const FAMILY = 'inet';
export const TABLE = 'cybermesh';
export const OURS = `${FAMILY} ${TABLE}`;
/** Before the filters of others; none of our accepts overrules a drop of theirs. */
const PRIORITY = 'filter - 10';
/** Addresses that one rate limit tells apart; beyond it further ones pass. */
const METER_ELEMENTS_MAX = 65_535;
const METER_TIMEOUT_MIN_S = 60;
const MS_PER_S = 1000;

/** In this order: a dry run counts what the others are about to take. */
const STAGES = ['dry', 'drop', 'reject', 'limit'] as const;
const stageOf = ({ dryRun, action }: SetSpec['effect']): (typeof STAGES)[number] => {
  if (dryRun) return 'dry';
  return action === 'rate_limit' ? 'limit' : action;
};

const addressType = (family: 4 | 6): string => (family === 4 ? 'ipv4_addr' : 'ipv6_addr');

const typeOf = ({ family, shape }: SetSpec): string => {
  const address = addressType(family);
  if (shape === 'host' || shape === 'net') return address;
  if (shape === 'proto' || shape === 'protos') return `${address} . inet_proto`;
  return `${address} . inet_proto . inet_service`;
};

const declare = (set: SetSpec): string =>
  `add set ${OURS} ${set.name} { type ${typeOf(set)}; flags ${set.ranged ? 'interval,' : ''}timeout; }`;

/** A rate limit holds for packets of the address as much as for packets to it: it may be a victim's. */
const sidesOf = ({ direction, effect }: SetSpec): readonly ('saddr' | 'daddr')[] => {
  if (direction === 'out') return ['daddr'];
  return effect.action === 'rate_limit' ? ['saddr', 'daddr'] : ['saddr'];
};

const rulesOf = (set: SetSpec): readonly string[] => {
  const { family, direction, effect, name, shape } = set;
  const stage = stageOf(effect);
  return sidesOf(set).flatMap((side) => {
    const address = `${family === 4 ? 'ip' : 'ip6'} ${side}`;
    const fields = [address];
    if (shape.startsWith('p')) fields.push('meta l4proto');
    if (shape.startsWith('port')) fields.push('th dport');
    const match = `${fields.join(' . ')} @${name}`;
    const chain = `${OURS} ${direction}_${stage}`;
    const end = stage === 'dry' ? 'counter name dry_run' : `goto do_${stage}`;
    if (effect.action !== 'rate_limit') return [`add rule ${chain} ${match} ${end}`];
    const meter = `m_${name}_${side[0]}`;
    const { rate, unit } = rateOf(effect);
    const limit = `limit rate over ${rate}/${unit} burst ${effect.packets} packets`;
    const timeoutS = Math.max(METER_TIMEOUT_MIN_S, 2 * effect.windowS);
    return [
      `add set ${OURS} ${meter} { type ${addressType(family)}; size ${METER_ELEMENTS_MAX}; ` +
        `flags dynamic,timeout; timeout ${timeoutS}s; }`,
      `add rule ${chain} ${match} update @${meter} { ${address} ${limit} } ${end}`,
    ];
  });
};

const hookRules = (hook: 'input' | 'forward' | 'output', failsafe: readonly FailsafePorts[]) => {
  const chain = `${OURS} ${hook}`;
  const rules: string[] = [];
  if (hook !== 'forward') {
    rules.push(hook === 'input' ? 'iif lo accept' : 'oif lo accept');
    // Without neighbour discovery an IPv6 link is cut, not a host.
    rules.push('icmpv6 type { 133-136 } accept');
    for (const protocol of ['tcp', 'udp'] as const) {
      const ports = portList(failsafe, protocol, '-').join(', ');
      if (ports === '') continue;
      rules.push(`${protocol} dport { ${ports} } accept`);
      // Answers of our own services; a stranger chooses the source port of what comes in.
      if (hook === 'output') rules.push(`${protocol} sport { ${ports} } accept`);
    }
  }
  const directions: Direction[] = hook === 'forward' ? ['in', 'out'] : [];
  if (hook === 'input') directions.push('in');
  if (hook === 'output') directions.push('out');
  for (const stage of STAGES) rules.push(...directions.map((one) => `jump ${one}_${stage}`));
  return rules.map((rule) => `add rule ${chain} ${rule}`);
};

/** The table as it stands without a policy. Packet counts go on from `packets`. */
const skeleton = (failsafe: readonly FailsafePorts[], packets: Census['packets']): string[] => {
  const hooks = ['input', 'forward', 'output'] as const;
  const chains = (['in', 'out'] as const).flatMap((one) =>
    STAGES.map((stage) => `${one}_${stage}`),
  );
  return [
    `add table ${OURS}`,
    ...PACKET_COUNTS.map(
      (name) => `add counter ${OURS} ${counterOf(name)} { packets ${packets[name]} bytes 0; }`,
    ),
    ...['do_drop', 'do_reject', 'do_limit', ...chains].map((name) => `add chain ${OURS} ${name}`),
    `add rule ${OURS} do_drop counter name dropped drop`,
    `add rule ${OURS} do_limit counter name limited drop`,
    `add rule ${OURS} do_reject counter name rejected`,
    `add rule ${OURS} do_reject meta l4proto tcp reject with tcp reset`,
    `add rule ${OURS} do_reject reject with icmpx type admin-prohibited`,
    ...hooks.flatMap((hook) => [
      `add chain ${OURS} ${hook} { type filter hook ${hook} priority ${PRIORITY}; policy accept; }`,
      ...hookRules(hook, failsafe),
    ]),
  ];
};

/** Some names of actions are words of nft's language. */
export const counterOf = (name: (typeof PACKET_COUNTS)[number]): string =>
  ({ drop: 'dropped', reject: 'rejected', rate_limit: 'limited', dry_run: 'dry_run' })[name];

const timeoutText = (ms: number): string =>
  `${Math.floor(ms / MS_PER_S)}s${Math.max(1, Math.floor(ms % MS_PER_S))}ms`;

const adding = (set: string, elements: readonly Element[], atMs: number): string => {
  const texts = elements.map((one) => `${one.key} timeout ${timeoutText(one.expiresMs - atMs)}`);
  return `add element ${OURS} ${set} { ${texts.join(', ')} }`;
};

/**
 * Of a table that stands. A timeout cannot be changed, and an element that ran out a moment ago cannot be
 * deleted; so an old one is added (which changes nothing if it is there), deleted, and added anew.
 */
export const changeScript = (changes: readonly SetChange[], atMs: number): string =>
  changes
    .flatMap(({ set, gone, fresh }) => {
      const old = gone.map((key) => ({ key, expiresMs: atMs + MS_PER_S }));
      return [
        ...(gone.length === 0 ? [] : [adding(set.name, old, atMs)]),
        ...(gone.length === 0 ? [] : [`delete element ${OURS} ${set.name} { ${gone.join(', ')} }`]),
        ...(fresh.length === 0 ? [] : [adding(set.name, fresh, atMs)]),
      ];
    })
    .join('\n');

/** Our table and nothing else is replaced; as one transaction, so that no packet sees a gap. */
export const tableScript = (
  sets: readonly SetChange[],
  failsafe: readonly FailsafePorts[],
  packets: Census['packets'],
  atMs: number,
): string =>
  [
    removalScript,
    ...skeleton(failsafe, packets),
    ...sets.flatMap(({ set }) => [declare(set), ...rulesOf(set)]),
    ...sets
      .filter((one) => one.fresh.length > 0)
      .map((one) => adding(one.set.name, one.fresh, atMs)),
  ].join('\n');

/** Deleting what is not there fails; adding what is there does not. */
export const removalScript = `add table ${OURS}\ndelete table ${OURS}`;
