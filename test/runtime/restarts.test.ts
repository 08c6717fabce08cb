import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { ChildSpec } from '#runtime/spec.ts';
import { actor, type TestSystem, testSystem } from '#test/kit/system.ts';
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
const start = async (...given: Parameters<typeof testSystem>): Promise<TestSystem> => {
  system = await testSystem(...given);
  return system;
};
const mortalAs = (name = 'mortal', given: Parameters<typeof actor>[2] = {}): ChildSpec =>
  actor(name, fixture('mortal'), { actor: 'mortal', ...given });
const die = (how: string, file: string, times = 1, tells = false) =>
  ({ do: 'tell', to: 'mortal', message: { kind: 'die', how, times, file, tells } }) as const;
const note = (text: string, to = 'mortal') =>
  ({ do: 'tell', to, message: { kind: 'note', text } }) as const;
const poisons = (s: TestSystem): number => s.deadLetters().byReason.poison ?? 0;
const restarts = (s: TestSystem, path = 'mortal'): number =>
  s.metrics().actors.find((a) => a.path === path)!.restarts;
/** Who dies before the supervisor has heard of its start has died and was no restart. */
const deaths = (s: TestSystem, path = 'mortal'): number =>
  s.seen.filter((event) => event.kind === 'crash' && event.crash.path === path).length;
const once = (s: TestSystem, name = 'once'): string => join(s.dataDir, name);
/** Long enough for a loaded machine; what is waited for comes within milliseconds. */
const LONG_MS = 30_000;
/** Limits that only the deaths by them need: on a loaded machine a short silence is none. */
const limitsOf = (how: string) => ({
  ...(how === 'exhaust' ? { memoryMb: 40 } : {}),
  ...(how === 'loop' ? { silentMs: 2500 } : {}),
});

test('a handler that throws: new state on the same thread, mailbox kept, its neighbours untouched', async () => {
  const d = newDriver('driver', ['mortal', '']);
  const s = await start([mortalAs(), actor('echo', fixture('echo'), { thread: 'mortal' }), d.spec]);
  d.run(note('a'), note('b', ''));
  await s.until(() => s.fact('echo', 'notes') === '1 b' && s.fact('mortal', 'notes') === '1 a');
  const thread = await s.until(() => s.fact('mortal', 'thread'), LONG_MS);
  d.run(die('throw', once(s)), note('c'), note('d', ''));
  await s.until(() => s.fact('mortal', 'notes') === '1 c', LONG_MS);
  await s.until(() => s.fact('echo', 'notes') === '2 d', LONG_MS);
  expect(s.fact('mortal', 'thread')).toBe(thread);
  expect([restarts(s), restarts(s, 'echo')]).toEqual([1, 0]);
  expect(readFileSync(join(s.dataDir, 'mortal', 'io'), 'utf8')).toBe('open\nclose\nopen\n');
});

test('the second throw in a row waits for its back-off, and stays on its thread', async () => {
  const d = newDriver('driver', ['mortal']);
  const s = await start([mortalAs(), d.spec]);
  const thread = await s.until(() => s.fact('mortal', 'thread'), LONG_MS);
  d.run(die('throw', once(s)));
  await s.until(() => s.fact('mortal', 'survived') === 'throw', LONG_MS);
  d.run(die('throw', once(s, 'again')), note('after'));
  await s.until(() => s.fact('mortal', 'notes') === '1 after', LONG_MS);
  expect(restarts(s)).toBe(2);
  expect(s.fact('mortal', 'thread')).toBe(thread);
});

test('what a step wrote before it threw is seen by nobody, and written once by its second try', async () => {
  const d = newDriver('driver', ['mortal']);
  const s = await start([
    actor('echo', fixture('echo')),
    mortalAs('mortal', { config: { tells: true } }),
    d.spec,
  ]);
  d.run(die('throw', once(s), 1, true));
  await s.until(() => s.fact('mortal', 'survived') === 'throw', LONG_MS);
  await s.until(() => s.fact('echo', 'notes') === '1 before throw', LONG_MS);
  expect(restarts(s)).toBe(1);
  expect(s.metrics().actors[0]!.counters.notes).toBe(1);
});

test('watchers learn of a restart on the same thread, and open questions fail with it', async () => {
  const d = newDriver('driver', ['']);
  await start([actor('echo', fixture('echo')), d.spec]);
  d.run(
    { do: 'watch', to: '', tag: 'dead' },
    { do: 'ask', to: '', message: { kind: 'hold', id: 1 }, tag: 'hold', deadlineMs: 60_000 },
    { do: 'tell', to: '', message: { kind: 'fall' } },
  );
  await d.heard('dead', 1, LONG_MS);
  const { result } = await d.heard('hold', 1, LONG_MS);
  expect(result).toEqual({ ok: false, error: 'target-restarted' });
});

test.each(['fails', 'hangs'])(
  'io whose closing %s takes the thread with it: both begin anew',
  async (closing) => {
    const d = newDriver('driver', ['mortal']);
    const s = await start([
      mortalAs('mortal', { config: { closing }, shutdownMs: 200 }),
      actor('echo', fixture('echo'), { thread: 'mortal' }),
      d.spec,
    ]);
    const thread = await s.until(() => s.fact('mortal', 'thread'), LONG_MS);
    d.run(die('throw', once(s)), note('after'));
    await s.until(() => s.fact('mortal', 'notes') === '1 after', LONG_MS);
    expect(s.fact('mortal', 'thread')).not.toBe(thread);
    await s.until(() => restarts(s, 'echo') === 1, LONG_MS); // counted when its thread has said so
  },
);

test.each(['throw', 'exit', 'exhaust', 'loop'])(
  'a message that kills twice by %s is poison: a dead letter, and the actor goes on behind it',
  async (how) => {
    const d = newDriver('driver', ['mortal']);
    const s = await start([mortalAs(), d.spec], limitsOf(how));
    d.run(note('before'), die(how, ''), note('after'));
    await s.until(() => s.fact('mortal', 'notes') === '1 after', 2 * LONG_MS);
    expect(poisons(s)).toBe(1);
    expect(deaths(s)).toBe(2);
    expect(s.deadLetters().newest.find((l) => l.reason === 'poison')).toMatchObject({
      path: 'mortal',
      peer: 'driver',
      kind: 'die',
      trace: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
  },
  90_000,
);

test.each(['throw', 'exit', 'exhaust', 'loop'])(
  'a message that kills once by %s is handled by the next incarnation, before what stands behind it',
  async (how) => {
    const d = newDriver('driver', ['mortal']);
    const s = await start([mortalAs(), d.spec], limitsOf(how));
    d.run(note('before'), die(how, once(s)), note('after'));
    await s.until(() => s.fact('mortal', 'notes') === '1 after', 2 * LONG_MS);
    expect(s.fact('mortal', 'survived')).toBe(how);
    expect(poisons(s)).toBe(0);
    expect(deaths(s)).toBe(1);
  },
  90_000,
);

test('a thread killed from outside puts no message under suspicion, however often', async () => {
  const d = newDriver('driver', ['']);
  const s = await start([actor('echo', fixture('echo')), d.spec]);
  for (let k = 1; k <= 3; k++) {
    d.run({ do: 'tell', to: '', message: { kind: 'sleep', ms: 200 } });
    await s.until(() => (s.metrics().actors[0]!.depth === 0 ? true : undefined));
    await s.kill('echo');
    await s.until(
      () => restarts(s, 'echo') === k && s.tree().children![0]!.state === 'running',
      LONG_MS,
    );
  }
  expect(poisons(s)).toBe(0);
});

test('memory outside the heap above its limit ends the thread, and says so', async () => {
  const d = newDriver('driver', ['mortal']);
  const s = await start([mortalAs(), d.spec], { offHeapMb: 64 });
  const thread = await s.until(() => s.fact('mortal', 'thread'), LONG_MS);
  d.run(die('grow', once(s)));
  await s.until(() => restarts(s) === 1, LONG_MS);
  await s.until(() => s.fact('mortal', 'thread') !== thread, LONG_MS);
  const crash = s.seen.find((e) => e.kind === 'crash');
  expect(crash).toMatchObject({
    crash: { path: 'mortal', error: expect.stringMatching(/^holds \d+ MiB outside its heap/) },
  });
});

test('an endless loop is named as what it is, with its place', async () => {
  const d = newDriver('driver', ['mortal']);
  const s = await start([mortalAs(), d.spec], limitsOf('loop'));
  d.run(die('loop', once(s)));
  await s.until(() => s.fact('mortal', 'survived') === 'loop', LONG_MS);
  expect(s.seen.find((e) => e.kind === 'crash')).toMatchObject({
    crash: {
      path: 'mortal',
      error: expect.stringMatching(/endless loop in \w+ \(file:.*mortal\.ts:\d+:\d+\)$/),
      stack: expect.stringMatching(/\n {4}at .*mortal\.ts:\d+:\d+\)\n(?:.*\n)* {4}at .*shell\.ts:/),
    },
  });
});
