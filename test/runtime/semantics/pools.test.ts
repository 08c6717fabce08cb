import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { str, u32 } from '#runtime/actor.ts';
import { hashOf, nextInTurn, rendezvous, routingFault } from '#runtime/mailbox/router.ts';
import { type PoolShape, poolOf } from '#runtime/pool-spec.ts';
import { supervisorOf } from '#runtime/system/supervision.ts';
import { decide, type History, NO_HISTORY } from '#supervisors/decide.ts';
import { supervisor } from '#test/kit/system.ts';
import { puppet, type Step, type Theatre, theatre } from './puppets.ts';

let stage: Theatre | undefined;
afterEach(async () => {
  await stage?.end();
  stage = undefined;
});

const tells: Step = ({ say, message }) => say('note', [message.n, message.key]);
const withPool = async (shape: PoolShape): Promise<Theatre> => {
  stage = await theatre([
    poolOf(
      puppet('worker', {
        on: {
          note: tells,
          query: ({ fx, message, say }) => {
            say('query', message.n);
            fx.reply(message.replyTo as never, { n: message.n, by: '' } as never);
          },
        },
      }),
      shape,
    ),
    puppet('sender', { sends: ['worker', 'worker-2/worker'] }),
  ]);
  return stage;
};
const perMember = (theatre_: Theatre): { [member: string]: number[] } => {
  const by: { [member: string]: number[] } = {};
  for (const { from, data } of theatre_.heard('note')) {
    by[from] = [...(by[from] ?? []), (data as [number, string])[0]];
  }
  return by;
};

test('a significant pool has ended when all of its members have, and then its own supervisor shuts down', () => {
  const like = puppet('worker', { restart: 'transient', significant: true });
  const others = { ...puppet('other'), restart: 'permanent' } as const;
  const pool = poolOf(like, { size: 2, route: 'round-robin' });
  const tree = supervisorOf(supervisor('root', [pool, others]));
  const ends = (path: string, history: History) =>
    decide(tree, history, { paths: [path], reason: 'normal', atMs: 0 }, { seed: 1 });
  const first = ends('worker.worker-1', NO_HISTORY);
  expect(first).toMatchObject({ stop: [], start: [], system: 'goes on' });
  const last = ends('worker.worker-2', first.history);
  expect(last).toMatchObject({ stop: ['other'], start: [], system: 'shutdown' });
});

test('round-robin: each member in turn, each sender for itself, and one member by its name', async () => {
  const { run, wait, system } = await withPool({ size: 3, route: 'round-robin' });
  run('sender', ({ fx, to }) => {
    for (let n = 0; n < 9; n++) fx.tell(to('worker'), { kind: 'note', n, key: '' });
    fx.tell(to('worker-2/worker'), { kind: 'note', n: 9, key: '' });
  });
  await wait('note', 10);
  expect(perMember(stage!)).toEqual({
    'worker-1': [0, 3, 6],
    'worker-2': [1, 4, 7, 9],
    'worker-3': [2, 5, 8],
  });
  const paths = system.metrics().actors.map((a) => a.path);
  expect(paths).toEqual(['worker.worker-1', 'worker.worker-2', 'worker.worker-3', 'sender']);
  expect(new Set(system.metrics().actors.map((a) => a.thread)).size).toBe(4);
});

test('members may share threads', async () => {
  const { system } = await withPool({ size: 4, threads: 2, route: 'round-robin' });
  const threads = system
    .metrics()
    .actors.slice(0, 4)
    .map((a) => a.thread);
  expect(threads).toEqual([threads[0], threads[1], threads[0], threads[1]]);
  expect(new Set(threads).size).toBe(2);
});

test('consistent-hash: one key always meets the same member, whoever sends; others go on when one has ended', async () => {
  const workers = puppet('worker', { restart: 'temporary', on: { note: tells } });
  stage = await theatre([
    poolOf(workers, { size: 4, route: 'consistent-hash', by: 'key' }),
    puppet('a', { sends: ['worker'] }),
    puppet('b', { sends: ['worker'] }),
  ]);
  const { run, wait, system, heard } = stage;
  const keys = 40;
  const tellAll: Step = ({ fx, to }) => {
    for (let n = 0; n < 40; n++) fx.tell(to('worker'), { kind: 'note', n, key: `k${n}` });
  };
  run('a', tellAll);
  run('b', tellAll);
  await wait('note', 2 * keys);
  const homes = new Map<string, Set<string>>();
  for (const { from, data } of heard('note')) {
    const key = (data as [number, string])[1];
    homes.set(key, (homes.get(key) ?? new Set()).add(from));
  }
  expect([...homes.values()].every((members) => members.size === 1)).toBe(true);
  const home = (key: string): string => [...homes.get(key)!][0]!;
  expect(new Set([...homes.keys()].map(home)).size).toBe(4);
  await system.kill('worker.worker-2');
  await stage.until(() => system.seen.some((e) => e.kind === 'ended'));
  run('a', tellAll);
  await wait('note', 3 * keys);
  for (const { from, data } of heard('note').slice(2 * keys)) {
    const before = home((data as [number, string])[1]);
    if (before === 'worker-2') expect(from).not.toBe('worker-2');
    else expect(from).toBe(before);
  }
});

test('broadcast: a message reaches every member; of their answers the first counts', async () => {
  const { run, wait, heard, system } = await withPool({ size: 3, route: 'broadcast' });
  run('sender', ({ fx, to }) => {
    for (let n = 0; n < 3; n++) fx.tell(to('worker'), { kind: 'note', n, key: '' });
    fx.ask(to('worker'), { kind: 'query', n: 7, key: '' }, { kind: 'answered' } as never, 9000);
  });
  await wait('note', 9);
  expect(perMember(stage!)).toEqual({
    'worker-1': [0, 1, 2],
    'worker-2': [0, 1, 2],
    'worker-3': [0, 1, 2],
  });
  await wait('query', 3);
  await wait('answered');
  run('sender', ({ say }) => say('done'));
  await wait('done');
  expect(heard('answered')).toHaveLength(1);
  expect(heard('answered')[0]!.data).toMatchObject({ result: { ok: true, value: { n: 7 } } });
  expect(system.deadLetters().total).toBe(0);
});

test('a pool whose members have all ended: watchers learn it with the last, messages are dead letters', async () => {
  stage = await theatre([
    poolOf(puppet('worker', { restart: 'temporary' }), { size: 2, route: 'round-robin' }),
    puppet('sender', { sends: ['worker'] }),
  ]);
  const { run, wait, heard, system } = stage;
  run('sender', ({ fx, to, say }) => {
    fx.watch(to('worker'), { kind: 'over' } as never);
    say('watching');
  });
  await wait('watching');
  const ended = () => system.seen.filter((e) => e.kind === 'ended').length;
  await system.kill('worker.worker-1');
  await stage.until(() => ended() === 1);
  run('sender', ({ fx, to }) => {
    for (let n = 0; n < 2; n++) fx.tell(to('worker'), { kind: 'note', n, key: '' });
  });
  await wait('note', 2, 'worker-2');
  expect(heard('over')).toEqual([]);
  await system.kill('worker.worker-2');
  await wait('over');
  run('sender', ({ fx, to }) => {
    fx.tell(to('worker'), { kind: 'note', n: 0, key: '' });
    fx.ask(to('worker'), { kind: 'query', n: 0, key: '' }, { kind: 'answered' } as never);
  });
  expect((await wait('answered')).data).toMatchObject({ result: { error: 'no-such-actor' } });
  expect(system.deadLetters().byReason['actor-stopped']).toBe(2);
});

test('a pool that hashes by a field which some message lacks is refused at the start, by name', async () => {
  const pool = poolOf(puppet('worker'), { size: 2, route: 'consistent-hash', by: 'flow' });
  await expect(theatre([pool])).rejects.toThrow(/pool worker: its message note has no field flow/);
  const declaration = { a: { key: str, n: u32 } };
  expect(routingFault({ route: 'consistent-hash', by: 'key' }, declaration)).toBeUndefined();
  expect(routingFault({ route: 'consistent-hash' }, declaration)).toMatch(/needs `by`/);
});

const keys = fc.uniqueArray(fc.oneof(fc.string(), fc.integer(), fc.uint8Array()), { minLength: 1 });
const everybody = (): boolean => true;

test('rendezvous: a member more takes its keys from all and moves no other; one less gives only its own away', () => {
  fc.assert(
    fc.property(keys, fc.integer({ min: 1, max: 63 }), (all, size) => {
      for (const key of all) {
        const before = rendezvous(hashOf(key), size, everybody);
        const after = rendezvous(hashOf(key), size + 1, everybody);
        expect(after === before || after === size).toBe(true);
        const without = rendezvous(hashOf(key), size + 1, (member) => member !== after);
        expect(without).not.toBe(after);
        for (let gone = 0; gone <= size; gone++) {
          if (gone === after) continue;
          expect(rendezvous(hashOf(key), size + 1, (member) => member !== gone)).toBe(after);
        }
      }
    }),
    { numRuns: 50 },
  );
});

test('rendezvous: keys spread evenly, and a member more takes its share', () => {
  for (const size of [2, 3, 8, 16]) {
    const counts = new Array<number>(size).fill(0);
    let moved = 0;
    const n = 20_000;
    for (let k = 0; k < n; k++) {
      const hash = hashOf(`10.0.${k >> 8}.${k & 255}:${k}`);
      const at = rendezvous(hash, size, everybody);
      counts[at]!++;
      if (rendezvous(hash, size + 1, everybody) !== at) moved++;
    }
    for (const count of counts) expect(Math.abs(count / (n / size) - 1)).toBeLessThan(0.1);
    expect(Math.abs(moved / (n / (size + 1)) - 1)).toBeLessThan(0.15);
  }
});

test('in turn: every usable member once a round, whichever are not', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }), (usable) => {
      const alive = usable.flatMap((is, k) => (is ? k : []));
      let last = -1;
      const round = alive.map(() => {
        last = nextInTurn(last, usable.length, (k) => usable[k]!);
        return last;
      });
      expect(round).toEqual(alive);
      if (alive.length === 0) expect(nextInTurn(0, usable.length, (k) => usable[k]!)).toBe(-1);
    }),
  );
});
