/** Applies settings to a topology: to its sections before templates are expanded, to its lines after. */
import { get, type Located, type Problem, text } from './document.ts';
import { unknownKey } from './issues.ts';
import { actorLine, groupLine, SECTION_NAMES } from './schema.ts';
import { assign, matching, type Setting } from './settings.ts';
import { type Shape, shapeOf } from './shape.ts';
import { type Line, linesOf } from './tree.ts';

const LINE_KEYS: readonly string[] = [
  'autoShutdown',
  'backoff',
  'config',
  'intensity',
  'mailbox',
  'passivateMs',
  'phase',
  'pool',
  'restart',
  'shutdownMs',
  'significant',
  'strategy',
  'thread',
];

export const problemOf = (setting: Setting, message: string): Problem => ({
  at: setting.at,
  path: setting.segments.join('.'),
  message,
});

/** The path of the raw document that a setting names, when it names a section or a line's `with`. */
const rawPath = (root: Located, setting: Setting): readonly string[] | undefined => {
  const [first, second] = setting.segments;
  if (first === undefined) return undefined;
  const section = matching(first, SECTION_NAMES, setting.caseless);
  const aLine = second !== undefined && matching(second, LINE_KEYS, setting.caseless);
  if (section !== undefined && !(aLine && childIndex(root, first, setting) >= 0)) {
    return [section, ...setting.segments.slice(1)];
  }
  if (second !== undefined && matching(second, ['with'], setting.caseless)) {
    const index = childIndex(root, first, setting);
    if (index >= 0) {
      return ['supervise', 'children', String(index), 'with', ...setting.segments.slice(2)];
    }
  }
  return undefined;
};

const childIndex = (root: Located, name: string, setting: Setting): number => {
  const children = get(get(root, 'supervise'), 'children');
  if (children?.type !== 'list') return -1;
  const names = children.items.map((one) => text(get(one, 'name')) ?? '');
  const found = matching(name, names, setting.caseless);
  return found === undefined ? -1 : names.indexOf(found);
};

/** Applies what concerns the raw document; returns the rest for the lines. */
export const applyToSections = (
  root: Located,
  settings: readonly Setting[],
  shapes: ReadonlyMap<string, Shape>,
): { readonly root: Located; readonly rest: Setting[]; readonly problems: Problem[] } => {
  const rest: Setting[] = [];
  const problems: Problem[] = [];
  let changed = root;
  for (const setting of settings) {
    const path = rawPath(changed, setting);
    if (path === undefined) {
      rest.push(setting);
      continue;
    }
    const [section, ...inner] = path;
    const result = assign(get(changed, section!), shapes.get(section!), inner, setting);
    if (!result.ok) problems.push(problemOf(setting, result.error));
    else if (changed.type === 'map') {
      const entry = { key: section!, keyAt: setting.at, value: result.value };
      changed = { ...changed, entries: new Map([...changed.entries, [section!, entry]]) };
    }
  }
  return { root: changed, rest, problems };
};

const lineFor = (
  tree: Line,
  setting: Setting,
): { readonly line: Line; readonly rest: readonly string[] } => {
  let line = tree;
  let used = 0;
  for (const segment of setting.segments) {
    const names = line.children.map((child) => child.name);
    const name = matching(segment, names, setting.caseless);
    if (name === undefined) break;
    line = line.children[names.indexOf(name)]!;
    used++;
  }
  return { line, rest: setting.segments.slice(used) };
};

const ACTOR_SHAPE = shapeOf(actorLine);
const GROUP_SHAPE = shapeOf(groupLine);

/** The shape of a line with its actor's settings in the place of `config`. */
const lineShape = (line: Line, config: Shape | undefined): Shape => {
  if (line.kind === 'group') return GROUP_SHAPE;
  return {
    ...ACTOR_SHAPE,
    properties: { ...ACTOR_SHAPE.properties, config: config ?? {} },
    ...(config?.$defs ? { $defs: config.$defs } : {}),
  };
};

/** What may follow a line's path: its keys, or the names of its children. */
const known = (line: Line): string[] => [
  ...line.children.map((child) => child.name),
  ...(line.path === '' ? SECTION_NAMES : LINE_KEYS),
];

/** Applies settings to the expanded lines, in order, later ones winning. */
export const applyToLines = (
  tree: Line,
  settings: readonly Setting[],
  shapeOfActor: (actor: string) => Shape | undefined,
): Problem[] => {
  const problems: Problem[] = [];
  for (const setting of settings) {
    const { line, rest } = lineFor(tree, setting);
    const [first, ...inner] = rest;
    const key = first === undefined ? undefined : matching(first, LINE_KEYS, setting.caseless);
    if (first === undefined || key === undefined || line.path === '') {
      const message =
        first === undefined
          ? `names a whole line; name one of its settings, e.g. ${line.path}.config`
          : unknownKey(first, known(line)).replace('unknown key', `unknown setting ${first}`);
      problems.push(problemOf(setting, message));
      continue;
    }
    const actor = text(get(line.settings, 'actor'));
    const shape = actor === undefined ? undefined : shapeOfActor(actor);
    const result = assign(line.settings, lineShape(line, shape), [key, ...inner], setting);
    if (result.ok) line.settings = result.value;
    else problems.push(problemOf(setting, result.error));
  }
  return problems;
};

/** Every actor that the lines name. */
export const actorsNamed = (tree: Line): string[] => [
  ...new Set(linesOf(tree).flatMap((line) => text(get(line.settings, 'actor')) ?? [])),
];
