import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { puppet, type Step, staged, type Theatre } from './puppets.ts';

/** Counts its messages in its state. */
const counts: Step = ({ state, say, message }) => {
  state.count = Number(state.count ?? 0) + 1;
  say('count', [message.n, state.count]);
};
const io = (theatre_: Theatre, path: string): string =>
  readFileSync(join(theatre_.system.dataDir, path, 'io'), 'utf8');
const numbers = (theatre_: Theatre, path: string) =>
  theatre_.system.metrics().actors.find((a) => a.path === path)!;
const asleep = (theatre_: Theatre, path: string): boolean =>
  numbers(theatre_, path).gauges.passive === 1;

test.concurrent('an idle actor gives up its state and its io; its next messages start it again, and none is lost', async (context) => {
  const stage = await staged(context, [
    puppet('sleeper', { passivateMs: 100, on: { note: counts } }),
    puppet('sender', { sends: ['sleeper'] }),
  ]);
  const { run, wait, system } = stage;
  const send: Step = ({ fx, to }) => {
    for (let n = 0; n < 100; n++) fx.tell(to('sleeper'), { kind: 'note', n, key: '' });
  };
  for (let round = 1; round <= 2; round++) {
    run('sender', send);
    await wait('count', 100 * round);
    await stage.until(() => asleep(stage, 'sleeper'));
  }
  const heard = stage.heard('count').map((one) => one.data as readonly [number, number]);
  const batch = Array.from({ length: 100 }, (_, n) => n);
  expect(heard.map(([n]) => n)).toEqual([...batch, ...batch]);
  expect(heard[100]![1]).toBe(1); // from a new state
  // On a slow machine it may have slept before, or in between.
  const slept = numbers(stage, 'sleeper').counters.passivations!;
  expect(slept).toBeGreaterThanOrEqual(2);
  expect(io(stage, 'sleeper')).toBe('open 0\nclose\n'.repeat(slept));
  // It is no restart: nobody is told of a death, and it is one life.
  expect(system.tree().children![0]).toMatchObject({ restarts: 0, state: 'running' });
  expect(system.deadLetters().total).toBe(0);
});

test.concurrent('whoever has something under way stays awake', async (context) => {
  const busy: { [name: string]: Step } = {
    timer: ({ fx }) => fx.after(60_000, { kind: 'late' }),
    asks: ({ fx, to }) =>
      fx.ask(to('mute'), { kind: 'query', n: 1, key: '' }, { kind: 'a' } as never, 60_000),
    watch: ({ fx, to }) => fx.watch(to('mute'), { kind: 'over' } as never),
    stash: ({ fx, message }) => fx.stash(message),
  };
  const stage = await staged(context, [
    puppet('mute', { on: { query: () => {} } }),
    ...Object.entries(busy).map(([name, start]) =>
      puppet(name, { sends: ['mute'], passivateMs: 100, on: { start } }),
    ),
    puppet('idle', { passivateMs: 100 }),
  ]);
  await stage.until(() => asleep(stage, 'idle'));
  stage.run('mute', ({ fx }) => fx.after(600, { kind: 'later' }));
  await stage.wait('later');
  for (const name of Object.keys(busy)) expect(asleep(stage, name)).toBe(false);
});

test.concurrent('who owes an answer stays awake until the deadline of the question', async (context) => {
  const stage = await staged(context, [
    puppet('debtor', {
      passivateMs: 100,
      on: {
        query: ({ fx, message, state }) => {
          state.replyTo = message.replyTo;
          fx.after(700, { kind: 'pay' }); // ends before it answers
        },
        pay: ({ say }) => say('paid'),
      },
    }),
    puppet('asker', { sends: ['debtor'] }),
  ]);
  const { run, wait } = stage;
  run('asker', ({ fx, to }) =>
    fx.ask(to('debtor'), { kind: 'query', n: 1, key: '' }, { kind: 'a' } as never, 4000),
  );
  await wait('paid');
  expect(asleep(stage, 'debtor')).toBe(false);
  await wait('a'); // the timeout
  await stage.until(() => asleep(stage, 'debtor'));
});

test.concurrent('an actor that sleeps stays listed, can be watched, dies and is stopped like any other', async (context) => {
  const stage = await staged(context, [
    puppet('sleeper', {
      provider: true,
      passivateMs: 100,
      on: { start: ({ fx, key }) => fx.register(key('work')) },
    }),
    puppet('client', { sends: ['*work', 'sleeper'] }),
  ]);
  const { run, wait, system } = stage;
  await stage.until(() => asleep(stage, 'sleeper'));
  run('client', ({ fx, key, to }) => {
    fx.find(key('work'), { kind: 'listed' } as never);
    fx.watch(to('sleeper'), { kind: 'over' } as never);
  });
  expect((await wait('listed')).data).toMatchObject({ listing: [{ branch: '.sleeper' }] });
  expect(asleep(stage, 'sleeper')).toBe(true);
  await system.kill('sleeper');
  await wait('over');
  await wait('up', 2, 'sleeper');
  await stage.until(() => asleep(stage, 'sleeper'));
  const stopped = await system.stop();
  expect(stopped.late).toEqual([]);
});

test.concurrent('passivated again and again under traffic: every message once, in order', async (context) => {
  const stage = await staged(context, [
    puppet('sleeper', {
      passivateMs: 4,
      on: { note: ({ say, message }) => say('count', message.n) },
    }),
    puppet('sender', {
      sends: ['sleeper'],
      on: {
        burst: ({ fx, to, state }) => {
          const from = Number(state.n ?? 0);
          const burst = 1 + ((from * 7919) % 5);
          for (let n = from; n < from + burst; n++) {
            fx.tell(to('sleeper'), { kind: 'note', n, key: '' });
          }
          state.n = from + burst;
          if (from < 300) fx.after((from * 31) % 17, { kind: 'burst' });
        },
      },
    }),
  ]);
  const { run, wait, heard, system } = stage;
  run('sender', ({ fx }) => fx.after(0, { kind: 'burst' }));
  await wait('count', 301);
  const told = heard('count').map((one) => one.data);
  expect(told).toEqual(told.map((_, n) => n));
  expect(numbers(stage, 'sleeper').counters.passivations).toBeGreaterThan(3);
  expect(system.deadLetters().total).toBe(0);
});

test.concurrent('one that throws when it wakes up is restarted in its thread with what woke it; the others of the thread notice nothing', async (context) => {
  const start: Step = ({ fx, lines }) => {
    const starts = lines().filter((line) => line !== '').length;
    fx.io('append', 'start');
    if (starts === 1) throw new Error('thrown by the test');
  };
  const stage = await staged(context, [
    puppet('sleeper', { passivateMs: 100, on: { start, note: counts } }),
    puppet('other', { thread: 'sleeper', on: { note: counts } }),
    puppet('sender', { sends: ['sleeper', 'other'] }),
  ]);
  const { run, wait, system } = stage;
  const send: Step = ({ fx, to }) => {
    fx.tell(to('other'), { kind: 'note', n: 1, key: '' });
    fx.tell(to('sleeper'), { kind: 'note', n: 2, key: '' });
  };
  run('sender', ({ fx, to }) => fx.tell(to('other'), { kind: 'note', n: 1, key: '' }));
  await wait('count', 1, 'other');
  await stage.until(() => asleep(stage, 'sleeper'));
  run('sender', send);
  await wait('count', 1, 'sleeper');
  await wait('count', 2, 'other');
  expect(stage.heard('count', 'other').map((one) => one.data)).toEqual([
    [1, 1],
    [1, 2],
  ]);
  expect(io(stage, 'sleeper')).toBe('open 0\nclose\nopen 0\nclose\nopen 1\n');
  await stage.until(() => system.tree().children![0]!.restarts === 1);
  expect(system.tree().children![1]).toMatchObject({ restarts: 0, state: 'running' });
  await stage.until(() => asleep(stage, 'sleeper')); // its next life sleeps, too
  expect(system.deadLetters().total).toBe(0);
});

test.concurrent('one whose io does not let go of when it falls asleep takes its thread along, and comes back on a new one', async (context) => {
  const stage = await staged(context, [
    puppet('sleeper', { passivateMs: 100, on: { note: counts }, hangs: true }),
    puppet('other', { thread: 'sleeper' }),
    puppet('sender', { sends: ['sleeper'] }),
  ]);
  const restarts = (): unknown[] => stage.system.tree().children!.map((child) => child.restarts);
  await stage.until(() => restarts().join() === '1,1,0');
  stage.run('sender', ({ fx, to }) => fx.tell(to('sleeper'), { kind: 'note', n: 1, key: '' }));
  expect((await stage.wait('count')).data).toEqual([1, 1]);
});
