import { expect, test } from 'vitest';
import { blob, shared } from '#native/lanes/fields.ts';
import { type Envelope, HEADER_WORDS, KIND_MASK, Lane, laneBytes } from '#native/lanes/lane.ts';
import { compile } from '#native/lanes/layout.ts';
import { arenaTable, createArena, SlabPool } from '#native/lanes/slab.ts';
import { openSweep } from '#native/lanes/sweep.ts';
import { openWakers, wakersBytes } from '#native/lanes/wakers.ts';

const envelope: Envelope = {
  room: 0,
  incarnation: 0,
  deadline: 0,
  traced: true,
  trace0: 0,
  trace1: 0,
  trace2: 0,
  trace3: 0,
  span0: 0,
  span1: 0,
};
const protocol = compile({ s: { rows: shared }, b: { bytes: blob } });
const SLAB = 65_536;

const scene = () => {
  const wakers = openWakers(new SharedArrayBuffer(wakersBytes(3)));
  const arena = createArena(4, SLAB, 3);
  const memories = [0, 1].map(() => new SharedArrayBuffer(laneBytes(1 << 10)));
  const sender = new SlabPool(arena, 0, wakers);
  const pools = [1, 2].map((t) => new SlabPool(arena, t, wakers));
  const ends = (k: number) => ({ index: 0, from: 0, to: k + 1 });
  const out = memories.map((m, k) => new Lane(m, ends(k), wakers, sender));
  const into = memories.map((m, k) => new Lane(m, ends(k), wakers, pools[k]));
  const send = (k: number, message: object): boolean =>
    protocol.send(out[k]!, message as never, envelope, 0);
  const publish = (): void => {
    sender.endStep();
    for (const lane of out) lane.publish();
    sender.settle();
  };
  const receive = (k: number): { rows?: Uint8Array; bytes?: Uint8Array } => {
    const lane = into[k]!;
    const at = lane.peek();
    const kind = lane.i32[at + 1]! & KIND_MASK;
    const got = protocol.receive(lane, at + HEADER_WORDS, kind) as object;
    lane.take(at);
    pools[k]!.releaseCopied();
    return got;
  };
  const drop = (k: number): void => {
    for (const index of pools[k]!.takeViewed()) pools[k]!.drop(index);
  };
  const resume = (k: number): void => new Lane(memories[k]!, ends(k), wakers, sender).resume();
  const refs = (): number[] => [...arenaTable(arena).refs];
  const sweep = openSweep(arena, memories, wakers);
  return { sender, pools, send, publish, resume, receive, drop, refs, sweep, wakers };
};
const rows = new Uint8Array(SLAB).fill(9);

test('told to several actors within a step, an array is written once and freed after the last', () => {
  const s = scene();
  s.send(0, { kind: 's', rows });
  s.send(1, { kind: 's', rows });
  s.publish();
  expect(s.refs()).toEqual([2, 0, 0, 0]);
  const views = [s.receive(0).rows!, s.receive(1).rows!];
  expect(views[0]!.buffer).toBe(views[1]!.buffer);
  expect(views[0]!.byteOffset % 8).toBe(0);
  expect(Buffer.from(views[1]!).equals(Buffer.from(rows))).toBe(true);
  s.drop(0);
  expect(s.refs()).toEqual([1, 0, 0, 0]);
  s.drop(1);
  expect(s.refs()).toEqual([0, 0, 0, 0]);
});

test('in the next step the same array is written again', () => {
  const s = scene();
  s.send(0, { kind: 's', rows });
  s.publish();
  s.send(0, { kind: 's', rows });
  s.publish();
  expect(s.refs()).toEqual([1, 1, 0, 0]);
});

test('a blob is copied out and its slabs go back at once', () => {
  const s = scene();
  const bytes = new Uint8Array(3 * SLAB - 5).fill(4);
  s.send(0, { kind: 'b', bytes });
  s.publish();
  expect(s.refs()).toEqual([1, 1, 1, 0]);
  expect(Buffer.from(s.receive(0).bytes!).equals(Buffer.from(bytes))).toBe(true);
  expect(s.refs()).toEqual([0, 0, 0, 0]);
});

test('a thread that waits for slabs is woken when one comes back', () => {
  const s = scene();
  for (let k = 0; k < 4; k++) s.send(0, { kind: 's', rows: new Uint8Array(SLAB) });
  s.publish();
  expect(s.send(1, { kind: 's', rows })).toBe(false);
  expect(s.sender.starve()).toBe(false);
  s.wakers.join();
  s.wakers.arm(0);
  expect(s.wakers.runnable()).toBe(0);
  s.receive(0);
  s.drop(0);
  expect(s.wakers.runnable()).toBe(1);
  expect(s.sender.starve()).toBe(true);
});

test('a slab that its sender took and never wrote of is found by the second sweep after the death', () => {
  const s = scene();
  s.sender.take();
  expect(s.sweep.pass()).toBe(0); // it lives: its ledger counts
  s.sweep.bury(0);
  expect(s.sweep.pass()).toBe(1);
  expect(s.refs()).not.toEqual([0, 0, 0, 0]);
  expect(s.sweep.pass()).toBe(0);
  expect(s.refs()).toEqual([0, 0, 0, 0]);
  expect(s.sweep.repaired()).toBe(1);
});

test('what was written and not published stays for the next incarnation to publish', () => {
  const s = scene();
  s.send(0, { kind: 's', rows });
  expect(s.refs()).toEqual([2, 0, 0, 0]); // the record's, and that of the step
  s.sweep.bury(0);
  for (let k = 0; k < 3; k++) s.sweep.pass();
  expect(s.refs()).toEqual([1, 0, 0, 0]);
  s.resume(0);
  expect(s.receive(0).rows![0]).toBe(9);
  s.drop(0);
  expect(s.refs()).toEqual([0, 0, 0, 0]);
});

test('what stands unread in a lane is not swept, even when its sender is dead', () => {
  const s = scene();
  s.send(0, { kind: 's', rows });
  s.publish();
  s.sweep.bury(0);
  for (let k = 0; k < 3; k++) expect(s.sweep.pass()).toBe(0);
  expect(s.refs()).toEqual([1, 0, 0, 0]);
  expect(s.receive(0).rows![0]).toBe(9);
});

test('what a dead receiver held goes back, what a living one holds stays', () => {
  const s = scene();
  s.send(0, { kind: 's', rows });
  s.send(1, { kind: 's', rows });
  s.publish();
  s.receive(0);
  s.receive(1);
  s.sweep.bury(1);
  s.sweep.pass();
  s.sweep.pass();
  expect(s.refs()).toEqual([1, 0, 0, 0]);
  s.drop(1);
  expect(s.refs()).toEqual([0, 0, 0, 0]);
});

test('a slab that was given to somebody else between two sweeps is left alone', () => {
  const s = scene();
  s.send(0, { kind: 'b', bytes: rows });
  s.sweep.bury(0);
  s.sweep.pass();
  // Meanwhile it came free and was taken again: another generation.
  for (const [k, n] of s.refs().entries()) for (let r = 0; r < n; r++) s.sender.drop(k);
  while (s.sender.take() !== 0);
  s.sweep.bury(0);
  expect(s.sweep.pass()).toBeGreaterThan(0);
  expect(s.refs()[0]).toBe(1);
});
