import { expect, test } from 'vitest';
import type { Effect, Start } from '#actors/replica/machine/events.ts';
import { init, step } from '#actors/replica/machine/machine.ts';
import { recordOf } from '#actors/replica/machine/state.ts';
import type { Message } from '#proto/consensus/messages.ts';
import {
  blockOn,
  claimBy,
  genesis,
  genesisQc,
  idOfKey,
  qcBy,
  tcBy,
  voteBy,
} from '#test/kit/simulator/signed.ts';
import {
  hashOf,
  leaderKey,
  NOW_MS,
  ofKind,
  others,
  proposalOf,
  selfKey,
  solo,
  soloParams,
  votesIn,
} from '#test/kit/simulator/solo.ts';

/** Led by the second validator by id; the machine under test is the first and leads views 4, 8, ... */
const timely = { timeMs: NOW_MS - 10 };
const b1 = blockOn(genesis, [{ kind: 'anomaly', bytes: Uint8Array.of(1) }], timely);
const b2 = blockOn(b1.header, [], { timeMs: NOW_MS - 5 });
const qc1 = qcBy(others, b1.header);
const first = proposalOf(b1, genesisQc, null);
const leader1 = leaderKey(b1.header);

const vote = (key: (typeof others)[number], header = b1.header): Message => ({
  kind: 'vote',
  vote: voteBy(key, header),
});

test('a vote is sent after the block was executed and the vote is durable, not before', () => {
  const machine = solo();
  const heard = machine.hear(leader1, first);
  expect(ofKind(heard, 'execute')).toHaveLength(1);
  expect(votesIn(heard)).toEqual([]);
  const { stateRoot } = b1.header;
  const hash = hashOf(b1.header);
  const done = machine.feed({ kind: 'executed', hash, outcome: 'ok', stateRoot, reason: '' });
  const [persist] = ofKind(done, 'persist');
  const [sent] = ofKind(done, 'broadcast');
  expect(persist?.record.lastActedView).toBe(1);
  expect(persist?.block?.block).toEqual(b1);
  expect(sent?.message.kind).toBe('vote');
  expect(sent?.after).toBe(persist?.seq);
});

test('another state root, or a block that the executor refuses, gets no vote', () => {
  for (const [outcome, stateRoot] of [
    ['ok', 'ab'.repeat(32)],
    ['invalid', b1.header.stateRoot],
  ] as const) {
    const machine = solo();
    machine.hear(leader1, first);
    const hash = hashOf(b1.header);
    const done = machine.feed({ kind: 'executed', hash, outcome, stateRoot, reason: 'no' });
    expect(votesIn(done)).toEqual([]);
    expect(machine.state.halted).toBeNull();
  }
});

test('an executor that cannot say is asked again at the next heartbeat', () => {
  const machine = solo();
  machine.hear(leader1, first);
  const hash = hashOf(b1.header);
  const { stateRoot } = b1.header;
  machine.feed({ kind: 'executed', hash, outcome: 'unavailable', stateRoot, reason: 'deadline' });
  const again = machine.feed({ kind: 'timer', id: 'heartbeat', view: 1 });
  expect(ofKind(again, 'execute').map((effect) => effect.hash)).toEqual([hash]);
});

test('a header more than five seconds off the local clock gets no vote, but stays a block', () => {
  for (const atMs of [b1.header.timeMs + 5_001, b1.header.timeMs - 5_001]) {
    const machine = solo();
    expect(votesIn(machine.serve(machine.hear(leader1, first, atMs), atMs))).toEqual([]);
    expect(machine.state.nodes.has(hashOf(b1.header))).toBe(true);
  }
  const machine = solo();
  const atMs = b1.header.timeMs + 5_000;
  expect(votesIn(machine.serve(machine.hear(leader1, first, atMs), atMs))).toEqual([1]);
});

test('a block no later than its parent is refused', () => {
  const machine = solo();
  const early = blockOn(genesis, [], { timeMs: genesis.timeMs });
  machine.hear(leaderKey(early.header), proposalOf(early, genesisQc, null));
  expect(machine.state.nodes.size).toBe(0);
});

test('a proposal of another than the leader, or by way of another, is refused', () => {
  const machine = solo();
  const stranger = others.filter((key) => key !== leader1)[0] ?? selfKey;
  const wrong = blockOn(genesis, [], { ...timely, proposerId: idOfKey(stranger) });
  machine.hear(stranger, proposalOf(wrong, genesisQc, null));
  machine.hear(stranger, first);
  expect(machine.state.nodes.size).toBe(0);
});

test('one vote a view, whichever of two proposals comes first; the leader is convicted', () => {
  const machine = solo();
  const rival = blockOn(genesis, [], timely);
  expect(votesIn(machine.serve(machine.hear(leader1, first)))).toEqual([1]);
  const second = machine.serve(machine.hear(leader1, proposalOf(rival, genesisQc, null)));
  expect(votesIn(second)).toEqual([]);
  const [evidence] = ofKind(second, 'evidence');
  expect(evidence?.evidence.kind).toBe('double-proposal');
  expect(evidence?.offender).toBe(b1.header.proposerId);
});

test('one vote a view survives a restart', () => {
  const machine = solo();
  machine.serve(machine.hear(leader1, first));
  const rival = blockOn(genesis, [], timely);
  const restarted = solo(recordOf(machine.state), [{ block: b1, qc: genesisQc }]);
  const said = restarted.serve(restarted.hear(leader1, proposalOf(rival, genesisQc, null)));
  expect(votesIn(said)).toEqual([]);
  expect(restarted.state.lastVote?.blockHash).toBe(hashOf(b1.header));
});

test('no vote in a view that was given up', () => {
  const machine = solo();
  machine.feed({ kind: 'txs-ready', count: 1 });
  const given = machine.serve(machine.feed({ kind: 'timer', id: 'view', view: 1 }));
  expect(ofKind(given, 'broadcast').map(({ message }) => message.kind)).toContain('timeout');
  expect(votesIn(machine.serve(machine.hear(leader1, first)))).toEqual([]);
});

test('the timer of a view that is over says nothing', () => {
  const machine = solo();
  machine.serve(machine.hear(leader1, first));
  for (const key of others) machine.hear(key, vote(key));
  expect(machine.state.view).toBe(2);
  const late = machine.feed({ kind: 'timer', id: 'view', view: 1 });
  expect(ofKind(late, 'persist')).toEqual([]);
});

test('votes of a quorum make the QC and the next view; two consecutive views commit', () => {
  const machine = solo();
  machine.serve(machine.hear(leader1, first));
  machine.hear(others[0], vote(others[0]));
  expect(machine.state.view).toBe(1);
  machine.hear(others[1], vote(others[1]));
  expect(machine.state.highQc.view).toBe(1);
  const effects = [
    ...machine.serve(machine.hear(leaderKey(b2.header), proposalOf(b2, qc1, null))),
    ...machine.hear(others[0], vote(others[0], b2.header)),
    ...machine.hear(others[1], vote(others[1], b2.header)),
  ];
  const [commit] = ofKind(effects, 'commit');
  expect(commit?.blocks.map(({ hash }) => hash)).toEqual([hashOf(b1.header)]);
  expect(commit?.proof.anchor).toEqual(b1.header);
  expect(commit?.proof.next).toEqual(b2.header);
});

test('two votes of one signer in one view count once and convict it', () => {
  const machine = solo();
  const rival = blockOn(genesis, [], timely);
  machine.hear(others[0], vote(others[0]));
  const effects = machine.hear(others[0], vote(others[0], rival.header));
  expect(ofKind(effects, 'evidence').map(({ offender }) => offender)).toEqual([idOfKey(others[0])]);
  machine.hear(others[1], vote(others[1], rival.header));
  machine.hear(others[2], vote(others[2], rival.header));
  expect(machine.state.highQc.view).toBe(0);
});

test('a vote of another than its sender counts for nobody', () => {
  const machine = solo();
  machine.hear(others[0], vote(others[1]));
  machine.hear(others[0], vote(others[2]));
  machine.hear(others[0], vote(others[0]));
  expect(machine.state.highQc.view).toBe(0);
});

test('a block after a TC needs a QC as new as any that the TC claims', () => {
  const tc2 = tcBy(others, 2, [1, 0, 0], qc1);
  const onOld = blockOn(genesis, [], { ...timely, view: 3, parentView: 0 });
  const onNew = blockOn(b1.header, [], { timeMs: NOW_MS - 1, view: 3 });
  const machine = solo();
  machine.serve(machine.hear(leader1, first));
  const refused = machine.serve(
    machine.hear(leaderKey(onOld.header), proposalOf(onOld, genesisQc, tc2)),
  );
  expect(votesIn(refused)).toEqual([]);
  const fresh = solo();
  fresh.serve(fresh.hear(leader1, first));
  const voted = fresh.serve(fresh.hear(leaderKey(onNew.header), proposalOf(onNew, qc1, tc2)));
  expect(votesIn(voted)).toEqual([3]);
});

test('a QC of the view before and a TC at once, or neither, is no justification', () => {
  const tc1 = tcBy(others, 1, [0, 0, 0], genesisQc);
  const both = solo();
  both.serve(both.hear(leader1, first));
  const onBoth = both.serve(both.hear(leaderKey(b2.header), proposalOf(b2, qc1, tc1)));
  expect(votesIn(onBoth)).toEqual([]);
  const neither = solo();
  const skipping = blockOn(genesis, [], { ...timely, view: 3, parentView: 0 });
  neither.serve(neither.hear(leaderKey(skipping.header), proposalOf(skipping, genesisQc, null)));
  expect(neither.state.nodes.size).toBe(0);
  expect(neither.state.view).toBe(1);
});

const timeout = (key: (typeof others)[number], view: number): Message => ({
  kind: 'timeout',
  timeout: { claim: claimBy(key, view, 0), highQc: genesisQc, lastTc: null },
});

test('f + 1 timeouts of a view: join; a quorum: the next view', () => {
  const machine = solo();
  expect(ofKind(machine.hear(others[0], timeout(others[0], 1)), 'persist')).toEqual([]);
  const joined = machine.serve(machine.hear(others[1], timeout(others[1], 1)));
  expect(joined.some((effect) => effect.kind === 'broadcast')).toBe(true);
  expect(machine.state.view).toBe(2);
  expect(machine.state.tc?.view).toBe(1);
});

test('a timeout that skips views without a certificate is refused', () => {
  const machine = solo();
  for (const key of others) machine.hear(key, timeout(key, 7));
  expect(machine.state.view).toBe(1);
});

test('the leader proposes when there is something to do, once, on the newest QC', () => {
  const machine = solo();
  const qc3Block = blockOn(genesis, [], { ...timely, view: 3, parentView: 0 });
  const tc3 = tcBy(others, 3, [0, 0, 0], genesisQc);
  expect(qc3Block.header.view).toBe(3);
  const idle = machine.hear(others[0], { kind: 'new-view', tc: tc3 });
  expect(machine.state.view).toBe(4);
  expect(ofKind(idle, 'request-block')).toEqual([]);
  const busy = machine.feed({ kind: 'txs-ready', count: 3 });
  const [request] = ofKind(busy, 'request-block');
  expect(request?.build).toMatchObject({ height: 1, view: 4, parentView: 0, timeMs: NOW_MS });
  expect(ofKind(machine.feed({ kind: 'txs-ready', count: 4 }), 'request-block')).toEqual([]);
  const block = blockOn(genesis, b1.txs, { view: 4, parentView: 0, timeMs: NOW_MS });
  const built = machine.feed({ kind: 'built', request: 1, block, reason: '' });
  const kinds = ofKind(built, 'broadcast').map(({ message, after }) => [message.kind, after]);
  const [persist] = ofKind(built, 'persist');
  expect(persist?.record.lastProposal?.view).toBe(4);
  expect(kinds).toEqual([
    ['proposal', persist?.seq],
    ['vote', persist?.seq],
  ]);
});

test('an empty block is not proposed when nothing waits for it', () => {
  const machine = solo();
  machine.hear(others[0], { kind: 'new-view', tc: tcBy(others, 3, [0, 0, 0], genesisQc) });
  machine.feed({ kind: 'txs-ready', count: 1 });
  const block = blockOn(genesis, [], { view: 4, parentView: 0, timeMs: NOW_MS });
  const built = machine.feed({ kind: 'built', request: 1, block, reason: '' });
  expect(ofKind(built, 'broadcast')).toEqual([]);
  expect(ofKind(built, 'cancel-timer').map(({ id }) => id)).toEqual(['view']);
});

const starting = (start: Omit<Start, 'kind' | 'blocks'>): string => {
  const state = init(soloParams);
  const effects: Effect[] = [];
  const event: Start = { kind: 'start', blocks: [], ...start };
  step(state, event, (effect) => effects.push(effect), NOW_MS);
  expect(ofKind(effects, 'halt').map(({ reason }) => reason)).toEqual(
    state.halted === null ? [] : [state.halted],
  );
  return state.halted ?? 'runs';
};

test('a chain without its safety record is not served: the record was lost', () => {
  const proof = {
    anchor: b1.header,
    anchorQc: qc1,
    next: b2.header,
    nextQc: qcBy(others, b2.header),
  };
  expect(starting({ durable: null, head: genesis, proof: null })).toBe('runs');
  expect(starting({ durable: null, head: b1.header, proof })).toContain('record is lost');
  const durable = recordOf(solo().state);
  expect(starting({ durable, head: b1.header, proof })).toBe('runs');
  const foreign = { ...durable, chainId: 'another' };
  expect(starting({ durable: foreign, head: genesis, proof: null })).toContain('another chain');
  const elsewhere = { ...genesis, timeMs: 7 };
  expect(starting({ durable: null, head: elsewhere, proof: null })).toContain('another genesis');
});

test('an executor that cannot commit halts the replica, which then says nothing more', () => {
  const machine = solo();
  machine.serve(machine.hear(leader1, first));
  machine.serve(machine.hear(leaderKey(b2.header), proposalOf(b2, qc1, null)));
  machine.hear(others[0], vote(others[0], b2.header));
  machine.hear(others[1], vote(others[1], b2.header));
  const hash = hashOf(b1.header);
  const last = machine.feed({ kind: 'committed', hash, outcome: 'invalid', reason: 'not-on-head' });
  expect(last).toEqual([{ kind: 'halt', reason: 'the executor cannot commit: not-on-head' }]);
  expect(machine.feed({ kind: 'timer', id: 'heartbeat', view: 2 })).toEqual([]);
});

test('an executor that was restarted executes and commits again, in order', () => {
  const machine = solo();
  machine.serve(machine.hear(leader1, first));
  machine.serve(machine.hear(leaderKey(b2.header), proposalOf(b2, qc1, null)));
  machine.hear(others[0], vote(others[0], b2.header));
  machine.hear(others[1], vote(others[1], b2.header));
  const hash = hashOf(b1.header);
  machine.feed({ kind: 'committed', hash, outcome: 'unavailable', reason: 'unknown-block' });
  expect(machine.state.committedHeight).toBe(0);
  const again = machine.feed({ kind: 'timer', id: 'heartbeat', view: 3 });
  const work = again.flatMap((effect) => {
    if (effect.kind === 'execute') return [`execute ${effect.block.header.height}`];
    return effect.kind === 'commit' ? [`commit ${effect.blocks[0]?.block.header.height}`] : [];
  });
  expect(work).toEqual(['execute 1', 'commit 1', 'execute 2']);
  machine.serve(again);
  expect(machine.state.committedHeight).toBe(1);
  expect(machine.state.halted).toBeNull();
});

test('messages of strangers and of itself are not heard', () => {
  const machine = solo();
  machine.hear(selfKey, vote(selfKey));
  machine.feed({ kind: 'message', from: 'ff'.repeat(32), message: first });
  expect(machine.state.nodes.size).toBe(0);
  expect(machine.state.heard.get(idOfKey(selfKey))?.votes).toEqual([]);
});
