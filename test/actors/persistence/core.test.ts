import { expect, test } from 'vitest';
import { config } from '#actors/persistence/config.ts';
import { type Commands, core, type Self } from '#actors/persistence/core.ts';
import { err, ok } from '#proto/result.ts';
import { encodeRecords } from '#runtime/bus/record.ts';
import { type Recorded, recorder } from '#runtime/recorder.ts';

const VALIDATORS = ['aa', 'bb'];
const BLOCKS = new Uint8Array([1]);
const replyTo = { from: 0, ask: 1, incarnation: 0, kind: 0 };

const projector = (settings: object = {}) => {
  const state = core.init(config.parse(settings));
  const fx = recorder<Self, Commands>();
  const take = (): readonly Recorded[] => fx.take();
  return {
    state,
    start: () => {
      core.start?.(state, fx, 0);
      return take();
    },
    tell: (message: Self) => {
      core.step(state, message, fx, 0);
      return take();
    },
  };
};
type Projector = ReturnType<typeof projector>;

const opened = (height: number, hasAcks = true, holds = true): Self => ({
  ...{ kind: 'opened', height, hasAcks, holds, validators: VALIDATORS },
});
const read = (head: number, blocks = BLOCKS): Self => ({
  kind: 'read',
  result: ok({ head, blocks }),
});
const projected = (height: number): Self => ({ kind: 'projected', height, seconds: 0.01 });
const readsIn = (effects: readonly Recorded[]) =>
  effects.filter((one) => (one.message as Self | undefined)?.kind === 'read');
const ioIn = (effects: readonly Recorded[]) =>
  effects.filter((one) => one.effect === 'io').map((one) => one.command);
const laterIn = (effects: readonly Recorded[]) =>
  effects.filter((one) => one.effect === 'after').map((one) => one.delayMs);
const statusOf = (one: Projector) => {
  const [reply] = one.tell({ kind: 'status', replyTo });
  return reply?.answer;
};

test('it opens the database first and reads the chain of its validator then', () => {
  const one = projector({ from: 'v3', blocksMax: 10 });
  expect(one.start()).toEqual([{ effect: 'io', command: 'open', argument: null }]);
  expect(statusOf(one)).toEqual({ height: 0, lag: 0, connected: false });
  const [first] = readsIn(one.tell(opened(0)));
  expect(first).toMatchObject({
    to: 'v3.executor',
    message: { fromHeight: 1, maxBlocks: 10, waitMs: 2000 },
    deadlineMs: 7000,
  });
});

test('what is read is projected, and the next is read when it is in SQL', () => {
  const one = projector();
  one.tell(opened(0));
  const project = one.tell(read(5));
  expect(project).toEqual([{ effect: 'io', command: 'project', argument: BLOCKS }]);
  expect(statusOf(one)).toEqual({ height: 0, lag: 5, connected: true });
  expect(readsIn(one.tell(projected(3)))[0]?.message).toMatchObject({ fromHeight: 4 });
  expect(statusOf(one)).toEqual({ height: 3, lag: 2, connected: true });
});

test('an answer without a new block is asked for again', () => {
  const one = projector();
  one.tell(opened(0));
  expect(readsIn(one.tell(read(0)))).toHaveLength(1);
});

test('the newest block of SQL is compared with the chain once more after a start', () => {
  const one = projector();
  expect(readsIn(one.tell(opened(7)))[0]?.message).toMatchObject({ fromHeight: 7 });
  expect(ioIn(one.tell(read(7)))).toEqual(['project']);
  expect(readsIn(one.tell(projected(7)))[0]?.message).toMatchObject({ fromHeight: 8 });
  expect(ioIn(one.tell(read(7)))).toEqual([]);
});

test('a chain that is behind SQL is waited for', () => {
  const one = projector();
  one.tell(opened(7));
  expect(readsIn(one.tell(read(3)))[0]?.message).toMatchObject({ fromHeight: 7 });
});

test('another block at a height halts the projector and names the remedy', () => {
  const one = projector();
  one.tell(opened(7));
  const text = 'SQL differs from the chain at height 7';
  expect(one.tell({ kind: 'diverged', height: 7, reason: 'x' })).toEqual([
    { effect: 'signal', event: { kind: 'notice', topic: 'alarm', text } },
    { effect: 'stop', reason: 'halt', text: 'SQL differs from the chain at height 7' },
  ]);
});

test('a database that is away is tried again with growing pauses, and the work goes on', () => {
  const one = projector();
  one.start();
  const pauses = Array.from({ length: 9 }, () => {
    const effects = one.tell({ kind: 'unavailable', reason: 'refused' });
    expect(ioIn(one.tell({ kind: 'retry' }))).toEqual(['open']);
    return laterIn(effects)[0];
  });
  expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  one.tell(opened(0));
  one.tell(read(5));
  expect(laterIn(one.tell({ kind: 'unavailable', reason: 'gone' }))).toEqual([100]);
  expect(statusOf(one)).toMatchObject({ connected: false, lag: 5 });
  expect(one.tell({ kind: 'retry' })).toEqual([
    { effect: 'io', command: 'project', argument: BLOCKS },
  ]);
  expect(readsIn(one.tell(projected(5)))).toHaveLength(1);
  expect(statusOf(one)).toEqual({ height: 5, lag: 0, connected: true });
});

test('an executor that does not answer is asked again', () => {
  const one = projector();
  one.tell(opened(4));
  expect(laterIn(one.tell({ kind: 'read', result: err('target-restarted') }))).toEqual([100]);
  expect(readsIn(one.tell({ kind: 'retry' }))[0]?.message).toMatchObject({ fromHeight: 4 });
});

const validatorsAsked = (effects: readonly Recorded[]) =>
  effects.flatMap(({ message }) => {
    const asked = message as { readonly kind: string; readonly key: string } | undefined;
    return asked?.kind === 'state' ? [asked.key] : [];
  });

test('the rows of validators follow when the chain is caught up with, not block by block', () => {
  const one = projector();
  const keys = VALIDATORS.map((id) => `validators/${id}`);
  expect(validatorsAsked(one.tell(opened(0)))).toEqual(keys);
  one.tell(read(5));
  expect(validatorsAsked(one.tell(projected(4)))).toEqual([]);
  one.tell(read(5));
  expect(validatorsAsked(one.tell(projected(5)))).toEqual(keys);
  const value = new Uint8Array([2]);
  const answer = { found: true, value, proof: value, height: 5, root: value };
  expect(one.tell({ kind: 'validator', id: 'aa', result: ok(answer) })).toEqual([
    { effect: 'io', command: 'validator', argument: { id: 'aa', value, height: 5 } },
  ]);
  expect(one.tell({ kind: 'validator', id: 'aa', result: err('timeout') })).toEqual([]);
});

const record = (offset: number) => ({
  ...{ partition: 0, offset, timestampMs: 0, key: 'k', value: new Uint8Array(0), headers: {} },
});
const fetched = (...offsets: number[]): Self => ({
  kind: 'acks',
  result: ok({
    outcome: 'ok',
    records: encodeRecords(offsets.map(record)),
    positions: [(offsets.at(-1) ?? -1) + 1],
  }),
});
const commitsIn = (effects: readonly Recorded[]) =>
  effects.filter((one) => one.effect === 'tell').map((one) => one.message);

test('acknowledgements are finished on the bus only after SQL has them', () => {
  const one = projector();
  one.tell(opened(1));
  const effects = one.tell(fetched(0, 1));
  expect(ioIn(effects)).toEqual(['acks']);
  expect(commitsIn(effects)).toEqual([]);
  const failed = one.tell({ kind: 'acksFailed' });
  expect(commitsIn(failed)).toEqual([]);
  expect(laterIn(failed)).toEqual([1000]);
  const again = one.tell({ kind: 'acksAgain' });
  expect(again[0]?.argument).toHaveLength(2);
  const places = [0, 1].map((offset) => ({ partition: 0, offset }));
  expect(commitsIn(one.tell({ kind: 'acksSaved', places, refused: 0 }))).toEqual([
    { kind: 'commit', topic: 'control.policy.ack.v1', group: 'persistence', positions: [2] },
  ]);
});

test('a bus that does not answer is asked again', () => {
  const one = projector();
  one.tell(opened(1));
  expect(laterIn(one.tell({ kind: 'acks', result: err('timeout') }))).toEqual([50]);
  expect(one.tell({ kind: 'pollAcks' })[0]).toMatchObject({ to: 'bus' });
});

test('a database without acknowledgements reads them from the start of the topic', () => {
  const one = projector();
  const ends = one.tell(opened(3, false)).filter((effect) => effect.to === 'bus');
  expect(ends.map((effect) => (effect.message as Self).kind)).toEqual(['ends']);
  expect(laterIn(one.tell({ kind: 'ackEnds', result: err('timeout') }))).toEqual([1000]);
  one.tell({ kind: 'askAckEnds' });
  const [fetch] = one.tell({ kind: 'ackEnds', result: ok({ ends: [9, 4], committed: [9, 4] }) });
  expect(fetch?.message).toMatchObject({ kind: 'fetch', positions: [0, 0] });
});

const drained = (one: Projector) => {
  const fx = recorder<Self, Commands>();
  core.drain?.(one.state, fx, 0);
  return fx.take();
};
const head = (height: number): Self => ({
  kind: 'drainTo',
  result: ok({ height, hash: BLOCKS, stateRoot: BLOCKS, proof: BLOCKS }),
});
const ends = (effects: readonly Recorded[]) => effects.some((one) => one.effect === 'stop');

test('at a shutdown it ends when SQL has all that the chain has by then, and not before', () => {
  const one = projector();
  one.tell(opened(0));
  one.tell(read(5));
  expect(drained(one)).toMatchObject([{ effect: 'ask', message: { kind: 'head' } }]);
  expect(ends(one.tell(head(6)))).toBe(false);
  const next = one.tell(projected(5));
  expect([ends(next), readsIn(next).length]).toEqual([false, 1]);
  one.tell(read(6));
  expect(ends(one.tell(projected(6)))).toBe(true);
});

test('a shutdown before the database has opened waits for it, unless the chain is empty', () => {
  const [waiting, empty] = [projector(), projector()];
  expect(ends(waiting.tell(head(2)))).toBe(false);
  expect(ends(waiting.tell(opened(2)))).toBe(true);
  expect(ends(empty.tell(head(0)))).toBe(true);
});

test('a shutdown waits neither for a database that is away nor for an executor that is', () => {
  const one = projector();
  one.tell(opened(0));
  one.tell({ kind: 'unavailable', reason: 'refused' });
  expect(ends(one.tell(head(3)))).toBe(true);
  const other = projector();
  other.tell(opened(0));
  other.tell(head(3));
  expect(ends(other.tell({ kind: 'unavailable', reason: 'refused' }))).toBe(true);
  const third = projector();
  expect(ends(third.tell({ kind: 'drainTo', result: err('timeout') }))).toBe(true);
});

const compared = (height: number, all: boolean): Self => ({ kind: 'compared', height, all });
const lease = (holds: boolean, height = 0): Self => ({
  ...{ kind: 'lease', holds, height, hasAcks: true },
});
const kindsTo = (effects: readonly Recorded[], to: string) =>
  effects.filter((one) => one.to === to).map((one) => (one.message as Self).kind);

test('one without the lease compares, writes nothing and reads no acknowledgement', () => {
  const one = projector({ leaseMs: 3000 });
  const first = one.tell(opened(2, true, false));
  expect(kindsTo(first, 'bus')).toEqual([]);
  expect(validatorsAsked(first)).toEqual([]);
  expect(laterIn(first)).toEqual([1000]);
  expect(ioIn(one.tell({ kind: 'leaseDue' }))).toEqual(['lease']);
  expect(ioIn(one.tell(read(5)))).toEqual(['compare']);
  const next = one.tell(compared(5, true));
  expect(readsIn(next)[0]?.message).toMatchObject({ fromHeight: 6 });
  expect(statusOf(one)).toEqual({ height: 5, lag: 0, connected: true });
});

test('one that compares waits where SQL has no more, and keeps its place', () => {
  const one = projector();
  one.tell(opened(2, true, false));
  one.tell(read(5));
  const behind = one.tell(compared(0, false));
  expect([laterIn(behind), readsIn(behind)]).toEqual([[1000], []]);
  expect(readsIn(one.tell({ kind: 'retry' }))[0]?.message).toMatchObject({ fromHeight: 2 });
  one.tell(read(5));
  one.tell(compared(3, false));
  expect(readsIn(one.tell({ kind: 'retry' }))[0]?.message).toMatchObject({ fromHeight: 4 });
});

test('one that gets the lease writes what it reads next, and what belongs to it besides', () => {
  const one = projector();
  one.tell(opened(2, true, false));
  const gained = one.tell(lease(true, 2));
  expect(kindsTo(gained, 'bus')).toEqual(['fetch']);
  expect(validatorsAsked(gained)).toHaveLength(2);
  expect(readsIn(gained)).toEqual([]);
  expect(ioIn(one.tell(read(5)))).toEqual(['project']);
});

test('one that is fenced out compares from then on, and saves what it holds when it is back', () => {
  const one = projector();
  one.tell(opened(2));
  one.tell(read(5));
  expect(readsIn(one.tell({ kind: 'fenced' }))[0]?.message).toMatchObject({ fromHeight: 2 });
  expect(ioIn(one.tell(read(5)))).toEqual(['compare']);
  expect(ioIn(one.tell(fetched(0)))).toEqual([]);
  expect(one.tell({ kind: 'acksAgain' })).toEqual([]);
  expect(ioIn(one.tell(lease(true, 5)))).toEqual(['acks']);
});

test('a lease that is lost while nothing is written turns it, too; a kept one only comes up again', () => {
  const one = projector({ leaseMs: 3000 });
  one.tell(opened(2));
  expect(one.tell({ kind: 'leaseKept' })).toMatchObject([{ effect: 'after', delayMs: 1000 }]);
  expect(readsIn(one.tell(lease(false)))).toEqual([]);
  expect(ioIn(one.tell(read(5)))).toEqual(['compare']);
});

test('at a shutdown one that only compares ends at once', () => {
  const one = projector();
  one.tell(opened(0, true, false));
  expect(ends(drained(one))).toBe(true);
  const early = projector();
  expect(ends(drained(early))).toBe(false);
  early.tell(head(3));
  expect(ends(early.tell(opened(0, true, false)))).toBe(true);
});
