/** An operator's orders: words to rules, objections before the signature, and what the bus says of their fate. */
import { expect, test } from 'vitest';
import { config } from '#actors/enforcer/config.ts';
import { requestOf } from '#actors/enforcer/decisions/add.ts';
import {
  type Fate,
  hear,
  isSettled,
  newFate,
  type Order,
  verdictOf,
} from '#actors/enforcer/decisions/fate.ts';
import { objectionTo, stayingOpen } from '#actors/enforcer/decisions/guard.ts';
import { addition, removal, type Words } from '#actors/enforcer/decisions/rule.ts';
import { signOrders } from '#actors/enforcer/decisions/signing.ts';
import { meant, standingPolicies, wantedOf } from '#actors/enforcer/decisions/standing.ts';
import { NOWHERE } from '#actors/enforcer/neighbourhood.ts';
import { crypto } from '#native/crypto.ts';
import { genesisCommittee } from '#proto/genesis.ts';
import { hostCidr, parseIp } from '#proto/ip.ts';
import { roleBook } from '#proto/roles.ts';
import { DLQ_HEADERS, TOPICS } from '#proto/wire/topics.ts';
import { verify } from '#proto/wire/verification.ts';
import { openEmbedded } from '#runtime/bus/embedded.ts';
import type { BusRecord } from '#runtime/bus/record.ts';
import { keys, testGenesis } from '#test/kit/chain-genesis.ts';
import { ruleOf } from '#test/kit/messages.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { ackBytes, genesis, orderedPolicy, updateOf } from './policies.ts';

const STAMP = { policyId: 'op-1', request: 'request:1', ttlS: 600 };
const block = ['198.51.100.7'];

const WRONG: readonly (readonly [Words, RegExp])[] = [
  [{}, /--block <address> or --cidr/],
  [{ block: ['198.51.100.300'] }, /--block: 198.51.100.300 is not an IP address/],
  [{ block: ['198.51.100.0/24'] }, /with --cidr/],
  [{ cidr: ['198.51.100.7'] }, /with --block/],
  [{ cidr: ['198.51.100.0/40'] }, /not a network/],
  [{ cidr: ['198.51.100.7/24'] }, /did you mean 198.51.100.0\/24/],
  [{ cidr: ['fd00::1/64'] }, /did you mean fd00::\/64/],
  [{ block, action: 'remove' }, /--action takes drop, reject, rate_limit, not remove/],
  [{ block, ports: '22,x' }, /--ports takes .* not x/],
  [{ block, ports: '80-22' }, /not 80-22/],
  [{ block, ports: '70000' }, /not 70000/],
  [{ block, ports: '' }, /--ports takes/],
  [{ block, direction: 'in' }, /--direction takes ingress, egress/],
  [{ block, protocol: '' }, /target.protocols/],
  [{ block, reason: 'x'.repeat(257) }, /audit.reason_code.*256 bytes/],
  [{ block, reason: '' }, /audit.reason_code/],
];

test.each(WRONG)('the words %j are refused by the name of their option', (words, why) => {
  const made = addition(words, STAMP);
  expect(made.ok ? 'a rule' : made.error).toMatch(why);
});

test('options of the command that are no time, unknown or too many are refused', () => {
  const of = (...args: string[]) => {
    const made = requestOf(['t.yaml', '--block', '198.51.100.7', ...args]);
    return made.ok ? 'a request' : made.error;
  };
  expect(of()).toBe('a request');
  expect(of('--for', '3')).toMatch(/--for: expected a duration/);
  expect(of('--for', '1500ms')).toMatch(/whole seconds/);
  expect(of('--wait', 'long')).toMatch(/--wait: expected a duration/);
  expect(of('--blok', 'x')).toMatch(/did you mean --block/);
  expect(of('other.yaml')).toMatch(/unexpected argument other.yaml/);
});

test('what is said is in the rule, and the rule is what a validator takes from an operator', () => {
  const words = { block, cidr: ['203.0.113.0/24'], ports: '22,8000-8080', protocol: 'tcp, udp' };
  const made = addition({ ...words, direction: 'ingress', reason: 'scan', observe: true }, STAMP);
  if (!made.ok) throw new Error(made.error);
  expect(made.value).toMatchObject({
    action: 'drop',
    target: {
      ...{ ips: block, cidrs: ['203.0.113.0/24'], direction: 'ingress' },
      ...{ ports: [22, { from: 8000, to: 8080 }], protocols: ['tcp', 'udp'] },
    },
    guardrails: { ttl_seconds: 600, dry_run: true },
    audit: { reason_code: 'scan', evidence_refs: ['request:1'] },
  });
  const nowMs = genesis.timeMs + 1000;
  const [one, two] = signOrders([made.value, made.value], keys.operator, nowMs);
  const seen = (bytes: Uint8Array, role: 'operator' | 'detector') =>
    verify(TOPICS.policy, bytes, {
      crypto,
      nowMs,
      roleOf: () => role,
      detectorsMayPropose: false,
      nonceSeen: () => undefined,
      contentKnown: () => false,
    });
  expect(seen(one!.bytes, 'operator')).toMatchObject({ ok: true, value: { kind: 'policy' } });
  expect(seen(one!.bytes, 'detector')).toMatchObject({ error: { code: 'unknown-producer' } });
  expect(one!.bytes).not.toEqual(two!.bytes);
});

const agent = (settings = {}) => ({ path: 'enforcer', config: config.parse(settings) });

test('what the chain or the agent would refuse is objected to by its code, with a remedy', () => {
  const rule = (over: Words, ttlS = 600) => {
    const made = addition(over, { ...STAMP, ttlS });
    if (!made.ok) throw new Error(made.error);
    return made.value;
  };
  const on = testGenesis({ maxPrefixV4: 24 }, ['192.0.2.0/24']);
  const code = (over: Words, ttlS = 600, around = NOWHERE, bytes = 100): string => {
    const agents = [agent({ neverBlock: ['203.0.113.9/32'] })];
    const found = objectionTo(rule(over, ttlS), bytes, on, agents, around);
    if (found.ok) return 'none';
    expect(found.error.remedy.length).toBeGreaterThan(5);
    return found.error.code;
  };
  expect(code({ block })).toBe('none');
  expect(code({ block: ['192.0.2.1'] })).toBe('never-block');
  expect(code({ block: ['203.0.113.9'] })).toBe('never-block');
  expect(code({ cidr: ['198.51.0.0/16'] })).toBe('prefix-too-wide');
  expect(code({ cidr: ['0.0.0.0/0'] })).toBe('prefix-too-wide');
  expect(code({ block }, 604_801)).toBe('ttl');
  expect(code({ block, protocol: 'smtp' })).toBe('not-enforceable');
  expect(code({ block }, 600, NOWHERE, 1 << 20)).toBe('policy-too-large');
  const here = [hostCidr(parseIp('198.51.100.7')!)];
  expect(code({ block }, 600, { ...NOWHERE, admins: here })).toBe('admin-session');
  expect(code({ block }, 600, { ...NOWHERE, gateways: here })).toBe('default-gateway');
});

test('failsafe ports that a rule names are told, as they stay open', () => {
  const made = addition({ block, ports: '20-30,53', protocol: 'tcp' }, STAMP);
  if (!made.ok) throw new Error(made.error);
  expect(stayingOpen(made.value, agent())).toEqual(['tcp/22']);
  expect(stayingOpen(ruleOf(), agent())).toEqual([]);
});

const ordered = orderedPolicy();
const believed = {
  trust: { committee: genesisCommittee(genesis, crypto), crypto },
  roles: roleBook(genesis),
};
const order: Order = {
  policyId: 'policy-1',
  action: 'add',
  ruleHash: ordered.added.state.ruleHash,
  partition: 2,
  offset: 7,
};
const recordOf = (value: Uint8Array, headers = {}): BusRecord => ({
  ...{ partition: 0, offset: 0, timestampMs: 0, key: '' },
  ...{ value, headers },
});
const letter = (over: { readonly [name: string]: string } = {}): BusRecord =>
  recordOf(new Uint8Array(), {
    [DLQ_HEADERS.code]: 'guardrail',
    [DLQ_HEADERS.detail]: 'guardrail-ttl',
    [DLQ_HEADERS.topic]: TOPICS.policy,
    [DLQ_HEADERS.partition]: '2',
    [DLQ_HEADERS.offset]: '7',
    ...over,
  });
const ackOf = (over: object = {}, by: keyof typeof keys = 'enforcer'): BusRecord =>
  recordOf(ackBytes('policy-1', order.ruleHash, over, by));
const heard = (...said: readonly (readonly [string, BusRecord])[]): Fate => {
  const fate = newFate();
  for (const [topic, record] of said) hear(fate, order, topic, record, believed);
  return fate;
};

test('only a proof says that an order is committed, and it outweighs a refusal', () => {
  const proven = recordOf(updateOf(ordered.added));
  expect(verdictOf(heard())).toBe('unanswered');
  expect(heard([TOPICS.policyUpdates, proven]).height).toBe(1);
  expect(verdictOf(heard([TOPICS.dlq, letter()], [TOPICS.policyUpdates, proven]))).toBe(
    'committed',
  );
  const broken = ordered.added.proof.slice();
  broken[broken.length - 10]! ^= 1;
  for (const forged of [
    updateOf(ordered.added, { commitProof: broken }),
    updateOf(ordered.added, {}, 'stranger'),
    ordered.removal,
    updateOf(orderedPolicy({ policy_id: 'policy-2' }).added),
  ]) {
    expect(verdictOf(heard([TOPICS.policyUpdates, recordOf(forged)]))).toBe('unanswered');
  }
});

test('the removal of somebody else is not ours, though the policy is gone by it', () => {
  const fate = newFate();
  const ours: Order = { ...order, action: 'remove' };
  hear(fate, ours, TOPICS.policyUpdates, recordOf(ordered.removal), believed);
  expect(verdictOf(fate)).toBe('unanswered');
  const theirs: Order = { ...ours, ruleHash: ordered.removed.state.ruleHash };
  hear(fate, theirs, TOPICS.policyUpdates, recordOf(ordered.removal), believed);
  expect(verdictOf(fate)).toBe('committed');
});

test('a refusal is the dead letter of this very record, with the code that says most', () => {
  const fate = heard([TOPICS.dlq, letter()]);
  expect(fate.refusals).toEqual([{ code: 'guardrail-ttl', detail: '' }]);
  expect(verdictOf(fate)).toBe('refused');
  for (const other of [
    { [DLQ_HEADERS.offset]: '8' },
    { [DLQ_HEADERS.partition]: '0' },
    { [DLQ_HEADERS.topic]: TOPICS.anomalies },
  ]) {
    expect(verdictOf(heard([TOPICS.dlq, letter(other)]))).toBe('unanswered');
  }
});

test('an acknowledgement counts from an enforcer of the genesis, for this very rule', () => {
  const proven = [TOPICS.policyUpdates, recordOf(updateOf(ordered.added))] as const;
  const done = heard(proven, [TOPICS.policyAcks, ackOf()]);
  expect([...done.acks.values()]).toMatchObject([{ agent: 'agent-1', result: 'applied' }]);
  expect(isSettled(done, 4, 1)).toBe(true);
  for (const foreign of [
    ackOf({}, 'stranger'),
    ackOf({}, 'detector'),
    ackOf({ policyId: 'policy-2' }),
    ackOf({ ruleHash: new Uint8Array(32) }),
  ]) {
    const fate = heard(proven, [TOPICS.policyAcks, foreign]);
    expect(fate.acks.size).toBe(0);
    expect(isSettled(fate, 4, 1)).toBe(false);
  }
});

test('what stands is what the bus proves, less what was removed or has ended', async () => {
  const folder = temporaryFolder();
  const topics = Object.values(TOPICS);
  const bus = openEmbedded({
    ...{ file: `${folder.path}/bus.sqlite`, topics, partitions: 3, recordBytesMax: 1 << 20 },
    ...{ topicBytesMax: 1 << 24, now: () => 0 },
    ...{ failed: () => undefined, recovered: () => undefined },
  });
  const other = orderedPolicy({ policy_id: 'policy-2', target: { cidrs: ['203.0.113.0/24'] } });
  const publish = (key: string, value: Uint8Array) =>
    bus.publish([{ topic: TOPICS.policyUpdates, key, value, headers: {} }]);
  const nowMs = ordered.added.state.committedMs + 1000;
  const look = async (word: string, atMs = nowMs) => {
    const wanted = wantedOf(word);
    const found = meant(wanted, await standingPolicies(bus, [wanted], believed, atMs));
    return [found.chosen, found.others].map((list) => list.map((one) => one.id));
  };
  expect(await look('policy-1')).toEqual([[], []]);
  await publish('policy-1', updateOf(ordered.added));
  await publish('policy-2', updateOf(other.added));
  await publish('policy-3', updateOf(ordered.added, { policyId: 'policy-3' }));
  expect(await look('policy-1')).toEqual([['policy-1'], []]);
  expect(await look('policy-3')).toEqual([[], []]);
  expect(await look('203.0.113.0/24')).toEqual([['policy-2'], ['policy-1']]);
  expect(await look('203.0.113.9')).toEqual([['policy-1'], ['policy-2']]);
  expect(await look('policy-1', ordered.added.state.expiresMs)).toEqual([[], []]);
  await publish('policy-1', ordered.removal);
  await publish('policy-1', updateOf(ordered.added));
  expect(await look('policy-1')).toEqual([[], []]);
  await bus.close();
  folder.remove();
});

test('a removal names the policy and its target, and each request has a content of its own', () => {
  const target = { ips: ['198.51.100.7'] };
  const one = removal(target, STAMP);
  const two = removal(target, { ...STAMP, request: 'request:2' });
  expect(one).toMatchObject({ ok: true, value: { action: 'remove', policy_id: 'op-1', target } });
  expect(two).not.toEqual(one);
});
