/** Programs that a small process of ours starts. */
import { spawn } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT, temporaryFolder } from '#test/kit/processes.ts';
import { commandOf, isAlive, run, smallOf } from '#test/kit/small-process.ts';
import { until } from '#test/kit/system.ts';

test('what a program prints, says and ends with comes back, and it reads what it is given', async () => {
  const program = ['sh', '-c', 'cat; echo oh >&2; exit 3'];
  const ran = await run(program, { input: 'in' });
  expect(ran).toEqual({ how: 'ended', code: 3, signal: null, out: 'in', text: 'oh\n' });
});

test('a program that is not there is missing, by the PATH of the moment', async () => {
  const before = process.env.PATH;
  expect(await run(['no-such-program'])).toMatchObject({ how: 'missing' });
  try {
    process.env.PATH = '/nowhere';
    expect(await run(['true'])).toMatchObject({ how: 'missing' });
  } finally {
    process.env.PATH = before;
  }
  expect(await run(['true'])).toMatchObject({ how: 'ended', code: 0 });
});

test('a program that takes too long or prints too much is ended', async () => {
  expect(await run(['sleep', '100'], { timeoutMs: 50 })).toMatchObject({ how: 'late' });
  const ran = await run(['yes'], { outputBytesMax: 10_000 });
  expect(ran).toMatchObject({ how: 'ended', code: null, signal: 'SIGKILL' });
});

test('several at once each get their own answer', async () => {
  const texts = ['a', 'b', 'c', 'd'];
  const answers = await Promise.all(texts.map((text) => run(['echo', text])));
  expect(answers.map((ran) => (ran.how === 'ended' ? ran.out : ran.how))).toEqual(
    texts.map((text) => `${text}\n`),
  );
});

test('when the small process dies, what was under way has failed, and the next call starts another', async () => {
  const slow = run(['sleep', '100']);
  const small = await until(() => smallOf(process.pid));
  process.kill(small, 'SIGKILL');
  expect(await slow).toMatchObject({ how: 'failed', text: expect.stringMatching(/SIGKILL/) });
  expect(await run(['echo', 'again'])).toMatchObject({ out: 'again\n' });
  expect(smallOf(process.pid)).not.toBe(small);
});

describe('of a process of its own', () => {
  let folder: ReturnType<typeof temporaryFolder>;
  beforeAll(() => {
    folder = temporaryFolder();
  });
  afterAll(() => folder.remove());
  const script = (name: string, code: string) => {
    const file = path.join(folder.path, `${name}.ts`);
    const module = path.join(ROOT, 'native/spawner.ts');
    const limits = 'timeoutMs: 600_000, outputBytesMax: 1000';
    const head = `import { runProgram } from '${module}';
const run = (...words) => runProgram({ words, input: '', ${limits} });`;
    writeFileSync(file, `${head}\n${code}\n`);
    return spawn(process.execPath, ['--no-warnings', file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  };

  test('it does not keep a process that has nothing more to do', async () => {
    const child = script('ends', "await run('true'); console.log('done');");
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(0);
  });

  test('after a kill -9 of the large process nothing of it goes on', async () => {
    const seconds = `${100_000 + process.pid}`;
    const child = script('killed', `await run('sleep', '${seconds}');`);
    const sleeps = (): boolean =>
      readdirSync('/proc').some((pid) => commandOf(pid) === `sleep ${seconds} `);
    await until(sleeps);
    const small = smallOf(child.pid!)!;
    child.kill('SIGKILL');
    await until(() => !sleeps() && !isAlive(small));
  });
});
