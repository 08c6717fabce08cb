import { afterEach, expect, test } from 'vitest';
import { supervisor } from '#test/kit/system.ts';
import { puppet, type Step, type Theatre, theatre } from './puppets.ts';

let stage: Theatre | undefined;
afterEach(async () => {
  await stage?.end();
  stage = undefined;
});

const registers: Step = ({ fx, key }) => fx.register(key('work'));
/** Tells whom each listing names. */
const lists: Step = ({ message, say }) =>
  say(
    'listed',
    (message.listing as { branch: string }[]).map((one) => one.branch),
  );
const provider = (name: string, start: Step = registers) =>
  puppet(name, { actor: name, provider: true, on: { start } });
const client = (name = 'client') => puppet(name, { sends: ['*work'], on: { listed: lists } });
const last = (theatre_: Theatre, from?: string): unknown =>
  theatre_.heard('listed', from).at(-1)?.data;

test('a subscriber hears who is registered, at once and after every change, across threads', async () => {
  stage = await theatre([provider('p1'), provider('p2'), provider('late', () => {}), client()]);
  const { system, run, until: soon } = stage;
  run('client', ({ fx, key }) => fx.subscribe(key('work'), { kind: 'listed' } as never));
  await soon(() => String(last(stage!)) === '.p1,.p2');
  run('late', ({ fx, key }) => fx.register(key('work')));
  await soon(() => String(last(stage!)) === '.p1,.p2,.late');
  run('p1', ({ fx, key }) => fx.deregister(key('work')));
  await soon(() => String(last(stage!)) === '.p2,.late');
  const before = stage.heard('listed').length;
  await system.kill('late');
  await stage.wait('up', 2, 'late');
  await soon(() => stage!.heard('listed').length > before);
  expect(last(stage)).toEqual(['.p2']); // its next life has not registered
  await system.kill('p2');
  await stage.wait('up', 2, 'p2');
  await soon(() => String(last(stage!)) === '.p2'); // its next life has, in its start
  run('client', ({ fx, key }) => fx.unsubscribe(key('work')));
  run('client', ({ say }) => say('unsubscribed'));
  await stage.wait('unsubscribed');
  const heard = stage.heard('listed').length;
  run('late', ({ fx, key, say }) => {
    fx.register(key('work'));
    say('registered');
  });
  await stage.wait('registered');
  run('client', ({ fx, key }) => fx.find(key('work'), { kind: 'listed' } as never));
  await soon(() => String(last(stage!)) === '.p2,.late');
  expect(stage.heard('listed').length).toBe(heard + 1);
});

test('whom a listing names may be told and asked, although no address of theirs is in `sends`', async () => {
  stage = await theatre([
    provider('p1'),
    puppet('client', {
      sends: ['*work'],
      on: {
        listed: ({ fx, message }) => {
          const [first] = message.listing as never[];
          if (first === undefined) return fx.after(5, { kind: 'again' });
          fx.tell(first, { kind: 'note', n: 1, key: '' } as never);
          fx.ask(first, { kind: 'query', n: 2, key: '' } as never, { kind: 'a' } as never, 9000);
        },
        again: ({ fx, key }) => fx.find(key('work'), { kind: 'listed' } as never),
      },
    }),
  ]);
  const { run, wait, heard, system } = stage;
  run('client', ({ fx }) => fx.after(0, { kind: 'again' }));
  await wait('note', 1, 'p1');
  await wait('query', 1, 'p1');
  run('p1', ({ say }) => say('done'));
  expect(heard('note', 'p1')).toHaveLength(1);
  expect(system.deadLetters().total).toBe(0);
});

test('the nearest branch that has any counts, as it does for addresses', async () => {
  const branch = (name: string) => supervisor(name, [provider(`${name}-p`), client(`${name}-c`)]);
  stage = await theatre([branch('x'), branch('y'), supervisor('z', [client('z-c')])]);
  const { run, wait } = stage;
  for (const name of ['x-c', 'y-c', 'z-c']) {
    run(name, ({ fx, key }) => fx.find(key('work'), { kind: 'listed' } as never));
    await wait('listed', 1, name);
  }
  expect(last(stage, 'x-c')).toEqual(['.x.x-p']);
  expect(last(stage, 'y-c')).toEqual(['.y.y-p']);
  expect(last(stage, 'z-c')).toEqual(['.x.x-p', '.y.y-p']);
});

test('of several changes a busy subscriber hears the last, and never more listings than there were changes', async () => {
  stage = await theatre([provider('p1', () => {}), client()]);
  const { run, wait, until: soon } = stage;
  run('client', ({ fx, key }) => fx.subscribe(key('work'), { kind: 'listed' } as never));
  await wait('listed');
  run('p1', ({ fx, key }) => {
    for (let k = 0; k < 101; k++)
      k % 2 === 0 ? fx.register(key('work')) : fx.deregister(key('work'));
  });
  await soon(() => String(last(stage!)) === '.p1');
  expect(stage.heard('listed').length).toBeLessThanOrEqual(102);
});

test('what an actor neither offers nor sends to is refused with the remedy', async () => {
  stage = await theatre([puppet('stranger', { sends: [] })]);
  const { run, system } = stage;
  const crash = async (n: number): Promise<string> => {
    const crashes = () => system.seen.flatMap((e) => (e.kind === 'crash' ? e.crash.error : []));
    return stage!.until(() => crashes()[n]);
  };
  run('stranger', ({ fx, key }) => fx.register(key('work')));
  expect(await crash(0)).toMatch(/stranger does not offer work: name it in `offers`/);
  await stage.wait('up', 2);
  run('stranger', ({ fx, key }) => fx.find(key('work'), { kind: 'listed' } as never));
  expect(await crash(1)).toMatch(/stranger does not send to work: name it in `sends`/);
});
