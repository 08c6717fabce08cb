import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { main } from '#runtime/cli/dispatch.ts';
import { inWords } from '#runtime/cli/launch.ts';
import { cybermesh, launchCybermesh, ROOT, temporaryFolder } from '#test/kit/processes.ts';
import { hasPrograms } from '#test/kit/programs.ts';

const fixtures = path.join(ROOT, 'test', 'runtime', 'fixtures-start');
const actors = ['--actors', path.join(fixtures, 'actors')];
const made = temporaryFolder();
afterAll(made.remove);

let count = 0;
/** Arguments of a start on a data folder of its own. */
const start = (file: string, ...more: string[]): { args: string[]; dataDir: string } => {
  const dataDir = path.join(made.path, `data-${count++}`);
  const args = ['start', path.join(fixtures, file), ...actors, `--set=node.dataDir=${dataDir}`];
  return { args: [...args, ...more], dataDir };
};

const hasScript = hasPrograms('script');

test('with --for it stops by itself, prints the report and exits 0', async () => {
  const { args, dataDir } = start('tick.yaml', '--for=500ms');
  const done = await cybermesh(args);
  expect(done.code).toBe(0);
  expect(done.stdout).toContain('Stages');
  expect(done.stdout).toMatch(/ticker\s+\d\d+/);
  expect(existsSync(path.join(dataDir, 'node.lock'))).toBe(false);
  expect(existsSync(path.join(dataDir, 'prepared'))).toBe(true);
});

test('without a terminal each log line is JSON with level and actor, and hides secrets', async () => {
  const done = await cybermesh(start('tick.yaml', '--for=300ms', '-o', 'json').args);
  expect(JSON.parse(done.stdout)).toMatchObject({
    stages: { flows: 0 },
    deadLetters: { total: 0 },
  });
  const lines = done.stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const line of lines) {
    expect(line).toMatchObject({ level: expect.any(String), actor: expect.any(String) });
  }
  expect(lines.map((line) => line.actor)).toContain('ticker');
  expect(done.stderr).not.toContain('hunter2');
});

test('a finite source ends the run, however short it is', async () => {
  const more = ['-o', 'json', '--set=ticker.config.completeAfter=1'];
  const done = await cybermesh(start('tick.yaml', ...more).args, { timeoutMs: 20_000 });
  expect(done.code).toBe(0);
  expect(JSON.parse(done.stdout)).toHaveProperty('consensus');
});

test('Ctrl-C drains; while it drains a second one stops at once', async () => {
  const first = launchCybermesh(start('tick.yaml').args);
  await first.saw(/ticker is up/);
  first.signal('SIGINT');
  const drained = await first.done;
  expect(drained.stdout).toContain('ticker drains');
  expect(drained.code).toBe(0);
  const second = launchCybermesh(start('tick.yaml', '--set=ticker.config.drainMs=4000').args);
  await second.saw(/ticker is up/);
  second.signal('SIGINT');
  await second.saw(/ticker drains/);
  await new Promise((resolve) => setTimeout(resolve, 550));
  second.signal('SIGINT');
  expect(await second.done).toMatchObject({ code: 1, stderr: expect.stringContaining('at once') });
});

test('a second process on the same data folder is refused by name; status and tree see the first', async () => {
  const { args, dataDir } = start('tick.yaml');
  const first = launchCybermesh(args);
  await first.saw(/ticker is up/);
  const second = await cybermesh(args);
  expect(second).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`${dataDir} is in use by`),
  });
  expect(second.stderr).toContain(`process ${first.child.pid}`);
  const status = await cybermesh(['status', '--data', dataDir, '-o', 'json']);
  expect(JSON.parse(status.stdout)).toMatchObject({ pid: first.child.pid, state: 'running' });
  const tree = await cybermesh(['tree', '--data', dataDir]);
  expect(tree.stdout).toContain('└─ ticker  running');
  first.signal('SIGTERM');
  expect((await first.done).code).toBe(0);
  const gone = await cybermesh(['status', '--data', dataDir]);
  expect(gone).toMatchObject({
    code: 1,
    stderr: `error: no node runs on the data folder ${dataDir}\n`,
  });
});

test('kill -9 leaves a lock that the next start takes over', async () => {
  const { args } = start('tick.yaml');
  const first = launchCybermesh(args);
  await first.saw(/ticker is up/);
  first.signal('SIGKILL');
  await first.done;
  expect((await cybermesh([...args, '--for=100ms'])).code).toBe(0);
});

test('a port in use is an error that names the actor and the address', async () => {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  const done = await cybermesh(start('listen.yaml', `--set=door.config.port=${port}`).args);
  server.close();
  expect(done.code).toBe(1);
  expect(done.stderr).toContain(
    `error: door: the address 127.0.0.1:${port} is in use by another program`,
  );
});

test('when the root supervisor gives up the node ends with 1 and names why', async () => {
  const done = await cybermesh(start('crash.yaml').args, { timeoutMs: 20_000 });
  expect(done.code).toBe(1);
  expect(done.stderr).toMatch(/error: the root supervisor gave up .* fallen: .*out of luck/);
});

test('an actor that cannot be prepared ends the start with its reason', async () => {
  const done = await cybermesh(start('tick.yaml', '--set=node.name=refused').args);
  expect(done).toMatchObject({ code: 1, stderr: 'error: ticker: will not\n' });
});

test('a bad configuration exits with 78, wrong usage with 2', async () => {
  const bad = await cybermesh(start('tick.yaml', '--set=ticker.config.completeAftr=1').args);
  expect(bad.code).toBe(78);
  expect(bad.stderr).toContain(
    '--set ticker.config.completeAftr: unknown key; did you mean completeAfter?',
  );
  const json = await cybermesh([...start('tick.yaml', '--set=x=1').args, '-o', 'json']);
  expect(json.code).toBe(78);
  expect(JSON.parse(json.stdout)).toMatchObject({
    ok: false,
    errors: [{ path: 'x', file: '--set' }],
  });
  expect((await cybermesh(start('tick.yaml', '--for=30').args)).code).toBe(2);
  expect((await cybermesh(['strat', 'x'])).stderr).toContain('did you mean start?');
  expect((await cybermesh([])).code).toBe(2);
});

test.skipIf(!hasScript)(
  'on a terminal a live status is redrawn in place (needs script)',
  async () => {
    const { args } = start('tick.yaml', '--for=2s');
    const line = ['node', 'runtime', ...args].join(' ');
    const shown = execFileSync('script', ['-qec', line, '/dev/null'], {
      cwd: ROOT,
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect(shown).toContain('CyberMesh tick');
    expect(shown).toContain('Ctrl-C stops');
    expect(shown.split('\u001b[J').length).toBeGreaterThan(2);
    expect(shown).toContain('\u001b[?25h');
    expect(shown).not.toContain('{"level"');
  },
);

test('commands of an actor are found by name and take -o json', async () => {
  const written: string[] = [];
  const out = { write: (text: string) => written.push(text) };
  const actorsRoot = new URL('../fixtures-start/actors/', import.meta.url);
  expect(await main(['greet', 'you'], { out, err: out }, { actorsRoot })).toBe(0);
  expect(await main(['greet', 'you', '-o', 'json'], { out, err: out }, { actorsRoot })).toBe(0);
  expect(written).toEqual(['hello you\n', '{"hello":"you"}\n']);
  expect(await main(['greet', '--help'], { out, err: out }, { actorsRoot })).toBe(0);
  expect(written.at(-1)).toBe('greet somebody\n\nUsage: node runtime greet <name>\n');
  expect(await main(['help'], { out, err: out }, { actorsRoot })).toBe(0);
  expect(written.at(-1)).toContain('greet');
});

test('codes of the operating system are put into words', () => {
  expect(inWords('listen EADDRINUSE: address already in use 127.0.0.1:7001')).toContain(
    'the address 127.0.0.1:7001 is in use by another program',
  );
  const nested =
    'Some addresses failed\n\n /ip4/127.0.0.1/tcp/7001: Error: listen EADDRINUSE: taken\n at x';
  expect(inWords(nested)).toContain('the address /ip4/127.0.0.1/tcp/7001 is in use');
  expect(inWords(nested)).not.toContain('\n');
  expect(inWords('ENOSPC: no space left on device, write')).toContain('the disk is full');
  expect(inWords('anything')).toBe('anything');
});
