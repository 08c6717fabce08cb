import { afterEach, expect, test } from 'vitest';
import { actor, type TestSystem, testSystem } from '#test/kit/system.ts';
import { fixture } from '../driver.ts';

let system: TestSystem | undefined;
afterEach(async () => {
  await system?.end();
  system = undefined;
});
const drainer = (name: string, phase: string, takesMs: number) =>
  actor(name, fixture('drainer'), { actor: name, phase, shutdownMs: 60_000, config: { takesMs } });
const echo = () => actor('echo', fixture('echo'));
const phases = (s: TestSystem): string[] =>
  s.seen.flatMap((e) => (e.kind === 'phase' ? [e.phase] : []));

test('actors drain phase by phase, whatever their order in the tree; phases without actors are not told', async () => {
  const children = [
    echo(),
    drainer('keeper', 'sinks', 10),
    drainer('first', 'sources', 10),
    drainer('second', 'sources', 10),
  ];
  system = await testSystem(children);
  const stopped = await system.stop();
  expect(stopped.order).toEqual(['first', 'second', 'keeper', 'echo']);
  expect(stopped.late).toEqual([]);
  expect(phases(system)).toEqual(['sources', 'flows', 'sinks', 'stop', 'stopped']);
});

test('phases of one`s own, each with its deadline: who is late is ended, and the next phase goes on', async () => {
  const children = [
    echo(),
    drainer('slow', 'intake', 60_000),
    drainer('quick', 'upload', 10),
    drainer('endless', 'upload', 60_000),
  ];
  const shutdown = [
    { name: 'flows', deadlineMs: 0 },
    { name: 'intake', deadlineMs: 300 },
    { name: 'upload', deadlineMs: 3000 },
  ];
  system = await testSystem(children, { shutdown });
  const stopped = await system.stop();
  expect(phases(system)).toEqual(['flows', 'intake', 'upload', 'stop', 'stopped']);
  expect(stopped.late).toContain('slow');
  expect(stopped.late).toContain('endless');
  expect(stopped.late).not.toContain('quick');
  expect(stopped.order[0]).toBe('quick');
  expect(stopped.elapsedMs).toBeLessThan(20_000); // not the minute that they asked for
});

test('what a phase leaves over the next ones may use', async () => {
  const children = [echo(), drainer('patient', 'late', 700)];
  const shutdown = [
    { name: 'flows', deadlineMs: 8000 },
    { name: 'late', deadlineMs: 0 },
  ];
  system = await testSystem(children, { shutdown });
  const stopped = await system.stop();
  expect(stopped.late).toEqual([]);
  expect(stopped.order[0]).toBe('patient');
});
