import { afterEach, expect, test } from 'vitest';
import type { Ticket } from '#runtime/mailbox/own-messages.ts';
import { Timers } from '#runtime/mailbox/timers.ts';
import { until } from '#test/kit/system.ts';
import { puppet, type Theatre, theatre } from './puppets.ts';

let stage: Theatre | undefined;
afterEach(async () => {
  await stage?.end();
  stage = undefined;
});

test('a periodic timer waits its period after each handling: a slow actor gets no pile of them', async () => {
  stage = await theatre([
    puppet('a', {
      on: {
        tick: ({ state, busy, say }) => {
          const beganMs = performance.now();
          busy(30);
          say('tick', [beganMs, performance.now()]);
          state.ticks = Number(state.ticks ?? 0) + 1;
        },
      },
    }),
  ]);
  const { run, wait, heard } = stage;
  run('a', ({ fx }) => fx.every(10, { kind: 'tick' }, 'beat'));
  await wait('tick', 8);
  const times = heard('tick').map((one) => one.data as readonly [number, number]);
  const pausesMs = times.slice(1).map(([beganMs], k) => beganMs - times[k]![1]);
  for (const pauseMs of pausesMs) expect(pauseMs).toBeGreaterThan(8);
});

test('a periodic timer ends by its key, from its own step, too', async () => {
  stage = await theatre([
    puppet('a', {
      on: {
        tick: ({ fx, state, say }) => {
          state.ticks = Number(state.ticks ?? 0) + 1;
          say('tick', state.ticks);
          if (state.ticks === 3) fx.cancel('beat');
        },
      },
    }),
  ]);
  const { run, wait, heard } = stage;
  run('a', ({ fx }) => {
    fx.every(5, { kind: 'tick' }, 'beat');
    fx.every(5, { kind: 'slow' }, 'other');
    fx.every(100, { kind: 'slow' }, 'other'); // replaces the one before
  });
  await wait('tick', 3);
  await wait('slow', 2);
  expect(heard('tick').map((one) => one.data)).toEqual([1, 2, 3]);
});

test('fired and not handled: cancel and clear withdraw it', async () => {
  const line: Ticket[] = [];
  const timers = new Timers(() => {});
  timers.after(1, 'a', (ticket) => line.push(ticket));
  timers.every(1, 'b', (ticket) => line.push(ticket));
  timers.after(1, undefined, (ticket) => line.push(ticket));
  await until(() => line.length === 3);
  expect(timers.pending).toBe(3);
  timers.cancel('a');
  expect(line.map((ticket) => ticket.withdrawn)).toEqual([true, false, false]);
  timers.clear();
  expect(line.every((ticket) => ticket.withdrawn)).toBe(true);
  line[1]!.handled?.(); // the last one of a period that has ended begins no new one
  expect(timers.pending).toBe(0);
  await new Promise((done) => setTimeout(done, 20));
  expect(line).toHaveLength(3);
});

test('timers end with their actor', async () => {
  stage = await theatre([puppet('a'), puppet('b')]);
  const { run, wait, system } = stage;
  run('a', ({ fx }) => {
    fx.every(5, { kind: 'tick' }, 'beat');
    fx.after(50, { kind: 'late' });
  });
  await wait('tick', 2);
  await system.kill('a');
  await wait('up', 2, 'a');
  const before = stage.heard('tick').length;
  run('b', ({ fx }) => fx.after(100, { kind: 'waited' }));
  await wait('waited');
  expect(stage.heard('tick').length).toBe(before);
  expect(stage.heard('late')).toEqual([]);
});
