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
import { programOf } from './kit/programs.ts';

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

/** Packages that bring no program: a file of theirs stands for them. */
const PACKAGES: { readonly [name: string]: string } = {
  'librdkafka-dev': '/usr/include/librdkafka/rdkafka_mock.h',
};

const isOneThere = (need: string): boolean => {
  if (need === 'the data folder') return hasData;
  if (need === 'root') return isRoot;
  if (need === 'Linux') return process.platform === 'linux';
  const file = PACKAGES[need];
  return file === undefined ? programOf(need) !== undefined : existsSync(file);
};

/** What the name of a test may say in brackets, e.g. `(needs root, nft)`; true when all of it is there. */
const isThere = (need: string): boolean =>
  need.split(/,| and /).every((one) => isOneThere(one.trim()));

/** Why a test was skipped, and whether that excuses it. */
const judge = (file: string, name: string): Skipped => {
  const named = /\s*\(needs ([^)]+)\)/.exec(name)?.[1];
  const title = name.replace(/\s*\(needs [^)]+\)/, '');
  const label = `${path.relative(ROOT, file)} > ${title}`;
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

type Summary = { passed: number; readonly failures: string[]; readonly skipped: Skipped[] };

/** Counts the outcomes of vitest into a summary; says how many passed in each folder of tests. */
const count = (report: Report, summary: Summary): void => {
  const folders = new Map<string, number>();
  for (const file of report.testResults) {
    const name = path.relative(ROOT, file.name);
    const folder = name.split(path.sep)[1]!.replace('.test.ts', '');
    if (file.status === 'failed' && file.assertionResults.length === 0) {
      const message = (file.message ?? 'could not be run').split('\n')[0];
      summary.failures.push(`${name}: ${message}`);
    }
    for (const one of file.assertionResults) {
      if (one.status === 'passed') {
        summary.passed++;
        folders.set(folder, (folders.get(folder) ?? 0) + 1);
      } else if (one.status === 'failed') summary.failures.push(`${name} > ${one.fullName}`);
      else summary.skipped.push(judge(file.name, one.fullName));
    }
  }
  const parts = [...folders].sort().map(([folder, passed]) => `${folder} ${passed}`);
  console.log(`\nPassed: ${parts.join(', ')}`);
};

const list = (title: string, lines: readonly string[]): void => {
  if (lines.length > 0) console.log(`\n${title}:\n${lines.map((one) => `  ${one}`).join('\n')}`);
};

const main = (): number => {
  const types = check('typecheck', 'tsc', ['--noEmit']);
  const lint = check('lint', 'biome', ['check', '.']);
  const { status, report } = runVitest(process.argv.slice(2));
  const summary: Summary = {
    passed: [types, lint].filter(Boolean).length,
    failures: [...(types ? [] : ['typecheck']), ...(lint ? [] : ['lint'])],
    skipped: [],
  };
  count(report, summary);
  const { failures, skipped } = summary;
  const isExcused = (one: Skipped): boolean => !isStrict || one.excused;
  for (const { name, reason } of skipped.filter((one) => !isExcused(one))) {
    failures.push(`${name}: skipped, but ${reason} is no excuse here`);
  }
  // An error outside of every test (an unhandled rejection, a crash of vitest) has no name of its own.
  if (status !== 0 && failures.length === 0) failures.push(`vitest ended with code ${status}`);
  const excused = skipped.filter(isExcused);
  list(
    'Skipped',
    excused.map(({ name, reason }) => `${name} (${reason})`),
  );
  list('Failed', failures);
  console.log(`\n${summary.passed} passed, ${failures.length} failed, ${excused.length} skipped`);
  return failures.length === 0 ? 0 : 1;
};

process.exitCode = main();
