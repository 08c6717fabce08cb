import { afterEach, expect, test } from 'vitest';
import type { ActorSpec } from '#runtime/spec.ts';
import { actor, supervisor, type TestSystem, testSystem } from '#test/kit/system.ts';
import { type Driver, fixture, openDriver } from './driver.ts';
import { openTally, tallyMemory } from './fixtures/tally.ts';

const LONG_MS = 30_000;
let system: TestSystem | undefined;
const drivers: Driver[] = [];
afterEach(async () => {
  for (const d of drivers.splice(0)) d.close();
  await system?.end();
  system = undefined;
});

/** A group whose second actor is stopped and started again when the first one dies. */
const start = async (slow: Partial<ActorSpec>): Promise<TestSystem> => {
  const mortal = (name: string, given: Partial<ActorSpec>): ActorSpec =>
    actor(name, fixture('mortal'), { actor: 'mortal', ...given });
  system = await testSystem([
    supervisor(
      'group',
      [mortal('first', {}), mortal('neighbour', {}), mortal('slow', slow)],
      'rest_for_one',
    ),
  ]);
  return system;
};
const restarts = (s: TestSystem): Record<string, number> =>
  Object.fromEntries(s.metrics().actors.map((a) => [a.path, a.restarts]));
const threadOf = (s: TestSystem, name: string): string | undefined =>
  s.fact(`group.${name}`, 'thread');
/** Where it began: the fact may come after the start. */
const homeOf = (s: TestSystem, name: string): Promise<string> =>
  s.until(() => threadOf(s, name), LONG_MS);

test('an actor that does not stop within its shutdownMs is killed with its thread, and starts again', async () => {
  const s = await start({ shutdownMs: 300, config: { closing: 'hangs' } });
  const thread = await homeOf(s, 'slow');
  await s.kill('group.first');
  await s.until(() => restarts(s)['group.slow'] === 1, LONG_MS);
  expect(threadOf(s, 'slow')).not.toBe(thread);
  expect(restarts(s)).toEqual({ 'group.first': 1, 'group.neighbour': 1, 'group.slow': 1 });
});

test('an actor that stops in its time keeps its thread', async () => {
  const s = await start({});
  const thread = await homeOf(s, 'slow');
  await s.kill('group.first');
  await s.until(() => restarts(s)['group.slow'] === 1, LONG_MS);
  expect(threadOf(s, 'slow')).toBe(thread);
});

test('after an escalation those who start again get new threads', async () => {
  const mortal = (name: string): ActorSpec => actor(name, fixture('mortal'), { actor: 'mortal' });
  const never = { restarts: 0, periodS: 10 };
  system = await testSystem([
    supervisor('group', [mortal('first'), mortal('slow')], 'one_for_one', never),
  ]);
  const s = system;
  const thread = await homeOf(s, 'slow');
  await s.kill('group.first');
  await s.until(() => restarts(s)['group.slow'] === 1, LONG_MS);
  expect(threadOf(s, 'slow')).not.toBe(thread);
});

test('brutal_kill waits for nothing: the thread of an actor that never closes ends at once', async () => {
  const s = await start({ shutdownMs: 'brutal_kill', config: { closing: 'hangs' } });
  const thread = await homeOf(s, 'slow');
  await s.kill('group.first');
  await s.until(() => restarts(s)['group.slow'] === 1, LONG_MS);
  expect(threadOf(s, 'slow')).not.toBe(thread);
});

test('brutal_kill on a thread with others: they live on, and nobody waits for the closing', async () => {
  const given = { shutdownMs: 'brutal_kill', config: { closing: 'hangs' } } as const;
  const mortal = (name: string, more: Partial<ActorSpec>): ActorSpec =>
    actor(name, fixture('mortal'), { actor: 'mortal', ...more });
  const d = openDriver('driver', ['mortal:bystander']);
  drivers.push(d);
  const s = await testSystem([
    supervisor(
      'group',
      [
        mortal('bystander', {}),
        mortal('first', {}),
        mortal('slow', { ...given, thread: 'bystander' }),
      ],
      'rest_for_one',
    ),
    d.spec,
  ]);
  system = s;
  const thread = await homeOf(s, 'slow');
  await s.kill('group.first');
  await s.until(() => restarts(s)['group.slow'] === 1, LONG_MS);
  expect(threadOf(s, 'slow')).toBe(thread);
  expect(restarts(s)['group.bystander']).toBe(0);
});

test('what is under way to an actor that ends in the shutdown is no dead letter', async () => {
  const memory = tallyMemory();
  const torrent = { config: { tally: memory, sender: 0, aStep: 32 } };
  // Started last, the receiver ends first.
  const s = await testSystem([
    actor('torrent', fixture('torrent'), torrent),
    actor('basin', fixture('basin'), { config: { tally: memory } }),
  ]);
  system = s;
  const tally = openTally(memory);
  await s.until(() => tally.read('received', 0) > 1000, LONG_MS);
  await s.stop();
  expect(s.deadLetters()).toEqual({ total: 0, byReason: {}, newest: [] });
});
