import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  atom,
  blob,
  bool,
  bytes,
  type Declaration,
  type Field,
  f64,
  i64,
  list,
  oneOf,
  question,
  shared,
  str,
  u32,
} from '#native/lanes/fields.ts';
import {
  type Envelope,
  HEADER_WORDS,
  KIND_MASK,
  Lane,
  laneBytes,
  REPLY,
} from '#native/lanes/lane.ts';
import { compile } from '#native/lanes/layout.ts';
import { createArena, SlabPool } from '#native/lanes/slab.ts';
import { openWakers, wakersBytes } from '#native/lanes/wakers.ts';

const wakers = openWakers(new SharedArrayBuffer(wakersBytes(2)));
const envelope: Envelope = {
  room: 0,
  incarnation: 3,
  deadline: 0,
  traced: true,
  trace0: 1,
  trace1: 2,
  trace2: 3,
  trace3: 4,
  span0: 5,
  span1: 6,
};
const pair = (words = 1 << 15, slabs = { count: 8, bytes: 65_536 }) => {
  const arena = createArena(slabs.count, slabs.bytes, 2);
  const memory = new SharedArrayBuffer(laneBytes(words));
  const ends = { index: 0, from: 0, to: 1 };
  return {
    pool: new SlabPool(arena, 0, wakers),
    producer: new Lane(memory, ends, wakers, new SlabPool(arena, 0, wakers)),
    consumer: new Lane(memory, ends, wakers, new SlabPool(arena, 1, wakers)),
  };
};
type Body = { readonly [field: string]: unknown };

/** Writes and reads one message; gives every slab back. */
const pass = (declaration: Declaration, message: Body, given = pair()): Body | undefined => {
  const { producer, consumer } = given;
  const protocol = compile(declaration);
  if (!protocol.send(producer, message as never, envelope, 0)) return undefined;
  producer.publish();
  producer.slabs!.endStep();
  producer.slabs!.settle();
  const at = consumer.peek();
  const kind = consumer.i32[at + 1]! & KIND_MASK;
  const got = protocol.receive(consumer, at + HEADER_WORDS, kind) as unknown as Body;
  consumer.take(at);
  consumer.release();
  const copy = structuredClone(got);
  consumer.slabs!.releaseCopied();
  for (const index of consumer.slabs!.takeViewed()) consumer.slabs!.drop(index);
  return copy;
};

const bytesOf = (max: number) => fc.uint8Array({ maxLength: max });
const kinds: readonly (readonly [Field<unknown>, fc.Arbitrary<unknown>])[] = [
  [f64, fc.double()],
  [u32, fc.nat(0xffffffff)],
  [i64, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
  [bool, fc.boolean()],
  [bytes(3), fc.uint8Array({ minLength: 3, maxLength: 3 })],
  [bytes(80), fc.uint8Array({ minLength: 80, maxLength: 80 })],
  [blob, bytesOf(300)],
  [shared, bytesOf(300)],
  [str, fc.string({ unit: 'binary', maxLength: 50 }).map((s) => s.toWellFormed())],
  [atom, fc.string({ unit: 'grapheme', maxLength: 80 }).map((s) => s.toWellFormed())],
  [oneOf('a', 'b-c', 'd'), fc.constantFrom('a', 'b-c', 'd')],
  [list(f64), fc.array(fc.double(), { maxLength: 20 })],
  [list(u32), fc.array(fc.nat(), { maxLength: 20 })],
  [list(i64), fc.array(fc.bigInt({ min: 0n, max: 5n }), { maxLength: 9 })],
  [list(bool), fc.array(fc.boolean(), { maxLength: 20 })],
  [list(str), fc.array(fc.string(), { maxLength: 20 })],
  [list(oneOf('x', 'y')), fc.array(fc.constantFrom('x', 'y'), { maxLength: 20 })],
  [list(bytes(4)), fc.array(fc.uint8Array({ minLength: 4, maxLength: 4 }), { maxLength: 9 })],
  [list(blob), fc.array(bytesOf(20), { maxLength: 9 })],
];

test('whatever a declaration holds, what is received equals what was sent', () => {
  const given = pair();
  fc.assert(
    fc.property(
      fc
        .array(fc.nat(kinds.length - 1), { maxLength: 12 })
        .chain((picks) =>
          fc.tuple(fc.constant(picks), fc.tuple(...picks.map((k) => kinds[k]![1]))),
        ),
      ([picks, values]) => {
        const fields = Object.fromEntries(picks.map((k, n) => [`f${n}`, kinds[k]![0]]));
        const body = Object.fromEntries(values.map((v, n) => [`f${n}`, v]));
        const got = pass({ m: fields }, { kind: 'm', ...body }, given);
        expect(got).toEqual({ kind: 'm', ...body });
        expect(given.pool.free()).toBe(8);
      },
    ),
    { numRuns: 500 },
  );
});

test('a question carries who asked; its answer finds the question', () => {
  const { producer, consumer } = pair();
  const protocol = compile({ q: question({ n: u32 }, { text: str }) });
  protocol.send(producer, { kind: 'q', n: 4 } as never, envelope, 77);
  producer.publish();
  const at = consumer.peek();
  const got = protocol.receive(consumer, at + HEADER_WORDS, 0) as never as { replyTo: never };
  expect(got.replyTo).toEqual({ from: 0, ask: 77, incarnation: 3, kind: 0, dueMs: 0 });
  consumer.take(at);
  protocol.sendReply(producer, { text: 'ü' }, { ...envelope, incarnation: 9 }, got.replyTo);
  producer.publish();
  const back = consumer.peek();
  expect(consumer.i32[back + 1]! & REPLY).toBe(REPLY);
  expect([consumer.i32[back + 4], consumer.i32[back + 5]]).toEqual([77, 3]);
  expect(protocol.receiveReply(consumer, back + HEADER_WORDS, 0)).toEqual({ text: 'ü' });
});

test.each([
  [{ n: u32 }, { n: -1 }, 'm.n: -1 is not an unsigned 32-bit integer'],
  [{ w: oneOf('a') }, { w: 'b' }, 'm.w: b is not one of its words'],
  [{ b: bytes(4) }, { b: new Uint8Array(5) }, 'm.b: expected 4 bytes, got 5'],
  [{ t: str }, { t: 'x'.repeat(32_768) }, 'm.t: text of 32768 bytes, limit 32767'],
  [{ t: str }, { t: undefined }, 'm.t: expected text, got undefined'],
  [{ s: shared }, { s: new Uint8Array(65_537) }, 'm.s: shared of 65537 bytes, limit 65536'],
  [{ l: list(bool) }, { l: new Array(4097).fill(true) }, 'm.l: 4097 items, limit 4096'],
])('what has no place is refused by name: %#', (fields, body, text) => {
  expect(() => pass({ m: fields as never }, { kind: 'm', ...body })).toThrow(text);
});

test('names that would collide with the envelope are refused', () => {
  expect(() => compile({ m: { kind: u32 } })).toThrow('cannot be named kind');
  expect(() => compile({ m: { 'a-b': u32 } })).toThrow('cannot be named a-b');
});

test('blobs from inline to many slabs', () => {
  const given = pair(1 << 16);
  for (const size of [32_768, 32_769, 65_536, 65_537, 8 * 65_536]) {
    const b = Uint8Array.from({ length: size }, (_, k) => k % 251);
    const got = pass({ m: { b: blob } }, { kind: 'm', b }, given);
    expect(Buffer.from(got!.b as Uint8Array).equals(Buffer.from(b))).toBe(true);
    expect(given.pool.free()).toBe(8);
  }
});

test('without a free slab a message waits as for a full lane, and what it had taken goes back', () => {
  const given = pair();
  for (let k = 0; k < 7; k++) given.pool.take();
  const b = new Uint8Array(2 * 65_536);
  expect(pass({ m: { b: blob } }, { kind: 'm', b }, given)).toBeUndefined();
  expect(given.producer.starved).toBe(true);
  expect(given.pool.free()).toBe(1);
});
