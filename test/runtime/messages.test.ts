import { afterEach, expect, test } from 'vitest';
import { actor, type TestSystem, testSystem } from '#test/kit/system.ts';
import { type Driver, fixture, openDriver } from './driver.ts';

let system: TestSystem | undefined;
let driver: Driver | undefined;
afterEach(async () => {
  driver?.close();
  await system?.end();
  system = undefined;
});

const oneEcho = async (given: Parameters<typeof actor>[2] = {}): Promise<[TestSystem, Driver]> => {
  driver = openDriver();
  system = await testSystem([actor('echo', fixture('echo'), given), driver.spec]);
  await driver.heard('up');
  return [system, driver];
};

test('tells arrive once and in order', async () => {
  const [s, d] = await oneEcho();
  d.run({ do: 'tell', to: '', message: { kind: 'note', text: '' }, times: 5000 });
  await s.until(() => s.fact('echo', 'notes') === '5000 4999');
  expect(s.metrics().actors[0]!.counters.notes).toBe(5000);
  expect(s.metrics().actors[0]!.messages).toBe(5000);
});

test('an ask is answered; a kept replyTo is answered in a later step', async () => {
  const [s, d] = await oneEcho();
  d.run({ do: 'ask', to: '', message: { kind: 'say', text: 'a' }, tag: 'say' });
  expect((await d.heard('say')).result).toEqual({ ok: true, value: { text: 'A' } });
  d.run({ do: 'ask', to: '', message: { kind: 'hold', id: 7 }, tag: 'hold' });
  await s.until(() => s.fact('echo', 'held') === '1');
  d.run({ do: 'tell', to: '', message: { kind: 'release' } });
  expect((await d.heard('hold')).result).toEqual({ ok: true, value: { id: 7 } });
});

test('more than 1,024 questions may be open at once', async () => {
  const [s, d] = await oneEcho();
  const asks = Array.from({ length: 1500 }, (_, id) => ({
    do: 'ask' as const,
    to: '',
    message: { kind: 'hold', id },
    tag: 'hold',
    deadlineMs: 20_000,
  }));
  d.run(...asks);
  await s.until(() => s.fact('echo', 'held') === '1500');
  d.run({ do: 'tell', to: '', message: { kind: 'release' } });
  await d.heard('hold', 1500);
  const ids = d.said.flatMap((x) => {
    const result = x.result as { ok: boolean; value: { id: number } } | undefined;
    return result?.ok ? [result.value.id] : [];
  });
  expect(ids).toEqual(asks.map((a) => a.message.id));
});

test('no more questions are open to one actor than their answers have room for', async () => {
  driver = openDriver();
  // A quarter of the lane, 1,024 words, is kept for answers of 16.
  const lanes = { words: 1 << 12 };
  system = await testSystem([actor('echo', fixture('echo')), driver.spec], { lanes });
  const [s, d] = [system, driver];
  await d.heard('up');
  const ask = (id: number) =>
    ({
      do: 'ask',
      to: '',
      message: { kind: 'hold', id },
      tag: 'hold',
      deadlineMs: 20_000,
    }) as const;
  d.run(...Array.from({ length: 70 }, (_, id) => ask(id)));
  await s.until(() => s.fact('echo', 'held') === '64');
  expect((await d.heard('hold', 6)).result).toEqual({ ok: false, error: 'mailbox-full' });
  d.run({ do: 'tell', to: '', message: { kind: 'release' } });
  await d.heard('hold', 70);
  d.run(ask(70));
  await s.until(() => s.fact('echo', 'held') === '1');
  expect(s.deadLetters().total).toBe(0);
});

test('a question that nobody answers fails with timeout, and a late answer is a stale reply', async () => {
  const [s, d] = await oneEcho();
  d.run({ do: 'ask', to: '', message: { kind: 'hold', id: 1 }, tag: 'late', deadlineMs: 1500 });
  await s.until(() => s.fact('echo', 'held') === '1');
  expect((await d.heard('late')).result).toEqual({ ok: false, error: 'timeout' });
  d.run({ do: 'tell', to: '', message: { kind: 'release' } });
  await s.until(() => s.deadLetters().byReason['stale-reply'] === 1);
});

test('a question that waited beyond its deadline is not handled any more', async () => {
  const [s, d] = await oneEcho();
  d.run(
    { do: 'tell', to: '', message: { kind: 'sleep', ms: 150 } },
    { do: 'ask', to: '', message: { kind: 'hold', id: 1 }, tag: 'x', deadlineMs: 20 },
  );
  expect((await d.heard('x')).result).toEqual({ ok: false, error: 'timeout' });
  await s.until(() => s.deadLetters().byReason.expired === 1);
  expect(s.fact('echo', 'held')).toBeUndefined();
});

test('an address that finds nobody: a told message is a dead letter, a question fails', async () => {
  driver = openDriver('driver', ['', '?']);
  system = await testSystem([actor('echo', fixture('echo')), driver.spec]);
  driver.run(
    { do: 'tell', to: '?', message: { kind: 'release' } },
    { do: 'ask', to: '?', message: { kind: 'say', text: '' }, tag: 'say' },
  );
  expect((await driver.heard('say')).result).toEqual({ ok: false, error: 'no-such-actor' });
  expect(system.deadLetters().byReason['no-such-actor']).toBe(2);
  const warned = system.seen.find((e) => e.kind === 'log' && e.level === 'warn');
  expect(warned).toMatchObject({ text: 'address finds nobody: driver -> nobody' });
});

test('what is sent to an actor that has ended is a dead letter', async () => {
  const [s, d] = await oneEcho({ restart: 'temporary' });
  d.run({ do: 'tell', to: '', message: { kind: 'end' } });
  await s.until(() => s.seen.some((e) => e.kind === 'ended' && e.path === 'echo'));
  d.run(
    { do: 'tell', to: '', message: { kind: 'release' } },
    { do: 'ask', to: '', message: { kind: 'say', text: '' }, tag: 'say' },
  );
  expect((await d.heard('say')).result).toEqual({ ok: false, error: 'no-such-actor' });
  expect(s.deadLetters().byReason['actor-stopped']).toBe(2);
});

test('a full mailbox holds its sender back and loses nothing', async () => {
  const [s, d] = await oneEcho({ mailbox: { depth: 4, onFull: 'backpressure' } });
  d.run(
    { do: 'tell', to: '', message: { kind: 'sleep', ms: 100 } },
    { do: 'tell', to: '', message: { kind: 'note', text: '' }, times: 500 },
  );
  await s.until(() => s.fact('echo', 'notes') === '500 499');
  const echo = s.metrics().actors[0]!;
  expect(echo.depthMax).toBeLessThanOrEqual(4);
  expect(s.deadLetters().total).toBe(0);
});

test('drop-new drops what does not fit, counted by reason', async () => {
  const [s, d] = await oneEcho({ mailbox: { depth: 4, onFull: 'drop-new' } });
  d.run(
    { do: 'tell', to: '', message: { kind: 'sleep', ms: 200 } },
    { do: 'tell', to: '', message: { kind: 'note', text: '' }, times: 500 },
  );
  await s.until(() => s.fact('echo', 'notes') !== undefined);
  await s.until(() => (s.deadLetters().byReason['dropped-new'] ?? 0) > 0);
  const kept = (): number => s.metrics().actors[0]!.counters.notes!;
  // On a busy machine it may be awake again before the last of them is sent.
  await s.until(() => s.deadLetters().byReason['dropped-new'] === 500 - kept());
  expect(kept()).toBeGreaterThan(0);
});

test('fail answers a question with mailbox-full', async () => {
  const [s, d] = await oneEcho({ mailbox: { depth: 2, onFull: 'fail' } });
  const ask = { do: 'ask', to: '', message: { kind: 'say', text: '' }, tag: 'say' } as const;
  d.run({ do: 'tell', to: '', message: { kind: 'sleep', ms: 200 } }, ask, ask, ask);
  expect((await d.heard('say')).result).toEqual({ ok: false, error: 'mailbox-full' });
  await s.until(() => d.said.filter((x) => x.tag === 'say').length === 3);
});

test('timers fire once, are replaced by key and can be cancelled', async () => {
  const [, d] = await oneEcho();
  d.run(
    { do: 'after', ms: 20, tag: 'first', key: 'k' },
    { do: 'after', ms: 40, tag: 'second', key: 'k' },
    { do: 'after', ms: 20, tag: 'never', key: 'c' },
    { do: 'cancel', key: 'c' },
    { do: 'after', ms: 60, tag: 'last' },
  );
  await d.heard('last');
  expect(d.said.map((s) => s.tag)).toEqual(['up', 'second', 'last']);
});

test('blobs up to 16 MiB, lists and shared arrays arrive whole', async () => {
  const [s, d] = await oneEcho();
  for (const size of [0, 1, 32_768, 32_769, 524_288, 524_289, 16 * 1024 * 1024]) {
    const bytes = new Uint8Array(size).fill(3);
    d.run({ do: 'tell', to: '', message: { kind: 'large', bytes } });
    await s.until(() => s.fact('echo', 'large') === `${size} ${size * 3}`);
  }
  for (const size of [0, 1, 4096, 4097, 524_288]) {
    const rows = new Uint8Array(size).fill(5);
    d.run({ do: 'tell', to: '', message: { kind: 'batch', rows } });
    await s.until(() => s.fact('echo', 'batch') === `${size} ${size * 5}`);
  }
  const values = Array.from({ length: 4096 }, (_, k) => k);
  d.run({ do: 'ask', to: '', message: { kind: 'numbers', values }, tag: 'sum' });
  expect((await d.heard('sum')).result).toEqual({ ok: true, value: { sum: (4096 * 4095) / 2 } });
});

test('a message without a place in its layout crashes its sender, naming kind and size', async () => {
  const [s, d] = await oneEcho();
  const bytes = new Uint8Array(16 * 1024 * 1024 + 1);
  d.run({ do: 'tell', to: '', message: { kind: 'large', bytes } });
  const crash = await s.until(() => s.seen.find((e) => e.kind === 'crash'));
  expect(crash).toMatchObject({
    crash: {
      path: 'driver',
      kind: 'orders',
      error: expect.stringContaining('large.bytes: blob of 16777217 bytes'),
    },
  });
  await d.heard('up', 2);
});

test('slabs run short and everything still arrives', async () => {
  driver = openDriver();
  const slabs = { count: 4, bytes: 65_536 };
  system = await testSystem([actor('echo', fixture('echo')), driver.spec], { slabs });
  const rows = new Uint8Array(60_000).fill(1);
  for (let k = 0; k < 10; k++) {
    driver.run(
      ...Array.from({ length: 20 }, () => ({
        do: 'tell' as const,
        to: '',
        message: { kind: 'batch', rows },
      })),
    );
  }
  const s = system;
  await s.until(() => s.metrics().actors[0]!.counters.batches === 200);
  const bytes = new Uint8Array(4 * 65_536).fill(1);
  driver.run({ do: 'tell', to: '', message: { kind: 'large', bytes } });
  await s.until(() => s.fact('echo', 'large') === `${bytes.length} ${bytes.length}`);
});

test.each([1, 2, 3])(
  'with %i slabs a chain that passes views on never stands still',
  async (count) => {
    driver = openDriver('driver', ['relay']);
    const echo = actor('echo', fixture('echo'));
    const relay = actor('relay', fixture('relay'));
    const slabs = { count, bytes: 65_536 };
    system = await testSystem([echo, relay, driver.spec], { slabs });
    const rows = new Uint8Array(60_000).fill(1);
    for (let k = 0; k < 5; k++) {
      driver.run(
        ...Array.from({ length: 20 }, () => ({
          do: 'tell' as const,
          to: 'relay',
          message: { kind: 'batch', rows },
        })),
      );
    }
    const s = system;
    await s.until(() => s.metrics().actors[0]!.counters.batches === 100);
    expect(s.fact('echo', 'batch')).toBe('60000 60000');
    expect(s.deadLetters().total).toBe(0);
  },
);

test('two actors that flood each other are found in a circle, and go on', async () => {
  const flooders = [actor('left', fixture('left')), actor('right', fixture('flooder'))];
  system = await testSystem(flooders, { lanes: { words: 1 << 12 } });
  const s = system;
  const found = await s.until(() => s.seen.find((e) => e.kind === 'deadlock'), 15_000);
  expect(found).toMatchObject({ paths: expect.arrayContaining(['left', 'right']) });
  expect(s.deadLetters().byReason['mailbox-full']).toBeGreaterThan(0);
  const before = s.metrics().actors[1]!.messages;
  await s.until(() => s.metrics().actors[1]!.messages > before);
});

test('a trace goes along with every message of a step, and each message from outside begins one', async () => {
  driver = openDriver('driver', ['', '?']);
  system = await testSystem([actor('echo', fixture('echo')), driver.spec]);
  const s = system;
  const round = [
    { do: 'tell', to: '', message: { kind: 'sleep', ms: 60 } },
    { do: 'ask', to: '', message: { kind: 'hold', id: 1 }, tag: 'x', deadlineMs: 5 },
    { do: 'tell', to: '?', message: { kind: 'release' } },
  ] as const;
  const traces = (path: string): string[] =>
    s.deadLetters().newest.flatMap((l) => (l.path === path ? [l.trace] : []));
  driver.run(...round);
  await s.until(() => traces('echo').length === 1);
  driver.run(...round);
  await s.until(() => traces('echo').length === 2);
  expect(traces('echo')).toEqual(traces('driver'));
  expect(new Set(traces('echo')).size).toBe(2);
  expect(traces('echo')[0]).toMatch(/^[0-9a-f]{32}$/);
});

test('an asker that has ended for good gave its questions up: their answers are counted, and no dead letters', async () => {
  const asker = openDriver('asker');
  driver = openDriver();
  const echo = actor('echo', fixture('echo'));
  system = await testSystem([echo, asker.spec, driver.spec]);
  const s = system;
  asker.run({ do: 'ask', to: '', message: { kind: 'hold', id: 1 }, tag: 'x', deadlineMs: 9000 });
  await s.until(() => s.fact('echo', 'held') === '1');
  asker.run({ do: 'stop', reason: 'halt' });
  await s.until(() => s.seen.some((e) => e.kind === 'ended'));
  asker.close();
  driver.run({ do: 'tell', to: '', message: { kind: 'release' } });
  await s.until(() => s.metrics().actors[0]!.counters.answers_unclaimed === 1);
  expect(s.deadLetters().total).toBe(0);
});
