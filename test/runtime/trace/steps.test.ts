import { afterEach, expect, test } from 'vitest';
import type { SystemSpec } from '#runtime/spec.ts';
import type { Span } from '#runtime/trace/sightings.ts';
import { actor, type TestSystem, testSystem, until } from '#test/kit/system.ts';
import { type Driver, fixture, openDriver } from '../driver.ts';

let system: TestSystem;
let driver: Driver;
afterEach(async () => {
  driver.close();
  await system.end();
});

const RECORDED = { trace: { carried: true, ratio: 1 } } as const;

const start = async (given: Partial<SystemSpec>): Promise<void> => {
  driver = openDriver('driver', ['', 'worker']);
  const worker = actor('worker', new URL('./fixtures/worker.ts', import.meta.url));
  system = await testSystem([actor('echo', fixture('echo')), worker, driver.spec], given);
  await driver.heard('up');
};

/** All spans of the trace that has one that `is`, once it has `count` of them. */
const traceOf = (is: (span: Span) => boolean, count: number): Promise<readonly Span[]> =>
  until(async () => {
    const all = await system.inside.spansOf('');
    const trace = all.find(is)?.trace;
    const own = all.filter((span) => span.trace === trace);
    return own.length >= count && own;
  });

/** Everything that echo was told. */
const notes = (): string[] =>
  system.seen.flatMap((event) =>
    event.kind === 'signal' && event.event.kind === 'fact' ? [event.event.value] : [],
  );

const line = ({ actor: who, kind, cause }: Span): string => `${who} ${kind} ${cause}`;
const chainOf = (spans: readonly Span[]): string[] => {
  const chain: string[] = [];
  let at = spans.find(({ parent }) => parent === '');
  while (at !== undefined) {
    chain.push(line(at));
    const { span } = at;
    at = spans.find(({ parent }) => parent === span);
  }
  return chain;
};

test('a question, its answer and what follows are one trace, each step caused by the one before', async () => {
  await start(RECORDED);
  driver.run({ do: 'ask', to: '', message: { kind: 'say', text: 'x' }, tag: 'said' });
  const spans = await traceOf(({ kind }) => kind === 'say', 3);
  expect(chainOf(spans)).toEqual(['driver orders io', 'echo say message', 'driver came answer']);
  const [first, second] = spans as [Span, Span];
  expect(second.from).toBe('driver');
  expect(second.startMs).toBeGreaterThanOrEqual(first.startMs);
  expect(Math.abs(first.startMs - Date.now())).toBeLessThan(60_000);
});

test('what io delivers while a command is under way belongs to the trace of its step, later things do not', async () => {
  await start(RECORDED);
  driver.run({ do: 'tell', to: 'worker', message: { kind: 'work', text: 'x' } });
  const spans = await traceOf(({ kind }) => kind === 'worked', 4);
  expect(chainOf(spans)).toEqual([
    'driver orders io',
    'worker work message',
    'worker worked io',
    'echo note message',
  ]);
  const [{ trace, span }] = spans.filter(({ kind }) => kind === 'work') as [Span];
  // The header that leaves the process names the step that gave the command.
  const told = await system.until(() => notes().find((text) => text.includes(trace)));
  expect(told).toContain(`00-${trace}-${span}-01`);
  const strayed = await traceOf(({ kind }) => kind === 'strayed', 2);
  expect(strayed[0]).toMatchObject({ kind: 'strayed', parent: '' });
  expect(strayed[0]!.trace).not.toBe(trace);
});

test('what is said under the header of a record belongs to its trace; under none, to a new one; then to the own again', async () => {
  await start(RECORDED);
  const id = 'b'.repeat(32);
  const headers = `00-${id}-${'c'.repeat(16)}-01 -`;
  driver.run({ do: 'tell', to: 'worker', message: { kind: 'records', headers } });
  const foreign = await traceOf(({ trace }) => trace === id, 2);
  expect(foreign.map(line)).toEqual(['worker records record', 'echo note message']);
  expect(foreign[0]!.parent).toBe('c'.repeat(16));
  expect(foreign[1]!.parent).toBe(foreign[0]!.span);
  const own = await traceOf(({ kind, cause }) => kind === 'orders' && cause === 'io', 3);
  expect(chainOf(own)).toEqual(['driver orders io', 'worker records message', 'echo note message']);
  const [fresh] = (await system.inside.spansOf('')).filter(
    ({ cause, trace }) => cause === 'record' && trace !== id,
  );
  expect(fresh).toMatchObject({ parent: '', kind: 'records' });
});

test('a timer that is set anew in its own step begins a new trace, one that a message sets goes on', async () => {
  await start(RECORDED);
  driver.run({ do: 'tell', to: 'worker', message: { kind: 'ticks' } });
  const spans = await traceOf(({ kind }) => kind === 'ticks', 4);
  expect(chainOf(spans)).toEqual([
    'driver orders io',
    'worker ticks message',
    'worker tick timer',
    'echo note message',
  ]);
  const { trace } = spans[0]!;
  const again = await traceOf((span) => span.kind === 'tick' && span.trace !== trace, 2);
  expect(chainOf(again)).toEqual(['worker tick timer', 'echo note message']);
});

test('nothing is recorded unless it is switched on; then for a time, and a share', async () => {
  await start({});
  const ask = (tag: string): void =>
    driver.run({ do: 'ask', to: '', message: { kind: 'say', text: tag }, tag });
  ask('one');
  await driver.heard('one');
  expect(await system.inside.spansOf('')).toEqual([]);
  expect(system.metricsText()).toContain('cybermesh_trace_spans_total{thread="0"} 0');
  await system.inside.record(1, 60_000);
  expect(await system.inside.recording()).toBe(1);
  ask('two');
  await traceOf(({ kind }) => kind === 'say', 3);
  await system.inside.record(1, 50);
  await system.until(async () => (await system.inside.recording()) === 0);
  const before = (await system.inside.spansOf('')).length;
  ask('three');
  await driver.heard('three');
  expect(await system.inside.spansOf('')).toHaveLength(before);
  await expect(system.inside.record(2, 100)).rejects.toThrow('a share is 0 to 1');
});

test('of a share of all traces each is recorded whole or not at all', async () => {
  await start({ trace: { carried: true, ratio: 0.5 } });
  for (let k = 0; k < 40; k++) {
    driver.run({ do: 'ask', to: '', message: { kind: 'say', text: `${k}` }, tag: 'said' });
  }
  await driver.heard('said', 40);
  const says = (await system.inside.spansOf('')).filter(({ kind }) => kind === 'say');
  expect(says.length).toBeGreaterThan(0);
  expect(says.length).toBeLessThan(40);
  for (const say of says) {
    expect(
      chainOf(await traceOf((span) => span === say || span.span === say.span, 3)),
    ).toHaveLength(3);
  }
});

test('without context no trace is carried, and none can be recorded', async () => {
  await start({ trace: { carried: false, ratio: 1 } });
  driver.run({ do: 'ask', to: '', message: { kind: 'say', text: 'x' }, tag: 'said' });
  await driver.heard('said');
  expect(await system.inside.spansOf('')).toEqual([]);
  await expect(system.inside.record(1, 100)).rejects.toThrow('node.trace.carried is false');
});

test('recorded traces are listed with their first step, those with the most actors first', async () => {
  await start(RECORDED);
  driver.run({ do: 'tell', to: 'worker', message: { kind: 'work', text: 'x' } });
  const [{ trace }] = (await traceOf(({ kind }) => kind === 'worked', 4)) as [Span];
  const [first] = await system.inside.traces(5);
  expect(first).toMatchObject({ trace, actors: 3, spans: 4, actor: 'driver', kind: 'orders' });
});
