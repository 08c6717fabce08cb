/** Reads what `nft -j -n list table` prints: the elements of our sets, packet counts, and the rules as one text. */
import { z } from 'zod';
import { formatIp, parseIp } from '#proto/ip.ts';
import { NO_PACKETS, PACKET_COUNTS } from '../backend.ts';
import type { Contents } from '../demand.ts';
import { counterOf, TABLE } from './nft-script.ts';
import type { Listing } from './set-backend.ts';

const part = z.union([
  z.string(),
  z.number(),
  z.object({ prefix: z.object({ addr: z.string(), len: z.int() }) }),
  z.object({
    range: z.tuple([z.union([z.string(), z.number()]), z.union([z.string(), z.number()])]),
  }),
]);
const value = z.union([part, z.object({ concat: z.array(part) })]);
const element = z.union([
  z.object({ elem: z.object({ val: value, expires: z.number().optional() }) }),
  value,
]);
const item = z.record(
  z.string(),
  z.looseObject({ name: z.string().optional(), table: z.string().optional() }),
);
const document = z.object({ nftables: z.array(item) });

type Part = z.output<typeof part>;
type Element = z.output<typeof element>;

const METER = /^m_/;
const MS_PER_S = 1000;
/** nft prints whole seconds, rounded down. */
const HALF_SECOND_MS = 500;
const V4_BITS = 32;

/** nft writes some IPv6 addresses with a dotted quad; ours have one spelling. */
const spelled = (address: string): string => {
  if (!address.includes(':') || !address.includes('.')) return address;
  const bytes = parseIp(address);
  return bytes === undefined ? address : formatIp(bytes);
};

const lastOf = (address: string, bits: number): string => {
  const bytes = parseIp(address);
  if (bytes === undefined) return address;
  const prefix = address.includes(':') ? bits : bits + 128 - V4_BITS;
  return formatIp(
    bytes.map((byte, k) => byte | (0xff >> Math.min(8, Math.max(0, prefix - k * 8)))),
  );
};

const partText = (one: Part): string => {
  if (typeof one === 'number') return `${one}`;
  if (typeof one === 'string') return spelled(one);
  if ('prefix' in one) {
    const { addr, len } = one.prefix;
    return `${spelled(addr)}-${lastOf(addr, len)}`;
  }
  const [low, high] = one.range;
  return `${spelled(`${low}`)}-${spelled(`${high}`)}`;
};

const keyOf = (one: z.output<typeof value>): string =>
  typeof one === 'object' && 'concat' in one ? one.concat.map(partText).join(' . ') : partText(one);

const contentsOf = (elements: readonly Element[], atMs: number): Contents =>
  new Map(
    elements.map((one) => {
      // An element without a timeout never ends: nobody of us made it.
      if (typeof one !== 'object' || !('elem' in one))
        return [keyOf(one), Number.POSITIVE_INFINITY];
      const { val, expires } = one.elem;
      const leftMs =
        expires === undefined ? Number.POSITIVE_INFINITY : expires * MS_PER_S + HALF_SECOND_MS;
      return [keyOf(val), atMs + leftMs];
    }),
  );

/** Of the tables of family inet: ours. Throws on a text that is not a listing: then the program and this file have parted ways. */
export const parseListing = (text: string, atMs: number): Listing => {
  const sets = new Map<string, Contents>();
  const packets = { ...NO_PACKETS };
  const objects: string[] = [];
  const rules: string[] = [];
  for (const entry of document.parse(JSON.parse(text)).nftables) {
    for (const [kind, thing] of Object.entries(entry)) {
      if (thing.table !== TABLE) continue;
      const { handle: _, elem, packets: count, bytes: __, ...rest } = thing;
      if (kind === 'counter') {
        const action = PACKET_COUNTS.find((one) => counterOf(one) === rest.name);
        if (action !== undefined) packets[action] = z.number().parse(count);
      }
      if (kind === 'set' && !METER.test(rest.name ?? '')) {
        sets.set(rest.name ?? '', contentsOf(z.array(element).parse(elem ?? []), atMs));
      }
      (kind === 'rule' ? rules : objects).push(JSON.stringify([kind, rest]));
    }
  }
  // The order of rules decides, that of sets and chains means nothing.
  return { sets, packets, structure: [...objects.sort(), ...rules].join('\n') };
};
