import fc from 'fast-check';
import { expect, test } from 'vitest';
import { blob, type Declaration, question, u32 } from '#native/lanes/fields.ts';
import {
  type Envelope,
  HEADER_WORDS,
  KIND_MASK,
  Lane,
  laneBytes,
  laneView,
} from '#native/lanes/lane.ts';
import { compile } from '#native/lanes/layout.ts';
import { openWakers, wakersBytes } from '#native/lanes/wakers.ts';

const declaration = { item: { n: u32, body: blob }, ask: question({ n: u32 }, { n: u32 }) };
const protocol = compile(declaration satisfies Declaration);
/** The step that sends. */
let span = 1;
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
  span1: span,
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
/** Where the record stood that was received last. */
let position = 0;
const receive = (lane: Lane): Item | undefined => {
  const at = lane.peek();
  if (at < 0) return undefined;
  position = lane.head;
  const kind = lane.i32[at + 1]! & KIND_MASK;
  const item = protocol.receive(lane, at + HEADER_WORDS, kind) as unknown as Item;
  lane.take(at);
  return item;
};

type Step =
  | { readonly do: 'send'; readonly size: number }
  | {
      readonly do:
        | 'publish'
        | 'receive'
        | 'release'
        | 'next step'
        | 'step taken back'
        | 'new producer'
        | 'new consumer'
        | 'put back';
    };

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
    { weight: 2, arbitrary: fc.constant<Step>({ do: 'next step' }) },
    { weight: 1, arbitrary: fc.constant<Step>({ do: 'step taken back' }) },
    { weight: 1, arbitrary: fc.constant<Step>({ do: 'put back' }) },
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
      let pending: (Item & { readonly span: number })[] = [];
      /** The last one received, while its room has not been given back. */
      let inHand: { readonly item: Item; readonly position: number } | undefined;
      let n = 0;
      const check = (got: Item | undefined): void => {
        const want = visible.shift();
        if (got !== undefined) inHand = { item: want!, position };
        expect(got?.n).toBe(want?.n);
        if (got && want) expect(Buffer.from(got.body).equals(Buffer.from(want.body))).toBe(true);
      };
      for (const step of script) {
        switch (step.do) {
          case 'send': {
            const room = visible.length + pending.length < depthMax;
            const sent = send(producer, n, step.size);
            if (!room) expect(sent).toBe(false);
            if (sent) pending.push({ n, body: bodyOf(n, step.size), span });
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
            inHand = undefined;
            break;
          case 'next step':
            span++;
            break;
          case 'step taken back': // what was published before stays
            producer.retract(5, span);
            pending = pending.filter((item) => item.span !== span);
            span++;
            break;
          case 'put back': // the consumer died of what it had in hand
            if (inHand === undefined) break;
            expect(laneView(shared).rewind(inHand.position)).toBe(true);
            consumer = end(shared, depthMax);
            consumer.recover();
            visible.unshift(inHand.item);
            inHand = undefined;
            break;
          case 'new producer': // what was written is not lost with its predecessor
            producer = end(shared, depthMax);
            producer.resume();
            visible.push(...pending.splice(0));
            break;
          case 'new consumer':
            consumer = end(shared, depthMax);
            consumer.recover();
            inHand = undefined;
            break;
        }
        if (!consumer.late) continue;
        consumer.release();
        inHand = undefined;
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

test('what has been refused is not tried again before the consumer has moved, however much is free', () => {
  const shared = memory();
  const producer = end(shared);
  const consumer = end(shared);
  // Half of the lane is free, but the end of it is shorter than the record, which would begin anew at the beginning.
  const large = 4 * 128 - 4 * HEADER_WORDS - 16;
  for (let k = 0; k < 3; k++) expect(send(producer, k, large)).toBe(true);
  expect(send(producer, 3, 150)).toBe(true);
  producer.publish();
  receive(consumer);
  receive(consumer);
  consumer.release();
  expect(send(producer, 4, large, producer.quarter)).toBe(false);
  producer.stall();
  expect(send(producer, 4, large, producer.quarter)).toBe(false);
  expect(producer.stall()).toBe(false);
  wakers.join();
  wakers.arm(0);
  const awake = wakers.runnable();
  receive(consumer);
  consumer.release();
  expect(wakers.runnable()).toBe(awake + 1);
  expect(send(producer, 4, large, producer.quarter)).toBe(true);
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

test('a producer that died before publishing: what it had written arrives, and is counted', () => {
  const shared = memory();
  const dying = end(shared, 5);
  for (let k = 0; k < 4; k++) send(dying, k, 0);
  Atomics.store(dying.control, 65, 9); // SENT runs ahead, TAIL is not stored
  const producer = end(shared, 5);
  producer.resume();
  expect(producer.depth()).toBe(4);
  expect(send(producer, 4, 0)).toBe(true);
  expect(send(producer, 5, 0)).toBe(false);
  producer.publish();
  const consumer = end(shared, 5);
  for (let k = 0; k < 5; k++) expect(receive(consumer)?.n).toBe(k);
  expect(receive(consumer)).toBeUndefined();
});

test('a consumer that died after a wrap with nothing behind it does not strand the next one', () => {
  const shared = memory();
  const producer = end(shared);
  const dying = end(shared);
  for (let k = 0; k < 5; k++) send(producer, k, 300);
  producer.publish();
  while (receive(dying) !== undefined);
  dying.release();
  send(producer, 5, 300); // at the beginning of the lane again
  producer.retract(5, span);
  producer.publish();
  expect(receive(dying)).toBeUndefined();
  dying.release();
  // The next one begins at the cursor: behind what was given back it would read what is not there any more.
  expect(laneView(shared).cursor()).toBe(laneView(shared).head());
  const next = end(shared);
  next.recover();
  expect(send(producer, 6, 300)).toBe(true);
  producer.publish();
  expect(receive(next)?.n).toBe(6);
});

test('what a step wrote under later spans is taken back with it, what earlier steps wrote is not', () => {
  const lane = end(memory());
  const sendAs = (n: number, span1: number, traced = true): void => {
    const own = { ...envelope(), span1, traced };
    protocol.send(lane, { kind: 'item', n, body: bodyOf(n, 0) } as never, own, 0);
  };
  sendAs(0, 0x7ffffffe, false); // its span is known also where no trace is carried
  sendAs(1, 0x80000000 | 0, false); // the step's own span is 0x7fffffff: they wrap
  sendAs(2, 0x7fffffff);
  lane.retract(5, 0x7fffffff);
  lane.publish();
  expect(receive(lane)?.n).toBe(0);
  expect(receive(lane)).toBeUndefined();
});

test('what has been given back is not put back: it may be gone', () => {
  const shared = memory();
  const producer = end(shared);
  const consumer = end(shared);
  send(producer, 0, 0);
  producer.publish();
  receive(consumer);
  consumer.release();
  expect(laneView(shared).rewind(position)).toBe(false);
});

test('a record above a quarter of its lane is refused with kind and size', () => {
  const lane = end(memory());
  expect(() => send(lane, 1, 600)).toThrow('message item: 664 bytes, limit 512');
});

test('what an actor tells itself is there at once, without a publishing', () => {
  const shared = memory();
  const sending = end(shared);
  const receiving = end(shared);
  receiving.twin = sending;
  send(sending, 1, 0);
  expect(receive(receiving)).toBeUndefined(); // the shell has not heard of it
  sending.dirty = true;
  expect(receive(receiving)?.n).toBe(1);
  expect(receive(receiving)).toBeUndefined();
});
