import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { crashFolder } from '#runtime/flight/crash-files.ts';
import type { CrashReport } from '#runtime/flight/report.ts';
import { openWitness, type Told } from '#runtime/flight/witness.ts';
import type { Crash } from '#runtime/system/thread.ts';
import { temporaryFolder } from '#test/kit/processes.ts';

const made = temporaryFolder('cybermesh-witness-');
afterEach(made.remove);

const crash: Crash = {
  actor: 0,
  path: 'v1.replica',
  reason: 'crash',
  kind: 'heard',
  error: 'out of luck',
  stack: '',
  trace: '',
};

const witness = (dataDir: string) => {
  const told: Told[] = [];
  const node = { name: 'n1', dataDir };
  return { told, ...openWitness(node, 7, (_path, one) => told.push(one)) };
};

test('a report holds what its actor had said before, and nothing of others or of later', async () => {
  mkdirSync(made.path, { recursive: true });
  const one = witness(made.path);
  const said = { level: 'info', fields: {}, atMs: 1 } as const;
  one.log({ ...said, path: 'v1.replica', text: 'ready', fields: { apiToken: 'abc', port: 1 } });
  one.log({ ...said, path: 'v2.replica', text: 'of another' });
  one.crashed(crash, undefined, 1000);
  one.log({ ...said, path: 'v1.replica', text: 'the next life' });
  await one.settled();
  const [file] = readdirSync(crashFolder(made.path));
  const text = readFileSync(path.join(crashFolder(made.path), file!), 'utf8');
  const report = JSON.parse(text) as CrashReport;
  expect(report).toMatchObject({ node: 'n1', seed: 7, error: 'out of luck', path: 'v1.replica' });
  expect(report.log).toEqual([
    { atMs: 1, level: 'info', text: 'ready {"apiToken":"***","port":1}' },
  ]);
  expect([one.written(), one.missed()]).toEqual([1, 0]);
});

test('a storm of crashes waits in a queue of eight; what finds no place there is counted', async () => {
  mkdirSync(made.path, { recursive: true });
  const one = witness(made.path);
  for (let k = 0; k < 20; k++) one.crashed(crash, undefined, 1000 + k);
  await one.settled();
  expect([one.written(), one.missed()]).toEqual([8, 12]);
  expect(one.told).toHaveLength(8);
});

test('a report that cannot be written is said and counted', async () => {
  mkdirSync(made.path, { recursive: true });
  writeFileSync(crashFolder(made.path), 'no folder');
  const one = witness(made.path);
  one.crashed(crash, undefined, 1000);
  await one.settled();
  expect([one.written(), one.missed()]).toEqual([0, 1]);
  expect(one.told).toMatchObject([
    { level: 'error', text: expect.stringMatching(/^the crash report could not be written: /) },
  ]);
});
