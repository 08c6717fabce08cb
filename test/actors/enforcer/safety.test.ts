/** What an agent does not do by itself: beyond its caps it holds, asks and waits; what it does not know it refuses. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { approve, readApprovals } from '#actors/enforcer/approvals.ts';
import { config } from '#actors/enforcer/config.ts';
import { NOWHERE } from '#actors/enforcer/neighbourhood.ts';
import { auditFile } from '#actors/enforcer/panic.ts';
import type { PolicyView } from '#actors/enforcer/registry.ts';
import { utf8 } from '#proto/bytes.ts';
import { hostCidr, parseIp } from '#proto/ip.ts';
import type { PolicyUpdateAction } from '#proto/wire/policy-update.ts';
import type { Agent } from '../../integration/firewall/agent.ts';
import { agentHome, viewsOf } from './agents.ts';
import { committedPolicy, orderedPolicy, updateOf } from './policies.ts';

const asking = orderedPolicy({ guardrails: { ttl_seconds: 600, approval_required: true } }).added;
const first = committedPolicy('198.51.100.1');
const second = committedPolicy('198.51.100.2');
const home = agentHome(asking.state.committedMs + 100);
const { begin } = home;

const held = async (agent: Agent): Promise<readonly PolicyView[]> =>
  (await viewsOf(agent)).filter((one) => one.status === 'held');
const letThrough = (id: string, untilMs = home.nowMs + 600_000): void =>
  approve(home.path, [{ id, untilMs, held: 'why' }], 'somebody', 'looked at it', home.nowMs);

test('nothing is enforced unless a topology says so', () => {
  expect(config.parse({}).backend).toBe('noop');
});

test('a policy that asks for approval is held, said so once, and in force when somebody approves it', async () => {
  const agent = await begin();
  await agent.receive(updateOf(asking));
  await agent.receive(updateOf(asking, {}, 'v2'));
  expect(agent.acks()).toEqual(['failed approval-required']);
  expect(await held(agent)).toMatchObject([
    { id: 'policy-1', reason: expect.stringMatching(/approval-required/) },
  ]);
  letThrough('policy-1');
  await agent.tell({ kind: 'tick' });
  await agent.tell({ kind: 'tick' });
  expect(agent.acks()).toEqual(['applied']);
  expect(await held(agent)).toEqual([]);
  const line = JSON.parse(readFileSync(auditFile(home.path), 'utf8'));
  expect(line).toMatchObject({ event: 'approve', policy: 'policy-1', by: 'somebody' });
});

test('what is held stays held over a restart, and what was approved meanwhile comes into force', async () => {
  const agent = await begin();
  await agent.receive(updateOf(asking));
  expect(agent.acks()).toEqual(['failed approval-required']);
  const again = await begin();
  expect(await held(again)).toHaveLength(1);
  letThrough('policy-1');
  await again.tell({ kind: 'tick' });
  expect(again.acks().at(-1)).toBe('applied');
});

test.each([
  ['too-many-active', { activeMax: 1 }],
  ['too-many-a-minute', { perMinuteMax: 1 }],
] as const)(
  'beyond the cap of an agent a policy is held with %s, and approval lifts it for this one',
  async (code, settings) => {
    const agent = await begin(settings);
    await agent.receive(updateOf(first), updateOf(second));
    expect(agent.acks()).toEqual(['applied', `failed ${code}`].toSorted());
    expect(await held(agent)).toMatchObject([{ id: second.policyId }]);
    letThrough(first.policyId);
    await agent.tell({ kind: 'tick' });
    expect(await held(agent)).toHaveLength(1);
    letThrough(second.policyId);
    await agent.tell({ kind: 'tick' });
    expect(agent.acks()).toEqual(['applied']);
    // A cap speaks against new policies: a newer proof of one in force changes nothing.
    await agent.receive(updateOf(first, { commitProof: first.later }));
    expect(agent.acks()).toEqual([]);
  },
);

test('what was approved before an agent heard of it is in force at once', async () => {
  const agent = await begin({ activeMax: 1 });
  for (const id of ['policy-1', second.policyId]) letThrough(id);
  await agent.tell({ kind: 'tick' });
  await agent.receive(updateOf(first), updateOf(second), updateOf(asking));
  expect(agent.acks()).toEqual(['applied', 'applied', 'applied']);
});

test('approval lifts a cap and nothing else: what may not be blocked stays so', async () => {
  const agent = await begin();
  await agent.receive(updateOf(asking));
  const admins = [hostCidr(parseIp('203.0.113.9')!)];
  await agent.tell({ kind: 'surveyed', around: { ...NOWHERE, admins } });
  letThrough('policy-1');
  await agent.tell({ kind: 'tick' });
  expect(agent.acks()).toEqual(['failed approval-required', 'failed admin-session']);
});

test('a held policy ends with its time, approved or not', async () => {
  const agent = await begin();
  await agent.receive(updateOf(asking));
  home.nowMs = asking.state.expiresMs;
  letThrough('policy-1', home.nowMs + 1);
  await agent.tell({ kind: 'tick' });
  expect(agent.acks()).toEqual(['failed approval-required']);
});

test('a file of approvals that cannot be understood approves nothing', async () => {
  const agent = await begin();
  await agent.receive(updateOf(asking));
  for (const text of ['yes', '{"policy-1":true}', '[]']) {
    writeFileSync(path.join(home.path, 'approvals.json'), text);
    expect(readApprovals(home.path)).toEqual({});
    await agent.tell({ kind: 'tick' });
  }
  expect(agent.acks()).toEqual(['failed approval-required']);
});

test('an action that nobody knows is refused by its policy, and the next one is obeyed', async () => {
  const agent = await begin();
  const strange = { action: 'quarantine' as PolicyUpdateAction };
  await agent.receive(updateOf(first, strange), updateOf(second));
  expect(agent.acks()).toEqual(['applied', 'failed bad-structure']);
});

test('whatever a rule says of fast paths and rollbacks, nothing is in force before its proof', async () => {
  const fast = orderedPolicy({
    guardrails: {
      ...{ ttl_seconds: 600, fast_path_enabled: true, fast_path_ttl_seconds: 60 },
      ...{ pre_consensus_ttl_seconds: 60, rollback_if_no_commit_after_s: 30 },
    },
  }).added;
  const agent = await begin();
  await agent.receive(updateOf(fast, { commitProof: utf8('') }));
  expect(agent.acks()).toEqual(['failed proof-malformed']);
  await agent.receive(updateOf(fast));
  expect(agent.acks()).toEqual(['applied']);
});

test('while the bus is away what is in force stays, and ends at its own time', async () => {
  const agent = await begin();
  await agent.receive(updateOf(first));
  const active = async (): Promise<number> => {
    await agent.tell({ kind: 'summary', replyTo: 0 as never });
    const [answer] = agent.replies() as readonly { readonly json: Uint8Array }[];
    const { byStatus, coverage } = JSON.parse(new TextDecoder().decode(answer?.json));
    return coverage * (byStatus.applied ?? 0);
  };
  for (let k = 0; k < 20; k++) {
    await agent.tell({ kind: 'fetched', result: { ok: false, error: 'timeout' } });
    const value = { outcome: 'unavailable', records: new Uint8Array(0), positions: [] } as const;
    await agent.tell({ kind: 'fetched', result: { ok: true, value } });
    await agent.tell({ kind: 'reconcile' });
  }
  expect(await active()).toBe(1);
  home.nowMs = first.state.expiresMs;
  await agent.tell({ kind: 'tick' });
  expect(await active()).toBe(0);
});
