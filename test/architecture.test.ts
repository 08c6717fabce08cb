import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { commandNames } from '#runtime/cli/dispatch.ts';
import {
  actorFiles,
  dependencies,
  documentedCommands,
  fileNames,
  finishedCode,
  importDirection,
  LAYERS,
  machinePaths,
  pureCores,
  type Source,
  sizes,
} from '#test/kit/house-rules.ts';
import { ROOT } from '#test/kit/processes.ts';
import { functionsOf, importsOf } from '#test/kit/source-scan.ts';

const NOT_OURS = /^(?:node_modules|data|coverage|\.git)$/;

const walk = (folder: string): string[] =>
  readdirSync(path.join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.test(entry.name)) return [];
    const file = path.posix.join(folder, entry.name);
    return entry.isDirectory() ? walk(file) : [file];
  });

/** What git tracks; in a tree without git, every file. */
const tracked = (): string[] => {
  try {
    const listed = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' });
    return listed.split('\0').filter((file) => file !== '' && existsSync(path.join(ROOT, file)));
  } catch {
    return walk('');
  }
};

const files = tracked();
const isBinary = (file: string): boolean =>
  /\.(?:onnx|png|ico|gz|woff2|pcap|pcapng|sqlite)$/.test(file);
const read = (file: string): Source => ({
  path: file,
  text: readFileSync(path.join(ROOT, file), 'utf8'),
});
const code = files
  .filter((file) => file.endsWith('.ts') && !file.startsWith('proto/generated/'))
  .map(read);
const product = code.filter((one) =>
  (LAYERS as readonly string[]).includes(one.path.split('/')[0]!),
);
const texts = files
  .filter((file) => !isBinary(file) && file !== 'package-lock.json' && file !== 'LICENSE')
  .filter((file) => statSync(path.join(ROOT, file)).isFile())
  .map(read);

const source = (file: string, text: string): Source => ({ path: file, text });

test('the scanner sees this repository', () => {
  expect(product.length).toBeGreaterThan(20);
  expect(product.flatMap((one) => importsOf(one.text)).length).toBeGreaterThan(50);
  expect(product.flatMap((one) => functionsOf(one.text)).length).toBeGreaterThan(100);
});

test('a folder imports only what stands to its left, an actor of another only its protocol', () => {
  expect(importDirection(product)).toEqual([]);
});

test('a core has no clock, no randomness, no await, no node: import and no I/O, nor has proto/', () => {
  expect(pureCores(product)).toEqual([]);
});

test('a file has at most 400 lines, a function at most 70', () => {
  expect(sizes(code)).toEqual([]);
});

test('no file is called utils, helpers, common or misc', () => {
  expect(fileNames(files)).toEqual([]);
});

test('product code is finished', () => {
  expect(finishedCode(product)).toEqual([]);
});

test('every actor has protocol.ts, config.ts, core.ts and actor.ts', () => {
  expect(actorFiles(files)).toEqual([]);
});

test('no tracked file knows where it lies on a machine', () => {
  const own = ['test/architecture.test.ts', 'test/kit/house-rules.ts'];
  expect(machinePaths(texts.filter((one) => !own.includes(one.path)))).toEqual([]);
});

test('commands, scripts and files that the documents name exist', async () => {
  const documents = texts.filter((one) => /^[A-Z]+\.md$/.test(one.path));
  const manifest = JSON.parse(read('package.json').text) as { scripts: Record<string, string> };
  const known = { commands: await commandNames(), scripts: Object.keys(manifest.scripts), files };
  expect(documents.length).toBeGreaterThan(3);
  expect(documentedCommands(documents, known)).toEqual([]);
});

test('what is imported from npm is a dependency whose reason stands in ARCHITECTURE.md', () => {
  const manifest = JSON.parse(read('package.json').text) as { dependencies: object };
  const declared = Object.keys(manifest.dependencies);
  const shipped = product.filter((one) => one.path !== 'proto/generate.ts');
  expect(dependencies(shipped, declared, read('ARCHITECTURE.md').text)).toEqual([]);
});

test('each rule finds its violation', () => {
  const one = (text: string, file = 'proto/a.ts') => [source(file, text)];
  expect(importDirection(one("import { b } from '#native/b.ts';"))).toHaveLength(1);
  expect(importDirection(one("export * from '../actors/x/core.ts';", 'runtime/a.ts'))).toHaveLength(
    1,
  );
  const foreign = "import type { S } from '#actors/y/core.ts';";
  expect(importDirection(one(foreign, 'actors/x/io.ts'))).toHaveLength(1);
  expect(importDirection(one(foreign.replace('core', 'protocol'), 'actors/x/io.ts'))).toEqual([]);
  for (const impure of [
    'const a = Date.now();',
    'const a = Math.random();',
    'const f = async () => 1;',
    'setTimeout(f, 1);',
    "import fs from 'node:fs';",
    "import { crypto } from '#native/crypto.ts';",
  ]) {
    expect(pureCores(one(impure, 'actors/x/core.ts'))).not.toEqual([]);
    const reached = [
      source('actors/x/core.ts', "import { f } from './rule.ts';"),
      source('actors/x/rule.ts', impure),
    ];
    expect(pureCores(reached)).not.toEqual([]);
  }
  expect(pureCores(one("// Date.now() await\nconst a = 'Math.random()';"))).toEqual([]);
  expect(sizes(one('\n'.repeat(401)))).toHaveLength(1);
  const long = `const f = (a: { b: number }): void => {\n${'a;\n'.repeat(69)}};`;
  expect(sizes(one(long))).toHaveLength(1);
  expect(sizes(one(long.replace('a;\n', '')))).toEqual([]);
  expect(fileNames(['proto/utils.ts', 'proto/common/a.ts', 'proto/wire.ts'])).toHaveLength(2);
  for (const word of ['TODO', 'FIXME', 'for now', 'simplified', 'stub']) {
    expect(finishedCode(one(`// ${word}: later`))).toHaveLength(1);
  }
  expect(actorFiles(['actors/x/core.ts'])).toHaveLength(3);
  expect(machinePaths(one("const a = '/home/me/data';"))).toHaveLength(1);
  const imports = one(
    "import a from 'yaml';\nimport b from '@libp2p/tcp/x';\nimport c from 'left-pad';",
  );
  expect(dependencies(imports, ['yaml', '@libp2p/tcp'], '`yaml` `@libp2p/*`')).toHaveLength(2);
  expect(dependencies(imports, ['yaml', 'left-pad', '@libp2p/tcp'], '`yaml`')).toHaveLength(2);
  const document = one('`node runtime dance`, npm run dance, actors/none/core.ts', 'README.md');
  const known = { commands: ['start'], scripts: ['start'], files: [] };
  expect(documentedCommands(document, known)).toHaveLength(3);
});

test('the scanner tells code from text, and a function from an if', () => {
  const text = [
    "import a, { type B } from 'x';",
    "import type { C } from 'y';",
    "export { d } from './d.ts';",
    "const e = await import('z');",
    '// import f from "no";',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what the scanner reads
    "const g = `${a ? '}' : `${/[/}]/.test('{')}`} import h from 'no'`;",
    'function i(j: number): { k: number } {',
    '  if (j) {',
    '    return { k: j / 2 / 1 };',
    '  }',
    '  return { k: 0 };',
    '}',
    'const l = (m: string) =>',
    '  m;',
  ].join('\n');
  expect(importsOf(text).map((one) => one.specifier)).toEqual(['x', 'y', './d.ts', 'z']);
  expect(importsOf(text).map((one) => one.typeOnly)).toEqual([false, true, false, false]);
  expect(functionsOf(text).map(({ line, lines }) => [line, lines])).toEqual([
    [7, 6],
    [13, 2],
  ]);
});
