import fc from 'fast-check';
import { expect, test } from 'vitest';
import { blob, type Declaration, question, u32 } from '#native/lanes/fields.ts';
import { type Envelope, HEADER_WORDS, KIND_MASK, Lane, laneBytes } from '#native/lanes/lane.ts';
import { compile } from '#native/lanes/layout.ts';
import { openWakers, wakersBytes } from '#native/lanes/wakers.ts';

const declaration = { item: { n: u32, body: blob }, ask: question({ n: u32 }, { n: u32 }) };
const protocol = compile(declaration satisfies Declaration);
const envelope = (room = 0): Envelope => ({
  room,
  incarnation: 3,
  deadline: 0,
  traced: true,
  trace0: 1,
  trace1: 2,
  trace2: 3,
  trace3: 4,
  span0: 5,
  span1: 6,
});

const WORDS = 512;
const memory = (): SharedArrayBuffer => new SharedArrayBuffer(laneBytes(WORDS));
const wakers = openWakers(new SharedArrayBuffer(wakersBytes(2)));
const end = (shared: SharedArrayBuffer, depthMax?: number): Lane =>
  new Lane(shared, { index: 0, from: 0, to: 1 }, wakers, undefined, depthMax);

const bodyOf = (n: number, size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, k) => n + k * 7);
const send = (lane: Lane, n: number, size: number, room = 0): boolean =>
  !lane.full() &&
  protocol.send(lane, { kind: 'item', n, body: bodyOf(n, size) } as never, envelope(room), 0);
type Item = { readonly n: number; readonly body: Uint8Array };
const receive = (lane: Lane): Item | undefined => {
  const at = lane.peek();
  if (at < 0) return undefined;
  const kind = lane.i32[at + 1]! & KIND_MASK;
  const item = protocol.receive(lane, at + HEADER_WORDS, kind) as unknown as Item;
  lane.take(at);
  return item;
};

type Step =
  | { readonly do: 'send'; readonly size: number }
  | { readonly do: 'publish' | 'receive' | 'release' | 'new producer' | 'new consumer' };

const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('send' as const),
        size: fc.integer({ min: 0, max: 300 }),
      }),
    },
    { weight: 3, arbitrary: fc.constant<Step>({ do: 'publish' }) },
    { weight: 6, arbitrary: fc.constant<Step>({ do: 'receive' }) },
    { weight: 2, arbitrary: fc.constant<Step>({ do: 'release' }) },
    { weight: 1, arbitrary: fc.constant<Step>({ do: 'new producer' }) },
    { weight: 1, arbitrary: fc.constant<Step>({ do: 'new consumer' }) },
  ),
  { maxLength: 400, size: 'max' },
);

test('against a model: nothing lost, doubled, torn or out of order, over wraps and new ends', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 12 }), (script, depthMax) => {
      const shared = memory();
      let producer = end(shared, depthMax);
      let consumer = end(shared, depthMax);
      const visible: Item[] = [];
      let pending: Item[] = [];
      let n = 0;
      const check = (got: Item | undefined): void => {
        const want = visible.shift();
        expect(got?.n).toBe(want?.n);
        if (got && want) expect(Buffer.from(got.body).equals(Buffer.from(want.body))).toBe(true);
      };
      for (const step of script) {
        switch (step.do) {
          case 'send': {
            const room = visible.length + pending.length < depthMax;
            const sent = send(producer, n, step.size);
            if (!room) expect(sent).toBe(false);
            if (sent) pending.push({ n, body: bodyOf(n, step.size) });
            n++;
            break;
          }
          case 'publish':
            producer.publish();
            visible.push(...pending.splice(0));
            break;
          case 'receive':
            check(receive(consumer));
            break;
          case 'release':
            consumer.release();
            break;
          case 'new producer': // what was not published is lost with it
            producer = end(shared, depthMax);
            producer.resume();
            pending = [];
            break;
          case 'new consumer':
            consumer = end(shared, depthMax);
            consumer.recover();
            break;
        }
        if (consumer.late) consumer.release();
      }
      producer.publish();
      visible.push(...pending.splice(0));
      while (visible.length > 0) check(receive(consumer));
      expect(receive(consumer)).toBeUndefined();
      consumer.release();
      expect(send(producer, 1, 0)).toBe(true);
    }),
    { numRuns: 300, verbose: 1 },
  );
});

test('room that is kept for answers is not given to messages', () => {
  const shared = memory();
  const producer = end(shared);
  let sent = 0;
  while (send(producer, sent, 0, producer.quarter)) sent++;
  expect(send(producer, sent, 0, 0)).toBe(true);
});

test('a full lane takes messages again when half of it is free, and wakes its producer', () => {
  const shared = memory();
  const producer = end(shared, 8);
  const consumer = end(shared, 8);
  for (let k = 0; k < 8; k++) expect(send(producer, k, 0)).toBe(true);
  expect(send(producer, 8, 0)).toBe(false);
  producer.publish();
  expect(producer.stall()).toBe(false);
  wakers.join();
  wakers.arm(0);
  for (let k = 0; k < 3; k++) receive(consumer);
  consumer.release();
  expect(wakers.runnable()).toBe(0);
  receive(consumer);
  consumer.release();
  expect(wakers.runnable()).toBe(1);
  expect(send(producer, 8, 0)).toBe(true);
});

test('a consumer that died between passing and releasing does not block a producer for ever', () => {
  const shared = memory();
  const producer = end(shared, 4);
  const dying = end(shared, 4);
  for (let k = 0; k < 4; k++) send(producer, k, 0);
  producer.publish();
  for (let k = 0; k < 4; k++) receive(dying);
  expect(send(producer, 4, 0)).toBe(false);
  end(shared, 4).recover();
  expect(send(producer, 4, 0)).toBe(true);
});

test('a producer that died between counting and publishing leaves no hole in the count', () => {
  const shared = memory();
  const dying = end(shared, 4);
  for (let k = 0; k < 4; k++) send(dying, k, 0);
  Atomics.store(dying.control, 65, dying.sequence); // SENT is stored, TAIL is not
  const producer = end(shared, 4);
  producer.resume();
  expect(producer.depth()).toBe(0);
  expect(send(producer, 9, 0)).toBe(true);
});

test('a record above a quarter of its lane is refused with kind and size', () => {
  const lane = end(memory());
  expect(() => send(lane, 1, 600)).toThrow('message item: 664 bytes, limit 512');
});
