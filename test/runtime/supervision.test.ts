import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { ChildSpec } from '#runtime/spec.ts';
import { actor, supervisor, type TestSystem, testSystem } from '#test/kit/system.ts';
import { type Driver, fixture, openDriver } from './driver.ts';

let system: TestSystem | undefined;
const drivers: Driver[] = [];
afterEach(async () => {
  for (const d of drivers.splice(0)) d.close();
  await system?.end();
  system = undefined;
});

const newDriver = (...given: Parameters<typeof openDriver>): Driver => {
  const d = openDriver(...given);
  drivers.push(d);
  return d;
};
const start = async (
  root: Parameters<typeof testSystem>[0],
  given: Parameters<typeof testSystem>[1] = {},
): Promise<TestSystem> => {
  system = await testSystem(root, given);
  return system;
};
const restarted = (s: TestSystem): string[] =>
  s.seen.flatMap((e) => (e.kind === 'restarted' ? [e.path] : []));
const echoAs = (name: string, given: Parameters<typeof actor>[2] = {}): ChildSpec =>
  actor(name, fixture('echo'), { actor: 'echo', ...given });

test('a handler that throws is reported with path, kind and stack, and its actor comes back', async () => {
  const d = newDriver();
  const s = await start([echoAs('echo'), d.spec]);
  d.run({ do: 'tell', to: '', message: { kind: 'fall' } });
  // Its message is handled once more before it is poison: what is asked between is answered by nobody.
  await s.until(() => restarted(s).length === 2);
  const crash = s.seen.find((e) => e.kind === 'crash');
  expect(crash).toMatchObject({
    crash: {
      path: 'echo',
      kind: 'fall',
      error: 'told to fall',
      stack: expect.stringContaining('echo.ts'),
    },
  });
  d.run({ do: 'ask', to: '', message: { kind: 'say', text: 'b' }, tag: 'say' });
  expect((await d.heard('say')).result).toMatchObject({ ok: true });
  expect(s.tree().children![0]).toMatchObject({ restarts: 2, state: 'running' });
});

test('what waited in the mailbox survives the death of its reader', async () => {
  const d = newDriver();
  const s = await start([echoAs('echo'), d.spec]);
  d.run(
    { do: 'tell', to: '', message: { kind: 'fall' } },
    { do: 'tell', to: '', message: { kind: 'note', text: '' }, times: 100 },
  );
  await s.until(() => s.fact('echo', 'notes') === '100 99');
  // Its message killed twice, then it was poison. A restart is counted when its thread has told of it.
  await s.until(() => s.metrics().actors[0]!.restarts === 2);
});

test('a rejected io promise is a crash of its actor', async () => {
  const d = newDriver();
  const s = await start([echoAs('echo'), d.spec]);
  d.run({ do: 'reject' });
  await d.heard('up', 2);
  const crash = await s.until(() => s.seen.find((e) => e.kind === 'crash'));
  expect(crash).toMatchObject({
    crash: { path: 'driver', kind: 'io reject', error: 'io said no' },
  });
});

test('a killed thread: watchers learn it, open questions fail with target-restarted', async () => {
  const d = newDriver();
  const s = await start([echoAs('echo'), d.spec]);
  d.run(
    { do: 'watch', to: '', tag: 'dead' },
    { do: 'ask', to: '', message: { kind: 'hold', id: 1 }, tag: 'hold', deadlineMs: 20_000 },
  );
  await s.until(() => s.fact('echo', 'held') === '1');
  await s.kill('echo');
  await d.heard('dead');
  expect((await d.heard('hold')).result).toEqual({ ok: false, error: 'target-restarted' });
  await s.until(() => restarted(s).includes('echo'));
  // The watch has fired; the next death is not told again.
  await s.kill('echo');
  await s.until(() => restarted(s).length === 2);
  expect(d.said.filter((x) => x.tag === 'dead')).toHaveLength(1);
});

test('an answer to an asker that has restarted is a stale reply', async () => {
  const d = newDriver();
  const s = await start([echoAs('echo'), d.spec]);
  d.run({ do: 'ask', to: '', message: { kind: 'hold', id: 1 }, tag: 'hold', deadlineMs: 20_000 });
  await s.until(() => s.fact('echo', 'held') === '1');
  await s.kill('driver');
  await d.heard('up', 2);
  d.run({ do: 'tell', to: '', message: { kind: 'release' } });
  await s.until(() => s.deadLetters().byReason['stale-reply'] === 1);
  expect(d.said.some((x) => x.tag === 'hold')).toBe(false);
});

test('rest_for_one restarts the dead and what started after it, in order', async () => {
  const group = supervisor('group', [echoAs('a'), echoAs('b'), echoAs('c')], 'rest_for_one');
  const s = await start([group, echoAs('outside')]);
  await s.kill('group.b');
  await s.until(() => restarted(s).length === 2);
  expect(restarted(s)).toEqual(['group.b', 'group.c']);
});

test('one_for_all restarts all of its children; actors of one thread die together', async () => {
  const group = supervisor('group', [echoAs('a'), echoAs('b', { thread: 'a' })], 'one_for_all');
  const s = await start([group]);
  await s.kill('group.b');
  await s.until(() => restarted(s).length === 2);
  expect(restarted(s)).toEqual(['group.a', 'group.b']);
  const [a, b] = s.tree().children![0]!.children!;
  expect(a!.thread).toBe(b!.thread);
});

test('one_for_one on a shared thread: both that died come back, others are not touched', async () => {
  const s = await start([echoAs('a'), echoAs('b', { thread: 'a' }), echoAs('c')]);
  await s.kill('a');
  await s.until(() => restarted(s).length === 2);
  expect(restarted(s)).toEqual(['a', 'b']);
});

test('rest_for_one stops a later actor on a living thread and starts it there again', async () => {
  const d = newDriver('driver', ['c']);
  const group = [echoAs('a'), echoAs('b'), echoAs('c', { thread: 'a' })];
  const s = await start([supervisor('group', group, 'rest_for_one'), d.spec]);
  d.run({ do: 'tell', to: 'c', message: { kind: 'note', text: '' }, times: 3 });
  await s.until(() => s.fact('group.c', 'notes') === '3 2');
  await s.kill('group.b');
  await s.until(() => restarted(s).length === 2);
  expect(restarted(s)).toEqual(['group.b', 'group.c']);
  d.run({ do: 'tell', to: 'c', message: { kind: 'note', text: 'new' } });
  await s.until(() => s.fact('group.c', 'notes') === '1 new');
});

test('too many restarts: the supervisor gives up, the root ends the system', async () => {
  const d = newDriver('driver', ['a']);
  const group = supervisor('group', [echoAs('a')], 'one_for_one', { restarts: 1, periodS: 10 });
  const root = supervisor('root', [group, d.spec], 'one_for_one', { restarts: 1, periodS: 10 });
  const s = await start(root);
  for (let k = 0; k < 4; k++) d.run({ do: 'tell', to: 'a', message: { kind: 'fall' } });
  const stopped = await s.whenStopped;
  expect(stopped.reason).toBe('failed');
  expect(s.seen.flatMap((e) => (e.kind === 'escalated' ? [e.path] : []))).toEqual([
    'group',
    'group',
    '',
  ]);
});

test('a transient actor that ends normally stays ended, a permanent one comes back', async () => {
  const d = newDriver('driver', ['t', 'p']);
  const s = await start([echoAs('t', { restart: 'transient' }), echoAs('p'), d.spec]);
  d.run(
    { do: 'tell', to: 't', message: { kind: 'end' } },
    { do: 'tell', to: 'p', message: { kind: 'end' } },
  );
  await s.until(() => restarted(s).includes('p'));
  await s.until(() => s.tree().children![0]!.state === 'stopped');
  expect(restarted(s)).toEqual(['p']);
});

test('halt is never restarted', async () => {
  const d = newDriver();
  const s = await start([echoAs('echo'), d.spec]);
  d.run({ do: 'stop', reason: 'halt' });
  await s.until(() => s.seen.some((e) => e.kind === 'ended' && e.path === 'driver'));
  await s.kill('echo');
  await s.until(() => restarted(s).includes('echo'));
  expect(restarted(s)).toEqual(['echo']);
});

test('a significant child that ends shuts its supervisor down', async () => {
  const d = newDriver('driver', ['a']);
  const group = [echoAs('a', { restart: 'transient', significant: true }), echoAs('b')];
  const s = await start([supervisor('group', group), d.spec]);
  d.run({ do: 'tell', to: 'a', message: { kind: 'end' } });
  await s.until(() => s.tree().children![0]!.children!.every((c) => c.state === 'stopped'));
  expect(s.tree().children![1]!.state).toBe('running');
});

test('an actor that does not start: startSystem rejects with its reason', async () => {
  const bad = actor('bad', fixture('unstartable'));
  await expect(testSystem([echoAs('echo'), bad])).rejects.toThrow('port 7001 is in use');
});

test('an ambiguous address is refused at the start', async () => {
  const d = newDriver();
  await expect(testSystem([echoAs('a'), echoAs('b'), d.spec])).rejects.toThrow(
    /driver -> echo could mean a, b/,
  );
});

test('a silent thread is treated as crashed', async () => {
  const d = newDriver();
  const s = await start([echoAs('echo'), d.spec], { silentMs: 1500 });
  d.run({ do: 'tell', to: '', message: { kind: 'sleep', ms: 60_000 } });
  await s.until(() => restarted(s).includes('echo'), 9000);
});

test('a thread in native code is terminated after its call, and reported when the call does not end', async () => {
  const quick = actor('quick', fixture('native'), { actor: 'native', config: { callMs: 300 } });
  const slow = actor('slow', fixture('native'), { actor: 'native', config: { callMs: 2500 } });
  const s = await start([quick, slow]);
  await s.kill('quick');
  const count = (of: string, name: string): string =>
    readFileSync(join(s.dataDir, of, name), 'utf8');
  expect(count('quick', 'in')).toBe(count('quick', 'out'));
  await s.kill('slow');
  expect(s.seen.find((e) => e.kind === 'stuck')).toMatchObject({ paths: ['slow'] });
  // Its thread writes into the folder, which the end of the test removes, until its call is over.
  const wrote = join(s.dataDir, 'slow', 'out');
  await s.until(() => existsSync(wrote) && count('slow', 'out') === count('slow', 'in'));
});

test('shutdown drains sources first, then stops in reverse start order with io closed', async () => {
  const source = actor('source', fixture('drainer'), { actor: 'drainer', restart: 'transient' });
  const second = actor('second', fixture('drainer'), {
    actor: 'drainer',
    config: { takesMs: 20, closeMs: 30 },
  });
  const s = await start([source, second, echoAs('echo'), echoAs('last', { actor: 'other' })]);
  const stopped = await s.stop();
  expect(stopped.order).toEqual(['source', 'second', 'last', 'echo']);
  expect(stopped.late).toEqual([]);
  expect(s.fact('echo', 'notes')).toBe('2 last words');
  expect(readFileSync(join(s.dataDir, 'closed'), 'utf8')).toBe('source\nsecond\n');
});

test('what does not stop in its time is terminated, all within ten seconds', async () => {
  const lazy = actor('lazy', fixture('drainer'), {
    actor: 'drainer',
    config: { takesMs: 60_000, closeMs: 60_000 },
    shutdownMs: 400,
  });
  const s = await start([echoAs('echo'), lazy]);
  const stopped = await s.stop();
  expect(stopped.late).toContain('lazy');
  expect(stopped.elapsedMs).toBeLessThan(3000);
});
