import { expect, test } from 'vitest';
import { config } from '#actors/bus/config.ts';
import { type Commands, core, type Self } from '#actors/bus/core.ts';
import { decodeRecords } from '#runtime/bus/record.ts';
import { type Recorded, recorder } from '#runtime/recorder.ts';

const replyTo = { from: 1, ask: 1, incarnation: 1, kind: 1 };
const fetch = (waitMs: number): Self => ({
  kind: 'fetch',
  replyTo,
  topic: 't',
  group: 'g',
  positions: [0],
  maxRecords: 10,
  waitMs,
});
const record = {
  partition: 0,
  offset: 0,
  timestampMs: 5,
  key: 'k',
  value: new Uint8Array([1, 2]),
  headers: { a: 'b' },
};
const start = () => ({
  state: core.init(config.parse({})),
  fx: recorder<Self, Commands>(),
});
const pollOf = (log: Recorded[]) =>
  log.find((e) => e.effect === 'io')!.argument as Commands['fetch'];

test('a fetch that finds records is answered with them at once', () => {
  const { state, fx } = start();
  core.step(state, fetch(1000), fx, 0);
  const poll = pollOf(fx.take());
  const outcome = { outcome: 'ok', records: [record], positions: [1] } as const;
  core.step(state, { kind: 'fetched', poll, outcome }, fx, 1);
  const reply = fx.take().find((e) => e.effect === 'reply');
  const answer = reply!.answer as { records: Uint8Array; positions: number[] };
  expect(decodeRecords(answer.records)).toEqual([record]);
  expect(answer.positions).toEqual([1]);
});

test('a fetch that finds nothing waits, and an append makes it read again', () => {
  const { state, fx } = start();
  core.step(state, fetch(1000), fx, 0);
  const poll = pollOf(fx.take());
  const empty = { outcome: 'ok', records: [], positions: [0] } as const;
  core.step(state, { kind: 'fetched', poll, outcome: empty }, fx, 1);
  expect(fx.take().map((e) => e.effect)).toEqual(['after']);
  const outcome = { outcome: 'ok', partition: 0, offset: 0 } as const;
  core.step(state, { kind: 'published', topic: 't', replyTo, outcome }, fx, 2);
  expect(fx.take().map((e) => e.effect)).toEqual(['reply', 'io']);
});

test('an append between the read and the parking is not missed', () => {
  const { state, fx } = start();
  core.step(state, fetch(1000), fx, 0);
  const poll = pollOf(fx.take());
  const outcome = { outcome: 'ok', partition: 0, offset: 0 } as const;
  core.step(state, { kind: 'published', topic: 't', replyTo, outcome }, fx, 1);
  fx.take();
  const empty = { outcome: 'ok', records: [], positions: [0] } as const;
  core.step(state, { kind: 'fetched', poll, outcome: empty }, fx, 2);
  expect(fx.take()).toMatchObject([{ effect: 'io', command: 'fetch' }]);
});

test('a consumer that begins at its mark learns where that is, though nothing comes', () => {
  const { state, fx } = start();
  core.step(state, { ...fetch(1000), positions: [] } as Self, fx, 0);
  const poll = pollOf(fx.take());
  const empty = { outcome: 'ok', records: [], positions: [7, 4] } as const;
  core.step(state, { kind: 'fetched', poll, outcome: empty }, fx, 1);
  core.step(state, { kind: 'pollDue', id: poll.id }, fx, 1000);
  expect(fx.take().find((e) => e.effect === 'reply')).toMatchObject({
    answer: { positions: [7, 4] },
  });
});

test('a long poll ends empty at its deadline, with its own positions', () => {
  const { state, fx } = start();
  core.step(state, fetch(1000), fx, 0);
  const poll = pollOf(fx.take());
  const empty = { outcome: 'ok', records: [], positions: [0] } as const;
  core.step(state, { kind: 'fetched', poll, outcome: empty }, fx, 1);
  fx.take();
  core.step(state, { kind: 'pollDue', id: poll.id }, fx, 1000);
  expect(fx.take().find((e) => e.effect === 'reply')).toMatchObject({
    answer: { outcome: 'ok', positions: [0] },
  });
  expect(state.parked.size + state.seen.size).toBe(0);
});

test('polls beyond the bound are answered at once instead of waiting', () => {
  const state = core.init(config.parse({ fetchesOpenMax: 1 }));
  const fx = recorder<Self, Commands>();
  const empty = { outcome: 'ok', records: [], positions: [0] } as const;
  for (let k = 0; k < 2; k++) {
    core.step(state, fetch(1000), fx, 0);
    const poll = pollOf(fx.take());
    core.step(state, { kind: 'fetched', poll, outcome: empty }, fx, 1);
  }
  expect(fx.take().map((e) => e.effect)).toContain('reply');
  expect(state.parked.size).toBe(1);
});
