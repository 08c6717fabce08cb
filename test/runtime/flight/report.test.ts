import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { crashFolder, openCrashFiles, REPORTS_MAX } from '#runtime/flight/crash-files.ts';
import { parseReport, replayDump } from '#runtime/flight/replay.ts';
import { type CrashReport, REPORT_BYTES_MAX, reportText } from '#runtime/flight/report.ts';
import { actor, type TestSystem, testSystem } from '#test/kit/system.ts';
import { type Driver, fixture, openDriver } from '../driver.ts';
import fragile from './fixtures/fragile.ts';

const module = new URL('./fixtures/fragile.ts', import.meta.url);

let system: TestSystem | undefined;
let driver: Driver;
afterEach(async () => {
  driver.close();
  await system?.end();
  system = undefined;
});

const start = async (flightMessages?: number): Promise<TestSystem> => {
  driver = openDriver('driver', ['fragile', '']);
  const given = flightMessages === undefined ? {} : { flightMessages };
  system = await testSystem(
    [actor('echo', fixture('echo')), actor('fragile', module), driver.spec],
    given,
  );
  await driver.heard('up');
  return system;
};
const tell = (message: object): void => driver.run({ do: 'tell', to: 'fragile', message });

/** The first report on disk, once its file is told of. */
const reported = async (running: TestSystem): Promise<{ file: string; report: CrashReport }> => {
  await running.until(
    () => running.seen.some((e) => e.kind === 'log' && e.text.startsWith('crash report: ')),
    20_000,
  );
  const folder = crashFolder(running.dataDir);
  const file = path.join(folder, readdirSync(folder).sort()[0]!);
  return { file, report: parseReport(readFileSync(file, 'utf8')) };
};

test('a crash leaves the message, the state before it, the messages before that, the log and the seed', async () => {
  const running = await start();
  for (let n = 1; n <= 10; n++) tell({ kind: 'add', n });
  tell({ kind: 'fallLate', n: 7 });
  const { file, report } = await reported(running);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(path.dirname(file)).mode & 0o777).toBe(0o700);
  expect(report).toMatchObject({ path: 'fragile', kind: 'fallLate', seed: 1, node: 'test' });
  expect(report.trace).toMatch(/^[0-9a-f]{32}$/);
  expect(report.log.map(({ text }) => text)).toEqual(['fragile is up {"password":"***"}']);
  const { dump } = report;
  expect(dump).toMatchObject({ stateIs: 'before', message: { kind: 'fallLate', n: 7 } });
  expect(dump!.messages.map(({ kind }) => kind)).toEqual(['start', ...Array(10).fill('add')]);
  expect(readFileSync(file, 'utf8')).not.toContain('hunter2');
  // The step had added 1,000 before it threw: the state is the one that it met.
  const replayed = replayDump(dump!, fragile);
  expect(replayed.reproduced).toBe(true);
  expect(replayed.thrown).toMatchObject({ name: 'RangeError', message: 'fell at 1055 with 7' });
});

test('what has no place in a lane throws in the replay as it did', async () => {
  const running = await start();
  tell({ kind: 'misspeak' });
  const { report } = await reported(running);
  expect(report.error).toContain('hold.id');
  const replayed = replayDump(report.dump!, fragile);
  expect(replayed).toMatchObject({ reproduced: true, thrown: { message: report.error } });
});

test('a core that has been mended does not fall into it again', async () => {
  const running = await start();
  tell({ kind: 'fall', n: 7 });
  const { report } = await reported(running);
  const mended = { ...fragile, core: { ...fragile.core, step: () => undefined } };
  expect(replayDump(report.dump!, mended)).toMatchObject({ reproduced: false, thrown: undefined });
});

test('a failure of io and a killed thread are reported as what they are: nothing to run again', async () => {
  const running = await start();
  tell({ kind: 'fallInIo' });
  const { file, report } = await reported(running);
  expect(report).toMatchObject({
    kind: 'io fall',
    error: 'io fell',
    dump: { phase: 'io', stateIs: 'none' },
  });
  rmSync(file);
  await running.until(() => running.seen.some((event) => event.kind === 'restarted'), 20_000);
  await running.kill('fragile');
  const folder = crashFolder(running.dataDir);
  await running.until(() => readdirSync(folder).some((name) => name.endsWith('.json')), 20_000);
  const killed = parseReport(readFileSync(path.join(folder, readdirSync(folder)[0]!), 'utf8'));
  expect(killed).toMatchObject({ kind: 'thread', dump: null });
});

test('a start that throws is reported, and replayed', async () => {
  driver = openDriver();
  const dataDir = mkdtempSync(path.join(tmpdir(), 'cybermesh-crash-'));
  const falling = actor('fragile', module, { config: { falls: 'start' } });
  const failed = testSystem([actor('echo', fixture('echo')), falling], { dataDir });
  await expect(failed).rejects.toThrow('fell at the start');
  const folder = crashFolder(dataDir);
  const report = parseReport(readFileSync(path.join(folder, readdirSync(folder)[0]!), 'utf8'));
  expect(report).toMatchObject({ kind: 'start', dump: { phase: 'start' } });
  expect(replayDump(report.dump!, fragile).reproduced).toBe(true);
  rmSync(dataDir, { recursive: true });
});

test('without a flight recorder the report says so, and holds the state as the crash left it', async () => {
  const running = await start(0);
  tell({ kind: 'add', n: 5 });
  tell({ kind: 'fall', n: 7 });
  const { report } = await reported(running);
  expect(report.dump).toMatchObject({ phase: 'io', stateIs: 'none' });
});

const empty = (atMs: number): CrashReport => ({
  version: 1,
  cybermesh: '0',
  node: 'test',
  path: 'a.b',
  atMs,
  kind: 'thread',
  trace: '',
  seed: 1,
  log: [],
  dump: null,
  error: '',
  stack: '',
});

test('the newest reports are kept, a storm leaves some out, and what is too long leaves its state out', async () => {
  driver = openDriver();
  const dataDir = mkdtempSync(path.join(tmpdir(), 'cybermesh-crash-'));
  const files = openCrashFiles(dataDir);
  for (let k = 0; k < REPORTS_MAX + 5; k++) await files.write(empty(k * 1000));
  const kept = readdirSync(crashFolder(dataDir)).sort();
  expect(kept).toHaveLength(REPORTS_MAX);
  expect(kept[0]).toBe('1970-01-01T00-00-05.000Z-a.b.json');
  const storm = await Promise.all(
    Array.from({ length: 20 }, (_, k) => files.write(empty(1e6 + k))),
  );
  expect(storm.filter((file) => file === undefined)).toHaveLength(12);
  rmSync(dataDir, { recursive: true });
  const dump = {
    actor: 'a',
    module: '',
    config: {},
    incarnation: 0,
    phase: 'step',
    message: { kind: 'x' },
    atMs: 0,
    error: { name: '', message: '', stack: '' },
    stateIs: 'before',
    why: '',
    state: 'x'.repeat(REPORT_BYTES_MAX),
    messages: [],
  } as const;
  const short = parseReport(reportText({ ...empty(0), dump }));
  expect(short.dump).toMatchObject({ stateIs: 'none', state: null, message: { kind: 'x' } });
});

test('what is no report is refused', () => {
  driver = openDriver();
  expect(() => parseReport('nonsense')).toThrow('this is no crash report: not JSON');
  expect(() => parseReport('null')).toThrow('this is no crash report of version 1');
  expect(() => parseReport('{"version":2}')).toThrow('this is no crash report of version 1');
});
