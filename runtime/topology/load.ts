/** From a topology file to a checked topology, or to everything that is wrong with it. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { z } from 'zod';
import { err, ok, type Result } from '#proto/result.ts';
import { membersOf } from '#runtime/pool-spec.ts';
import { ACTORS_ROOT, type KnownActor, loadActor } from './actors.ts';
import { checkActors, checkLines, checkPhases } from './checks.ts';
import {
  get,
  type Located,
  locate,
  type Place,
  type Problem,
  parseYaml,
  plain,
  sortProblems,
} from './document.ts';
import { unknownKey, validate } from './issues.ts';
import { actorsNamed, applyToLines, applyToSections } from './overrides.ts';
import {
  ACTOR_SECTIONS,
  actorLine,
  groupLine,
  SECTION_NAMES,
  SECTIONS,
  superviseSection,
} from './schema.ts';
import { environmentSettings, flagSettings } from './settings.ts';
import { type Shape, shapeOf } from './shape.ts';
import { expandTree, type Line } from './tree.ts';
import type { ActorView, TopologyView } from './view.ts';
import { warningsOf } from './warnings.ts';

export type ActorSettings = z.output<typeof actorLine>;
/** The root has no supervisor: it lacks what concerns its own restart. */
export type GroupSettings = z.output<typeof superviseSection> &
  Partial<Pick<z.output<typeof groupLine>, 'name' | 'restart' | 'significant'>>;

/** A line of the tree whose settings have passed their schemas. */
export type CheckedLine =
  | {
      readonly kind: 'actor';
      readonly line: Line;
      readonly settings: ActorSettings;
      readonly config: unknown;
      readonly module: URL;
    }
  | {
      readonly kind: 'group';
      readonly line: Line;
      readonly settings: GroupSettings;
      readonly children: readonly CheckedLine[];
    };

export type Topology = {
  readonly view: TopologyView;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  readonly root: CheckedLine & { readonly kind: 'group' };
  readonly sections: Sections;
  /** What is allowed and probably not meant. */
  readonly warnings: readonly Problem[];
  /** The sections as written and where their values came from, for `config show`. */
  readonly document: Located;
};

export type LoadOptions = {
  /** `path=value` lines; later ones win. */
  readonly set?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Folder of the actors, with a slash at the end. */
  readonly actorsRoot?: URL;
  /** What relative data folders count from. */
  readonly cwd?: string;
};

type Actors = ReadonlyMap<string, Result<KnownActor, string>>;

const DEFAULT: Place = { origin: 'default', source: 'default', line: 0, column: 0 };

const loadActors = async (root: URL, names: Iterable<string>): Promise<Actors> => {
  const unique = [...new Set(names)];
  const loaded = new Map<string, Result<KnownActor, string>>();
  // One after the other, as the threads do (residence.ts says why).
  for (const name of unique) loaded.set(name, await loadActor(root, name));
  return loaded;
};

const checkSections = (
  root: Located,
): { readonly sections: Sections; readonly problems: Problem[] } => {
  const problems: Problem[] = [];
  if (root.type === 'map') {
    for (const entry of root.entries.values()) {
      if (SECTION_NAMES.includes(entry.key)) continue;
      const message = unknownKey(entry.key, SECTION_NAMES);
      problems.push({ at: entry.keyAt, path: entry.key, message });
    }
  }
  const read = <N extends keyof typeof SECTIONS>(name: N): z.output<(typeof SECTIONS)[N]> => {
    const node = get(root, name) ?? locate({}, DEFAULT);
    const result = validate(SECTIONS[name], node, name);
    problems.push(...result.problems);
    return (result.value ?? SECTIONS[name].parse({})) as z.output<(typeof SECTIONS)[N]>;
  };
  const sections = { node: read('node'), database: read('database'), genesis: read('genesis') };
  const { create, file, sha256 } = sections.genesis;
  const genesisAt = get(root, 'genesis')?.at ?? root.at;
  if (create && (file ?? sha256) !== undefined) {
    const message = 'create makes its own file; leave out file and sha256';
    problems.push({ at: genesisAt, path: 'genesis', message });
  }
  if (!create && (file === undefined || sha256 === undefined)) {
    const message = 'needs create: true, or file and sha256';
    problems.push({ at: genesisAt, path: 'genesis', message });
  }
  return { sections, problems };
};

export type Sections = {
  readonly node: z.output<typeof SECTIONS.node>;
  readonly database: z.output<typeof SECTIONS.database>;
  readonly genesis: z.output<typeof SECTIONS.genesis>;
};

const checkLine = (line: Line, actors: Actors, problems: Problem[]): CheckedLine | undefined => {
  if (line.kind === 'group') {
    const children = line.children.flatMap((child) => checkLine(child, actors, problems) ?? []);
    const schema = (line.path === '' ? superviseSection : groupLine).omit({ children: true });
    const result = validate(schema, line.settings, line.path === '' ? 'supervise' : line.path);
    problems.push(...result.problems);
    if (result.value === undefined) return undefined;
    return { kind: 'group', line, settings: result.value as GroupSettings, children };
  }
  const checked = validate(actorLine, line.settings, line.path);
  problems.push(...checked.problems);
  const actor = get(line.settings, 'actor');
  const name = String(actor?.type === 'scalar' ? actor.value : '');
  const known = actors.get(name);
  if (known === undefined) return undefined;
  if (!known.ok) {
    problems.push({ at: actor?.at ?? line.at, path: `${line.path}.actor`, message: known.error });
    return undefined;
  }
  const written = get(line.settings, 'config') ?? locate({}, line.at);
  const config = validate(known.value.schema, written, `${line.path}.config`);
  problems.push(...config.problems);
  if (checked.value === undefined || config.problems.length > 0) return undefined;
  const { module } = known.value;
  return { kind: 'actor', line, settings: checked.value, config: config.value, module };
};

/** Every actor below a line, with the path of the thread that it lives on. */
const viewsOf = (checked: CheckedLine): ActorView[] => {
  if (checked.kind === 'group') return checked.children.flatMap(viewsOf);
  const { line, settings, config } = checked;
  const branch = line.path.split('.').slice(0, -1);
  const home = settings.thread === 'own' ? line.name : settings.thread;
  const { actor, pool } = settings;
  if (pool !== undefined) {
    const inside = [...branch, line.name];
    return membersOf(line.name, pool).map(({ name, thread }) => {
      const own = [...inside, name].join('.');
      const host = thread === 'own' ? own : [...inside, thread].join('.');
      return { path: own, name, actor, branch: inside, config, thread: host };
    });
  }
  const thread = [...branch, home].join('.');
  return [{ path: line.path, name: line.name, actor, branch, config, thread }];
};

const viewOf = (
  file: string,
  cwd: string,
  sections: Sections,
  document: Located,
  root: CheckedLine,
): TopologyView => {
  const dataDir = path.resolve(cwd, sections.node.dataDir);
  const { create, file: given, sha256 } = sections.genesis;
  const genesisFile = given === undefined ? path.join(dataDir, 'genesis.json') : given;
  const absolute = path.resolve(cwd, file);
  return {
    file: absolute,
    node: { name: sections.node.name, dataDir },
    genesis: {
      create,
      file: path.resolve(path.dirname(absolute), genesisFile),
      sha256: sha256 ?? '',
    },
    database: { url: sections.database.url },
    sections: Object.fromEntries(
      ACTOR_SECTIONS.map((name) => [name, plain(get(document, name)) ?? {}] as const),
    ),
    actors: viewsOf(root),
  };
};

/** Checks the content of a topology file; `file` is what messages call it. */
export const loadText = async (
  file: string,
  content: string,
  options: LoadOptions = {},
): Promise<Result<Topology, readonly Problem[]>> => {
  const { root: parsed, problems } = parseYaml(file, content);
  if (problems.length > 0) return err(sortProblems(problems));
  if (parsed.type !== 'map') {
    const message = 'expected the sections node, bus, database, genesis and supervise';
    return err([{ at: parsed.at, path: '', message }]);
  }
  const actorsRoot = options.actorsRoot ?? ACTORS_ROOT;
  const flags = flagSettings(options.set ?? []);
  const settings = [...environmentSettings(options.env ?? {}), ...flags.settings];
  const owners = await loadActors(actorsRoot, ACTOR_SECTIONS);
  const applied = applyToSections(parsed, settings, sectionShapes(owners));
  const document = applied.root;
  const { tree, problems: expansion } = expandTree(document);
  const actors = await loadActors(actorsRoot, actorsNamed(tree));
  const shapeOfActor = (name: string): Shape | undefined => {
    const known = actors.get(name);
    return known?.ok ? known.value.shape : undefined;
  };
  const found = [...flags.problems, ...applied.problems, ...expansion];
  found.push(...applyToLines(tree, applied.rest, shapeOfActor));
  const { sections, problems: inSections } = checkSections(document);
  found.push(...inSections, ...checkLines(tree));
  found.push(...checkPhases(tree, sections.node.shutdown));
  const checked = checkLine(tree, actors, found);
  if (checked?.kind !== 'group' || found.length > 0) return err(sortProblems(found));
  const view = viewOf(file, options.cwd ?? process.cwd(), sections, document, checked);
  const late = checkActors(view, tree, document, actors);
  if (late.length > 0) return err(sortProblems(late));
  const { logLevel } = sections.node;
  return ok({ view, logLevel, root: checked, warnings: warningsOf(checked), sections, document });
};

const sectionShapes = (owners: Actors): Map<string, Shape> => {
  const shapes = new Map<string, Shape>(
    Object.entries(SECTIONS).map(([name, schema]) => [name, shapeOf(schema)]),
  );
  for (const [name, known] of owners) if (known.ok) shapes.set(name, known.value.shape);
  return shapes;
};

/** Reads and checks a topology file. */
export const loadTopology = async (
  file: string,
  options: LoadOptions = {},
): Promise<Result<Topology, readonly Problem[]>> => {
  try {
    const absolute = path.resolve(options.cwd ?? process.cwd(), file);
    return await loadText(file, readFileSync(absolute, 'utf8'), options);
  } catch (fault) {
    const code = (fault as NodeJS.ErrnoException).code;
    if (code === undefined) throw fault;
    const words: { readonly [code: string]: string } = {
      ENOENT: 'there is no such file',
      EISDIR: 'is a folder, not a topology file',
      EACCES: 'cannot be read: permission denied',
    };
    const at: Place = { origin: 'file', source: file, line: 0, column: 0 };
    return err([{ at, path: '', message: words[code] ?? `cannot be read: ${code}` }]);
  }
};
