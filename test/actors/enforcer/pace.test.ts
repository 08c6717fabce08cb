/** What a rule says of its own pace, against a model that keeps everything and counts by looking at all of it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Admission,
  admissionOf,
  passesPerS,
  targetName,
} from '#actors/enforcer/admissions.ts';
import { admit, countSince, MINUTE_MS, newPace, type Pace } from '#actors/enforcer/pace.ts';
import { paceCap } from '#actors/enforcer/pace-caps.ts';
import { crypto } from '#native/crypto.ts';
import type { PolicyRule } from '#proto/policy.ts';
import { ruleOf } from '#test/kit/messages.ts';

const SEED = 20_261_120;

/** One policy that asks to come into force so long after the one before it; the clock may be put back. */
type Wish = { readonly afterMs: number; readonly rule: PolicyRule; readonly restarts: boolean };

const few = fc.integer({ min: 1, max: 2 });
const most = fc.integer({ min: 1, max: 8 });
const seconds = fc.constantFrom(1, 30, 60, 90, 600);
const group = fc.constantFrom('', 'a', 'b');
const limits: fc.Arbitrary<Partial<PolicyRule['guardrails']>> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  fc.record({ rate_limit: fc.record({ window_s: seconds, max_actions: most }) }),
  fc.record({ rate_limit_per_tenant: most }),
  fc.record({ rate_limit_per_region: most }),
  { weight: 2, arbitrary: fc.record({ escalation_cooldown_s: fc.oneof(fc.constant(0), seconds) }) },
);
const wish: fc.Arbitrary<Wish> = fc
  .record({
    afterMs: fc.oneof(
      fc.constant(0),
      fc.integer({ min: -20_000, max: 10_000 }),
      fc.integer({ min: 0, max: 50_000 }),
    ),
    restarts: fc.integer({ min: 0, max: 9 }).map((k) => k === 0),
    action: fc.constantFrom('drop' as const, 'reject' as const, 'rate_limit' as const),
    isDry: fc.integer({ min: 0, max: 3 }).map((k) => k === 0),
    attempts: few,
    ttl_seconds: few,
    host: fc.oneof({ weight: 3, arbitrary: few }, fc.integer({ min: 3, max: 12 })),
    tenant: group,
    region: group,
    limits,
  })
  .map(({ afterMs, restarts, action, isDry, attempts, ttl_seconds, host, ...of }) => ({
    ...{ afterMs, restarts },
    rule: ruleOf({
      action,
      target: { ips: [`203.0.113.${host}`] },
      criteria: { attempts_per_window: attempts, window_s: 2 },
      ...(of.tenant !== '' && { tenant: of.tenant }),
      ...(of.region !== '' && { region: of.region }),
      guardrails: { ttl_seconds, dry_run: isDry, ...of.limits },
    }),
  }));

type Past = { readonly atMs: number; readonly rule: PolicyRule };

/** The contract, word for word, over all that ever came into force. */
const mayCome = (rule: PolicyRule, past: readonly Past[], atMs: number): boolean => {
  const { guardrails: limits, target } = rule;
  const within = (s: number) => past.filter((one) => one.atMs > atMs - s * 1000);
  const { rate_limit: rate, rate_limit_per_tenant, rate_limit_per_region } = limits;
  if (rate !== undefined && within(rate.window_s).length >= rate.max_actions) return false;
  const alike = (kind: 'tenant' | 'region') =>
    within(60).filter((one) => one.rule[kind] === rule[kind]).length;
  if (alike('tenant') >= (rate_limit_per_tenant ?? Infinity)) return false;
  if (alike('region') >= (rate_limit_per_region ?? Infinity)) return false;
  const { escalation_cooldown_s: coolDownS = 0 } = limits;
  return (coolDownS === 0 ? [] : within(coolDownS))
    .filter((one) => one.rule.target.ips![0] === target.ips![0])
    .every(({ rule: before }) => {
      const isHarsher = passesPerS(rule) < passesPerS(before);
      return !isHarsher && limits.ttl_seconds <= before.guardrails.ttl_seconds;
    });
};

/** As the store keeps them. */
const kept = (disk: readonly Admission[], rememberedMax: number): readonly Admission[] =>
  disk.slice(
    disk.findLastIndex(
      ({ atMs }, k) => k < disk.length - rememberedMax && atMs <= disk.at(-1)!.atMs - MINUTE_MS,
    ) + 1,
  );

/** Runs the wishes through the agent's memory; a restart finds what a disk kept. */
const run = (
  wishes: readonly Wish[],
  rememberedMax: number,
  look: (isLet: boolean, isAllowed: boolean, pace: Pace, past: readonly Past[]) => void,
): void => {
  let past: Past[] = [];
  const disk: Admission[] = [];
  const written: Past[] = [];
  let nowMs = 1_700_000_000_000;
  let pace = newPace([], nowMs, rememberedMax);
  for (const { afterMs, rule, restarts } of wishes) {
    nowMs += afterMs;
    if (restarts) {
      pace = newPace(kept(disk, rememberedMax), nowMs, rememberedMax);
      past = written.map((one, k) => {
        const laterMs = written.slice(k).map(({ atMs }) => atMs);
        return { ...one, atMs: Math.min(nowMs, ...laterMs) };
      });
    }
    const isLet = paceCap(rule, { pace, atMs: nowMs, crypto }) === undefined;
    // A clock that was put back stands still until it has caught up, or the agent was restarted.
    const atMs = Math.max(nowMs, past.at(-1)?.atMs ?? 0);
    look(isLet, mayCome(rule, past, atMs), pace, past);
    if (!isLet) continue;
    disk.push(admit(pace, admissionOf(rule, crypto, nowMs)));
    past.push({ atMs, rule });
    written.push({ atMs, rule });
  }
};

test('a policy comes into force exactly when its own limits let it, whenever the agent was restarted', () => {
  fc.assert(
    fc.property(fc.array(wish, { maxLength: 40, size: 'max' }), (wishes) => {
      run(wishes, 1000, (isLet, isAllowed) => expect(isLet).toBe(isAllowed));
    }),
    { seed: SEED, numRuns: 1000 },
  );
});

test('with less memory than policies an agent lets through less, never more, and forgets', () => {
  const rememberedMax = 3;
  // What was forgotten by a clock that was ahead does not come back when a restart corrects it: this one goes forward.
  const forward = wish.map((one) => ({ ...one, afterMs: Math.abs(one.afterMs) }));
  fc.assert(
    fc.property(fc.array(forward, { maxLength: 40, size: 'max' }), (wishes) => {
      run(wishes, rememberedMax, (isLet, isAllowed, pace, past) => {
        if (isLet) expect(isAllowed).toBe(true);
        const newestMs = past.at(-1)?.atMs ?? 0;
        const lastMinute = past.filter((one) => one.atMs > newestMs - MINUTE_MS).length;
        const count = countSince(pace, 0);
        expect(count).toBeLessThanOrEqual(Math.max(rememberedMax, lastMinute));
        const lines = [...pace.tenant.values(), ...pace.region.values()];
        const places = lines.map(({ items, next }) => items.length - next);
        expect(places.reduce((sum, one) => sum + one, 0)).toBe(2 * count);
        expect(pace.targets.size).toBeLessThanOrEqual(count);
      });
    }),
    { seed: SEED, numRuns: 1000 },
  );
});

test('what is forgotten gives up its room', () => {
  const pace = newPace([], 0, 10);
  for (let k = 0; k < 100_000; k++) admit(pace, admissionOf(ruleOf(), crypto, k * MINUTE_MS));
  const { all, tenant, region, targets } = pace;
  const { mildest, shortest } = [...targets.values()][0]!;
  for (const line of [all, tenant.get('')!, region.get('')!, mildest, shortest]) {
    expect(line.items.length).toBeLessThan(5000);
  }
});

test('to judge a policy takes a few looks at what is remembered, however much that is', () => {
  const many = 20_000;
  const pace = newPace([], 0);
  for (let k = 0; k < many; k++) admit(pace, admissionOf(ruleOf(), crypto, k));
  let looks = 0;
  const watched = <T extends object>(items: T): T =>
    new Proxy(items, {
      get: (all, key) => {
        looks++;
        return Reflect.get(all, key);
      },
    });
  const { mildest, shortest } = [...pace.targets.values()][0]!;
  for (const line of [pace.all, pace.tenant.get('')!, pace.region.get('')!, mildest, shortest]) {
    line.items = watched(line.items);
  }
  const rule = ruleOf({
    guardrails: {
      ...{ ttl_seconds: 600, rate_limit: { window_s: 5, max_actions: many } },
      ...{ rate_limit_per_tenant: many + 1, rate_limit_per_region: many + 1 },
      escalation_cooldown_s: 5,
    },
  });
  expect(paceCap(rule, { pace, atMs: many, crypto })).toBeUndefined();
  expect(looks).toBeGreaterThan(0);
  expect(looks).toBeLessThan(10 * Math.log2(many));
});

const ofTarget = (target: PolicyRule['target']): string => targetName(ruleOf({ target }), crypto);

test.each<readonly [string, PolicyRule['target'], PolicyRule['target']]>([
  ['a host as a network', { ips: ['203.0.113.9'] }, { cidrs: ['203.0.113.9/32'] }],
  ['a mapped address', { ips: ['203.0.113.9'] }, { ips: ['::ffff:203.0.113.9'] }],
  ['host bits of a network', { cidrs: ['203.0.113.0/24'] }, { cidrs: ['203.0.113.77/24'] }],
  [
    'another order, and one twice',
    { ips: ['203.0.113.9', '203.0.113.8'] },
    { ips: ['203.0.113.8', '203.0.113.9', '203.0.113.8'] },
  ],
  [
    'ranges of ports that meet',
    { ips: ['203.0.113.9'], ports: [22, { from: 23, to: 30 }, { from: 25, to: 40 }] },
    { ips: ['203.0.113.9'], ports: [{ from: 22, to: 40 }] },
  ],
  [
    'a number for a protocol',
    { ips: ['203.0.113.9'], protocols: ['udp', 'TCP'] },
    { ips: ['203.0.113.9'], protocols: ['6', '17'] },
  ],
  [
    'the protocols that ports have anyway',
    { ips: ['203.0.113.9'], ports: [22] },
    { ips: ['203.0.113.9'], ports: [22], protocols: ['tcp', 'udp'] },
  ],
  [
    'labels',
    { ips: ['203.0.113.9'], scope: 'region', region: 'eu' },
    { ips: ['203.0.113.9'], tenant: 'acme' },
  ],
])('%s makes no other target', (_title, one, other) => {
  expect(ofTarget(one)).toBe(ofTarget(other));
});

test.each<readonly [string, PolicyRule['target']]>([
  ['an address', { ips: ['203.0.113.8'] }],
  ['an address more', { ips: ['203.0.113.9', '203.0.113.8'] }],
  ['a wider network', { cidrs: ['203.0.113.8/31'] }],
  ['a direction', { ips: ['203.0.113.9'], direction: 'ingress' }],
  ['ports', { ips: ['203.0.113.9'], ports: [22] }],
  ['a protocol', { ips: ['203.0.113.9'], protocols: ['tcp'] }],
  ['a protocol that nobody knows', { ips: ['203.0.113.9'], protocols: ['quic'] }],
  ['a namespace', { ips: ['203.0.113.9'], namespace: 'web' }],
  ['selectors', { ips: ['203.0.113.9'], selectors: { app: 'web' } }],
])('%s makes another target', (_title, other) => {
  expect(ofTarget(other)).not.toBe(ofTarget({ ips: ['203.0.113.9'] }));
});

test('harsher is what lets fewer packets through: observed, limited more and more, dropped or rejected', () => {
  const limited = (attempts_per_window: number, window_s: number) =>
    ruleOf({ action: 'rate_limit', criteria: { attempts_per_window, window_s } });
  const observed = ruleOf({ guardrails: { ttl_seconds: 600, dry_run: true } });
  const mildFirst = [observed, limited(200, 1), limited(100, 1), limited(1, 60), ruleOf()];
  const passing = mildFirst.map(passesPerS);
  expect(passing).toEqual(passing.toSorted((a, b) => b - a));
  expect(new Set(passing).size).toBe(mildFirst.length);
  expect(passesPerS(ruleOf({ action: 'reject' }))).toBe(passesPerS(ruleOf()));
  expect(passesPerS(ruleOf({ action: 'rate_limit' }))).toBe(passesPerS(limited(1000, 10)));
});
