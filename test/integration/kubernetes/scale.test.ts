/** Many policies, and agents that die among them. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { reconcile } from '#actors/enforcer/reconciling.ts';
import { ROOT } from '#test/kit/processes.ts';
import { entryOf, inForce } from '../firewall/backends.ts';
import { codes, type Setting, setting } from './setting.ts';

const FRIEND = '198.51.100.1';
const COUNT = 10_000;
const now = (): number => Date.now();
/** No two are neighbours: each is an exception of its own. */
const address = (k: number): string => `100.${64 + (k >> 14)}.${(k >> 7) & 127}.${(k & 127) * 2}`;
const hosts = (count: number) =>
  Array.from({ length: count }, (_, k) =>
    entryOf({ target: { ips: [address(k)], direction: 'ingress' }, ttlMs: 600_000 }),
  );

let world: Setting;
beforeEach(async () => {
  world = await setting();
});
afterEach(() => world.close());

test('10,000 policies are applied, listed, restored by another process and removed, each address by itself', async () => {
  const entries = hosts(COUNT);
  const backend = world.backend();
  const shut: string[] = [];
  world.api.policies.onChange(() => {
    if (!world.reaches(FRIEND)) shut.push(`${world.names().length} objects`);
  });
  for (let k = 0; k < COUNT; k += 2500) {
    const outcomes = await backend.change(entries.slice(k, k + 2500), [], now());
    expect(outcomes.filter((one) => !one.ok)).toEqual([]);
  }
  expect(await inForce(backend)).toHaveLength(COUNT);
  // At least half full each, the base apart.
  expect(world.names().length).toBeLessThanOrEqual(COUNT / 500 + 1);
  for (const k of [0, 1, 127, 128, 5000, 9999]) {
    expect(world.reaches(address(k))).toBe(false);
    expect(world.reaches(address(k).replace(/\d+$/, (last) => `${Number(last) + 1}`))).toBe(true);
  }
  const bytes = world.api.policies.list().map((one) => JSON.stringify(one).length);
  expect(Math.max(...bytes)).toBeLessThan(150_000);
  const written = JSON.stringify(world.api.policies.list());
  const again = world.backend();
  const restored = await again.restore(entries, now());
  expect(restored.filter((one) => !one.ok)).toEqual([]);
  expect(JSON.stringify(world.api.policies.list())).toBe(written);
  const gone = entries.slice(1).map(({ id }) => id);
  await again.change([], gone, now());
  expect(world.names()).toHaveLength(1);
  expect(world.reaches(address(0))).toBe(false);
  expect(world.reaches(address(1))).toBe(true);
  await again.restore(entries, now());
  expect(await again.clear()).toEqual({ ok: true, value: undefined });
  expect(world.names()).toEqual([]);
  expect(shut).toEqual([]);
});

test('one more policy among 10,000 is one object written', async () => {
  const backend = world.backend();
  await backend.restore(hosts(COUNT), now());
  const { api } = world;
  api.asked.length = 0;
  const one = entryOf({ target: { ips: ['203.0.113.7'], direction: 'ingress' } });
  expect(codes(await backend.change([one], [], now()))).toEqual(['applied']);
  const names = new Set(api.asked.filter(({ verb }) => verb === 'patch').map(({ name }) => name));
  expect(names.size).toBeLessThanOrEqual(2);
});

test('an agent killed at any write shuts nobody else out, and a restart makes everything equal', async () => {
  const { api } = world;
  const script = path.join(ROOT, 'test/integration/kubernetes/writer.ts');
  const kubeconfig = api.kubeconfig(world.folder);
  const flows = (['in', 'out'] as const).map((direction) => ({ direction }));
  for (const fatal of [1, 2, 5, 9]) {
    const child = spawn(process.execPath, ['--no-warnings', script, kubeconfig], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const ended = new Promise((resolve) => child.on('close', resolve));
    let writes = 0;
    api.before = ({ verb, query }) => {
      const isWrite = verb !== 'list' && verb !== 'get' && !query.has('dryRun');
      if (isWrite && ++writes === fatal) child.kill('SIGKILL');
      // What was on its way when it died may yet arrive.
      return isWrite && writes > fatal ? 'reset' : undefined;
    };
    await ended;
    expect(writes).toBeGreaterThanOrEqual(fatal);
    for (const flow of flows) expect(world.reaches(FRIEND, flow), `${fatal}`).toBe(true);
    api.before = () => undefined;
    const desired = hosts(1200);
    const again = world.backend({ failsafe: [] });
    const outcomes = await again.restore(desired, now());
    expect(outcomes.filter((one) => !one.ok)).toEqual([]);
    expect(await inForce(again)).toEqual(desired.map(({ id }) => id).sort());
    expect(await reconcile(again, desired, now)).toMatchObject({ missing: [], foreign: 0 });
    expect(world.reaches(address(7))).toBe(false);
    for (const flow of flows) expect(world.reaches(FRIEND, flow)).toBe(true);
    expect(world.reaches('100.65.0.0')).toBe(true);
    await again.clear();
  }
});
