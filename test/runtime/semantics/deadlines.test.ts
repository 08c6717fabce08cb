import { afterEach, expect, test } from 'vitest';
import { puppet, type Step, type Theatre, theatre } from './puppets.ts';

let stage: Theatre | undefined;
afterEach(async () => {
  await stage?.end();
  stage = undefined;
});

/** Tells the deadline that came with the question. */
const tells: Step = ({ fx, message, say }) => {
  say('asked', [message.n, (message.replyTo as { dueMs: number }).dueMs]);
  fx.reply(message.replyTo as never, { n: message.n, by: '' } as never);
};

const dueOf = (theatre_: Theatre, from: string): ReadonlyMap<number, number> =>
  new Map(theatre_.heard('asked', from).map((one) => one.data as [number, number]));

test('what is asked while a question is handled has at most what is left of its deadline', async () => {
  stage = await theatre([
    puppet('last', { on: { query: tells } }),
    puppet('middle', {
      sends: ['last'],
      on: {
        query: ({ fx, to, message, say }) => {
          say('asked', [0, (message.replyTo as { dueMs: number }).dueMs]);
          const ask = (n: number, ms?: number): void =>
            fx.ask(to('last'), { kind: 'query', n, key: '' }, { kind: 'answered', n } as never, ms);
          ask(1);
          ask(2, 60_000);
          ask(3, 10_000);
        },
      },
    }),
    puppet('first', { sends: ['middle'] }),
  ]);
  const { run, wait } = stage;
  run('first', ({ fx, to }) =>
    fx.ask(to('middle'), { kind: 'query', n: 0, key: '' }, { kind: 'answered' } as never, 20_000),
  );
  await wait('asked', 3, 'last');
  const dueMs = dueOf(stage, 'middle').get(0)!;
  const passed = dueOf(stage, 'last');
  // The default is all that is left, a longer wish is cut to it, a shorter one stays.
  expect(passed.get(1)).toBeCloseTo(dueMs, 3);
  expect(passed.get(2)).toBeCloseTo(dueMs, 3);
  expect(passed.get(3)!).toBeLessThan(dueMs);
});

test('the deadline goes along through the steps of answers, ends with the answer, and not with a timer', async () => {
  stage = await theatre([
    puppet('last', { on: { query: tells } }),
    puppet('middle', {
      sends: ['last'],
      on: {
        query: ({ fx, to, message, say, state }) => {
          say('asked', [0, (message.replyTo as { dueMs: number }).dueMs]);
          state.replyTo = message.replyTo;
          fx.after(1, { kind: 'timer' });
          fx.ask(to('last'), { kind: 'query', n: 1, key: '' }, { kind: 'one' } as never, 60_000);
        },
        timer: ({ fx, to }) =>
          fx.ask(to('last'), { kind: 'query', n: 9, key: '' }, { kind: 'nine' } as never, 60_000),
        one: ({ fx, to, state }) => {
          fx.ask(to('last'), { kind: 'query', n: 2, key: '' }, { kind: 'two' } as never, 60_000);
          fx.reply(state.replyTo as never, { n: 0, by: '' } as never);
          fx.ask(to('last'), { kind: 'query', n: 3, key: '' }, { kind: 'three' } as never, 60_000);
        },
        two: ({ fx, to }) =>
          fx.ask(to('last'), { kind: 'query', n: 4, key: '' }, { kind: 'four' } as never, 60_000),
      },
    }),
    puppet('first', { sends: ['middle'] }),
  ]);
  const { run, wait } = stage;
  run('first', ({ fx, to }) =>
    fx.ask(to('middle'), { kind: 'query', n: 0, key: '' }, { kind: 'answered' } as never, 9000),
  );
  await wait('asked', 5, 'last');
  const dueMs = dueOf(stage, 'middle').get(0)!;
  const passed = dueOf(stage, 'last');
  expect(passed.get(1)).toBeCloseTo(dueMs, 3);
  expect(passed.get(2)).toBeCloseTo(dueMs, 3);
  for (const n of [3, 4, 9]) expect(passed.get(n)!).toBeGreaterThan(dueMs + 10_000);
});

test('when nothing is left, an ask fails at once and is not sent', async () => {
  stage = await theatre([
    puppet('last', { on: { query: tells } }),
    puppet('middle', {
      sends: ['last'],
      on: {
        query: ({ fx, to, busy }) => {
          busy(120);
          fx.ask(to('last'), { kind: 'query', n: 1, key: '' }, { kind: 'answered' } as never);
        },
      },
    }),
    puppet('first', { sends: ['middle'] }),
  ]);
  const { run, wait, heard, system } = stage;
  run('first', ({ fx, to }) =>
    fx.ask(to('middle'), { kind: 'query', n: 0, key: '' }, { kind: 'answered' } as never, 100),
  );
  await wait('answered', 1, 'first');
  // Either it was begun in time and found nothing left, or it was overdue before it began.
  await stage.until(
    () => heard('answered', 'middle').length === 1 || system.deadLetters().byReason.expired === 1,
  );
  for (const { data } of heard('answered', 'middle')) {
    expect(data).toMatchObject({ result: { ok: false, error: 'timeout' } });
  }
  expect(heard('asked', 'last')).toEqual([]);
});

test('a question that was given up is not handled any more, and tells its asker nothing', async () => {
  stage = await theatre([
    puppet('server', {
      on: {
        query: ({ fx, message, say }) => {
          say('handled', message.n);
          fx.reply(message.replyTo as never, { n: message.n, by: '' } as never);
        },
        hang: ({ busy, say }) => {
          say('hangs');
          busy(200);
        },
      },
    }),
    puppet('client', { sends: ['server'] }),
  ]);
  const { system, run, wait, heard } = stage;
  run('server', ({ fx }) => fx.after(0, { kind: 'hang' }));
  await wait('hangs');
  run('client', ({ fx, to }) => {
    const ask = (n: number, key?: string): void =>
      fx.ask(to('server'), { kind: 'query', n, key: '' }, { kind: 'a', n } as never, 9000, key);
    ask(1, 'search');
    ask(2, 'search'); // in place of the first
    ask(3, 'other');
    ask(4);
    fx.giveUp('other');
    fx.giveUp('nothing of this key');
  });
  await wait('a', 2);
  expect(heard('handled').map((one) => one.data)).toEqual([2, 4]);
  expect(heard('a').map((one) => (one.data as { n: number }).n)).toEqual([2, 4]);
  expect(system.deadLetters().byReason).toEqual({ cancelled: 2 });
});

test('whoever works on an answer is told when nobody waits for it any more, and only then', async () => {
  stage = await theatre([
    puppet('server', {
      on: {
        query: ({ fx, message, state, say }) => {
          fx.whenCancelled(message.replyTo as never, { kind: 'cancelled', n: message.n });
          state[String(message.n)] = message.replyTo;
          say('working', message.n);
        },
      },
    }),
    puppet('client', { sends: ['server'] }),
    puppet('mortal', { sends: ['server'] }),
  ]);
  const { system, run, wait, heard } = stage;
  const ask = (n: number, ms: number, key: string): Step =>
    new Function(
      'h',
      `h.fx.ask(h.to('server'), { kind: 'query', n: ${n}, key: '' }, { kind: 'a' }, ${ms}, '${key}')`,
    ) as Step;
  run('client', ask(1, 20_000, 'one'));
  run('client', ask(2, 3000, 'two'));
  run('client', ask(3, 20_000, 'three'));
  run('mortal', ask(4, 20_000, 'four'));
  await wait('working', 4);
  run('server', ({ fx, state }) => fx.reply(state['3'] as never, { n: 3, by: '' } as never));
  await wait('a', 2); // the answer and the timeout
  run('client', ({ fx }) => fx.giveUp('one'));
  await system.kill('mortal');
  await wait('cancelled', 3);
  run('server', ({ say }) => say('done'));
  await wait('done');
  const told = heard('cancelled').map((one) => (one.data as { n: number }).n);
  expect(told.sort()).toEqual([1, 2, 4]);
});
