/** What is told of a crash is made later than the crash, and is about the moment of it all the same. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { createArena, SlabPool } from '#native/lanes/slab.ts';
import { openWakers, wakersBytes } from '#native/lanes/wakers.ts';
import { address, delivery, u32 } from '#runtime/actor.ts';
import { crashFolder } from '#runtime/flight/crash-files.ts';
import { FlightRecorder } from '#runtime/flight/recorder.ts';
import { parseReport } from '#runtime/flight/replay.ts';
import { replayEffects } from '#runtime/flight/replay-effects.ts';
import type { CrashReport } from '#runtime/flight/report.ts';
import type { Mailbox } from '#runtime/mailbox/mailbox.ts';
import { type Fall, type Host, hostOf } from '#runtime/thread/host.ts';
import type { Shell } from '#runtime/thread/shell.ts';
import { puppet, type Step, type Theatre, theatre } from '../semantics/puppets.ts';
import fragile from './fixtures/fragile.ts';

let stage: Theatre | undefined;
afterEach(async () => {
  await stage?.end();
  stage = undefined;
});

const falls: Step = ({ message }) => {
  if (message.n === 13) throw new Error('told to fall');
};
const tells = (...numbers: number[]): Step =>
  new Function(
    'h',
    `for (const n of [${numbers}]) h.fx.tell(h.to('mortal'), { kind: 'note', n, key: '' })`,
  ) as Step;

const reports = (theatre_: Theatre): readonly CrashReport[] => {
  const folder = crashFolder(theatre_.system.dataDir);
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => parseReport(readFileSync(path.join(folder, name), 'utf8')));
};
const written = (theatre_: Theatre, count: number): Promise<boolean> =>
  theatre_.until(
    () =>
      theatre_.system.seen.filter((e) => e.kind === 'log' && e.text.startsWith('crash report: '))
        .length >= count,
  );

test('an actor that goes on in its thread leaves a report of each of its crashes', async () => {
  stage = await theatre([
    puppet('mortal', { on: { note: falls } }),
    puppet('client', { sends: ['mortal'] }),
  ]);
  stage.run('client', tells(1, 2, 13, 3));
  await written(stage, 2);
  const [first, second] = reports(stage) as [CrashReport, CrashReport];
  expect(first).toMatchObject({ kind: 'note', dump: { incarnation: 0, message: { n: 13 } } });
  expect(first.dump!.messages.map(({ kind }) => kind)).toEqual(['start', 'note', 'note']);
  // It is tried once more; then it is poison.
  expect(second).toMatchObject({ kind: 'note', dump: { incarnation: 1, message: { n: 13 } } });
  expect(second.dump!.messages.map(({ kind }) => kind)).toEqual(['start']);
  await stage.until(() => stage!.system.deadLetters().byReason.poison === 1);
});

test('of an actor that has slept the report begins where it woke up', async () => {
  stage = await theatre([
    puppet('mortal', { passivateMs: 100, on: { note: falls } }),
    puppet('client', { sends: ['mortal'] }),
  ]);
  const { run, until } = stage;
  run('client', tells(1, 2));
  // It may have slept before them, too.
  await until(() => {
    const { messages, gauges } = stage!.system.metrics().actors[0]!;
    return messages === 2 && gauges.passive === 1;
  });
  expect(await stage.system.inside.inspect('mortal')).toMatchObject({ asleep: true });
  run('client', tells(13));
  await written(stage, 1);
  const [first] = reports(stage);
  expect(first!.dump).toMatchObject({ stateIs: 'before', message: { n: 13 } });
  expect(first!.dump!.messages.map(({ kind }) => kind)).toEqual(['start']);
});

test('a full disk is no crash to be reported: the report would need room, too', async () => {
  const full: Step = () => {
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  };
  stage = await theatre([
    puppet('mortal', { on: { note: full } }),
    puppet('other', { on: { note: falls } }),
    puppet('client', { sends: ['mortal', 'other'] }),
  ]);
  const { system, until } = stage;
  stage.run('client', tells(1));
  const fulls = () =>
    system.seen.filter((e) => e.kind === 'crash' && e.crash.reason === 'no-room').length;
  await until(() => fulls() >= 2);
  stage.run('client', ({ fx, to }) => fx.tell(to('other'), { kind: 'note', n: 13, key: '' }));
  await written(stage, 1);
  expect(new Set(reports(stage).map((one) => one.path))).toEqual(new Set(['other']));
});

test('what has no place in a delivery throws in the replay as it did', () => {
  const store = address('store', { order: delivery({ n: u32 }) });
  const { fx, take } = replayEffects(fragile);
  const deliver = fx.deliver as (...given: unknown[]) => void;
  deliver(store, { kind: 'order', n: 1 }, 1, { kind: 'done' });
  expect(take()).toMatchObject([{ effect: 'deliver', to: 'store', n: 1 }]);
  expect(() => deliver(store, { kind: 'order', n: -1 }, 2, { kind: 'done' })).toThrow('order.n');
});

test('bytes that the message in hand only looked at are in the report as they were', () => {
  const wakers = openWakers(new SharedArrayBuffer(wakersBytes(1)));
  const arena = createArena(1, 4096, 1);
  const pool = new SlabPool(arena, 0, wakers);
  const bytes = new Uint8Array(arena.memory, 0, 4).fill(7);
  const flight = new FlightRecorder(fragile, {}, 8);
  const message = { kind: 'keep', bytes };
  flight.keep(message, undefined, 0, true);
  const out = { incarnation: 0, traceId: () => '' };
  const who = { index: 0, path: 'fragile', actor: fragile, module: '', config: {}, kind: 'keep' };
  const mailbox = { ...who, out, flight, state: {}, atMs: 0, closed: false } as unknown as Mailbox;
  let fall: Fall | undefined;
  const given = { places: [], seed: [1, 2, 3, 4], openAsks: new SharedArrayBuffer(4) } as const;
  const machine = { pool, flightMessages: 8 } as unknown as Parameters<typeof hostOf>[1];
  const host: Host = hostOf(() => ({ stopped: false }) as Shell, machine, given, {
    post: () => {},
    fallen: (_mailbox, told) => {
      fall = told;
    },
  });
  pool.viewed.push(0);
  host.crash(mailbox, 'keep', new Error('fell'));
  bytes.fill(9); // somebody else's by now
  const base64 = Buffer.alloc(4, 7).toString('base64');
  expect(fall!.dump()).toMatchObject({ message: { bytes: { $: 'bytes', base64 } } });
});
