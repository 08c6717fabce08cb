import { afterEach, expect, test } from 'vitest';
import type { Shown, TapWish } from '#runtime/trace/sightings.ts';
import { actor, type TestSystem, testSystem, until } from '#test/kit/system.ts';
import { type Driver, fixture, openDriver } from '../driver.ts';

let system: TestSystem;
let driver: Driver;
afterEach(async () => {
  driver.close();
  await system.end();
});

const start = async (): Promise<void> => {
  driver = openDriver();
  system = await testSystem([actor('echo', fixture('echo')), driver.spec]);
  await driver.heard('up');
};

const tap = async (wish: Partial<TapWish> = {}) => {
  const id = await system.inside.openTap({ perSecondMax: 1000, ...wish });
  const lines: Shown[] = [];
  let leftOut = 0;
  const read = async (): Promise<void> => {
    const reading = await system.inside.readTap(id);
    lines.push(...reading.lines);
    leftOut = reading.leftOut;
  };
  return { id, lines, read, leftOut: () => leftOut };
};

/** Asks until the threads have heard of the live trace. */
const settled = (live: Awaited<ReturnType<typeof tap>>): Promise<boolean> =>
  until(async () => {
    driver.run({ do: 'ask', to: '', message: { kind: 'say', text: 'hello' }, tag: 'said' });
    await live.read();
    return live.lines.length > 0;
  }, 10_000);

test('messages are shown as they are handled: from, to, kind, time and content, secrets masked', async () => {
  await start();
  const live = await tap({ kinds: ['say'] });
  await settled(live);
  const [line] = live.lines as [Shown];
  expect(line).toMatchObject({ from: 'driver', to: 'echo', kind: 'say', cause: 'message' });
  expect(line.text).toContain("text: 'hello'");
  expect(line.trace).toMatch(/^[0-9a-f]{32}$/);
  expect(line.handledMs).toBeGreaterThan(0);
  expect(Math.abs(line.atMs - Date.now())).toBeLessThan(60_000);
  expect(new Set(live.lines.map(({ kind }) => kind))).toEqual(new Set(['say']));
});

test('filters: actor on either side, from, to, kind, trace; a name that nobody has is refused', async () => {
  await start();
  const [from, to, either] = [
    await tap({ from: 'driver' }),
    await tap({ to: 'driver' }),
    await tap({ actor: 'echo' }),
  ];
  for (const live of [from, to, either]) await settled(live);
  await until(async () => {
    await Promise.all([from.read(), to.read(), either.read()]);
    return either.lines.some(({ kind }) => kind === 'came');
  }, 10_000);
  expect(from.lines.every((line) => line.from === 'driver')).toBe(true);
  expect(to.lines.every((line) => line.to === 'driver')).toBe(true);
  expect(either.lines.map(({ kind }) => kind)).not.toContain('orders');
  const one = await tap({ trace: from.lines[0]!.trace });
  driver.run({ do: 'ask', to: '', message: { kind: 'say', text: 'x' }, tag: 'last' });
  await driver.heard('last');
  await one.read();
  expect(one.lines).toEqual([]);
  await expect(tap({ actor: 'ehco' })).rejects.toThrow('no actor ehco; did you mean echo?');
});

test('under a flood no more than the rate is shown, and what is left out is counted', async () => {
  await start();
  const live = await tap({ kinds: ['note'], perSecondMax: 5 });
  await until(async () => {
    driver.run({ do: 'tell', to: '', message: { kind: 'note' }, times: 200 });
    await live.read();
    return live.leftOut() > 0;
  }, 10_000);
  const beganMs = Math.min(...live.lines.map(({ atMs }) => atMs));
  for (let k = 0; k < 20; k++) {
    driver.run({ do: 'tell', to: '', message: { kind: 'note' }, times: 500 });
  }
  const sent = live.leftOut() + live.lines.length;
  await until(async () => {
    await live.read();
    return live.leftOut() + live.lines.length >= sent + 10_000;
  }, 20_000);
  const seconds = (Math.max(...live.lines.map(({ atMs }) => atMs)) - beganMs) / 1000;
  expect(live.lines.length).toBeLessThanOrEqual(5 * (Math.ceil(seconds) + 1));
});

test('at most eight are open; one that is closed feeds nobody, and reading it says so', async () => {
  await start();
  const open = [];
  for (let k = 0; k < 8; k++) open.push(await tap());
  await expect(tap()).rejects.toThrow('8 live traces are open already');
  await system.inside.closeTap(open[0]!.id);
  await expect(open[0]!.read()).rejects.toThrow('this live trace has ended');
  await tap();
});

test('a live trace goes on through the restart of an actor', async () => {
  await start();
  const live = await tap({ kinds: ['say'] });
  await settled(live);
  await system.kill('echo');
  await system.until(() => system.seen.some((event) => event.kind === 'restarted'), 20_000);
  live.lines.length = 0;
  await settled(live);
});
