/**
 * `npm test`: types, lint, then every test; a summary whose last line is `N passed, N failed, N skipped`.
 * Arguments are handed to vitest. A skipped test is a failure where what it needs is there.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { hasData } from './kit/data.ts';
import { ROOT } from './kit/processes.ts';

type Outcome = { readonly fullName: string; readonly status: string };
type Report = {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly Outcome[];
  }[];
};
type Skipped = { readonly name: string; readonly reason: string; readonly excused: boolean };

const bin = (name: string): string => path.join(ROOT, 'node_modules', '.bin', name);
const isRoot = process.getuid?.() === 0;
const isStrict = process.env.CI === 'true' || (hasData && isRoot);

const onPath = (program: string): boolean =>
  (process.env.PATH ?? '')
    .split(path.delimiter)
    .some((folder) => folder !== '' && existsSync(path.join(folder, program)));

/** What the name of a test may say in brackets, e.g. `(needs root)`; true when it is there. */
const isThere = (need: string): boolean => {
  if (need.includes('data folder')) return hasData;
  if (need === 'root') return isRoot;
  if (need === 'Linux') return process.platform === 'linux';
  return need.split(/,| and /).every((program) => onPath(program.trim()));
};

/** Why a test was skipped, and whether that excuses it. */
const judge = (file: string, name: string): Skipped => {
  const label = `${path.relative(ROOT, file)} > ${name}`;
  const named = /\(needs ([^)]+)\)/.exec(name)?.[1];
  if (named !== undefined)
    return { name: label, reason: `needs ${named}`, excused: !isThere(named) };
  const readsData = readFileSync(file, 'utf8').includes('#test/kit/data.ts');
  if (readsData && !hasData) return { name: label, reason: 'needs the data folder', excused: true };
  return { name: label, reason: 'no reason in its name', excused: false };
};

const check = (title: string, program: string, args: readonly string[]): boolean => {
  const startedMs = performance.now();
  const { status } = spawnSync(bin(program), args, { cwd: ROOT, stdio: 'inherit' });
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${title} (${seconds} s)`);
  return status === 0;
};

const runVitest = (
  args: readonly string[],
): { readonly status: number; readonly report: Report } => {
  const folder = mkdtempSync(path.join(tmpdir(), 'cybermesh-tests-'));
  const file = path.join(folder, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  try {
    const { status } = spawnSync(bin('vitest'), ['run', ...reporters, ...args], {
      cwd: ROOT,
      stdio: 'inherit',
    });
    const report = existsSync(file)
      ? (JSON.parse(readFileSync(file, 'utf8')) as Report)
      : { testResults: [] };
    return { status: status ?? 1, report };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

const main = (): number => {
  const types = check('typecheck', 'tsc', ['--noEmit']);
  const lint = check('lint', 'biome', ['check', '.']);
  const { status, report } = runVitest(process.argv.slice(2));
  let passed = [types, lint].filter(Boolean).length;
  const failures = [...(types ? [] : ['typecheck']), ...(lint ? [] : ['lint'])];
  const skipped: Skipped[] = [];
  for (const file of report.testResults) {
    const name = path.relative(ROOT, file.name);
    if (file.status === 'failed' && file.assertionResults.length === 0) {
      failures.push(`${name}: ${(file.message ?? 'could not be run').split('\n')[0]}`);
    }
    for (const one of file.assertionResults) {
      if (one.status === 'passed') passed++;
      else if (one.status === 'failed') failures.push(`${name} > ${one.fullName}`);
      else skipped.push(judge(file.name, one.fullName));
    }
  }
  const unexcused = isStrict ? skipped.filter((one) => !one.excused) : [];
  for (const one of unexcused)
    failures.push(`${one.name}: skipped, but ${one.reason} is no excuse here`);
  // An error outside of every test (an unhandled rejection, a crash of vitest) has no name of its own.
  if (status !== 0 && failures.length === 0) failures.push(`vitest ended with code ${status}`);
  const others = skipped.filter((one) => !unexcused.includes(one));
  if (others.length > 0) console.log('\nSkipped:');
  for (const one of others) console.log(`  ${one.name} (${one.reason})`);
  if (failures.length > 0) console.log('\nFailed:');
  for (const one of failures) console.log(`  ${one}`);
  console.log(`\n${passed} passed, ${failures.length} failed, ${others.length} skipped`);
  return failures.length === 0 ? 0 : 1;
};

process.exitCode = main();
