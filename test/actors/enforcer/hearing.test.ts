/** Batches on their way to a verdict: what is done beside, in which order, and what one may not do to another. */
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Applied } from '#actors/enforcer/backend.ts';
import { believing } from '#actors/enforcer/belief.ts';
import { config } from '#actors/enforcer/config.ts';
import { type Commands, createCore, type Self } from '#actors/enforcer/core.ts';
import { NOWHERE } from '#actors/enforcer/neighbourhood.ts';
import { crypto, writeKeyPair } from '#native/crypto.ts';
import { genesisCommittee } from '#proto/genesis.ts';
import { parseIp } from '#proto/ip.ts';
import { decodeAck } from '#proto/wire/ack.ts';
import { controlClaim } from '#proto/wire/control.ts';
import { encodeRecords } from '#runtime/bus/record.ts';
import { type Recorded, recorder } from '#runtime/recorder.ts';
import { keys, testGenesis } from '#test/kit/chain-genesis.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { type Agent, agentIn } from '../../integration/firewall/agent.ts';
import { committedBlock, committedPolicy, updateOf } from './policies.ts';

const genesis = testGenesis({ policiesPerMinuteMax: 1000, activePoliciesMax: 1000 }, []);
const MANY = 64;
const policies = committedBlock(genesis, 3 * MANY, '198.51');
const updates = policies.map((policy) => updateOf(policy));
const ids = policies.map((policy) => policy.policyId);
const NOW_MS = policies[0]!.state.committedMs + 100;
const core = createCore(crypto);
const believe = believing(genesis, genesisCommittee(genesis, crypto), crypto);

const began = (around = NOWHERE, settings = {}) => {
  const state = core.init(config.parse(settings));
  const fx = recorder<Self, Commands>();
  const committee = genesisCommittee(genesis, crypto);
  const pair = keys.enforcer;
  const opened = { genesis, committee, pair, entries: [], acks: [], admitted: [], around };
  core.step(state, { kind: 'opened', ...opened }, fx, NOW_MS);
  fx.take();
  let offset = 0;
  const waiting: Recorded[] = [];
  const notices: string[] = [];
  const polls = (all: readonly Recorded[]): number =>
    all.filter(({ message }) => (message as { kind?: string } | undefined)?.kind === 'fetch')
      .length;
  const step = (message: Self): { readonly polls: number } => {
    core.step(state, message, fx, NOW_MS);
    const all = fx.take();
    for (const { event } of all.filter((one) => one.effect === 'signal')) {
      notices.push((event as { readonly text: string }).text);
    }
    waiting.push(...all.filter((one) => one.effect === 'io'));
    return { polls: polls(all) };
  };
  /** The oldest command of this name that was not carried out; undefined where there is none. */
  const next = <K extends keyof Commands>(command: K): Commands[K] | undefined => {
    const at = waiting.findIndex((one) => one.command === command);
    return at < 0 ? undefined : (waiting.splice(at, 1)[0]!.argument as Commands[K]);
  };
  return {
    state,
    next,
    notices,
    step,
    hear: (values: readonly Uint8Array[]) => {
      const records = values.map((value) => ({
        ...{ partition: 0, offset: offset++, timestampMs: NOW_MS, key: '', headers: {}, value },
      }));
      const bytes = encodeRecords(records);
      const fetched = { outcome: 'ok', records: bytes, positions: [offset] } as const;
      const heard = step({ kind: 'fetched', result: { ok: true, value: fetched } });
      // As the lane does: what was fetched is gone when the step is over.
      bytes.fill(0);
      return heard;
    },
    believe: () => {
      const { id, values } = next('believe')!;
      return step({ kind: 'believed', id, beliefs: values.map(believe) });
    },
    enforce: (spoiled: readonly string[] = []) => {
      const batch = next('enforce')!;
      const outcomes = [...batch.apply, ...batch.remove].map(
        ({ id }): Applied =>
          spoiled.includes(id)
            ? { id, ok: false, code: 'rejected', reason: 'no' }
            : { id, ok: true, reason: '' },
      );
      step({ kind: 'enforced', batch, outcomes });
      return batch;
    },
    save: () => {
      const { places, acks } = next('save')!;
      step({ kind: 'saved', places, acks });
      const said = acks.map(({ bytes }) => {
        const ack = decodeAck(bytes);
        if (!ack.ok) throw new Error(ack.error.detail);
        return `${ack.value.policyId} ${ack.value.result} ${ack.value.errorCode}`.trim();
      });
      return { said, offsets: places.map((place) => place.offset) };
    },
  };
};
let agent: ReturnType<typeof began>;
beforeEach(() => {
  agent = began();
});

const first = updates.slice(0, MANY);
const second = updates.slice(MANY, 2 * MANY);
const third = updates.slice(2 * MANY);
const applied = (from: number, to: number) => ids.slice(from, to).map((id) => `${id} applied`);

/** Everything else of the message is as its sender wrote it. */
const withBadSignature = (bytes: Uint8Array): Uint8Array => {
  const { signature } = controlClaim('policy-update', bytes)!;
  const forged = bytes.slice();
  forged[Buffer.from(bytes).indexOf(signature)]! ^= 1;
  return forged;
};

test('a few policies are judged in the step in which they are heard', () => {
  agent.hear(updates.slice(0, 3));
  expect(agent.next('believe')).toBeUndefined();
  expect(agent.next('enforce')?.apply.map(({ id }) => id)).toEqual(ids.slice(0, 3));
});

test('many are judged when they have been proven beside, and each is acknowledged in order', () => {
  agent.hear(first);
  expect(agent.next('enforce')).toBeUndefined();
  agent.believe();
  agent.enforce();
  const { said, offsets } = agent.save();
  expect(said).toEqual(applied(0, MANY));
  expect(offsets).toEqual([...first.keys()]);
});

test('many fill sixteen lines of the live view, and one says how many more there are', () => {
  agent.hear(first);
  agent.believe();
  agent.enforce([ids[0]!, ids[MANY - 1]!]);
  expect(agent.notices).toHaveLength(16);
  expect(agent.notices.at(-1)).toBe(`and ${MANY - 17} more policies`);
});

test('a message whose signature does not hold, or that is none, does not hold up the others of its batch', () => {
  const forged = withBadSignature(first[3]!);
  const values = [...first.slice(0, 3), forged, new Uint8Array([1, 2, 3]), ...first.slice(4)];
  agent.hear(values);
  agent.believe();
  expect(agent.enforce().refused.map(({ code }) => code)).toEqual(['bad-signature', 'malformed']);
  const { said, offsets } = agent.save();
  expect(said).toEqual([...applied(0, 3), ...applied(4, MANY), `${ids[3]} failed bad-signature`]);
  expect(offsets).toHaveLength(MANY + 1);
});

test('one batch is judged while the one before it is with the backend, a third waits', () => {
  for (const values of [first, second, third]) agent.hear(values);
  for (let k = 0; k < 3; k++) agent.believe();
  const one = agent.next('enforce')!;
  const two = agent.next('enforce')!;
  expect([one, two].map((batch) => batch.apply[0]?.id)).toEqual([ids[0], ids[MANY]]);
  expect(agent.next('enforce')).toBeUndefined();
});

test('whatever is proven first, batches are judged and acknowledged in the order in which they came', () => {
  agent.hear(first);
  agent.hear(second);
  const before = agent.next('believe')!;
  agent.believe();
  expect(agent.next('enforce')).toBeUndefined();
  agent.step({ kind: 'believed', id: before.id, beliefs: before.values.map(believe) });
  const said = [0, 1].flatMap(() => {
    agent.enforce();
    return agent.save().said;
  });
  expect(said).toEqual(applied(0, 2 * MANY));
});

test('a batch that speaks of a policy in hand waits for what comes of it, and says nothing of its own', () => {
  agent.hear(first);
  agent.believe();
  const again = [...second, updateOf(policies[0]!, {}, 'v2')];
  agent.hear(again);
  agent.believe();
  agent.enforce();
  expect(agent.next('enforce')).toBeUndefined();
  expect(agent.save().said).toEqual(applied(0, MANY));
  agent.enforce();
  expect(agent.save().said).toEqual(applied(MANY, 2 * MANY));
  expect(agent.state.inHand).toEqual([]);
});

test('a removal heard while its policy is on its way to the backend is carried out after it', () => {
  const policy = committedPolicy('203.0.113.5', genesis);
  const { state, proof } = policy.removed;
  agent.hear([updateOf(policy)]);
  agent.hear([updateOf({ ...policy, state }, { action: 'remove', commitProof: proof })]);
  expect(agent.enforce().apply.map(({ id }) => id)).toEqual([policy.policyId]);
  expect(agent.next('enforce')).toBeUndefined();
  agent.save();
  expect(agent.enforce().remove.map(({ id }) => id)).toEqual([policy.policyId]);
});

test('what the backend refuses of one batch is no matter of the next', () => {
  agent.hear(first);
  agent.believe();
  agent.hear(second);
  agent.believe();
  agent.enforce([ids[1]!]);
  agent.enforce();
  const { said } = agent.save();
  expect(said[1]).toBe(`${ids[1]} failed rejected`);
  expect(said.filter((one) => one.endsWith('applied'))).toHaveLength(MANY - 1);
  expect(agent.save().said).toEqual(applied(MANY, 2 * MANY));
});

test('two batches are heard beyond those in hand, and no more until one is durable', () => {
  const small = (k: number) => updates.slice(k, k + 1);
  // Two in hand, two heard: the fourth is asked for nothing behind it.
  expect([0, 1, 2, 3].map((k) => agent.hear(small(k)).polls)).toEqual([1, 1, 1, 0]);
  agent.enforce();
  agent.save();
  expect(agent.state.heard).toHaveLength(1);
});

test('peers that one batch cuts off count for the next ones; those of a policy that is not in force do not', () => {
  const peers = policies.slice(0, 20).map(({ state }) => parseIp(state.targets[0]!)!);
  agent = began({ ...NOWHERE, peers }, { peersShareMax: 0.1 });
  const codeOf = (k: number, spoiled: readonly string[] = []): string => {
    agent.hear([updates[k]!]);
    agent.enforce(spoiled);
    return agent.save().said[0]!.replace(`${ids[k]} `, '');
  };
  expect(codeOf(0)).toBe('applied');
  expect(codeOf(1, [ids[1]!])).toBe('failed rejected');
  expect([2, 3].map((k) => codeOf(k))).toEqual(['applied', 'failed too-many-peers']);
  // Other neighbours: those that were cut off are not among them.
  const others = policies.slice(4, 24).map(({ state }) => parseIp(state.targets[0]!)!);
  agent.step({ kind: 'surveyed', around: { ...NOWHERE, peers: others } });
  expect([5, 6, 7].map((k) => codeOf(k))).toEqual(['applied', 'applied', 'failed too-many-peers']);
});

test('at a drain nothing more is judged: it is read again by whoever comes', () => {
  agent.hear(first);
  const fx = recorder<Self, Commands>();
  core.drain?.(agent.state, fx, NOW_MS);
  agent.believe();
  expect(agent.next('enforce')).toBeUndefined();
});

describe('an agent that dies', () => {
  let folder: ReturnType<typeof temporaryFolder>;
  const open: Agent[] = [];
  let nowMs = NOW_MS;
  const begin = async (name: string, diesBefore?: (one: Recorded) => boolean) => {
    const begun = await agentIn({
      ...{ dataDir: path.join(folder.path, name), genesis, netns: '', now: () => nowMs },
      ...{ keyFile: path.join(folder.path, 'agent.pem'), settings: { backend: 'noop' } },
      ...(diesBefore !== undefined && { diesBefore }),
    });
    open.push(begun);
    return begun;
  };
  beforeEach(() => {
    folder = temporaryFolder();
    writeKeyPair(path.join(folder.path, 'agent.pem'));
  });
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
    folder.remove();
  });

  test.each(['save', 'publish', 'acked'])(
    'before the %s of a batch that is in force says the same of each policy, once it lives again',
    async (moment) => {
      const undisturbed = await begin('a');
      await undisturbed.receive(...first);
      let met = 0;
      const dying = await begin('b', ({ effect, command, message }) => {
        const kind = effect === 'ask' ? (message as { kind: string }).kind : command;
        // In the midst of them, where there are many.
        return kind === moment && ++met > (moment === 'save' ? 0 : MANY / 2);
      });
      await expect(dying.receive(...first)).rejects.toThrow('dead');
      nowMs += 5000;
      const again = await begin('b');
      await again.receive(...first);
      const all = new Set([...dying.ackIds, ...again.ackIds]);
      expect([...all].toSorted()).toEqual(undisturbed.ackIds.toSorted());
      expect(again.acks().every((one) => one === 'applied')).toBe(true);
    },
  );
});
