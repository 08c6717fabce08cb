import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { benchCommand, benchNames } from '#runtime/cli/bench.ts';
import { terminal } from '#runtime/cli/terminal.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'cybermesh-bench-'));
  const program = (name: string, code: number): void =>
    writeFileSync(
      path.join(folder, `${name}.ts`),
      `console.log(JSON.stringify(process.argv.slice(2)));\nprocess.exit(${code});\n`,
    );
  program('kernel', 0);
  program('quick', 1);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = async (args: string[], where = folder, json = false) => {
  const said = { out: '', err: '' };
  const stream = (name: 'out' | 'err') => ({
    write: (text: string) => {
      said[name] += text;
    },
  });
  const io = terminal({ out: stream('out'), err: stream('err') }, json);
  return { code: await benchCommand(where).run(args, io), ...said };
};

test('a benchmark is run by its name, with its arguments, and its exit code is the command’s', async () => {
  const { code, out } = await run(['quick', '--rounds', '3']);
  expect(code).toBe(1);
  expect(JSON.parse(out)).toEqual(['--rounds', '3']);
});

test('without a name all benchmarks of the runtime are run; -o json is passed on', async () => {
  expect(JSON.parse((await run([])).out)).toEqual([]);
  const { code, out } = await run(['--rounds', '1'], folder, true);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toEqual(['--rounds', '1', '-o', 'json']);
});

test('an unknown name is refused with the nearest one', async () => {
  const { code, err } = await run(['quik']);
  expect(code).toBe(2);
  expect(err).toContain('no benchmark quik; did you mean quick?');
});

test('where there are no benchmarks, as in the package, it says where they are', async () => {
  const { code, err } = await run(['tell'], path.join(folder, 'none'));
  expect(code).toBe(1);
  expect(err).toContain('come with the repository');
});

test('the benchmarks of the runtime that this repository promises are there', () => {
  const names = benchNames(path.join(import.meta.dirname, '../../../bench'));
  const promised = ['kernel', 'tell', 'event', 'ask', 'ring', 'flood', 'idle-system', 'deaths'];
  expect(names).toEqual(expect.arrayContaining(promised));
});
