import { expect, test } from 'vitest';
import { config } from '#actors/telemetry/config.ts';
import { type Commands, core, type Self, type SourceBatch } from '#actors/telemetry/core.ts';
import { type Recorded, recorder } from '#runtime/recorder.ts';

const packets = (count: number): SourceBatch => ({
  shape: 'packets',
  count,
  packets: new Uint8Array(count * 88),
});

const started = (settings: object = {}) => {
  const state = core.init(
    config.parse({ source: { kind: 'pcap', path: 'x.pcap' }, batchesInFlightMax: 2, ...settings }),
  );
  const fx = recorder<Self, Commands>();
  core.start?.(state, fx, 0);
  const send = (message: Self, atMs = 0): Recorded[] => {
    core.step(state, message, fx, atMs);
    return fx.take().filter(({ effect }) => effect !== 'signal');
  };
  fx.take();
  return { state, send, fx };
};

const BEGAN: Self = { kind: 'began', epoch: 7, capture: 'pcap:x.pcap', complete: false };
const read = (count: number, end = false): Self => ({
  kind: 'read',
  epoch: 7,
  batch: packets(count),
  fileEnd: end,
  end,
});
const NEXT = { effect: 'io', command: 'next', argument: { epoch: 7 } };
const told = (effects: readonly Recorded[]): unknown[] =>
  effects.filter(({ effect }) => effect === 'tell').map(({ message }) => message);

test('nothing is read before the ensemble has asked for it', () => {
  const { send } = started();
  expect(send({ kind: 'resume' })).toEqual([
    { effect: 'cancel', key: 'resume' },
    { effect: 'io', command: 'begin', argument: {} },
  ]);
  expect(send(BEGAN)).toEqual([NEXT]);
});

test('reading begins by itself when nobody asked in time', () => {
  const { send } = started();
  expect(send({ kind: 'resumeDue' })).toContainEqual({
    effect: 'io',
    command: 'begin',
    argument: {},
  });
});

test('a second resume while one is under way begins once', () => {
  const { send } = started();
  send({ kind: 'resume' });
  expect(send({ kind: 'resume' })).toEqual([{ effect: 'cancel', key: 'resume' }]);
});

test('at most so many batches are in flight; a processed one makes room', () => {
  const { send } = started();
  send({ kind: 'resume' });
  send(BEGAN);
  expect(told(send(read(1_000)))).toMatchObject([
    { kind: 'packets', epoch: 7, seq: 1, count: 1_000, flush: false, end: false },
  ]);
  expect(send(read(1_000))).not.toContainEqual(NEXT);
  expect(send({ kind: 'passed', epoch: 7, seq: 1, lastSeq: 3 })).toEqual([]);
  expect(send({ kind: 'processed', epoch: 7, seq: 2 })).toEqual([]);
  expect(send({ kind: 'processed', epoch: 7, seq: 3 })).toEqual([NEXT]);
});

test('processed may arrive before passed', () => {
  const { send } = started({ batchesInFlightMax: 1 });
  send({ kind: 'resume' });
  send(BEGAN);
  send(read(10));
  send({ kind: 'processed', epoch: 7, seq: 1 });
  expect(send({ kind: 'passed', epoch: 7, seq: 1, lastSeq: 1 })).toEqual([NEXT]);
});

test('the position moves when everything of the file is processed, and only then', () => {
  const { send } = started();
  send({ kind: 'resume' });
  send(BEGAN);
  send(read(1_000));
  expect(told(send(read(3, true)))).toMatchObject([{ seq: 2, count: 3, flush: true, end: true }]);
  send({ kind: 'passed', epoch: 7, seq: 1, lastSeq: 1 });
  send({ kind: 'passed', epoch: 7, seq: 2, lastSeq: 4 });
  expect(send({ kind: 'processed', epoch: 7, seq: 3 })).toEqual([]);
  const settle = { effect: 'io', command: 'settle', argument: { epoch: 7 } };
  expect(send({ kind: 'processed', epoch: 7, seq: 4 })).toEqual([settle]);
  expect(send({ kind: 'settled', epoch: 7, more: false })).toEqual([]);
});

test('the next file begins when the one before it is durable', () => {
  const { send } = started();
  send({ kind: 'resume' });
  send(BEGAN);
  send({ kind: 'read', epoch: 7, batch: packets(0), fileEnd: true, end: false });
  send({ kind: 'passed', epoch: 7, seq: 1, lastSeq: 0 });
  expect(send({ kind: 'settled', epoch: 7, more: true })).toContainEqual({
    effect: 'io',
    command: 'begin',
    argument: {},
  });
});

test('what belongs to an older epoch is dropped', () => {
  const { send } = started();
  send({ kind: 'resume' });
  send(BEGAN);
  send(read(10));
  send({ kind: 'resume' });
  expect(send(read(10))).toEqual([]);
  send({ ...BEGAN, epoch: 8 });
  expect(send(read(10))).toEqual([]);
  expect(send({ kind: 'processed', epoch: 7, seq: 9 })).toEqual([]);
  expect(send({ kind: 'passed', epoch: 7, seq: 1, lastSeq: 1 })).toEqual([]);
});

test('a source that has ended says so again to those who started after it', () => {
  const { send } = started();
  send({ kind: 'resume' });
  expect(told(send({ ...BEGAN, complete: true }))).toMatchObject([
    { kind: 'packets', count: 0, flush: true, end: true },
  ]);
});

test('empty batches of an endless source are not handed on', () => {
  const { send } = started();
  send({ kind: 'resume' });
  send(BEGAN);
  expect(send(read(0))).toEqual([NEXT]);
});

test('a source without traffic reads nothing', () => {
  const { send } = started({ source: { kind: 'none' } });
  send({ kind: 'resume' });
  expect(send(BEGAN)).toEqual([]);
});
