import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { connectControl, controlPath } from '#runtime/control/control.ts';
import { actor, type TestSystem, testSystem } from '#test/kit/system.ts';
import { type Driver, fixture, openDriver } from './driver.ts';

let system: TestSystem | undefined;
let driver: Driver | undefined;
afterEach(async () => {
  driver?.close();
  await system?.end();
  system = undefined;
});
const withViewer = async (
  given: Parameters<typeof testSystem>[1] = {},
): Promise<[TestSystem, Driver]> => {
  driver = openDriver('driver', ['viewer']);
  system = await testSystem([actor('viewer', fixture('viewer')), driver.spec], given);
  await driver.heard('up');
  return [system, driver];
};

test('an io adapter sees the system, uses the pool and has a directory of its own', async () => {
  const [s, d] = await withViewer();
  d.run({ do: 'tell', to: 'viewer', message: { kind: 'look' } });
  await s.until(() => s.fact('viewer', 'path') === 'viewer');
  expect(s.facts().viewer).toEqual({
    children: 'viewer driver',
    metrics: 'true',
    pool: '42',
    mode: '700',
    path: 'viewer',
  });
  expect(s.notices().map((n) => n.text)).toContain('pool');
  expect(s.metrics().actors[0]).toMatchObject({ gauges: { level: 3 } });
  expect(s.metrics().actors[0]!.distributions.wait_seconds!.p50).toBeCloseTo(0.2, 1);
});

test('a view stays whole until the io call of its step has ended, and its slab comes back', async () => {
  const [s, d] = await withViewer({ slabs: { count: 2, bytes: 65_536 } });
  const fill = (n: number) => ({
    do: 'tell' as const,
    to: 'viewer',
    message: { kind: 'keep', rows: new Uint8Array(60_000).fill(n) },
  });
  d.run(fill(7));
  // Others would write over it if it were given back too early.
  d.run(fill(1), fill(2), fill(3));
  const kept = (): string[] =>
    s.seen.flatMap((e) =>
      e.kind === 'signal' && e.event.kind === 'fact' && e.event.name === 'kept'
        ? [e.event.value]
        : [],
    );
  await s.until(() => kept().length === 4);
  expect(kept()).toEqual(['true', 'false', 'false', 'false']);
});

test('the control socket answers its owner, and only while the node runs', async () => {
  const [s] = await withViewer({ controlSocket: true });
  expect(statSync(controlPath(s.dataDir)).mode & 0o777).toBe(0o600);
  const client = await connectControl(s.dataDir);
  expect((await client.tree()).children!.map((c) => c.path)).toEqual(['viewer', 'driver']);
  expect(await client.metrics()).toContain('cybermesh_actor_up{actor="driver"} 1');
  expect(await client.status()).toMatchObject({ pid: process.pid, state: 'running' });
  expect(await client.notices()).toEqual([]);
  await s.stop();
  await expect(client.tree()).rejects.toThrow();
  await expect(connectControl(s.dataDir)).rejects.toThrow();
});

test('a socket left by a killed node is replaced; garbage on the socket harms nobody', async () => {
  const first = await withViewer({ controlSocket: true });
  const { dataDir } = first[0];
  await first[0].stop();
  writeFileSync(controlPath(dataDir), '');
  system = await testSystem([actor('viewer', fixture('viewer'))], { controlSocket: true, dataDir });
  const { connect } = await import('node:net');
  const socket = connect(controlPath(dataDir));
  socket.write(Buffer.from([255, 255, 255, 255, 1, 2, 3]));
  await new Promise((done) => socket.once('close', done));
  const odd = connect(controlPath(dataDir));
  odd.write(Buffer.from([3, 0, 0, 0, 9, 9, 9]));
  await new Promise((done) => odd.once('close', done));
  const client = await connectControl(dataDir);
  expect(await client.status()).toMatchObject({ state: 'running' });
  client.close();
});

test('what an actor emitted survives its death', async () => {
  const [s, d] = await withViewer();
  d.run({ do: 'tell', to: 'viewer', message: { kind: 'look' } });
  await s.until(() => s.fact('viewer', 'path') === 'viewer');
  const before = s.metrics().actors[0]!;
  await s.kill('viewer');
  await s.until(() => s.metrics().actors[0]!.restarts === 1);
  expect(s.metrics().actors[0]!.messages).toBe(before.messages);
  expect(s.metrics().actors[0]!.distributions.wait_seconds!.count).toBe(5);
});

test('a thread that runs out of memory is a crash like any other', async () => {
  const [s, d] = await withViewer({ memoryMb: 40 });
  d.run({ do: 'tell', to: 'viewer', message: { kind: 'exhaust' } });
  const crash = await s.until(() => s.seen.find((e) => e.kind === 'crash'), 20_000);
  expect(crash).toMatchObject({
    crash: { path: 'viewer', error: expect.stringContaining('ERR_WORKER_OUT_OF_MEMORY') },
  });
  await s.until(() => s.metrics().actors[0]!.restarts === 1);
}, 30_000);

test('an idle system takes next to no processor time', async () => {
  const [s] = await withViewer();
  await new Promise((done) => setTimeout(done, 300));
  const cpu = (): number => {
    const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]!.split(' ');
    return Number(fields[11]) + Number(fields[12]);
  };
  const before = cpu();
  await new Promise((done) => setTimeout(done, 2000));
  expect(cpu() - before).toBeLessThan(20); // hundredths of a second in two: 10 % of a core, the test's own included
  expect(s.deadLetters().total).toBe(0);
});
