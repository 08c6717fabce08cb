/** The packed tarball in a folder of its own: what is in it, the guide's example, its types and its command line. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ownPorts } from '#test/kit/local-node.ts';
import { type Finished, launch, NODE, ROOT, temporaryFolder } from '#test/kit/processes.ts';

const FOLDERS = ['proto', 'native', 'supervisors', 'runtime', 'actors', 'config'];
const FILES = ['package.json', 'tsconfig.json', 'tsconfig.package.json', '.npmrc', 'LICENSE'];
const DOCUMENTS = ['README.md', 'GUIDE.md'];
const EXAMPLE_LINES_MAX = 30;

const folder = temporaryFolder('cybermesh-package-');
const copy = path.join(folder.path, 'copy');
const consumer = path.join(folder.path, 'consumer');
const installed = path.join(consumer, 'node_modules', 'cybermesh');
const guide = readFileSync(path.join(ROOT, 'GUIDE.md'), 'utf8');
/** The guide's code, in its order. */
const blocks = [...guide.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map((match) => match[1]!);
let packed: readonly string[] = [];

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line.trim() !== '');

const run = (args: readonly string[], node = NODE): Promise<Finished> =>
  launch(node, args, { cwd: consumer, timeoutMs: 120_000 }).done;

/** Dependencies as npm would have put them beside the package. */
const linkDependencies = (): void => {
  const from = path.join(ROOT, 'node_modules');
  const to = path.join(consumer, 'node_modules');
  for (const name of readdirSync(from)) {
    if (name !== 'cybermesh' && name !== '.package-lock.json') {
      symlinkSync(path.join(from, name), path.join(to, name));
    }
  }
};

beforeAll(() => {
  mkdirSync(copy);
  for (const name of [...FOLDERS, ...FILES, ...DOCUMENTS]) {
    cpSync(path.join(ROOT, name), path.join(copy, name), { recursive: true });
  }
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(copy, 'node_modules'));
  const told = execFileSync('npm', ['pack', '--ignore-scripts=false', '--json', '--silent'], {
    cwd: copy,
    encoding: 'utf8',
  });
  const file = readdirSync(copy).find((name) => name.endsWith('.tgz'));
  if (file === undefined) throw new Error(`npm pack made no tarball: ${told}`);
  const tarball = path.join(copy, file);
  packed = execFileSync('tar', ['tzf', tarball], { encoding: 'utf8' }).trim().split('\n');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['xzf', tarball, '-C', installed, '--strip-components=1']);
  linkDependencies();
  writeFileSync(path.join(consumer, 'package.json'), '{ "type": "module" }\n');
  blocks.forEach((code, k) => {
    writeFileSync(path.join(consumer, ['greeter.ts', 'main.ts'][k]!), code);
  });
}, 120_000);
afterAll(folder.remove);

test('the tarball holds JavaScript, declarations, models, topologies and documents, and nothing else', () => {
  const files = packed.map((file) => file.replace(/^package\//, ''));
  for (const name of ['package.json', 'LICENSE', 'README.md', 'GUIDE.md', 'runtime/index.js']) {
    expect(files).toContain(name);
  }
  const top = new Set(files.filter((file) => file.includes('/')).map((file) => file.split('/')[0]));
  expect([...top].sort()).toEqual([...FOLDERS].sort());
  const strange = files.filter(
    (file) =>
      file.includes('/') &&
      !file.startsWith('config/') &&
      !/\.(?:js|d\.ts)$|^actors\/ml\/models\/(?:ddos\.onnx|manifest\.json)$/.test(file),
  );
  expect(strange).toEqual([]);
});

test('packing leaves nothing behind', () => {
  const emitted = FOLDERS.flatMap((name) =>
    readdirSync(path.join(copy, name), { recursive: true, encoding: 'utf8' }).filter(
      (file) => /\.js$|\.d\.ts$/.test(file) && name !== 'config',
    ),
  );
  expect(emitted.sort()).toEqual(
    [
      'bus/kafka/kafkajs-internals.d.ts',
      'generated/wire.d.ts',
      'generated/wire.js',
      'index.js',
    ].sort(),
  );
});

test('nothing that was emitted names a TypeScript file', () => {
  const code = packed.filter((file) => /^package\/(?!config).*\.(?:js|d\.ts)$/.test(file));
  expect(code.length).toBeGreaterThan(200);
  const left = code.filter((file) => {
    const text = readFileSync(path.join(installed, file.replace(/^package\//, '')), 'utf8');
    return /(?:from|import\() ?['"][.#][^'"]*\.ts['"]/.test(text);
  });
  expect(left).toEqual([]);
});

test(`the guide's example has at most ${EXAMPLE_LINES_MAX} lines, and runs`, async () => {
  expect(blocks).toHaveLength(2);
  expect(linesOf(blocks.join('\n')).length).toBeLessThanOrEqual(EXAMPLE_LINES_MAX);
  const { code, stdout, stderr } = await run(['main.ts']);
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'Hello, world! (1)\n', stderr: '' });
});

test.each(['nodenext', 'bundler'])(
  'its types hold for a consumer with moduleResolution %s, and refuse a wrong message',
  async (resolution) => {
    const module = resolution === 'bundler' ? 'esnext' : 'nodenext';
    const compilerOptions = {
      target: 'es2024',
      lib: ['es2024', 'esnext'],
      module,
      moduleResolution: resolution,
      types: ['node'],
      strict: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      skipLibCheck: false,
    };
    const wrong = blocks[1]!.replace("name: 'world'", 'nickname: 1');
    expect(wrong).not.toBe(blocks[1]);
    writeFileSync(path.join(consumer, 'wrong.ts'), wrong);
    const project = path.join(consumer, `tsconfig.${resolution}.json`);
    writeFileSync(project, JSON.stringify({ compilerOptions, files: ['main.ts', 'wrong.ts'] }));
    const { stdout } = await run(['node_modules/typescript/bin/tsc', '-p', project]);
    const errors = stdout.split('\n').filter((line) => /error TS/.test(line));
    expect(errors).not.toEqual([]);
    for (const one of errors) expect(one).toMatch(/^wrong\.ts.*nickname/);
  },
);

test('a module that exports no actor, and a setting that its schema refuses, are named', async () => {
  writeFileSync(path.join(consumer, 'empty.ts'), 'export {};\n');
  const program = (child: string): string =>
    [
      "import { startSystem } from 'cybermesh/runtime';",
      `startSystem({ children: [${child}] }).catch((fault) => console.log(fault.message));`,
    ].join('\n');
  const said = async (child: string): Promise<string> => {
    writeFileSync(path.join(consumer, 'start.ts'), program(child));
    return (await run(['start.ts'])).stdout;
  };
  const module = (file: string): string => `module: import.meta.resolve('./${file}')`;
  expect(await said(`{ name: 'a', ${module('empty.ts')} }`)).toMatch(/a: .*exports no actor/);
  const config = 'config: { word: 1 }';
  expect(await said(`{ name: 'b', ${module('greeter.ts')}, ${config} }`)).toMatch(
    /b\.config: .*word/s,
  );
  expect(await said(`{ name: 'c', ${module('greeter.ts')}, mailbox: { depth: 1 } }`)).toMatch(
    /c: .*mailbox\.depth/s,
  );
});

test('its command line works where it is installed', async () => {
  const cli = path.join('node_modules', 'cybermesh', 'runtime', 'index.js');
  const local = path.join('node_modules', 'cybermesh', 'config', 'local.yaml');
  const version = await run([cli, 'version']);
  expect(version.stdout).toMatch(/^cybermesh \d+\.\d+\.\d+ \(node v?2/);
  const checked = await run([cli, 'check', local]);
  expect(checked.stdout).toMatch(/ok, \d+ actors on \d+ threads/);
  const { set } = await ownPorts();
  const settings = ['node.dataDir=./data', ...set].flatMap((line) => ['--set', line]);
  const started = await run([cli, 'start', local, '--for', '8s', '-o', 'json', ...settings]);
  expect(started.code).toBe(0);
  const report = JSON.parse(started.stdout) as { actors: { restarts: number; messages: number }[] };
  expect(report.actors.length).toBeGreaterThan(20);
  expect(report.actors.every((one) => one.restarts === 0)).toBe(true);
  expect(report.actors.reduce((sum, one) => sum + one.messages, 0)).toBeGreaterThan(100);
});
