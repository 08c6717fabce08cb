import { BlockList, isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  contains,
  familyOf,
  formatCidr,
  formatIp,
  hostCidr,
  isV4,
  overlaps,
  parseCidr,
  parseIp,
} from '#proto/ip.ts';

const seed = 20_260_606;
const v4 = fc.ipV4();
const v6 = fc.ipV6();
const ip = (text: string) => parseIp(text)!;
const net = (text: string) => parseCidr(text)!;

test('every address that node knows is parsed, and its one spelling parses to the same', () => {
  fc.assert(
    fc.property(fc.oneof(v4, v6), (text) => {
      const address = ip(text);
      expect(address).toHaveLength(16);
      expect(parseIp(formatIp(address))).toEqual(address);
      expect(isV4(address)).toBe(isIPv4(formatIp(address)));
    }),
    { seed, numRuns: 500 },
  );
});

test('text is an address exactly where node says so', () => {
  const almost = fc.string({ unit: fc.constantFrom(...'0123:.fFg '.split('')), maxLength: 20 });
  fc.assert(
    fc.property(fc.oneof(almost, fc.string(), v6), (text) => {
      const known = isIPv4(text) || (isIPv6(text) && !text.includes('%'));
      expect(parseIp(text) !== undefined).toBe(known);
    }),
    { seed, numRuns: 3000 },
  );
});

test('spellings of RFC 5952 and the mapped form are one address', () => {
  expect(formatIp(ip('2001:DB8:0:0:1:0:0:1'))).toBe('2001:db8::1:0:0:1');
  expect(formatIp(ip('0:0:0:0:0:0:0:0'))).toBe('::');
  expect(formatIp(ip('1:0:2:3:4:5:6:7'))).toBe('1:0:2:3:4:5:6:7');
  expect(formatIp(ip('::ffff:192.0.2.1'))).toBe('192.0.2.1');
  expect(ip('::ffff:c000:201')).toEqual(ip('192.0.2.1'));
  expect(formatIp(ip('1::'))).toBe('1::');
});

test('leading zeros, zones, missing parts and prefixes out of range are refused', () => {
  for (const text of ['01.2.3.4', '1.2.3', '1.2.3.4.5', 'fe80::1%eth0', '1::2::3', '256.1.1.1']) {
    expect(parseIp(text)).toBeUndefined();
  }
  for (const text of ['1.2.3.4', '1.2.3.4/33', '::/129', '1.2.3.4/-1', '1.2.3.4/08', '::/']) {
    expect(parseCidr(text)).toBeUndefined();
  }
});

test('a network clears its host bits and knows its family', () => {
  expect(formatCidr(net('10.1.2.3/8'))).toBe('10.0.0.0/8');
  expect(formatCidr(net('::ffff:10.1.2.3/104'))).toBe('10.0.0.0/8');
  expect(formatCidr(net('2001:db8::1/32'))).toBe('2001:db8::/32');
  expect(familyOf(net('0.0.0.0/0'))).toEqual({ family: 4, prefix: 0 });
  expect(familyOf(net('::/0'))).toEqual({ family: 6, prefix: 0 });
});

test('membership agrees with node for both families', () => {
  const cidr4 = fc.tuple(v4, fc.nat(32));
  const cidr6 = fc.tuple(v6, fc.nat(128));
  fc.assert(
    fc.property(cidr4, v4, ([base, prefix], address) => {
      const list = new BlockList();
      list.addSubnet(base, prefix, 'ipv4');
      const network = net(`${base}/${prefix}`);
      expect(contains(network, ip(address))).toBe(list.check(address, 'ipv4'));
    }),
    { seed, numRuns: 500 },
  );
  fc.assert(
    fc.property(cidr6, v6, ([base, prefix], address) => {
      fc.pre(!isV4(ip(address)) && !isV4(ip(base)) && !base.includes('.'));
      const list = new BlockList();
      list.addSubnet(base, prefix, 'ipv6');
      expect(contains(net(`${base}/${prefix}`), ip(address))).toBe(list.check(address, 'ipv6'));
    }),
    { seed, numRuns: 500 },
  );
});

test('networks overlap in both directions exactly when one holds the other', () => {
  const cidr = fc.oneof(fc.tuple(v4, fc.nat(32)), fc.tuple(v6, fc.nat(128)));
  const text = cidr.map(([base, prefix]) => `${base}/${prefix}`);
  fc.assert(
    fc.property(text, text, (a, b) => {
      const [left, right] = [net(a), net(b)];
      const nested = contains(left, right.address) || contains(right, left.address);
      expect(overlaps(left, right)).toBe(nested);
      expect(overlaps(right, left)).toBe(nested);
      expect(overlaps(left, left)).toBe(true);
      expect(contains(left, left.address)).toBe(true);
    }),
    { seed, numRuns: 500 },
  );
  expect(overlaps(net('10.0.0.0/8'), hostCidr(ip('10.9.9.9')))).toBe(true);
  expect(overlaps(net('::/0'), net('10.0.0.0/8'))).toBe(true);
  expect(overlaps(net('2000::/3'), net('10.0.0.0/8'))).toBe(false);
});
