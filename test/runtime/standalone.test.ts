import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type System, startSystem } from '#runtime/library.ts';
import { until } from '#test/kit/system.ts';
import { fixture } from './driver.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'cybermesh-'));
let system: System | undefined;
afterEach(async () => {
  await system?.stop();
  system = undefined;
  rmSync(dataDir, { recursive: true, force: true });
});

test('a tree as plain data: defaults as in a topology, groups, pools, settings through the schema', async () => {
  system = await startSystem({
    dataDir,
    strategy: 'rest_for_one',
    children: [
      { name: 'group', children: [{ name: 'echo', module: fixture('echo') }] },
      { name: 'caller', module: fixture('caller').href },
      { name: 'more', actor: 'worker', module: fixture('echo'), pool: { size: 3, threads: 1 } },
    ],
  });
  await until(() => system!.facts().caller?.said === 'HELLO', 20_000);
  const paths = system.metrics().actors.map((a) => a.path);
  expect(paths).toEqual(['group.echo', 'caller', 'more.more-1', 'more.more-2', 'more.more-3']);
  expect(system.tree()).toMatchObject({ strategy: 'rest_for_one', state: 'running' });
});

test.each([
  [{ children: [{ name: 'A', module: '' }] }, /^A: .*name/s],
  [{ children: [{ name: 'g', children: [{ name: 'a', module: '', shutdownMs: -1 }] }] }, /^g\.a: /],
  [{ children: [], shutdown: [] }, /^system: .*shutdown/s],
  [
    { children: [{ name: 'a', module: '', phase: 'upload' }] },
    /^a: no phase upload in shutdown, which has sources, flows, sinks/,
  ],
])('what cannot be is refused with its place: %#', async (options, said) => {
  await expect(startSystem(options)).rejects.toThrow(said);
});

test('a module that is not there, and settings that the schema refuses, end the start by name', async () => {
  const absent = new URL('./fixtures/absent.ts', import.meta.url);
  await expect(startSystem({ dataDir, children: [{ name: 'a', module: absent }] })).rejects.toThrow(
    /absent\.ts/,
  );
  const config = { text: 1 };
  const bad = { name: 'caller', module: fixture('caller'), config };
  await expect(startSystem({ dataDir, children: [bad] })).rejects.toThrow(
    /caller\.config: .*text/s,
  );
});

test('settings for an actor that takes none end the start by name', async () => {
  const given = { name: 'relay', module: fixture('relay'), config: { text: 'hello' } };
  await expect(startSystem({ dataDir, children: [given] })).rejects.toThrow(
    'relay.config: the actor takes no settings',
  );
});
