/** The rules of the house as functions: sources in, sentences about violations out. */
import path from 'node:path';
import { codeOnly, functionsOf, importsOf } from './source-scan.ts';

/** `path` counts from the root of the repository, with slashes. */
export type Source = { readonly path: string; readonly text: string };

export const LAYERS = ['proto', 'native', 'supervisors', 'runtime', 'actors'] as const;
export const FILE_LINES_MAX = 400;
export const FUNCTION_LINES_MAX = 70;

const folderOf = (file: string): string => file.split('/')[0]!;
const actorOf = (file: string): string | undefined =>
  file.startsWith('actors/') ? file.split('/')[1] : undefined;

/** The file of the repository that an import names; undefined for npm and Node. */
export const resolveImport = (from: string, specifier: string): string | undefined => {
  if (specifier.startsWith('#')) return specifier.slice(1);
  if (!specifier.startsWith('.')) return undefined;
  return path.posix.normalize(path.posix.join(path.posix.dirname(from), specifier));
};

/** A folder imports only what stands to its left; an actor of another one only its protocol.ts. */
export const importDirection = (sources: readonly Source[]): string[] =>
  sources.flatMap((source) => {
    const layer = LAYERS.indexOf(folderOf(source.path) as (typeof LAYERS)[number]);
    if (layer < 0) return [];
    return importsOf(source.text).flatMap(({ specifier, line }) => {
      const target = resolveImport(source.path, specifier);
      if (target === undefined) return [];
      const where = `${source.path}:${line} imports ${target}`;
      const other = LAYERS.indexOf(folderOf(target) as (typeof LAYERS)[number]);
      if (other < 0) return [`${where}: product code imports product code only`];
      if (other > layer) return [`${where}: ${folderOf(source.path)} stands left of it`];
      const isForeign = actorOf(target) !== actorOf(source.path);
      if (layer === 4 && other === 4 && isForeign && !target.endsWith('/protocol.ts')) {
        return [`${where}: of another actor only protocol.ts`];
      }
      return [];
    });
  });

/** What a core does not do, with the words for it. */
const IMPURE: readonly (readonly [RegExp, string])[] = [
  [/\b(?:await|async)\b/, 'waits'],
  [/\bDate\s*\.\s*now\b|\bnew\s+Date\s*\(\s*\)|\bperformance\s*\./, 'reads a clock'],
  [/\bMath\s*\.\s*random\b|\bgetRandomValues\b|\brandomUUID\b/, 'is random'],
  [/(?<![.\w])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/, 'sets a timer'],
  [/(?<![.\w])(?:process|console)\s*\.|(?<![.\w])fetch\s*\(|\bimport\s*\(/, 'touches the world'],
];

/** Files that a core reaches within its actor and in proto/, itself included. */
const reach = (core: Source, files: ReadonlyMap<string, Source>): Source[] => {
  const seen = new Map<string, Source>([[core.path, core]]);
  for (const source of seen.values()) {
    for (const { specifier, typeOnly } of importsOf(source.text)) {
      const target = resolveImport(source.path, specifier);
      const file = target === undefined || typeOnly ? undefined : files.get(target);
      if (file === undefined || seen.has(file.path)) continue;
      if (folderOf(file.path) === 'proto' || actorOf(file.path) === actorOf(core.path)) {
        seen.set(file.path, file);
      }
    }
  }
  return [...seen.values()];
};

const impurities = (source: Source): string[] => {
  const code = codeOnly(source.text).split('\n');
  const lines = code.flatMap((line, k) =>
    IMPURE.filter(([pattern]) => pattern.test(line)).map(
      ([, what]) => `${source.path}:${k + 1} ${what}`,
    ),
  );
  const imports = importsOf(source.text).flatMap(({ specifier, typeOnly, line }) => {
    const isNative = specifier.startsWith('#native/') && specifier !== '#native/lanes/fields.ts';
    const isWorld = specifier.startsWith('node:') || (isNative && !typeOnly);
    return isWorld ? [`${source.path}:${line} imports ${specifier}`] : [];
  });
  return [...lines, ...imports];
};

/** No clock, randomness, await, node: import or I/O in a core, nor in what it reaches, nor in proto/. */
export const pureCores = (sources: readonly Source[]): string[] => {
  const files = new Map(sources.map((source) => [source.path, source]));
  const reached = sources
    .filter((source) => /^actors\/[^/]+\/core\.ts$/.test(source.path))
    .flatMap((core) => reach(core, files));
  const proto = sources.filter(
    ({ path: file }) => folderOf(file) === 'proto' && file !== 'proto/generate.ts',
  );
  return [...new Set([...reached, ...proto])].flatMap(impurities);
};

export const sizes = (sources: readonly Source[]): string[] =>
  sources.flatMap((source) => {
    const lines = source.text.replace(/\n$/, '').split('\n').length;
    const long =
      lines > FILE_LINES_MAX
        ? [`${source.path} has ${lines} lines, at most ${FILE_LINES_MAX}`]
        : [];
    const isTest = source.path.startsWith('test/') && !source.path.startsWith('test/kit/');
    const functions = isTest ? [] : functionsOf(source.text);
    return [
      ...long,
      ...functions
        .filter((one) => one.lines > FUNCTION_LINES_MAX)
        .map(({ name, line, lines: n }) => `${source.path}:${line} ${name} has ${n} lines`),
    ];
  });

const VAGUE = /(?:^|[/.-])(?:utils?|helpers?|common|misc)(?:[/.-]|$)/i;

/** A file is named for its concept. */
export const fileNames = (paths: readonly string[]): string[] =>
  paths.filter((file) => VAGUE.test(file)).map((file) => `${file}: name the concept`);

const UNFINISHED = /\bTODO\b|\bFIXME\b|\bfor now\b|\bsimplified\b|\bstub(?:s|bed)?\b/i;

/** Product code is finished. */
export const finishedCode = (sources: readonly Source[]): string[] =>
  sources
    .filter((source) => (LAYERS as readonly string[]).includes(folderOf(source.path)))
    .flatMap((source) =>
      source.text
        .split('\n')
        .flatMap((line, k) =>
          UNFINISHED.test(line) ? [`${source.path}:${k + 1} ${UNFINISHED.exec(line)![0]}`] : [],
        ),
    );

/** Every actor has its protocol, its settings, its core and what binds them. */
export const actorFiles = (paths: readonly string[]): string[] => {
  const actors = new Set(paths.flatMap((file) => actorOf(file) ?? []));
  return [...actors].flatMap((actor) =>
    ['protocol.ts', 'config.ts', 'core.ts', 'actor.ts']
      .map((part) => `actors/${actor}/${part}`)
      .filter((file) => !paths.includes(file))
      .map((file) => `${file} is missing`),
  );
};

const MACHINE = /(?<![\w.:/$}-])\/(?:home|root|Users|work|mnt)\/[\w.]/;

/** Nothing in the repository knows where it lies on somebody's machine. */
export const machinePaths = (sources: readonly Source[]): string[] =>
  sources.flatMap((source) =>
    source.text
      .split('\n')
      .flatMap((line, k) => (MACHINE.test(line) ? [`${source.path}:${k + 1} ${line.trim()}`] : [])),
  );

export type Known = {
  readonly commands: readonly string[];
  readonly scripts: readonly string[];
  readonly files: readonly string[];
};

const NPM: readonly string[] = ['ci', 'install', 'pack', 'start', 'test'];

/** Commands, scripts and files that a document names exist. */
export const documentedCommands = (documents: readonly Source[], known: Known): string[] =>
  documents.flatMap(({ path: file, text }) => {
    const commands = [...text.matchAll(/\bnode runtime ([a-z][a-z-]*)/g)]
      .filter((match) => !known.commands.includes(match[1]!))
      .map((match) => `${file}: there is no command ${match[1]}`);
    const scripts = [...text.matchAll(/\bnpm (run )?([a-z][a-z:-]*)/g)]
      .filter(([, run, name]) =>
        run === undefined && name !== 'start' && name !== 'test'
          ? !NPM.includes(name!)
          : !known.scripts.includes(name!),
      )
      .map((match) => `${file}: there is no ${match[0]}`);
    const folders = 'actors|bench|config|native|proto|runtime|supervisors|test';
    const mentioned = new RegExp(
      `(?<![\\w/.])(?:${folders})/[\\w./-]*\\w\\.(?:ts|js|ya?ml|json|md)\\b`,
      'g',
    );
    const files = [...text.matchAll(mentioned)]
      .filter((match) => !known.files.includes(match[0]))
      .map((match) => `${file}: there is no ${match[0]}`);
    return [...commands, ...scripts, ...files];
  });

/** The npm package of an import; undefined for Node, for our own files and for types of Node. */
const packageOf = (specifier: string): string | undefined => {
  if (/^(?:[.#/]|node:)/.test(specifier)) return undefined;
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0];
};

/** What product code imports from npm is a dependency of ours, and its reason stands in ARCHITECTURE.md. */
export const dependencies = (
  sources: readonly Source[],
  declared: readonly string[],
  architecture: string,
): string[] => {
  const named = [...architecture.matchAll(/`([@\w./-]+?)(\/\*)?`/g)];
  const hasReason = (name: string): boolean =>
    named.some(([, one, all]) => (all === undefined ? one === name : name.startsWith(`${one}/`)));
  return sources.flatMap((source) =>
    importsOf(source.text).flatMap(({ specifier, line }) => {
      const name = packageOf(specifier);
      if (name === undefined) return [];
      const where = `${source.path}:${line} imports ${name}`;
      return [
        ...(declared.includes(name) ? [] : [`${where}: not in package.json`]),
        ...(hasReason(name) ? [] : [`${where}: no reason in ARCHITECTURE.md`]),
      ];
    }),
  );
};
