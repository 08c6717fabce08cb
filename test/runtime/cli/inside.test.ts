import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { completions, wordsOf } from '#runtime/cli/console-line.ts';
import type { CrashReport } from '#runtime/flight/report.ts';
import { commandLine } from '#test/kit/command-line.ts';
import {
  cybermesh,
  LAUNCHER,
  launch,
  launchCybermesh,
  NODE,
  ROOT,
  type Running,
  temporaryFolder,
} from '#test/kit/processes.ts';
import { hasPrograms } from '#test/kit/programs.ts';
import { until } from '#test/kit/system.ts';

const fixtures = path.join(ROOT, 'test', 'runtime', 'fixtures-start');
const actors = ['--actors', path.join(fixtures, 'actors')];
const hasScript = hasPrograms('script');

const made = temporaryFolder();
const dataDir = path.join(made.path, 'data');
let node: Running;
beforeAll(async () => {
  const file = path.join(fixtures, 'tick.yaml');
  const args = ['start', file, ...actors, `--set=node.dataDir=${dataDir}`];
  node = launchCybermesh(args, { timeoutMs: 600_000 });
  await node.saw(/ticker is up/);
});
afterAll(async () => {
  node.signal('SIGINT');
  await node.done;
  made.remove();
});

/** Within this process: to start Node for each question would take longer than all the answers. */
const run = async (...args: readonly string[]) => {
  const { code, out: stdout, err: stderr } = await commandLine(...args);
  return { code, stdout, stderr };
};
const ask = (...args: readonly string[]) => run(...args, '--data', dataDir);

test('trace shows messages as they pass, within a count, and says what it left out', async () => {
  const done = await ask('trace', '--max', '3', '--kind', 'tick');
  expect(done.code).toBe(0);
  const lines = done.stdout.trim().split('\n');
  expect(lines).toHaveLength(4);
  expect(lines[0]).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} [0-9a-f]{8} \(timer\) -> ticker {2}tick {2}[\d.]+ ms/,
  );
  expect(lines[3]).toMatch(/^3 messages shown, \d+ left out \(--max 3, --rate 50\)$/);
  const json = await ask('trace', '--for', '300ms', '--actor', 'ticker', '-o', 'json');
  expect(JSON.parse(json.stdout).messages[0]).toMatchObject({ to: 'ticker', kind: 'tick' });
  // Of several nodes each path says whose it is; here both are the same one.
  const both = await ask('trace', '--max', '1', '--kind', 'tick', '--data', dataDir);
  expect(both.stdout).toMatch(/\(timer\) -> tick:ticker {2}tick/);
});

test('trace <id> needs a recording, which is switched on for a time; then it is one tree', async () => {
  const none = await ask('trace', 'abcdef');
  expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('trace --record 60s') });
  const on = await ask('trace', '--record', '60s');
  expect(on.stdout).toBe('100 % of all traces are recorded for 60 s\n');
  const trace = await until(async () => {
    const { stdout } = await ask('trace', '--list', '-o', 'json');
    return (JSON.parse(stdout).traces as { trace: string }[])[0]?.trace;
  }, 60_000);
  const tree = await ask('trace', trace.slice(0, 12));
  expect(tree.stdout).toMatch(
    new RegExp(`^trace ${trace} .*\\nticker {2}tick {2,}\\+0\\.000 {2}handled [\\d.]+\\n$`),
  );
});

test('wrong arguments are refused with 2 and a word about them', async () => {
  for (const [args, fault] of [
    [['trace', '--max', '0'], '--max takes 1 to 100000'],
    [['trace', '--rate', '5000'], '--rate takes 1 to 1000 messages a second'],
    [['trace', 'ticker'], 'ticker is no trace id: 4 to 32 hexadecimal digits'],
    [['trace', '--for', 'soon'], '--for: expected a duration'],
    [['trace', 'abcd', '--kind', 'tick'], 'abcd and --kind do not go together'],
    [['trace', '--ratio', '0.1'], '--ratio needs --record'],
    [['kill', 'ticker', '--data', 'elsewhere'], 'kill asks one node: one --data'],
    [['top', '--sort', 'rat'], '--sort: no such column; did you mean rate?'],
    [['inspect'], 'the actor is missing'],
    [['kill', 'a', 'b'], 'unexpected argument b'],
  ] as const) {
    const done = await ask(...args);
    expect(done).toMatchObject({ code: 2, stderr: expect.stringContaining(fault) });
  }
});

test('top without a terminal is one table', async () => {
  const done = await ask('top', '--every', '200ms');
  expect(done.stdout).toMatch(
    /^1 actor on 1 thread .* by rate\nactor +state +msg\/s .*\nticker +running /,
  );
  const json = JSON.parse((await ask('top', '--sort', 'p99', '-o', 'json')).stdout);
  expect(json.actors[0]).toMatchObject({ path: 'ticker', state: 'running', restarts: 0 });
  expect(json.actors[0].perSecond).toBeGreaterThan(0);
});

test('inspect, suspend, resume, restart and kill reach one actor', async () => {
  const seen = JSON.parse((await ask('inspect', 'ticker', '-o', 'json')).stdout);
  expect(seen).toMatchObject({ path: 'ticker', state: { config: { completeAfter: 0 } } });
  expect((await ask('suspend', 'ticker')).stdout).toBe('ticker is suspended\n');
  expect((await ask('status')).stdout).toMatch(/actors +0 of 1 running \(ticker suspended\)/);
  expect((await ask('tree')).stdout).toContain('ticker  running (suspended), thread 0');
  // Its next tick comes due, and waits.
  const isWaiting = async () =>
    /^ticker .*, suspended\nwaiting +own 1\n/.test((await ask('inspect', 'ticker')).stdout);
  await until(isWaiting);
  expect((await ask('resume', 'ticker')).stdout).toBe('ticker goes on\n');
  for (const verb of ['restart', 'kill']) {
    expect((await ask(verb, 'ticker')).code).toBe(0);
    await node.saw(new RegExp(`"restarts":${verb === 'restart' ? 1 : 2},"msg":"restarted"`));
  }
  await node.saw(/"topic":"operator","msg":"ticker killed by an operator"/);
  await node.saw(/crash report: node runtime replay/);
  const [file] = readdirSync(path.join(dataDir, 'crashes'));
  const text = readFileSync(path.join(dataDir, 'crashes', file!), 'utf8');
  const { error, log } = JSON.parse(text) as CrashReport;
  expect(error).toBe('the thread was terminated');
  expect(log.at(-1)?.text).toMatch(/^ticker killed by an operator/);
  expect(await ask('inspect', 'tikcer')).toMatchObject({
    code: 1,
    stderr: 'error: no actor tikcer; did you mean ticker?\n',
  });
});

test('the console carries out lines of a pipe, and its exit code says whether one failed', async () => {
  const type = (lines: string) => {
    const console = launchCybermesh(['console', '--data', dataDir], { input: true });
    console.type(lines);
    console.child.stdin!.end();
    return console.done;
  };
  const done = await type(
    'tree\nfacts\nletters\nconfig node.trace\nmetrics spans_total\nstatus -o json\nexit\n',
  );
  expect(done.code).toBe(0);
  expect(done.stdout).toContain('└─ ticker  running');
  expect(done.stdout).toContain('node.trace.ratio = 0  # default');
  expect(done.stdout).toMatch(/cybermesh_trace_spans_total\{thread="0"\} \d+/);
  expect(JSON.parse(done.stdout.trim().split('\n').at(-1)!)).toMatchObject({ state: 'running' });
  const failed = await type('inspct ticker\nhelp top\n');
  expect(failed).toMatchObject({
    code: 1,
    stderr: 'unknown command inspct; did you mean inspect?\n',
  });
  expect(failed.stdout).toContain('Usage: top [--sort');
});

test.skipIf(!hasScript)(
  'on a terminal the console completes, remembers, draws top and stops a trace at Ctrl-C (needs script)',
  async () => {
    const line = `stty rows 30 cols 110; exec ${NODE} ${LAUNCHER} console --data ${dataDir}`;
    const console = launch('script', ['-qefc', line, '/dev/null'], { input: true });
    await console.saw(/process \d+, running.*\n[^\n]*cybermesh> /s);
    console.type('insp\t');
    await console.saw(/cybermesh> .*inspect /s);
    console.type('tic\t');
    await console.saw(/inspect .*ticker /s);
    console.type('\r');
    await console.saw(/completeAfter: 0/);
    console.type('trace --max 1000\r');
    await console.saw(/\(timer\) -> ticker {2}tick/);
    console.type('\u0003');
    await console.saw(/messages shown, \d+ left out/);
    console.type('top\r');
    await console.saw(/by rate.*q quit/s);
    console.type('n');
    await console.saw(/by name/);
    console.type('q');
    console.type('help\r');
    await console.saw(/Tab completes commands/);
    console.type('exit\r');
    expect((await console.done).code).toBe(0);
    const history = path.join(dataDir, 'console.history');
    expect(readFileSync(history, 'utf8')).toContain('trace --max 1000\ntop\n');
    expect(statSync(history).mode & 0o777).toBe(0o600);
    const again = launch('script', ['-qefc', line, '/dev/null'], { input: true });
    await again.saw(/cybermesh> /);
    again.type('\u001b[A\u001b[A'); // twice up: before `exit`
    await again.saw(/cybermesh> .*help/s);
    again.type('\u0003\u0004');
    expect((await again.done).code).toBe(0);
  },
  120_000,
);

test('the socket and what the console leaves are for the user of the node alone', () => {
  expect(statSync(path.join(dataDir, 'control.sock')).mode & 0o777).toBe(0o600);
});

test('replay runs into the exception of a crash report', async () => {
  const data = path.join(made.path, 'crash');
  const args = [
    'start',
    path.join(fixtures, 'crash.yaml'),
    ...actors,
    `--set=node.dataDir=${data}`,
  ];
  const crashed = await cybermesh(args);
  const named = /node runtime replay (\S+\.json)/.exec(crashed.stdout)?.[1];
  expect(path.dirname(named ?? '')).toBe(path.join(data, 'crashes'));
  const done = await run('replay', named!);
  expect(done).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('reproduced: Error: out of luck'),
  });
  const json = await run('replay', named!, '-o', 'json');
  expect(JSON.parse(json.stdout)).toMatchObject({ reproduced: true, stateIs: 'before' });
  const [first] = readdirSync(path.join(ROOT, 'config')).filter((name) => name.endsWith('.json'));
  const none = await run('replay', path.join(ROOT, 'config', first!));
  expect(none).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('this is no crash report'),
  });
  expect(await run('replay', 'nowhere.json')).toMatchObject({
    code: 1,
    stderr: 'error: nowhere.json: there is no such file\n',
  });
});

test('words of a line: quoted ones stay together; Tab knows commands, actors, options', () => {
  expect(wordsOf('trace --kind "a b" c')).toEqual(['trace', '--kind', 'a b', 'c']);
  const paths = ['v1.replica', 'v1.ingest', 'v2.replica'];
  expect(completions('sus', paths)).toEqual([['suspend '], 'sus']);
  expect(completions('suspend v1', paths)).toEqual([['v1.replica', 'v1.ingest'], 'v1']);
  expect(completions('trace --from v2', paths)).toEqual([['v2.replica '], 'v2']);
  expect(completions('top --so', paths)).toEqual([['--sort '], '--so']);
  expect(completions('help ki', paths)).toEqual([['kill '], 'ki']);
  expect(completions('nonsense v', paths)).toEqual([[], 'v']);
});
