import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { Message } from '#runtime/mailbox/asks.ts';
import type { Ticket } from '#runtime/mailbox/own-messages.ts';
import { Watches } from '#runtime/mailbox/watches.ts';
import { puppet, type Step, type Theatre, theatre } from './puppets.ts';

let stage: Theatre | undefined;
afterEach(async () => {
  await stage?.end();
  stage = undefined;
});

test('a termination reaches a watcher whose mailbox is full, once, ahead of what waits there', async () => {
  const flooders = ['f1', 'f2', 'f3', 'f4'];
  const flood: Step = ({ fx, to, message }) => {
    for (let n = 0; n < 200; n++) fx.tell(to('watcher'), { kind: 'note', n, key: '' });
    fx.after(0, message); // held back by the full mailbox, it goes on when there is room
  };
  stage = await theatre([
    puppet('mortal'),
    puppet('watcher', {
      mailbox: { depth: 64, onFull: 'backpressure' },
      sends: ['mortal'],
      on: {
        note: ({ state }) => {
          state.notes = Number(state.notes ?? 0) + 1;
        },
        over: ({ say, state, message }) => say('over', { ...message, notes: state.notes }),
        hang: ({ block, message, say }) => {
          say('hangs');
          block(String(message.file));
        },
      },
    }),
    ...flooders.map((name) => puppet(name, { sends: ['watcher'], on: { flood } })),
  ]);
  const { system, run, wait, heard } = stage;
  const file = join(system.dataDir, 'go on');
  run('watcher', ({ fx, to }) => fx.watch(to('mortal'), { kind: 'over' } as never));
  run(
    'watcher',
    new Function('h', `h.fx.after(0, { kind: 'hang', file: ${JSON.stringify(file)} })`) as Step,
  );
  await wait('hangs');
  for (const name of flooders) run(name, ({ fx }) => fx.after(0, { kind: 'flood' }));
  const watcher = () => system.metrics().actors.find((a) => a.path === 'watcher')!;
  const waiting = () => system.metrics().threads.filter((t) => t.suspended.length > 0).length;
  await stage.until(() => watcher().depth === 64 && waiting() === flooders.length);
  await system.kill('mortal');
  writeFileSync(file, '');
  const { data } = await wait('over');
  expect(data).toMatchObject({ kind: 'over', terminated: { incarnation: 0 } });
  // At most the turn that was under way goes before it: 64 of each sender.
  expect((data as { notes?: number }).notes ?? 0).toBeLessThanOrEqual(4 * 64);
  await stage.until(() => watcher().messages > 5000);
  expect(heard('over')).toHaveLength(1);
  expect(watcher().depthMax).toBeLessThanOrEqual(64);
  expect(system.deadLetters().total).toBe(0);
}, 60_000);

test('a watch that has ended tells nothing; others on the same actor do', async () => {
  stage = await theatre([
    puppet('mortal'),
    puppet('a', { sends: ['mortal'] }),
    puppet('b', { sends: ['mortal'] }),
  ]);
  const { system, run, wait, heard } = stage;
  run('a', ({ fx, to, say }) => {
    fx.watch(to('mortal'), { kind: 'over' } as never);
    fx.watch(to('mortal'), { kind: 'over' } as never);
    fx.unwatch(to('mortal'));
    say('ready');
  });
  run('b', ({ fx, to, say }) => {
    fx.watch(to('mortal'), { kind: 'over' } as never);
    say('ready');
  });
  await wait('ready', 2);
  await system.kill('mortal');
  await wait('over', 1, 'b');
  run('a', ({ say }) => say('still here'));
  await wait('still here');
  expect(heard('over', 'a')).toEqual([]);
});

test('each life of an actor that is watched again is told with its incarnation', async () => {
  stage = await theatre([
    puppet('mortal'),
    puppet('a', {
      sends: ['mortal'],
      on: {
        over: ({ fx, to, say, message }) => {
          fx.watch(to('mortal'), { kind: 'over' } as never);
          say('over', (message as never as { terminated: object }).terminated);
        },
      },
    }),
  ]);
  const { system, run, wait, heard } = stage;
  run('a', ({ fx, to, say }) => {
    fx.watch(to('mortal'), { kind: 'over' } as never);
    say('ready');
  });
  await wait('ready');
  for (let k = 1; k <= 3; k++) {
    await system.kill('mortal');
    await wait('over', k);
    await wait('up', k + 1, 'mortal');
  }
  expect(heard('over').map((one) => one.data)).toEqual([
    { incarnation: 0 },
    { incarnation: 1 },
    { incarnation: 2 },
  ]);
});

test('a watch on an actor that nobody is, or that has ended for good, fires at once', async () => {
  stage = await theatre([
    puppet('mortal', { restart: 'temporary' }),
    puppet('a', { sends: ['mortal', 'nobody'] }),
  ]);
  const { system, run, wait } = stage;
  await system.kill('mortal');
  await stage.until(() => system.tree().children![0]!.state === 'failed');
  run('a', ({ fx, to }) => {
    fx.watch(to('mortal'), { kind: 'gone' } as never);
    fx.watch(to('nobody'), { kind: 'nobody' } as never);
  });
  await wait('gone');
  await wait('nobody');
});

test('what has fired and is not handled yet is withdrawn by unwatch', () => {
  const lives = { incarnation: () => 0, gone: (actor: number) => actor === 7 };
  const line: [Message, Ticket][] = [];
  const watches = new Watches(lives, (message, ticket) => line.push([message, ticket]));
  watches.add([7], { kind: 'over' });
  expect(line).toHaveLength(1);
  expect(watches.pending).toBe(1);
  watches.remove([7]);
  expect(line[0]![1].withdrawn).toBe(true);
  expect(watches.pending).toBe(0);
});
