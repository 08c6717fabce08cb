import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { LAUNCHER, launch, NODE, ROOT, temporaryFolder } from '#test/kit/processes.ts';
import { olderNode } from '#test/kit/programs.ts';

const older = olderNode();
const withOlder = test.skipIf(older === undefined);

const made = temporaryFolder();
afterAll(made.remove);

/** A package with our launcher and this `main.ts`. */
const packageWith = (name: string, main: string): string => {
  const root = path.join(made.path, name);
  mkdirSync(path.join(root, 'runtime'), { recursive: true });
  mkdirSync(path.join(root, 'node_modules', '.bin'), { recursive: true });
  writeFileSync(path.join(root, 'package.json'), '{ "type": "module" }');
  copyFileSync(LAUNCHER, path.join(root, 'runtime', 'index.js'));
  copyFileSync(path.join(ROOT, 'runtime', 'cli', 'stop-signals.ts'), path.join(root, 'signals.ts'));
  symlinkSync(NODE, path.join(root, 'node_modules', '.bin', 'node'));
  writeFileSync(path.join(root, 'runtime', 'main.ts'), main);
  return path.join(root, 'runtime');
};

const SIGNALS = `import { onStopSignals } from '../signals.ts';
let heard = 0;
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => console.log('heard', ++heard));
onStopSignals({
  drain: (name) => { console.log('drain', name); setTimeout(() => process.exit(5), 1200); },
  force: () => process.exit(9),
});
setInterval(() => {}, 1000);
console.log('up', process.pid, process.versions.node.split('.')[0]);
`;

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

withOlder(
  'an older Node goes on in the pinned one, with arguments and exit code kept (needs an older Node)',
  async () => {
    const main =
      'console.log(process.versions.node.split(".")[0], process.argv.slice(2).join()); process.exit(78);';
    const done = await launch(older!, [packageWith('exit', main), 'a', '-o', 'json']).done;
    expect(done).toMatchObject({ code: 78, stdout: '24 a,-o,json\n', stderr: '' });
  },
);

withOlder('a death by signal is passed on (needs an older Node)', async () => {
  const folder = packageWith(
    'death',
    'process.kill(process.pid, "SIGKILL"); setTimeout(() => {}, 9999);',
  );
  expect(await launch(older!, [folder]).done).toMatchObject({ code: null, signal: 'SIGKILL' });
});

withOlder('Ctrl-C reaches parent and child, and counts once (needs an older Node)', async () => {
  const run = launch(older!, [packageWith('both', SIGNALS)]);
  await run.saw(/up \d+ 24/);
  run.signal('SIGINT');
  await run.saw(/drain SIGINT/);
  // The child hears it twice: from the terminal and from its parent. Pending twice it may hear it once.
  process.kill(Number(/up (\d+)/.exec(run.stdout())![1]), 'SIGINT');
  const done = await run.done;
  expect(done.stdout).toMatch(/heard [23]/);
  expect(done.code).toBe(5);
});

withOlder('a second Ctrl-C forces (needs an older Node)', async () => {
  const run = launch(older!, [packageWith('force', SIGNALS)]);
  await run.saw(/up \d+ 24/);
  run.signal('SIGINT');
  await run.saw(/drain SIGINT/);
  await new Promise((resolve) => setTimeout(resolve, 550));
  run.signal('SIGINT');
  expect((await run.done).code).toBe(9);
});

withOlder('a signal to the launcher alone is forwarded (needs an older Node)', async () => {
  const run = launch(older!, [packageWith('alone', SIGNALS)]);
  await run.saw(/up \d+ 24/);
  process.kill(run.child.pid!, 'SIGTERM');
  const done = await run.done;
  expect(done.stdout).toContain('drain SIGTERM');
  expect(done.code).toBe(5);
});

withOlder('a killed launcher takes its child along (needs an older Node)', async () => {
  const run = launch(older!, [path.dirname(LAUNCHER), 'version']);
  expect((await run.done).code).toBe(0);
  const main = `const kept = process.env.PINNED_NODE !== undefined && process.channel !== undefined;
${'process.on("disconnect", () => process.kill(process.pid, "SIGKILL")); process.channel.unref();'}
setInterval(() => {}, 1000);
console.log('up', process.pid, kept);
`;
  const orphan = launch(older!, [packageWith('orphan', main)]);
  await orphan.saw(/up \d+ true/);
  const pid = Number(/up (\d+)/.exec(orphan.stdout())![1]);
  process.kill(orphan.child.pid!, 'SIGKILL');
  await expect.poll(() => isAlive(pid), { timeout: 3000 }).toBe(false);
});

test('a recent Node goes on in the same process', async () => {
  const folder = packageWith('same', 'console.log(process.pid); process.exit(3);');
  const run = launch(NODE, [folder]);
  expect(await run.done).toMatchObject({ code: 3, stdout: `${run.child.pid}\n` });
});
