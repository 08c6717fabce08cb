import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { poolOf } from '#runtime/pool-spec.ts';
import { puppet, type Step, staged, type Theatre } from './puppets.ts';

const confirms: Step = ({ fx, message, say }) => {
  say('order', [(message.delivery as { n: number }).n, message.n]);
  fx.confirm(message.delivery as never);
};
const keeps: Step = ({ message, state, say }) => {
  state[`d${message.n}`] = message.delivery;
  say('order', [(message.delivery as { n: number }).n, message.n]);
};
/** Delivers from..to, each with twice its value as its number. */
const delivers = (from: number, upTo: number): Step =>
  new Function(
    'h',
    `for (let n = ${from}; n <= ${upTo}; n++) h.fx.deliver(
       h.to('store'), { kind: 'order', n, key: 'k' + n }, 2 * n, { kind: 'done', n })`,
  ) as Step;
const confirm = (...which: number[]): Step =>
  new Function(
    'h',
    `for (const n of ${JSON.stringify(which)}) h.fx.confirm(h.state['d' + n])`,
  ) as Step;
const ns = (theatre_: Theatre, tag: string): unknown[] =>
  theatre_.heard(tag).map((one) => {
    const data = one.data as unknown as { n: number } | [number, number];
    return Array.isArray(data) ? data[1] : data.n;
  });

test.concurrent('deliveries arrive in order with their numbers, and each confirmation comes back', async (context) => {
  const stage = await staged(context, [
    puppet('store', { on: { order: confirms } }),
    puppet('shop', { sends: ['store'] }),
  ]);
  const { run, wait } = stage;
  run('shop', delivers(1, 500));
  await wait('done', 500);
  const all = Array.from({ length: 500 }, (_, k) => k + 1);
  expect(stage.heard('order').map((one) => one.data)).toEqual(all.map((n) => [2 * n, n]));
  expect(ns(stage, 'done')).toEqual(all);
  expect(stage.heard('done')[0]!.data).toMatchObject({ result: { ok: true } });
});

test.concurrent('what is not confirmed comes again to the next life of its receiver, in order, and what is confirmed never', async (context) => {
  const stage = await staged(context, [
    puppet('store', { on: { order: keeps } }),
    puppet('shop', { sends: ['store'] }),
  ]);
  const { run, wait, system } = stage;
  run('shop', delivers(1, 5));
  await wait('order', 5);
  run('store', confirm(1, 2, 4)); // 4 is confirmed for its sender when 3 is
  await wait('done', 2);
  await system.kill('store');
  await wait('order', 8);
  expect(ns(stage, 'order')).toEqual([1, 2, 3, 4, 5, 3, 4, 5]);
  run('store', confirm(3, 5, 4));
  await wait('done', 5);
  expect(ns(stage, 'done')).toEqual([1, 2, 3, 4, 5]);
  run('shop', delivers(6, 6));
  await wait('order', 9);
  expect(ns(stage, 'order').at(-1)).toBe(6);
});

test.concurrent('a sender that begins again with what was confirmed hears so at once, and its receiver is not troubled', async (context) => {
  const stage = await staged(context, [
    puppet('store', { on: { order: confirms } }),
    puppet('shop', { sends: ['store'] }),
  ]);
  const { run, wait, system } = stage;
  run('shop', delivers(1, 3));
  await wait('done', 3);
  await system.kill('shop');
  await wait('up', 2, 'shop');
  run('shop', delivers(2, 4));
  await wait('done', 6);
  expect(ns(stage, 'order')).toEqual([1, 2, 3, 4]);
});

test.concurrent('a receiver without room holds nobody back: deliveries wait, 1,024 at most, and other messages of their sender go', async (context) => {
  const stage = await staged(context, [
    puppet('store', { mailbox: { depth: 8, onFull: 'drop-new' }, on: { order: confirms } }),
    puppet('other'),
    puppet('shop', { sends: ['store', 'other'] }),
  ]);
  const { run, wait, heard, system } = stage;
  run('store', ({ block, say }) => {
    say('hangs');
    block('never'); // until it is killed
  });
  await wait('hangs');
  run('shop', delivers(1, 1100));
  run('shop', ({ fx, to }) => fx.tell(to('other'), { kind: 'note', n: 1, key: '' }));
  await wait('note', 1, 'other');
  await wait('done', 76);
  const failed = heard('done').map((one) => one.data as { n: number; result: object });
  expect(failed.every(({ n, result }) => n > 1024 && 'error' in result)).toBe(true);
  expect(failed[0]).toMatchObject({ result: { ok: false, error: 'too-many' } });
  await system.kill('store');
  await wait('done', 1100);
  expect(ns(stage, 'order')).toEqual(Array.from({ length: 1024 }, (_, k) => k + 1));
  expect(system.deadLetters().byReason['dropped-new']).toBeUndefined();
});

test.concurrent('a receiver that has ended for good, and one that nobody is: the delivery fails', async (context) => {
  const stage = await staged(context, [
    puppet('store', { restart: 'temporary', on: { order: keeps } }),
    puppet('shop', { sends: ['store'] }),
  ]);
  const { run, wait, system } = stage;
  run('shop', delivers(1, 2));
  await wait('order', 2);
  await system.kill('store');
  await wait('done', 2);
  run('shop', delivers(3, 3));
  await wait('done', 3);
  for (const { data } of stage.heard('done')) {
    expect(data).toMatchObject({ result: { ok: false, error: 'no-such-actor' } });
  }
  expect(system.deadLetters().byReason['actor-stopped']).toBeGreaterThanOrEqual(3);
});

test.concurrent('numbers grow: another one is a fault of the sender, named', async (context) => {
  const stage = await staged(context, [
    puppet('store', { on: { order: keeps } }),
    puppet('shop', { sends: ['store'] }),
  ]);
  const { run, system } = stage;
  run('shop', delivers(3, 3));
  run('shop', delivers(2, 2));
  const crash = await stage.until(() => system.seen.find((e) => e.kind === 'crash'));
  expect(crash).toMatchObject({
    crash: { error: expect.stringContaining('delivery 4 to store: numbers are whole and grow') },
  });
});

test.concurrent('a pool receives deliveries by the hash of a field', async (context) => {
  const hashed = poolOf(puppet('store', { on: { order: confirms } }), {
    size: 3,
    route: 'consistent-hash',
    by: 'key',
  });
  const stage = await staged(context, [hashed, puppet('shop', { sends: ['store'] })]);
  stage.run('shop', delivers(1, 60));
  await stage.wait('done', 60);
  expect(new Set(stage.heard('order').map((one) => one.from)).size).toBe(3);
});

test.concurrent('a pool that takes turns has no one receiver: a delivery to it is a fault of the sender, named', async (context) => {
  const turned = poolOf(puppet('store'), { size: 2, route: 'round-robin' });
  const stage = await staged(context, [turned, puppet('shop', { sends: ['store'] })]);
  stage.run('shop', delivers(1, 1));
  const crash = await stage.until(() => stage.system.seen.find((e) => e.kind === 'crash'));
  expect(crash).toMatchObject({
    crash: { error: expect.stringContaining('a delivery needs one receiver') },
  });
});

const SEED = Number(process.env.SEED ?? Date.now() % 100_000);
const KILLS = 12;

test.concurrent(`both ends killed at random: every effect exactly once, in order (seed ${SEED})`, async (context) => {
  const stage = await staged(context, [
    // The effect is durable with its number, so it is known by the next life.
    puppet('store', {
      on: {
        start: ({ state, lines }) => {
          state.last = Number(lines().at(-1) ?? 0);
        },
        order: ({ fx, message, state }) => {
          const { n } = message.delivery as { n: number };
          if (n > Number(state.last)) {
            fx.io('append', String(n));
            state.last = n;
          } else fx.emit('again', 1);
          fx.confirm(message.delivery as never);
        },
      },
    }),
    // It goes on behind what it knows to be confirmed, and keeps 40 on their way.
    puppet('shop', {
      sends: ['store'],
      on: {
        start: ({ fx, to, state, lines }) => {
          const confirmed = Number(lines().at(-1) ?? 0);
          state.next = confirmed + 41;
          for (let n = confirmed + 1; n <= confirmed + 40; n++) {
            fx.deliver(to('store'), { kind: 'order', n, key: '' }, n, { kind: 'done', n } as never);
          }
        },
        done: ({ fx, to, state, message }) => {
          fx.io('append', String(message.n));
          const n = Number(state.next);
          state.next = n + 1;
          fx.deliver(to('store'), { kind: 'order', n, key: '' }, n, { kind: 'done', n } as never);
        },
      },
    }),
  ]);
  const { system } = stage;
  let random = SEED;
  const next = (most: number): number => {
    random = (Math.imul(random, 1103515245) + 12345) & 0x7fffffff;
    return (random >>> 8) % most;
  };
  const log = (name: string): number[] => {
    try {
      return readFileSync(join(system.dataDir, `${name}.log`), 'utf8')
        .trim()
        .split('\n')
        .map(Number);
    } catch {
      return [];
    }
  };
  for (let k = 0; k < KILLS; k++) {
    await new Promise((done) => setTimeout(done, next(40)));
    const before = log('shop').length;
    await system.kill(['store', 'shop'][next(2)]!);
    await stage.until(() => log('shop').length > before + 20);
  }
  const effects = log('store');
  expect(effects.length).toBeGreaterThan(200);
  expect(effects).toEqual(effects.map((_, k) => k + 1));
  await stage.until(() => system.tree().state === 'running');
});

test.concurrent('what a step confirmed that threw afterwards is not confirmed: it comes again', async (context) => {
  const stumbles: Step = ({ fx, message, say, lines }) => {
    fx.confirm(message.delivery as never);
    say('order', [0, message.n]);
    if (message.n !== 2 || lines().length > 0) return;
    fx.io('append', 'fell');
    throw new Error('thrown by the test');
  };
  const stage = await staged(context, [
    puppet('store', { on: { order: stumbles } }),
    puppet('shop', { sends: ['store'] }),
  ]);
  stage.run('shop', delivers(1, 3));
  await stage.wait('done', 3);
  expect(ns(stage, 'order').filter((n) => n === 2)).toEqual([2, 2]);
  expect(ns(stage, 'done')).toEqual([1, 2, 3]);
});

test.concurrent('a delivery that kills two lives is poison: confirmed without being handled, behind what is not confirmed yet', async (context) => {
  const picky: Step = ({ message, state, say }) => {
    if (message.n === 2) throw new Error('thrown by the test');
    state[`d${message.n}`] = message.delivery;
    say('order', [0, message.n]);
  };
  const stage = await staged(context, [
    puppet('store', { on: { order: picky } }),
    puppet('shop', { sends: ['store'] }),
  ]);
  const { run, wait, system } = stage;
  run('shop', delivers(1, 3));
  await stage.until(() => ns(stage, 'order').includes(3));
  expect(ns(stage, 'order')).toEqual([1, 1, 1, 3]);
  expect(system.deadLetters().byReason).toEqual({ poison: 1 });
  expect(ns(stage, 'done')).toEqual([]); // in their order
  run('store', confirm(1, 3));
  await wait('done', 3);
  expect(ns(stage, 'done')).toEqual([1, 2, 3]);
});
