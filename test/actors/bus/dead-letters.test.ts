import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { config } from '#actors/bus/config.ts';
import { EMBEDDED_FILE, openDriver } from '#actors/bus/drivers.ts';
import { lagGauges } from '#actors/bus/lag.ts';
import { DLQ_HEADERS, TOPICS } from '#proto/wire/topics.ts';
import type { Bus } from '#runtime/bus/driver.ts';
import { main } from '#runtime/cli/dispatch.ts';
import { takeLock } from '#runtime/cli/lock.ts';
import { ROOT, temporaryFolder } from '#test/kit/processes.ts';

const folder = temporaryFolder();
const topology = path.join(ROOT, 'config/local.yaml');
afterAll(folder.remove);

const open = (): Promise<Bus> => {
  mkdirSync(path.join(folder.path, 'bus'), { recursive: true });
  return openDriver(
    config.parse({}),
    {
      file: path.join(folder.path, 'bus', EMBEDDED_FILE),
      now: () => 1_700_000_000_000,
      say: (_, text) => {
        throw new Error(text);
      },
      appended: () => undefined,
      lag: () => undefined,
    },
    {},
  );
};

const letter = (code: string, offset: number, text: string) => ({
  topic: TOPICS.dlq,
  key: '192.0.2.7',
  value: new TextEncoder().encode(text),
  headers: {
    [DLQ_HEADERS.code]: code,
    [DLQ_HEADERS.detail]: 'why',
    [DLQ_HEADERS.topic]: TOPICS.anomalies,
    [DLQ_HEADERS.partition]: '2',
    [DLQ_HEADERS.offset]: String(offset),
    traceparent: '00-1-2-01',
  },
});

/** Runs a command; what it wrote and its exit code. */
const dlq = async (...args: string[]) => {
  const out: string[] = [];
  const err: string[] = [];
  const streams = {
    out: { write: (text: string) => out.push(text) > 0 },
    err: { write: (text: string) => err.push(text) > 0 },
  };
  const [action, ...rest] = args;
  const argv = ['dlq', action!, topology, ...rest, '--set', `node.dataDir=${folder.path}`];
  const code = await main(argv, streams as unknown as Parameters<typeof main>[1]);
  return { code, out: out.join(''), err: err.join('') };
};
const lettersOf = (out: string) =>
  (JSON.parse(out) as { letters: Record<string, unknown>[] }).letters;

beforeAll(async () => {
  expect((await dlq('list')).err).toMatch(/there is no bus yet at/);
  const bus = await open();
  const [one, two, three] = [
    letter('timestamp', 5, 'late'),
    letter('malformed', 6, '??'),
    letter('timestamp', 7, 'later'),
  ];
  await bus.publish([one, two, three]);
  await bus.close();
});

test('dead letters are listed with code, origin and reason, all or those of a code', async () => {
  const all = await dlq('list', '-o', 'json');
  expect(all.code).toBe(0);
  expect(lettersOf(all.out)).toMatchObject([
    {
      code: 'timestamp',
      topic: TOPICS.anomalies,
      partition: 2,
      offset: 5,
      key: '192.0.2.7',
      bytes: 4,
    },
    { code: 'malformed', detail: 'why' },
    { code: 'timestamp', offset: 7 },
  ]);
  expect(lettersOf((await dlq('list', '--code', 'malformed', '-o', 'json')).out)).toHaveLength(1);
  expect(lettersOf((await dlq('list', '--max', '1', '-o', 'json')).out)).toMatchObject([
    { offset: 7 },
  ]);
  expect((await dlq('list')).out).toMatch(/timestamp +ai\.anomalies\.v1\/2\/5 +why/);
  expect((await dlq('list', '--topic', TOPICS.policy)).out).toMatch(/no dead letters/);
});

test('one is shown with its bytes', async () => {
  const [first] = lettersOf((await dlq('list', '-o', 'json')).out);
  const id = String(first!.id);
  const shown = await dlq('show', id, '-o', 'json');
  expect(lettersOf(shown.out)).toMatchObject([
    { id, value: Buffer.from('late').toString('base64'), headers: { traceparent: '00-1-2-01' } },
  ]);
  expect((await dlq('show', id)).out).toMatch(/6c 61 74 65 +late/);
  const unknown = await dlq('show', '0:99');
  expect(unknown).toMatchObject({ code: 1, err: expect.stringMatching(/no dead letter 0:99/) });
});

test('a replay publishes the original bytes under their key to where they came from', async () => {
  const dry = await dlq('replay', '--code', 'timestamp', '--dry-run');
  expect(dry.out).toMatch(/2 would be replayed/);
  const done = await dlq('replay', '--code', 'timestamp');
  expect(done).toMatchObject({ code: 0, out: expect.stringMatching(/2 replayed, 0 refused/) });
  const bus = await open();
  const page = await bus.fetch(TOPICS.anomalies, 'g', [], 10);
  await bus.close();
  if (page.outcome !== 'ok') throw new Error(page.outcome);
  expect(page.records.map((one) => new TextDecoder().decode(one.value))).toEqual(['late', 'later']);
  expect(page.records[0]).toMatchObject({
    key: '192.0.2.7',
    headers: { traceparent: '00-1-2-01', 'replayed-from': expect.stringMatching(/^\d:0$/) },
  });
  expect(page.records[0]!.headers[DLQ_HEADERS.code]).toBeUndefined();
});

test('what is not clear is refused: nothing chosen, a strange id, an unknown action or topic', async () => {
  expect(await dlq('replay')).toMatchObject({ code: 2, err: expect.stringMatching(/say which/) });
  expect(await dlq('show', 'x')).toMatchObject({ code: 2, err: expect.stringMatching(/no id/) });
  expect(await dlq('lst')).toMatchObject({
    code: 2,
    err: expect.stringMatching(/did you mean list/),
  });
  const topic = await dlq('list', '--topic', 'ai.anomalies');
  expect(topic).toMatchObject({
    code: 2,
    err: expect.stringMatching(/did you mean ai\.anomalies\.v1/),
  });
});

test('the embedded bus of a running node is left alone', async () => {
  const lock = takeLock(folder.path, Date.now());
  if (!lock.ok) throw new Error(lock.error);
  const refused = await dlq('list');
  lock.value.release();
  expect(refused).toMatchObject({
    code: 1,
    err: expect.stringMatching(/in use by process .*stop it first/),
  });
});

test('the lag of a group is the sum over its topics, told when it changes', () => {
  const told: [string, number][] = [];
  const lag = lagGauges((name, value) => void told.push([name, value]));
  lag('ai.anomalies.v1', 'ingest-v1', 4);
  lag('ai.policy.v1', 'ingest-v1', 3);
  lag('ai.policy.v1', 'ingest-v1', 3);
  lag('control.commits.v1', 'feedback', 1);
  expect(told).toEqual([
    ['lag_records_ingest_v1', 4],
    ['lag_records', 4],
    ['lag_records_ingest_v1', 7],
    ['lag_records', 7],
    ['lag_records_feedback', 1],
    ['lag_records', 7],
  ]);
  for (let k = 0; k < 100; k++) lag('t', `enforcer-${'x'.repeat(60)}-${k}`, k);
  expect(new Set(told.map(([name]) => name)).size).toBeLessThan(70);
  expect(Math.max(...told.map(([name]) => name.length))).toBeLessThanOrEqual(56);
});
