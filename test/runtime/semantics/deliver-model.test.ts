/**
 * The two ends of deliveries without threads: real mailboxes on real lanes, moved step by step, and killed at any moment,
 * unpublished words included.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Hand, handsBytes } from '#native/lanes/hand.ts';
import { Lane, laneBytes } from '#native/lanes/lane.ts';
import { openRegister, registerBytes } from '#native/lanes/register.ts';
import { createArena, SlabPool } from '#native/lanes/slab.ts';
import { openWakers, wakersBytes } from '#native/lanes/wakers.ts';
import { type Actor, address, delivery, u32 } from '#runtime/actor.ts';
import { openAskBytes, openAsksOf } from '#runtime/mailbox/asks.ts';
import { Mailbox } from '#runtime/mailbox/mailbox.ts';
import { type Publishable, Receipts } from '#runtime/mailbox/receipts.ts';
import { type OutLane, Routes } from '#runtime/mailbox/routes.ts';
import { metricsBytes, writeMetrics } from '#runtime/metrics/metrics.ts';
import type { Place } from '#runtime/system/directory.ts';
import { hostOf } from '#runtime/thread/host.ts';
import type { Shell } from '#runtime/thread/shell.ts';
import { ringBytes } from '#runtime/trace/ring.ts';
import { controlBytes, Sight } from '#runtime/trace/sight.ts';

const store = address('store', { order: delivery({ n: u32 }) });
const SHOP = 0;
const STORE = 1;
const places: readonly Place[] = ['shop', 'store'].map((name, index) => {
  return { index, path: name, name, actor: name, thread: index };
});
type Seen = { readonly n: number; readonly delivery: object };
type Effects_ = { deliver: (...given: unknown[]) => void; confirm: (delivery: object) => void };

/** What never forgets: shared memory, the sender's count of what is confirmed, the receiver's effects. */
const openWorld = (words: number, depthMax: number) => {
  const wakers = openWakers(new SharedArrayBuffer(wakersBytes(2)));
  const register = openRegister(new SharedArrayBuffer(registerBytes(2)));
  const hands = new SharedArrayBuffer(handsBytes(2));
  const openAsks = new SharedArrayBuffer(openAskBytes(2));
  const pool = new SlabPool(createArena(1, 4096, 2), 0, wakers);
  const lane = new SharedArrayBuffer(laneBytes(words));
  const word = new BigInt64Array(new SharedArrayBuffer(8));
  const metrics = new SharedArrayBuffer(metricsBytes());
  const dirty: [number, Publishable][] = [];
  let moving = SHOP;
  const shell = {
    touch: (what: Publishable) => {
      if (!what.dirty) dirty.push([moving, what]);
      what.dirty = true;
    },
    soon: () => {},
  } as Shell;
  const outside = { post: () => {}, fallen: () => {} };
  const given = { places, seed: [1, 2, 3, 4], openAsks } as const;
  const memory = {
    control: new SharedArrayBuffer(controlBytes()),
    ring: new SharedArrayBuffer(ringBytes()),
    carried: true,
  };
  const sight = new Sight(memory, () => {});
  const machine = { wakers, register, pool, sight, flightMessages: 0 };
  const host = hostOf(() => shell, machine, given, outside);
  const open = (index: number, actor: Actor): Mailbox => {
    const end = new Lane(lane, { index: SHOP, from: SHOP, to: STORE }, wakers, pool, depthMax);
    const lanes = new Map<number, OutLane>();
    const receipts = new Receipts();
    if (index === SHOP) {
      end.resume();
      lanes.set(STORE, { lane: end, onFull: 'drop-new', answersOnly: false, confirmed: word });
    } else {
      end.recover();
      receipts.addSender(SHOP, SHOP, word);
    }
    register.open(index);
    const who = {
      index,
      path: places[index]!.path,
      incarnation: register.incarnation(index),
      routes: new Routes(places, places[index]!.path, register, lanes),
      inputs: index === STORE ? [end] : [],
      metrics: writeMetrics(metrics),
      receipts,
      hand: new Hand(hands, index),
      directory: undefined as never,
      openAsks: openAsksOf(openAsks, index),
      stashMax: 0,
      module: '',
      config: {},
      uses: new Set<string>(),
      offers: new Set<string>(),
    };
    const mailbox = new Mailbox(host, who, actor, undefined);
    register.begin(index);
    return mailbox;
  };
  /** Makes visible what one end has written. */
  const publish = (index: number): void => {
    const own = dirty.filter(([from]) => from === index);
    for (const [, what] of own) {
      what.dirty = false;
      what.publish();
      dirty.splice(
        dirty.findIndex(([, other]) => other === what),
        1,
      );
    }
  };
  /** The end dies: what it has written is published by its next life. */
  const kill = (index: number): void => {
    for (let k = dirty.length - 1; k >= 0; k--) if (dirty[k]![0] === index) dirty.splice(k, 1);
    register.end(index, 'down');
  };
  const turn = (index: number, mailbox: Mailbox, steps: number): void => {
    moving = index;
    mailbox.lives();
    mailbox.deliveries.pump();
    let left = steps;
    while (left > 0 && mailbox.local.length > 0) {
      mailbox.stepLocal();
      left--;
    }
    for (const input of mailbox.inputs) {
      for (let at = input.peek(); left > 0 && at >= 0; at = input.peek(), left--) {
        mailbox.handle(input, at);
      }
      input.release();
    }
  };
  return { open, publish, kill, turn, word, move: (index: number) => (moving = index) };
};

type Command =
  | { readonly do: 'deliver'; readonly gap: number }
  | { readonly do: 'turn' | 'publish'; readonly who: number; readonly steps: number }
  | { readonly do: 'confirm'; readonly which: number }
  | { readonly do: 'kill'; readonly who: number };

const who = fc.constantFrom(SHOP, STORE);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('deliver' as const), gap: fc.constantFrom(1, 1, 1, 5) }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('turn' as const), who, steps: fc.nat(6) }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('publish' as const), who, steps: fc.constant(0) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('confirm' as const), which: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('kill' as const), who }) },
);

const runAll = (commands: readonly Command[], words: number, depthMax: number): void => {
  const world = openWorld(words, depthMax);
  /** Numbers that the sender has durably decided to deliver. */
  const wanted: number[] = [];
  const confirmed = new Set<number>();
  let open: Seen[] = [];
  let seenInLife = 0;
  const shopActor = {
    self: address('shop', {}),
    core: { init: () => undefined, step: (_: unknown, m: { n: number }) => confirmed.add(m.n) },
  } as unknown as Actor;
  const storeActor = {
    self: store,
    core: {
      init: () => undefined,
      step: (_: unknown, message: Seen) => {
        const skipped = wanted.filter((n) => n > seenInLife && n < message.n);
        // Within one life: growing, and never past one that its sender does not know as confirmed.
        expect(message.n).toBeGreaterThan(seenInLife);
        expect(message.n).toBeGreaterThan(Number(world.word[0]));
        expect(skipped.every((n) => n <= Number(world.word[0]))).toBe(true);
        seenInLife = message.n;
        open.push(message);
      },
    },
  } as unknown as Actor;
  const begin = (index: number): Mailbox => {
    const mailbox = world.open(index, index === SHOP ? shopActor : storeActor);
    world.move(index);
    if (index === STORE) {
      open = [];
      seenInLife = 0;
    } else for (const n of wanted) if (!confirmed.has(n)) give(mailbox, n);
    return mailbox;
  };
  const give = ({ fx }: Mailbox, n: number): void =>
    (fx as unknown as Effects_).deliver(store, { kind: 'order', n }, n, { kind: 'done', n });
  const ends = [begin(SHOP), begin(STORE)];
  const confirm = (which: number): void => {
    const [one] = open.splice(which % Math.max(1, open.length), 1);
    if (one === undefined) return;
    world.move(STORE);
    ends[STORE]!.run('confirm', () => ends[STORE]!.fx.confirm(one.delivery as never));
  };
  const carryOut = (c: Command): void => {
    switch (c.do) {
      case 'deliver': {
        const n = (wanted.at(-1) ?? 0) + c.gap;
        wanted.push(n);
        world.move(SHOP);
        return give(ends[SHOP]!, n);
      }
      case 'turn':
        return world.turn(c.who, ends[c.who]!, c.steps);
      case 'publish':
        return world.publish(c.who);
      case 'confirm':
        return confirm(c.which);
      case 'kill':
        world.kill(c.who);
        ends[c.who] = begin(c.who);
        return;
    }
  };
  for (const c of commands) carryOut(c);
  for (let k = 0; k < 40 + 4 * wanted.length && confirmed.size < wanted.length; k++) {
    for (const index of [SHOP, STORE]) {
      world.turn(index, ends[index]!, 100);
      world.publish(index);
    }
    while (open.length > 0) confirm(0);
    world.publish(STORE);
  }
  expect([...confirmed].sort((a, b) => a - b)).toEqual(wanted);
  expect(ends[SHOP]!.deliveries.pending).toBe(0);
  expect(Number(world.word[0])).toBe(wanted.at(-1) ?? 0);
};

test('whatever is killed whenever: in order, never past an unconfirmed one, never again after its confirmation, all in the end', () => {
  const lanes = fc.constantFrom([1024, 4] as const, [1024, 1000] as const, [256, 1000] as const);
  fc.assert(
    fc.property(
      fc.array(command, { maxLength: 200, size: 'max' }),
      lanes,
      (commands, [words, depthMax]) => runAll(commands, words, depthMax),
    ),
    { numRuns: 1000 },
  );
}, 120_000);
