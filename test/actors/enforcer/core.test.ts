import { beforeEach, expect, test } from 'vitest';
import type { Applied } from '#actors/enforcer/backend.ts';
import { config } from '#actors/enforcer/config.ts';
import { type Commands, createCore, type Self } from '#actors/enforcer/core.ts';
import { NOWHERE, type Surroundings } from '#actors/enforcer/neighbourhood.ts';
import { remembered } from '#actors/enforcer/remembered.ts';
import { crypto } from '#native/crypto.ts';
import { utf8 } from '#proto/bytes.ts';
import { genesisCommittee } from '#proto/genesis.ts';
import { hostCidr, parseIp } from '#proto/ip.ts';
import { roleBook } from '#proto/roles.ts';
import { decodeAck } from '#proto/wire/ack.ts';
import { verifyControl } from '#proto/wire/control.ts';
import { encodeRecords } from '#runtime/bus/record.ts';
import { recorder } from '#runtime/recorder.ts';
import { keys } from '#test/kit/chain-genesis.ts';
import { committedPolicy, genesis, orderedPolicy, updateOf } from './policies.ts';

const policy = committedPolicy();
const core = createCore(crypto);
const NOW_MS = policy.state.committedMs + 100;

const began = (settings = {}, around: Surroundings = NOWHERE) => {
  const state = core.init(config.parse(settings));
  const fx = recorder<Self, Commands>();
  const committee = genesisCommittee(genesis, crypto);
  const opened = { genesis, committee, entries: [], acks: [], admitted: [], around };
  core.step(state, { kind: 'opened', pair: keys.enforcer, ...opened }, fx, NOW_MS);
  fx.take();
  return { state, fx, offset: 0 };
};
let agent = began();
beforeEach(() => {
  agent = began();
});

/** Records arrive; the backend answers; what came of it is saved. Returns the acks. */
const receive = (values: Uint8Array[], atMs = NOW_MS, outcome?: Applied) => {
  const { state, fx } = agent;
  const records = values.map((value) => ({
    partition: 0,
    offset: agent.offset++,
    timestampMs: atMs,
    key: '',
    headers: {},
    value,
  }));
  const fetched = {
    outcome: 'ok',
    records: encodeRecords(records),
    positions: [agent.offset],
  } as const;
  core.step(state, { kind: 'fetched', result: { ok: true, value: fetched } }, fx, atMs);
  const enforce = fx.take().find((e) => e.command === 'enforce')!;
  const batch = enforce.argument as Commands['enforce'];
  const outcomes = [...batch.apply, ...batch.remove].map(
    ({ id }): Applied => outcome ?? { id, ok: true, reason: 'noop' },
  );
  core.step(state, { kind: 'enforced', batch, outcomes }, fx, atMs);
  const save = fx.take().find((e) => e.command === 'save')!.argument as Commands['save'];
  core.step(state, { kind: 'saved', places: save.places, acks: save.acks }, fx, atMs);
  return { batch, acks: save.acks.map((ack) => decodeAck(ack.bytes)).map((a) => a.ok && a.value) };
};
const code = (bytes: Uint8Array, atMs = NOW_MS): string => {
  const { batch, acks } = receive([bytes], atMs);
  expect(batch.apply).toEqual([]);
  const [ack] = acks;
  return ack ? `${ack.result} ${ack.errorCode}` : 'no ack';
};

test('a proven policy is applied once and acknowledged, whoever brings it again', () => {
  const { batch, acks } = receive([updateOf(policy), updateOf(policy, {}, 'v2')]);
  expect(batch.apply.map((entry) => entry.id)).toEqual([policy.policyId]);
  expect(acks).toMatchObject([{ result: 'applied', reason: 'noop', policyId: policy.policyId }]);
  expect(receive([updateOf(policy, {}, 'v2')]).acks).toEqual([]);
});

test('an acknowledgement is signed with the enforcer key and verifies', () => {
  const { state } = agent;
  receive([updateOf(policy)]);
  const [ack] = [...state.outbox.sent.values(), ...state.outbox.waiting];
  const context = { crypto, roleOf: roleBook(genesis).roleOf };
  expect(verifyControl('policy-ack', ack!.bytes, context).ok).toBe(true);
});

test('a policy with a broken proof is refused by the check that fails', () => {
  const broken = policy.proof.slice();
  broken[broken.length - 10]! ^= 1;
  expect(code(updateOf(policy, { commitProof: broken }))).toMatch(/^failed proof-/);
  expect(code(updateOf(policy, { commitProof: utf8('x') }))).toBe('failed proof-malformed');
});

test('a proof of another policy does not carry this one', () => {
  const foreign = committedPolicy('203.0.113.77');
  expect(code(updateOf(policy, { commitProof: foreign.proof }))).toBe('failed proof-policy-key');
});

test('a rule other than the committed one is refused although a validator signed it', () => {
  const ruleData = utf8(policy.state.rule.replace('198.51.100.7', '198.51.100.8'));
  expect(code(updateOf(policy, { ruleData }))).toBe('failed proof-policy-rule');
});

const removal = (): Uint8Array => {
  const { state, proof } = policy.removed;
  return updateOf({ ...policy, state }, { action: 'remove', commitProof: proof });
};

test('an older proof of what was removed since does not replay', () => {
  receive([updateOf(policy)]);
  expect(receive([removal()]).batch.remove).toHaveLength(1);
  expect(code(updateOf(policy))).toBe('failed proof-old');
  expect(code(updateOf(policy, { commitProof: policy.later }))).toBe('failed proof-old');
});

test('not even while the removal is still under way', () => {
  receive([updateOf(policy)]);
  const { batch, acks } = receive([removal(), updateOf(policy)]);
  expect(batch.apply).toEqual([]);
  expect(acks).toMatchObject([
    { result: 'applied', reason: 'removed (noop)' },
    { result: 'failed', errorCode: 'proof-old' },
  ]);
});

test('an older proof of what is in force, from a validator that was slower or read again, is no news', () => {
  receive([updateOf(policy, { commitProof: policy.later })]);
  expect(code(updateOf(policy, {}, 'v2'))).toBe('no ack');
  expect(code(updateOf(policy, { commitProof: policy.later }))).toBe('no ack');
});

test('a newer proof of what is in force already is no news at a bound either, nor when its time is over', () => {
  agent = began({ activeMax: 1, perMinuteMax: 1 });
  const newer = updateOf(policy, { commitProof: policy.later }, 'v2');
  const { batch, acks } = receive([updateOf(policy), newer]);
  expect(batch.refused).toEqual([]);
  expect(acks).toMatchObject([{ result: 'applied' }]);
  agent = began({ activeMax: 1, perMinuteMax: 1 });
  receive([updateOf(policy)]);
  expect(code(newer)).toBe('no ack');
  agent = began();
  receive([updateOf(policy)]);
  expect(code(newer, policy.state.expiresMs)).toBe('no ack');
});

test('a newer proof of a policy in force changes nothing in the backend', () => {
  receive([updateOf(policy)]);
  expect(receive([updateOf(policy, { commitProof: policy.later })]).batch.apply).toEqual([]);
});

test('a message of a stranger and an altered message are refused by name', () => {
  expect(code(updateOf(policy, {}, 'stranger'))).toBe('failed unknown-producer');
  expect(code(updateOf(policy, {}, 'detector'))).toBe('failed unknown-producer');
  const altered = updateOf(policy);
  altered[altered.length - 20]! ^= 1;
  expect(code(altered)).toBe('failed bad-signature');
});

test('garbage is counted and finished, and the next policy is obeyed', () => {
  expect(receive([utf8('garbage'), updateOf(policy)]).batch.apply).toHaveLength(1);
});

test('a policy whose time is over is not applied', () => {
  expect(code(updateOf(policy), policy.state.expiresMs)).toBe('failed expired');
});

test("the agent's own never-block list stops a committed policy", () => {
  agent = began({ neverBlock: ['198.51.100.0/24'] });
  expect(code(updateOf(policy))).toBe('failed never-block');
});

test('a policy ends when its time is over, and not before', () => {
  const { state, fx } = agent;
  receive([updateOf(policy)]);
  fx.take();
  core.step(state, { kind: 'tick' }, fx, policy.state.expiresMs - 1);
  expect(fx.take().some((e) => e.command === 'enforce')).toBe(false);
  core.step(state, { kind: 'tick' }, fx, policy.state.expiresMs);
  const enforce = fx.take().find((e) => e.command === 'enforce')!;
  expect((enforce.argument as Commands['enforce']).remove).toHaveLength(1);
  core.step(state, { kind: 'tick' }, fx, policy.state.expiresMs + 1000);
  expect(fx.take().some((e) => e.command === 'enforce')).toBe(false);
});

test('a backend that fails is acknowledged with its code', () => {
  const outcome: Applied = {
    id: policy.policyId,
    ok: false,
    code: 'no-capability',
    reason: 'EPERM',
  };
  const { acks } = receive([updateOf(policy)], NOW_MS, outcome);
  expect(acks).toMatchObject([{ result: 'failed', errorCode: 'no-capability' }]);
});

test('an acknowledgement that the bus did not take is sent again, in order for its policy', () => {
  const { state, fx } = agent;
  receive([updateOf(policy)]);
  const [id] = [...state.outbox.sent.keys()];
  core.step(
    state,
    { kind: 'published', id: id!, result: { ok: false, error: 'timeout' } },
    fx,
    NOW_MS,
  );
  fx.take();
  core.step(state, { kind: 'send' }, fx, NOW_MS);
  expect(fx.take().filter((e) => e.effect === 'ask')).toHaveLength(1);
  const value = { outcome: 'ok', partition: 0, offset: 0 } as const;
  core.step(state, { kind: 'published', id: id!, result: { ok: true, value } }, fx, NOW_MS);
  expect(fx.take()).toContainEqual({ effect: 'io', command: 'acked', argument: { id } });
});

test('a signature that was found good is verified once, a bad one every time', () => {
  let calls = 0;
  const counted = remembered({
    ...crypto,
    verify: (...claim) => {
      calls++;
      return crypto.verify(...claim);
    },
  });
  const { publicKey, sign } = keys.v1;
  const message = utf8('one');
  const signature = sign(message);
  expect([1, 2, 3].map(() => counted.verify(publicKey, message, signature))).not.toContain(false);
  expect(calls).toBe(1);
  expect(counted.verify(publicKey, utf8('two'), signature)).toBe(false);
  expect(counted.verify(keys.v2.publicKey, message, signature)).toBe(false);
  expect(counted.verify(publicKey, utf8('two'), signature)).toBe(false);
  expect(calls).toBe(4);
});

test('a policy that the backend lost and cannot restore fails, and one that comes back is applied again', () => {
  const { state, fx } = agent;
  const first = receive([updateOf(policy)]).acks;
  const entry = state.registry.entries.get(policy.policyId)!;
  const found = (outcome: Applied) => {
    const packets = { drop: 0, reject: 0, rate_limit: 0, dry_run: 0 };
    const missing = [entry];
    const desired = [entry];
    const result = {
      ...{ missing, foreign: 0, outcomes: [outcome], packets },
      ...{ isEqual: false, fault: undefined },
    };
    fx.take();
    core.step(state, { kind: 'reconciled', desired, found: result }, fx, NOW_MS);
    const save = fx.take().find((e) => e.command === 'save');
    const acks = (save?.argument as Commands['save'] | undefined)?.acks ?? [];
    return acks.map((ack) => decodeAck(ack.bytes)).map((ack) => ack.ok && ack.value);
  };
  const lost: Applied = { id: entry.id, ok: false, code: 'no-capability', reason: 'EPERM' };
  const back: Applied = { id: entry.id, ok: true, reason: '' };
  expect(found(back)).toEqual([]);
  expect(state.coverage).toBe(0);
  expect(found(lost)).toMatchObject([{ result: 'failed', errorCode: 'no-capability' }]);
  expect(found(lost)).toEqual([]);
  const again = found(back);
  expect(again).toMatchObject([{ result: 'applied' }]);
  expect(again[0]).not.toMatchObject({
    ackEventId: (first[0] as { ackEventId: string }).ackEventId,
  });
});

test('what was repaired is compared once more soon, and not over and over', () => {
  const { state, fx } = agent;
  receive([updateOf(policy)]);
  const desired = [...state.registry.entries.values()];
  const packets = { drop: 0, reject: 0, rate_limit: 0, dry_run: 0 };
  const soon = (missing: typeof desired): boolean => {
    fx.take();
    const outcomes = missing.map(({ id }): Applied => ({ id, ok: true, reason: '' }));
    const found = { missing, foreign: 0, outcomes, packets, isEqual: missing.length === 0 };
    const whole = { ...found, fault: undefined };
    core.step(state, { kind: 'reconciled', desired, found: whole }, fx, NOW_MS);
    return fx.take().some((e) => e.effect === 'after' && e.delayMs === 1000);
  };
  expect(soon(desired)).toBe(true);
  expect(soon(desired)).toBe(false);
  expect(soon([])).toBe(false);
  expect(soon(desired)).toBe(true);
});

test('where reading everything back takes long, it is done more seldom, and within reconcileMs all the same', () => {
  const { state, fx } = agent;
  const packets = { drop: 0, reject: 0, rate_limit: 0, dry_run: 0 };
  const found = { missing: [], foreign: 0, outcomes: [], packets, isEqual: true, fault: undefined };
  const nextMs = (tookMs: number): unknown => {
    core.step(state, { kind: 'reconcile' }, fx, NOW_MS);
    core.step(state, { kind: 'reconciled', desired: [], found }, fx, NOW_MS + tookMs);
    fx.take();
    const apply = [...state.registry.entries.values()];
    const nothing = { remove: [], renewed: [], held: [], refused: [], admitted: [], places: [] };
    const batch = { apply, sinceMs: NOW_MS, ...nothing };
    const outcomes = apply.map(({ id }): Applied => ({ id, ok: true, reason: '' }));
    core.step(state, { kind: 'enforced', batch, outcomes }, fx, NOW_MS);
    const timers = fx.take().filter((one) => one.effect === 'after' && one.key === 'reconcile');
    return timers.map(({ delayMs }) => delayMs);
  };
  receive([updateOf(policy)]);
  expect(nextMs(20)).toEqual([1000]);
  expect(nextMs(2000)).toEqual([20_000]);
  expect(nextMs(60_000)).toEqual([30_000]);
});

const ordered = orderedPolicy();

test('a removal with its proof is carried out once and acknowledged as done, even of a policy never heard of', () => {
  for (const heardBefore of [true, false]) {
    agent = began();
    if (heardBefore) receive([updateOf(ordered.added)]);
    const { batch, acks } = receive([ordered.removal, ordered.removal]);
    expect(batch.remove.map((entry) => entry.id)).toEqual(['policy-1']);
    const reason = 'removed (noop)';
    expect(acks).toMatchObject([{ result: 'applied', reason, policyId: 'policy-1' }]);
    expect(agent.state.registry.entries.get('policy-1')?.status).toBe('removed');
    expect(code(updateOf(ordered.added))).toBe('failed proof-old');
  }
});

test('a removal without a tombstone under its proof removes nothing', () => {
  receive([updateOf(ordered.added)]);
  const { proof } = ordered.added;
  const { batch, acks } = receive([
    updateOf(ordered.added, { action: 'remove', commitProof: proof }),
  ]);
  expect(batch.remove).toEqual([]);
  expect(acks).toMatchObject([{ result: 'failed', errorCode: 'proof-policy-status' }]);
  expect(agent.state.registry.entries.get('policy-1')?.status).toBe('applied');
});

test('a removal that the firewall refuses is acknowledged as failed, and as done when it is', () => {
  const { state, fx } = agent;
  receive([updateOf(ordered.added)]);
  const held = [...state.registry.entries.values()];
  const refused: Applied = { id: 'policy-1', ok: false, code: 'rejected', reason: 'busy' };
  const { acks } = receive([ordered.removal], NOW_MS, refused);
  expect(acks).toMatchObject([{ result: 'failed', errorCode: 'rejected' }]);
  const packets = { drop: 0, reject: 0, rate_limit: 0, dry_run: 0 };
  const nothing = { missing: [], foreign: 0, outcomes: [], packets, fault: undefined };
  const compared = (desired: typeof held, isEqual: boolean) => {
    fx.take();
    const found = { ...nothing, isEqual };
    core.step(state, { kind: 'reconciled', desired, found }, fx, NOW_MS);
    const save = fx.take().find((e) => e.command === 'save');
    const said = (save?.argument as Commands['save'] | undefined)?.acks ?? [];
    return said.map((ack) => decodeAck(ack.bytes)).map((ack) => ack.ok && ack.value.result);
  };
  // Begun before the removal; not equal yet; done; and nothing is said twice.
  expect(compared(held, true)).toEqual([]);
  expect(compared([], false)).toEqual([]);
  expect(compared([], true)).toEqual(['applied']);
  expect(compared([], true)).toEqual([]);
});

test('what failed before is tried again, and is no drift that was repaired', () => {
  const { state } = agent;
  const failed = { id: policy.policyId, ok: false, code: 'not-enforceable', reason: 'no' } as const;
  receive([updateOf(policy)], NOW_MS, failed);
  const entry = state.registry.entries.get(policy.policyId)!;
  const packets = { drop: 0, reject: 0, rate_limit: 0, dry_run: 0 };
  const drift = (outcome: Applied) => {
    const outcomes = [outcome];
    const found = {
      missing: [entry],
      foreign: 0,
      outcomes,
      packets,
      isEqual: false,
      fault: undefined,
    };
    const all = recorder<Self, Commands>(true);
    core.step(state, { kind: 'reconciled', desired: [entry], found }, all, NOW_MS);
    return all.take().filter((one) => one.effect === 'emit' && one.name === 'drift_repaired');
  };
  expect(drift(failed)).toEqual([]);
  expect(state.coverage).toBe(0);
  expect(drift({ id: entry.id, ok: true, reason: '' })).toEqual([]);
  expect(drift({ id: entry.id, ok: true, reason: '' })).toHaveLength(1);
});

test('an address of the host itself is refused by its name', () => {
  const own = [hostCidr(parseIp('198.51.100.7')!)];
  agent = began({}, { ...NOWHERE, own });
  expect(code(updateOf(policy))).toBe('failed own-address');
  agent = began({}, { ...NOWHERE, admins: own });
  expect(code(updateOf(policy))).toBe('failed admin-session');
});

test('what may not be blocked takes away a policy that is in force, and says so', () => {
  const { state, fx } = agent;
  receive([updateOf(policy)]);
  fx.take();
  const around = { ...NOWHERE, admins: [hostCidr(parseIp('198.51.100.7')!)] };
  core.step(state, { kind: 'surveyed', around }, fx, NOW_MS);
  const enforce = fx.take().find((e) => e.command === 'enforce')!.argument as Commands['enforce'];
  expect(enforce.remove.map((entry) => entry.id)).toEqual([policy.policyId]);
  expect(enforce.refused).toMatchObject([{ code: 'admin-session' }]);
  core.step(state, { kind: 'surveyed', around }, fx, NOW_MS);
  expect(fx.take()).toEqual([]);
});
