import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { type Own, OwnMessages } from '#runtime/mailbox/own-messages.ts';
import { puppet, type Step, type Theatre, theatre } from './puppets.ts';

let stage: Theatre | undefined;
afterEach(async () => {
  await stage?.end();
  stage = undefined;
});

const opens: Step = ({ fx, state }) => {
  state.open = true;
  fx.unstash();
};
const keeps: Step = ({ fx, state, message, say }) =>
  state.open ? say('handled', message.n) : fx.stash(message);

test('what is put aside is handled next, in its order, ahead of what came later', async () => {
  stage = await theatre([
    puppet('desk', { on: { note: keeps, open: opens } }),
    puppet('sender', { sends: ['desk'] }),
  ]);
  const { run, wait, heard } = stage;
  run('sender', ({ fx, to }) => {
    for (let n = 1; n <= 5; n++) fx.tell(to('desk'), { kind: 'note', n, key: '' });
  });
  await stage.until(() => stage!.system.metrics().actors[0]!.gauges.stashed === 5);
  run('sender', ({ fx, to }) => fx.tell(to('desk'), { kind: 'note', n: 6, key: 'stash and then' }));
  await stage.until(() => stage!.system.metrics().actors[0]!.gauges.stashed === 6);
  // In one step: what it had put aside comes before what it sends to itself.
  run('desk', ({ fx, state }) => {
    fx.after(0, { kind: 'note', n: 7 });
    state.open = true;
    fx.unstash();
  });
  await wait('handled', 7);
  expect(heard('handled').map((one) => one.data)).toEqual([1, 2, 3, 4, 5, 6, 7]);
});

test('at its bound a message is a dead letter stash-full, and the others stay', async () => {
  stage = await theatre([
    puppet('desk', {
      mailbox: { depth: 64, onFull: 'backpressure', stash: 3 },
      on: { note: keeps, open: opens },
    }),
    puppet('sender', { sends: ['desk'] }),
  ]);
  const { system, run, wait, heard } = stage;
  run('sender', ({ fx, to }) => {
    for (let n = 1; n <= 5; n++) fx.tell(to('desk'), { kind: 'note', n, key: '' });
  });
  await stage.until(() => system.deadLetters().byReason['stash-full'] === 2);
  run('desk', ({ fx }) => fx.after(0, { kind: 'open' }));
  await wait('handled', 3);
  expect(heard('handled').map((one) => one.data)).toEqual([1, 2, 3]);
});

test('a question that was put aside is answered to its asker, or not handled any more when it is overdue', async () => {
  stage = await theatre([
    puppet('desk', {
      on: {
        query: ({ fx, state, message, say }) => {
          if (!state.open) return fx.stash(message);
          say('query', message.n);
          fx.reply(message.replyTo as never, { n: message.n, by: 'desk' });
        },
        open: opens,
      },
    }),
    puppet('asker', { sends: ['desk'] }),
  ]);
  const { system, run, wait, heard } = stage;
  run('asker', ({ fx, to }) => {
    fx.ask(to('desk'), { kind: 'query', n: 1, key: '' }, { kind: 'short' } as never, 60);
    fx.ask(to('desk'), { kind: 'query', n: 2, key: '' }, { kind: 'long' } as never, 20_000);
  });
  expect((await wait('short')).data).toMatchObject({ result: { ok: false, error: 'timeout' } });
  run('desk', ({ fx }) => fx.after(0, { kind: 'open' }));
  expect((await wait('long')).data).toMatchObject({ result: { ok: true, value: { n: 2 } } });
  expect(heard('query').map((one) => one.data)).toEqual([2]);
  expect(system.deadLetters().byReason).toEqual({ expired: 1 });
});

test('what is put aside when its actor ends is a dead letter', async () => {
  stage = await theatre([
    puppet('desk', { restart: 'transient', on: { note: ({ fx, message }) => fx.stash(message) } }),
    puppet('sender', { sends: ['desk'] }),
  ]);
  const { system, run } = stage;
  run('sender', ({ fx, to }) => {
    for (let n = 1; n <= 2; n++) fx.tell(to('desk'), { kind: 'note', n, key: '' });
  });
  await stage.until(() => system.metrics().actors[0]!.gauges.stashed === 2);
  run('desk', ({ fx }) => fx.stop('normal'));
  await stage.until(() => system.deadLetters().byReason['actor-stopped'] === 2);
});

/** Arrivals are numbered; handling one either does nothing, puts it aside, or takes everything back. */
type Doing = 'nothing' | 'stash' | 'unstash';

test('against a model: no message lost or doubled, and what was put aside keeps its order', () => {
  const doing = fc.constantFrom<Doing>('nothing', 'stash', 'stash', 'unstash');
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), doing), { maxLength: 60 }), (turns) => {
      const line = new OwnMessages();
      let aside: Own[] = [];
      let model: number[] = [];
      let modelAside: number[] = [];
      let next = 0;
      for (const [arrivals, what] of turns) {
        for (let k = 0; k < arrivals; k++) {
          line.push({ message: { kind: String(next) }, trace: undefined, cause: 4 });
          model.push(next++);
        }
        if (line.length === 0) continue;
        const item = line.shift();
        const expected = model.shift()!;
        expect(Number(item.message.kind)).toBe(expected);
        if (what === 'stash') {
          aside.push(item);
          modelAside.push(expected);
        } else if (what === 'unstash') {
          line.putBack(aside);
          aside = [];
          model = [...modelAside, ...model];
          modelAside = [];
        }
        expect(line.length).toBe(model.length);
      }
    }),
  );
});
