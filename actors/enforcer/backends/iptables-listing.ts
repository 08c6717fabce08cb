/** Reads `ipset save` and `iptables-save -c`: what of it is ours. Pure. */
import { formatIp, parseIp } from '#proto/ip.ts';
import { NO_PACKETS, type PacketCount } from '../backend.ts';
import type { Contents } from '../demand.ts';
import { SET_PREFIX } from './ipset-layout.ts';
import { CHAIN, HOOKS } from './iptables-script.ts';

const MS_PER_S = 1000;
const HALF_SECOND_MS = 500;

/** One spelling for an IPv6 address that ends in a dotted quad. */
const spelled = (key: string): string => {
  const [address = '', ...rest] = key.split(/(?=[/,])/);
  if (!address.includes(':') || !address.includes('.')) return key;
  const bytes = parseIp(address);
  return bytes === undefined ? key : formatIp(bytes) + rest.join('');
};

export const parseSets = (text: string, atMs: number): Map<string, Contents> => {
  const sets = new Map<string, Contents>();
  for (const line of text.split('\n')) {
    const [verb, name = '', key = '', ...options] = line.split(' ');
    if (!name.startsWith(SET_PREFIX)) continue;
    if (verb === 'create') sets.set(name, new Map());
    if (verb !== 'add') continue;
    const at = options.indexOf('timeout');
    const leftS = at < 0 ? Number.POSITIVE_INFINITY : Number(options[at + 1]);
    // ipset says 0 of an element that never ends.
    const leftMs = leftS === 0 ? Number.POSITIVE_INFINITY : leftS * MS_PER_S - HALF_SECOND_MS;
    sets.get(name)?.set(spelled(key), atMs + leftMs);
  }
  return sets;
};

export type Rules = {
  /** Our chains that stand there. */
  readonly chains: readonly string[];
  /** Rules of others' chains that jump into ours. */
  readonly jumps: readonly string[];
  /** Every rule of ours, without counts. */
  readonly structure: string;
  readonly packets: Record<PacketCount, number>;
};

const COUNTED: readonly (readonly [string, PacketCount])[] = [
  [`-A ${CHAIN}-DO-DRY `, 'dry_run'],
  [`-A ${CHAIN}-DO-DROP `, 'drop'],
  [`-A ${CHAIN}-DO-REJECT `, 'reject'],
  [`-A ${CHAIN}-DO-LIMIT `, 'rate_limit'],
];

export const parseRules = (text: string): Rules => {
  const chains: string[] = [];
  const jumps: string[] = [];
  const lines: string[] = [];
  const packets = { ...NO_PACKETS };
  const hooks = HOOKS.map((hook) => `-A ${hook} `);
  for (const line of text.split('\n')) {
    const chain = /^:(\S+)/.exec(line)?.[1];
    if (chain?.startsWith(`${CHAIN}-`) === true) chains.push(chain);
    const [, count, rule = ''] = /^\[(\d+):\d+\] (.+)$/.exec(line) ?? [];
    const isJump = hooks.some((hook) => rule.startsWith(hook)) && rule.includes(`-j ${CHAIN}-`);
    if (isJump) jumps.push(rule);
    if (isJump || rule.startsWith(`-A ${CHAIN}-`)) lines.push(rule);
    const counted = COUNTED.find(([start]) => rule.startsWith(start))?.[1];
    if (counted !== undefined) packets[counted] += Number(count);
  }
  return { chains, jumps, structure: lines.join('\n'), packets };
};
