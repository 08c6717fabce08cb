import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ownPorts } from '#test/kit/local-node.ts';
import { cybermesh, launch, NODE, type Running, temporaryFolder } from '#test/kit/processes.ts';
import { hasPrograms, olderNode } from '#test/kit/programs.ts';

/** The system's Node where it is an older one, as for somebody who has just cloned; else ours. */
const anyNode = olderNode() ?? NODE;
const hasScript = hasPrograms('script');

const made = temporaryFolder();
/** The node on a terminal. A test that fails leaves it running, and it would run on when the tests are over. */
let onTerminal: Running | undefined;
afterAll(async () => {
  onTerminal?.signal('SIGKILL'); // of `script`: the node hears that its terminal is gone
  await onTerminal?.done;
  made.remove();
});

const startLine = async (...more: string[]): Promise<string[]> => {
  const { set } = await ownPorts();
  const dataDir = path.join(made.path, `data-${Math.random().toString(36).slice(2)}`);
  const sets = [...set, `node.dataDir=${dataDir}`].map((one) => `--set=${one}`);
  return ['start', 'config/local.yaml', ...sets, ...more];
};

/** The row under the names of the stages: all but `rejected` above zero. */
const EVERY_STAGE = /acked\s+(?:[1-9][\d,]*\s+){5}[\d,]+\s+(?:[1-9][\d,]*\s+){3}[1-9]/;

test.skipIf(!hasScript)(
  'on a terminal every stage is seen within 30 s, and Ctrl-C ends it with 0 within 10 s (needs script)',
  async () => {
    const line = [anyNode, 'runtime', ...(await startLine())].join(' ');
    const terminal = ['-qefc', `stty rows 40 cols 120; exec ${line}`, '/dev/null'];
    const run = launch('script', terminal, { input: true, timeoutMs: 90_000 });
    onTerminal = run;
    await run.saw(EVERY_STAGE, 30_000);
    expect(run.output()).toMatch(/API {2}http:\/\/127\.0\.0\.1:\d+\/api\/v1/);
    expect(run.output()).not.toMatch(/[Ww]arning/);
    const pressedMs = performance.now();
    run.type('\u0003');
    const done = await run.done;
    expect(performance.now() - pressedMs).toBeLessThan(10_000);
    expect(done.code).toBe(0);
    expect(done.stdout).toContain('stopped: SIGINT');
  },
);

test('with -o json the report is the only thing on standard output', async () => {
  const more = ['--source=synthetic', '--for=12s', '-o', 'json'];
  const done = await cybermesh(await startLine(...more), { node: anyNode, timeoutMs: 90_000 });
  const report = JSON.parse(done.stdout) as { stateRoots: Record<string, string> };
  expect(done.code).toBe(0);
  expect(done.stderr).toMatch(/"flows":\d+.*"height":\d+.*"msg":"progress"/);
  expect(Object.keys(report)).toEqual([
    'stages',
    'consensus',
    'latencyMs',
    'actors',
    'deadLetters',
    'stateRoots',
  ]);
  expect(Object.keys(report.stateRoots)).toEqual(['v1', 'v2', 'v3', 'v4']);
});
