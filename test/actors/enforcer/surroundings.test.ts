import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  checkSurroundings,
  cutOff,
  NOWHERE,
  PEERS_MIN,
  type Surroundings,
} from '#actors/enforcer/neighbourhood.ts';
import { auditFile, endPanic, readPanic, startPanic } from '#actors/enforcer/panic.ts';
import { parseConnections, parseResolvers } from '#actors/enforcer/surroundings.ts';
import { formatIp, hostCidr, parseIp } from '#proto/ip.ts';
import type { PolicyRule } from '#proto/policy.ts';
import { temporaryFolder } from '#test/kit/processes.ts';

const at = (text: string) => hostCidr(parseIp(text)!);
const around: Surroundings = {
  own: [at('192.0.2.10'), at('2001:db8::10')],
  gateways: [at('192.0.2.1')],
  resolvers: [at('192.0.2.53')],
  admins: [at('198.51.100.20')],
  peers: [],
};
const rule = (
  target: PolicyRule['target'],
  action: PolicyRule['action'] = 'drop',
  dryRun = false,
): PolicyRule => ({
  policy_id: 'p',
  rule_type: 'block',
  action,
  target,
  guardrails: { ttl_seconds: 60, dry_run: dryRun },
});
const code = (one: PolicyRule, where = around, shareMax = 0.5): string => {
  const cut = cutOff([], where);
  const checked = checkSurroundings(one, where, cut, shareMax);
  return checked.ok ? 'allowed' : checked.error.code;
};

test('own addresses, the gateway, resolvers and admins are never cut off, alone or in a network', () => {
  expect(code(rule({ ips: ['192.0.2.10'] }))).toBe('own-address');
  expect(code(rule({ ips: ['2001:db8::10'] }, 'reject'))).toBe('own-address');
  expect(code(rule({ ips: ['192.0.2.1'] }))).toBe('default-gateway');
  expect(code(rule({ ips: ['192.0.2.53'] }))).toBe('dns-server');
  expect(code(rule({ ips: ['198.51.100.20'] }))).toBe('admin-session');
  expect(code(rule({ cidrs: ['198.51.100.0/24'] }))).toBe('admin-session');
  expect(code(rule({ ips: ['198.51.100.21'] }))).toBe('allowed');
});

test('a host may slow what comes to its own address, and dry runs harm nobody', () => {
  const own: PolicyRule['target'] = { ips: ['192.0.2.10'], direction: 'ingress' };
  expect(code(rule(own, 'rate_limit'))).toBe('allowed');
  expect(code(rule({ ...own, direction: 'egress' }, 'rate_limit'))).toBe('own-address');
  expect(code(rule({ ips: ['192.0.2.1'] }, 'drop', true))).toBe('allowed');
});

test('no more than a share of the peers seen lately is cut off, all policies together', () => {
  const peers = Array.from({ length: PEERS_MIN }, (_, k) => parseIp(`203.0.113.${k}`)!);
  const busy = { ...NOWHERE, peers };
  expect(code(rule({ cidrs: ['203.0.113.0/29'] }), busy)).toBe('allowed');
  expect(code(rule({ cidrs: ['203.0.113.0/28'] }), busy)).toBe('too-many-peers');
  expect(code(rule({ cidrs: ['203.0.113.0/28'] }, 'drop', true), busy)).toBe('allowed');
  expect(code(rule({ cidrs: ['203.0.113.0/28'] }), { ...busy, peers: peers.slice(1) })).toBe(
    'allowed',
  );
  const cut = cutOff([rule({ cidrs: ['203.0.113.0/29'] })], busy);
  const more = checkSurroundings(rule({ cidrs: ['203.0.113.8/29'] }), busy, cut, 0.5);
  expect(more).toMatchObject({ error: { code: 'too-many-peers' } });
  const same = checkSurroundings(rule({ ips: ['203.0.113.3'] }), busy, cut, 0.1);
  expect(same.ok).toBe(true);
});

test('established connections are read as the kernel prints them', () => {
  const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0016 076433C6:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4711 1
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1
   2: B80D0120000000000000000001000000:0050 B80D0120000000000000000002000000:0051 01 0:0 00:0 0  0  0 4713 1`;
  const seen = parseConnections(tcp).map((one) => [formatIp(one.peer), one.localPort, one.inode]);
  expect(seen).toEqual([
    ['198.51.100.7', 22, '4711'],
    ['2001:db8::2', 80, '4713'],
  ]);
  const resolvers = parseResolvers(
    '# x\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nsearch x\n',
  );
  expect(resolvers.map(formatIp)).toEqual(['192.0.2.53', 'fe80::1']);
});

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

test('a panic stands until its time is over or somebody ends it, and is written down', async () => {
  const { path: dir } = folder;
  expect(readPanic(dir, 1)).toBeUndefined();
  startPanic(dir, { atMs: 1, untilMs: 100, by: 'somebody', reason: 'lockout' });
  expect(readPanic(dir, 99)).toMatchObject({ by: 'somebody' });
  expect(readPanic(dir, 100)).toBeUndefined();
  endPanic(dir, 'somebody else', 50);
  expect(readPanic(dir, 60)).toBeUndefined();
  const { readFileSync } = await import('node:fs');
  const events = readFileSync(auditFile(dir), 'utf8').trim().split('\n');
  expect(events.map((one) => JSON.parse(one).event)).toEqual(['panic', 'end']);
});

test('a panic file that cannot be understood counts as a panic', () => {
  writeFileSync(path.join(folder.path, 'panic.json'), 'stop!');
  expect(readPanic(folder.path, 1)?.reason).toMatch(/cannot be read/);
  const other = path.join(folder.path, 'other');
  mkdirSync(path.join(other, 'panic.json'), { recursive: true });
  expect(readPanic(other, 1)?.reason).toMatch(/cannot be read/);
});
