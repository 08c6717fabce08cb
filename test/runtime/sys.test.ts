import { afterEach, expect, test } from 'vitest';
import { type ControlClient, connectControl } from '#runtime/control/control.ts';
import { actor, supervisor, type TestSystem, testSystem, until } from '#test/kit/system.ts';
import { type Driver, fixture, openDriver } from './driver.ts';

let system: TestSystem;
let driver: Driver;
let node: ControlClient;
afterEach(async () => {
  node.close();
  driver.close();
  await system.end();
});

/** Over the control socket, as an operator would. */
const start = async (): Promise<void> => {
  driver = openDriver();
  const mailbox = { depth: 64, onFull: 'backpressure' } as const;
  const echo = actor('echo', fixture('echo'), { mailbox });
  system = await testSystem([echo, driver.spec], { controlSocket: true });
  node = await connectControl(system.dataDir);
  await driver.heard('up');
};
const note = (times = 1): void =>
  driver.run({ do: 'tell', to: '', message: { kind: 'note' }, times });
const notes = (): number => Number(system.fact('echo', 'notes')?.split(' ')[0] ?? 0);

test('inspect shows state, last messages and what waits, without stopping the actor', async () => {
  await start();
  note(3);
  driver.run({
    do: 'ask',
    to: '',
    message: { kind: 'hold', id: 7 },
    tag: 'held',
    deadlineMs: 30_000,
  });
  await system.until(() => system.fact('echo', 'held') === '1');
  const seen = await node.inspect('echo');
  expect(seen).toMatchObject({ path: 'echo', actor: 'echo', incarnation: 0, suspended: false });
  expect(seen.state).toMatchObject({ notes: 3, held: [{ id: 7 }] });
  expect(seen.messages.map(({ kind }) => kind)).toEqual(['start', 'note', 'note', 'note', 'hold']);
  expect(seen.messages[1]!.text).toBe("{ text: '0' }");
  expect(seen.messages[4]!.text).toBe('{ id: 7 }'); // whom it owes the answer is the kernel's own
  expect((await node.inspect('driver')).openAsks).toBe(1);
  driver.run({ do: 'tell', to: '', message: { kind: 'release' } });
  expect(await driver.heard('held')).toMatchObject({ result: { ok: true, value: { id: 7 } } });
  await expect(node.inspect('ehco')).rejects.toThrow('no actor ehco; did you mean echo?');
});

test('a suspended actor takes no step and loses nothing; resumed, it handles what waited in order', async () => {
  await start();
  note();
  await system.until(() => notes() === 1);
  await node.suspend('echo');
  expect(await node.inspect('echo')).toMatchObject({ suspended: true });
  driver.run({
    do: 'ask',
    to: '',
    message: { kind: 'say', text: 'x' },
    tag: 'said',
    deadlineMs: 300,
  });
  expect(await driver.heard('said', 1, 20_000)).toMatchObject({ result: { ok: false } });
  note(500); // more than its mailbox holds: the sender waits
  await system.until(() => system.tree().children?.[0]?.mailboxDepth === 64);
  expect(notes()).toBe(1);
  const { actors } = await node.numbers();
  expect(actors.find(({ path }) => path === 'echo')).toMatchObject({ suspended: true, depth: 64 });
  expect(await node.metrics()).toContain('cybermesh_actor_suspended{actor="echo"} 1');
  expect((await node.tree()).children?.[0]).toMatchObject({ state: 'running', suspended: true });
  await node.resume('echo');
  await system.until(() => notes() === 501, 20_000);
  expect(system.fact('echo', 'notes')).toBe('501 499');
  expect(await node.inspect('echo')).toMatchObject({ suspended: false });
  expect((await node.tree()).children?.[0]).not.toHaveProperty('suspended');
  const told = [
    { path: 'echo', topic: 'operator', text: 'echo suspended by an operator' },
    { path: 'echo', topic: 'operator', text: 'echo resumed by an operator' },
  ];
  expect(await node.notices()).toMatchObject(told);
});

test('a restart ends a suspension', async () => {
  await start();
  await node.suspend('echo');
  await node.restart('echo');
  await system.until(() => system.seen.some((event) => event.kind === 'restarted'), 20_000);
  expect(await node.inspect('echo')).toMatchObject({ suspended: false, incarnation: 1 });
  expect(await node.metrics()).toContain('cybermesh_actor_suspended{actor="echo"} 0');
  note();
  await system.until(() => notes() === 1);
});

test('a restart closes one actor and starts it anew in its thread; nobody else notices, and what waits is kept', async () => {
  driver = openDriver();
  const echo = actor('echo', fixture('echo'));
  const lodger = actor('lodger', fixture('echo'), { thread: 'echo', actor: 'lodger' });
  const strategy = supervisor('root', [echo, lodger, driver.spec], 'one_for_all');
  system = await testSystem(strategy, { controlSocket: true });
  node = await connectControl(system.dataDir);
  await driver.heard('up');
  note();
  await system.until(() => notes() === 1);
  await node.suspend('echo');
  note(3);
  await system.until(() => system.tree().children?.[0]?.mailboxDepth === 3);
  await node.restart('echo');
  // A new state, and all that waited.
  await system.until(() => system.fact('echo', 'notes') === '3 2', 20_000);
  expect(await node.inspect('echo')).toMatchObject({ incarnation: 1, thread: 0 });
  expect(await node.inspect('lodger')).toMatchObject({ incarnation: 0, thread: 0 });
  expect(await node.inspect('driver')).toMatchObject({ incarnation: 0 });
  expect(system.seen.filter(({ kind }) => kind === 'crash')).toEqual([]);
  expect(system.tree()).toMatchObject({ restarts: 1 });
});

test('a suspended actor does not hold up the shutdown', async () => {
  await start();
  await node.suspend('echo');
  expect((await system.stop()).late).toEqual([]);
});

test('kill ends the thread as a crash would, and its supervisor starts it again', async () => {
  await start();
  await node.kill('echo');
  await system.until(() => system.seen.some((event) => event.kind === 'restarted'), 20_000);
  expect(system.seen).toContainEqual(
    expect.objectContaining({
      kind: 'crash',
      crash: expect.objectContaining({ path: 'echo', error: 'the thread was terminated' }),
    }),
  );
});

test('a thread in a long step is named instead of waited for; afterwards it answers', async () => {
  await start();
  driver.run({ do: 'tell', to: '', message: { kind: 'sleep', ms: 4000 } });
  await expect(
    until(async () => {
      await node.inspect('echo');
      return false;
    }),
  ).rejects.toThrow('echo: thread 0 is in a long step or in native code');
  // What was asked meanwhile comes late, and to nobody.
  const found = await until(() => node.inspect('echo').catch(() => undefined), 20_000);
  expect(found).toMatchObject({ path: 'echo' });
});

test('a name that several actors could have is refused, and none of them touched', async () => {
  driver = openDriver('driver', []);
  const twins = ['a', 'b'].map((name) => supervisor(name, [actor('echo', fixture('echo'))]));
  system = await testSystem([...twins, driver.spec], { controlSocket: true });
  node = await connectControl(system.dataDir);
  await expect(node.kill('echo')).rejects.toThrow('echo could mean a.echo, b.echo');
  await node.suspend('b.echo');
  expect(await node.inspect('a.echo')).toMatchObject({ suspended: false });
});

test('an actor that does not run is said to be so', async () => {
  await start();
  driver.run({ do: 'stop', reason: 'halt' });
  await system.until(() => system.tree().children?.[1]?.state === 'stopped');
  await expect(node.suspend('driver')).rejects.toThrow('driver is stopped: it does not run');
});
