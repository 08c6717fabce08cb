/** What a rule asks of the agent that obeys it: its pace, a pause before it gets harsher, and canaries first. */
import path from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { approve } from '#actors/enforcer/approvals.ts';
import type { EnforcerConfig } from '#actors/enforcer/config.ts';
import type { PolicyRule } from '#proto/policy.ts';
import type { Agent } from '../../integration/firewall/agent.ts';
import { agentHome, viewsOf } from './agents.ts';
import { committedPolicy, orderedPolicy, updateOf } from './policies.ts';

type Limits = Partial<PolicyRule['guardrails']>;
type Order = Omit<Partial<PolicyRule>, 'guardrails'> & { readonly limits?: Limits };

let count = 0;
/** A committed policy for an address of its own, unless the order names one, and its removal. */
const ordered = ({ limits = {}, ...over }: Order = {}) => {
  count++;
  return orderedPolicy({
    ...{ policy_id: `ordered-${count}`, target: { ips: [`203.0.113.${count}`] } },
    guardrails: { ttl_seconds: 600, ...limits },
    ...over,
  });
};
const home = agentHome(committedPolicy().state.committedMs + 100);
const { begin } = home;
/** What is stopped in order begins again. */
const restart = async (settings: Partial<EnforcerConfig> = {}): Promise<Agent> => {
  await home.end();
  return begin(settings);
};
beforeEach(() => {
  count = 0;
});

/** What the agent says of orders that come one after the other. */
const saysOf = async (agent: Agent, ...orders: readonly ReturnType<typeof ordered>[]) => {
  for (const { added } of orders) await agent.receive(updateOf(added));
  return agent.acks();
};
const reasonOf = async (agent: Agent, id: string): Promise<string | undefined> =>
  (await viewsOf(agent)).find((one) => one.id === id)?.reason;

const twoIn90S: Limits = { rate_limit: { window_s: 90, max_actions: 2 } };

test('beyond the rate_limit of a rule it is held, with the figures, until somebody approves it', async () => {
  const agent = await begin();
  const third = ordered({ limits: twoIn90S });
  expect(await saysOf(agent, ordered(), ordered(), third)).toEqual([
    ...['applied', 'applied', 'failed too-many-in-window'],
  ]);
  const { policyId } = third.added;
  expect(await reasonOf(agent, policyId)).toBe('too-many-in-window: 2 of at most 2 in 90 s');
  approve(
    home.path,
    [{ id: policyId, untilMs: home.nowMs + 600_000, held: '' }],
    'me',
    '',
    home.nowMs,
  );
  await agent.tell({ kind: 'tick' });
  expect(agent.acks()).toEqual(['applied']);
});

test('policies of one fetch count one after the other, and leave the window with their time', async () => {
  const agent = await begin();
  const orders = [1, 2, 3].map(() => updateOf(ordered({ limits: twoIn90S }).added));
  await agent.receive(...orders);
  expect(agent.acks().toSorted()).toEqual(['applied', 'applied', 'failed too-many-in-window']);
  home.nowMs += 89_999;
  expect(await saysOf(agent, ordered({ limits: twoIn90S }))).toEqual(['failed too-many-in-window']);
  home.nowMs += 1;
  expect(await saysOf(agent, ordered({ limits: twoIn90S }))).toEqual(['applied']);
});

test('a restart forgets nothing of it, not even of policies that have ended and are forgotten', async () => {
  const before = await begin();
  const short: Limits = { ttl_seconds: 5 };
  expect(await saysOf(before, ordered({ limits: short }), ordered({ limits: short }))).toEqual([
    ...['applied', 'applied'],
  ]);
  home.nowMs += 70_000;
  await before.tell({ kind: 'tick' });
  await before.tell({ kind: 'tick' });
  expect(await viewsOf(before)).toEqual([]);
  const after = await restart();
  expect(await saysOf(after, ordered({ limits: twoIn90S }))).toEqual(['failed too-many-in-window']);
});

test('the cap of the agent itself counts over a restart, too', async () => {
  const before = await begin({ perMinuteMax: 1 });
  expect(await saysOf(before, ordered())).toEqual(['applied']);
  const after = await restart({ perMinuteMax: 1 });
  expect(await saysOf(after, ordered())).toEqual(['failed too-many-a-minute']);
});

test('a clock that was ahead and is put back makes nobody wait for it longer than until a restart', async () => {
  const before = await begin({ perMinuteMax: 1 });
  home.nowMs += 300_000;
  expect(await saysOf(before, ordered())).toEqual(['applied']);
  home.nowMs -= 240_000;
  expect(await saysOf(before, ordered())).toEqual(['failed too-many-a-minute']);
  const after = await restart({ perMinuteMax: 1 });
  home.nowMs += 59_999;
  expect(await saysOf(after, ordered())).toEqual(['failed too-many-a-minute']);
  home.nowMs += 1;
  expect(await saysOf(after, ordered())).toEqual(['applied']);
});

test('what was approved counts like any other, a removal and a newer proof do not', async () => {
  const agent = await begin();
  const asking = ordered({ limits: { approval_required: true } });
  const { policyId } = asking.added;
  approve(
    home.path,
    [{ id: policyId, untilMs: home.nowMs + 600_000, held: '' }],
    'me',
    '',
    home.nowMs,
  );
  await saysOf(agent, asking);
  await agent.tell({ kind: 'tick' });
  const again = committedPolicy();
  await agent.receive(updateOf(again), ordered().removal);
  await agent.receive(updateOf(again, { commitProof: again.later }));
  agent.acks();
  const limits: Limits = { rate_limit: { window_s: 90, max_actions: 3 } };
  expect(await saysOf(agent, ordered({ limits }), ordered({ limits }))).toEqual([
    ...['applied', 'failed too-many-in-window'],
  ]);
});

test('a policy that failed at first counts once, however often it is proven', async () => {
  const agent = await begin({ killSwitch: true });
  const again = committedPolicy();
  await agent.receive(updateOf(again));
  await agent.receive(updateOf(again, { commitProof: again.later }));
  expect(agent.acks()).toEqual(['failed kill-switch', 'failed kill-switch']);
  expect(await saysOf(agent, ordered({ limits: twoIn90S }))).toEqual(['failed kill-switch']);
  expect(await saysOf(agent, ordered({ limits: twoIn90S }))).toEqual(['failed too-many-in-window']);
});

test.each(['tenant', 'region'] as const)(
  'the limit of a %s counts the policies of that one in a minute, by the word of the rule before its target',
  async (kind) => {
    const agent = await begin();
    const limits: Limits = { [`rate_limit_per_${kind}`]: 1 };
    const address = { ips: ['198.51.100.9'] };
    const ofRule = { [kind]: 'acme', target: { ...address, [kind]: 'other' } };
    const ofTarget = { target: { ...address, [kind]: 'acme' }, limits };
    expect(await saysOf(agent, ordered(ofRule), ordered({ [kind]: 'other', limits }))).toEqual([
      ...['applied', 'applied'],
    ]);
    const second = ordered(ofTarget);
    expect(await saysOf(agent, second)).toEqual([`failed too-many-of-${kind}`]);
    expect(await reasonOf(agent, second.added.policyId)).toBe(
      `too-many-of-${kind}: 1 policies of ${kind} acme of at most 1 in a minute`,
    );
    // Who names none is counted with those who name none.
    expect(await saysOf(agent, ordered({ limits }), ordered({ limits }))).toEqual([
      ...['applied', `failed too-many-of-${kind}`],
    ]);
    home.nowMs += 60_000;
    expect(await saysOf(agent, ordered(ofTarget))).toEqual(['applied']);
  },
);

const target = { ips: ['203.0.113.200'], ports: [22, 80] };
const sameTarget = { cidrs: ['203.0.113.200/32'], ports: [80, 22] };
const limited: Order = { action: 'rate_limit', target };
const patient: Limits = { escalation_cooldown_s: 60 };

test('within its cooldown a harsher policy for the same target is held, then it is not', async () => {
  const agent = await begin();
  const harsher: Order = { action: 'drop', target: sameTarget, limits: patient };
  const held = ordered(harsher);
  expect(await saysOf(agent, ordered(limited), held)).toEqual([
    ...['applied', 'failed escalation-cooldown'],
  ]);
  expect(await reasonOf(agent, held.added.policyId)).toBe(
    'escalation-cooldown: harsher for the same target (0 packets a second after 100 packets a second) within 60 s',
  );
  home.nowMs += 60_000;
  expect(await saysOf(agent, ordered(harsher))).toEqual(['applied']);
});

test('within its cooldown a longer policy for the same target is held, one as long or milder is not', async () => {
  const agent = await begin();
  const longer = ordered({ ...limited, limits: { ...patient, ttl_seconds: 601 } });
  const alike = ordered({ ...limited, limits: patient });
  const milder = ordered({ ...limited, limits: { ...patient, ttl_seconds: 60, dry_run: true } });
  expect(await saysOf(agent, ordered(limited), longer, alike, milder)).toEqual([
    ...['applied', 'failed escalation-cooldown', 'applied', 'applied'],
  ]);
  expect(await reasonOf(agent, longer.added.policyId)).toMatch(/longer .* \(601 s after 600 s\)/);
});

test('an escalation from the dry run is one; another target, or no cooldown, is none', async () => {
  const agent = await begin();
  const observed = ordered({ action: 'drop', target, limits: { dry_run: true } });
  const other = { ...target, direction: 'ingress' } as const;
  const orders = [
    ordered({ target, limits: patient }),
    ordered({ target: other, limits: patient }),
    ordered({ target, limits: { escalation_cooldown_s: 0 } }),
  ];
  expect(await saysOf(agent, observed, ...orders)).toEqual([
    ...['applied', 'failed escalation-cooldown', 'applied', 'applied'],
  ]);
});

test('a cooldown lasts over the removal of what came before, and over a restart; a removal is free', async () => {
  const before = await begin();
  const mild = ordered({ ...limited, limits: { ...twoIn90S, ...patient } });
  expect(await saysOf(before, mild)).toEqual(['applied']);
  await before.receive(mild.removal);
  expect(before.acks()).toEqual(['applied']);
  const after = await restart();
  const harsher = ordered({ action: 'reject', target, limits: patient });
  expect(await saysOf(after, harsher)).toEqual(['failed escalation-cooldown']);
  // Of what is held, too.
  await after.receive(harsher.removal);
  expect(after.acks()).toEqual(['applied']);
});

const forRegion: Order = { target: { ips: ['203.0.113.201'], scope: 'region' } };
const trial: Order = { ...forRegion, limits: { canary_scope: true } };

test('a policy for canaries comes into force at those of its scope, and elsewhere is refused by that name', async () => {
  const canary = await begin({ canaryScopes: ['node', 'region'] });
  expect(await saysOf(canary, ordered(trial))).toEqual(['applied']);
  const other = await begin({ canaryScopes: ['node'] }, path.join(home.path, 'other'));
  expect(await saysOf(other, ordered(trial))).toEqual(['failed not-canary']);
  expect(await saysOf(other, ordered(forRegion))).toEqual(['applied']);
});

test('by default an agent is a canary of nothing, and a person makes it none', async () => {
  const agent = await begin();
  const one = ordered(trial);
  const { policyId: id } = one.added;
  approve(home.path, [{ id, untilMs: home.nowMs + 600_000, held: '' }], 'me', '', home.nowMs);
  await agent.tell({ kind: 'tick' });
  expect(await saysOf(agent, one)).toEqual(['failed not-canary']);
  // What it never had it lets go of like anybody.
  await agent.receive(one.removal);
  expect(agent.acks()).toEqual(['applied']);
});

test('who is no canary any more lets go of what it tried, and says so', async () => {
  const before = await begin({ canaryScopes: ['region'] });
  const one = ordered(trial);
  expect(await saysOf(before, one)).toEqual(['applied']);
  const after = await restart();
  expect(after.acks()).toEqual(['failed not-canary']);
  expect(await viewsOf(after)).toMatchObject([{ id: one.added.policyId, status: 'removed' }]);
});
